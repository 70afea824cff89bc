"""A zip of recordings from somebody else, unpacked without trust: bounded, and checked by name first.

Whatever a zip claims of itself is checked before anything is written, and measured again while it is: how many bytes
come out decides, not how many were announced.
"""

import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from sae_core.corpus.folders import TABLE_SUFFIXES
from sae_core.corpus.texts import decode
from sae_core.corpus.zip_names import why_dangerous, why_odd, written_names
from sae_core.files.artifacts import read_json, write_json
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.progress import Progress, ignore

MAX_NAME_BYTES = 200
UNPACKED = "unpacked.json"
MAX_TABLES, MAX_TABLE_BYTES, MAX_ALL_TABLES_BYTES = 20, 4 * 1024**2, 16 * 1024**2
MAX_PATH_BYTES = 1000
PIECE = 1024 * 1024
SPARE_DISK_BYTES = 256 * 1024 * 1024
_LITTLE_BYTES = 8 * 1024 * 1024
"""So much may be packed to next to nothing, as silence is."""
_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES, _MAX_COMMENT, _IN_ZIP64 = 20, 65_535, 0xFFFFFFFF
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_AGAIN = "pack the folder again with an ordinary zip program"
_IN_PARTS = "upload it in parts, or have the folder put below an import root of the server"


@dataclass(frozen=True)
class ZipLimits:
    """How much a zip may hold.

    zip_bytes: as uploaded. n_files; file_bytes: of one, unpacked; total_bytes: of all, unpacked.
    ratio: unpacked against packed, where there is more than a little of it. directory_bytes: of its list of names.
    """

    zip_bytes: int = 512 * 1024**2
    n_files: int = 20_000
    file_bytes: int = 1024**3
    total_bytes: int = 8 * 1024**3
    ratio: float = 100.0
    directory_bytes: int = 16 * 1024**2


USUAL_LIMITS = ZipLimits()


@dataclass(frozen=True)
class ZipContents:
    """What a zip says it holds, checked: names as they will be written, their sizes in bytes, and its own name.

    left_out: (name, reason) of members that cannot be taken; the others are. notices: what else to say. tables: content
    of small files that may be tables, by name, so that they can be looked into before anything is unpacked.
    """

    name: str
    files: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    tables: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Of all files, unpacked."""
        return sum(size for _, size in self.files)

    def told(self) -> tuple[str, ...]:
        """What to say of it: the encoding of its names, and how many members were left out, with the first reason."""
        if not self.left_out:
            return self.notices
        first, reason = self.left_out[0]
        return (
            *self.notices,
            f"{len(self.left_out):,} members of {self.name} were left out: {first!r} {reason}",
        )


def inspect_zip(stream: BufferedIOBase, name: str, *, limits: ZipLimits = USUAL_LIMITS) -> ZipContents:
    """Return what a zip holds, nothing of it unpacked; CorpusError names what is wrong with it and what to do."""
    with _open(stream, name, limits) as archive:
        found = _Check(name, limits).members(archive)
        files = tuple((path, info.file_size) for path, info in found.members)
        return ZipContents(name, files, found.left_out, found.notices, _small_tables(archive, found.members))


def unpack_zip(
    stream: BufferedIOBase,
    name: str,
    folder: Path,
    *,
    limits: ZipLimits = USUAL_LIMITS,
    progress: Progress = ignore,
) -> ZipContents:
    """Unpack a zip as a new `folder` and return what was unpacked; members that cannot be taken are left out and named,
    there and in `UNPACKED` beside the folder.

    Raises CorpusError when the zip breaks a rule that keeps others safe, announced or found while unpacking, or nothing
    of it can be taken; ArtifactError when the folder is there already or the disk cannot take it. Nothing is left then.
    """
    folder = Path(folder)
    if folder.exists():
        raise ArtifactError("is there already", where=folder, remedy="choose another name")
    with _open(stream, name, limits) as archive:
        found = _Check(name, limits).members(archive)
        _check_disk(folder.parent, sum(info.file_size for _, info in found.members))
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            damaged = _write_members(archive, found.members, staging, _Check(name, limits), progress)
            staging.chmod(0o755)
            staging.rename(folder)
        except OSError as error:
            raise ArtifactError(
                f"cannot be written ({error.strerror})",
                where=folder,
                remedy="free some space, or choose another disk",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    lost = {path for path, _ in damaged}
    files = tuple((path, info.file_size) for path, info in found.members if path not in lost)
    contents = ZipContents(name, files, (*found.left_out, *damaged), found.notices)
    if contents.told():
        write_json(
            folder.parent / UNPACKED, {"notices": list(contents.told()), "left_out": list(contents.left_out)}
        )
    return contents


def unpack_some(
    stream: BufferedIOBase, name: str, folder: Path, names: Sequence[str], *, limits: ZipLimits = USUAL_LIMITS
) -> None:
    """Unpack the files of a zip that are called by `names`, as `inspect_zip` told them, below an empty `folder`.

    CorpusError and OSError as `unpack_zip` has them; damaged files are left out.
    """
    with _open(stream, name, limits) as archive:
        wanted = set(names)
        members = [
            (path, info) for path, info in _Check(name, limits).members(archive).members if path in wanted
        ]
        if members:
            _write_members(archive, members, folder, _Check(name, limits), ignore)


def unpacked_notices(workspace: Path) -> tuple[str, ...]:
    """What there was to say when a zip was unpacked into a workspace; nothing where none was."""
    try:
        return tuple(map(str, read_json(workspace / UNPACKED).get("notices", ())))
    except (ArtifactError, TypeError):
        return ()


def _open(stream: BufferedIOBase, name: str, limits: ZipLimits) -> zipfile.ZipFile:
    """The zip, its list of names no longer than allowed: that is read into memory as a whole."""
    n_bytes = stream.seek(0, os.SEEK_END)
    if n_bytes > limits.zip_bytes:
        raise CorpusError(
            f"has {_size(n_bytes)}, and at most {_size(limits.zip_bytes)} are taken",
            where=name,
            remedy=_IN_PARTS,
        )
    if _directory_bytes(stream, n_bytes) > limits.directory_bytes:
        raise CorpusError("has too long a list of names", where=name, remedy=_IN_PARTS)
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise CorpusError(f"is no readable zip ({error})", where=name, remedy=_AGAIN) from error


def _directory_bytes(stream: BufferedIOBase, n_bytes: int) -> int:
    """How long a zip says its list of names is: the longest of all places that could be taken for its end."""
    n_tail = min(n_bytes, _END.size + _MAX_COMMENT + _LOCATOR_BYTES + _END_64.size)
    stream.seek(n_bytes - n_tail)
    tail = stream.read(n_tail)
    longest = 0
    for mark, record, entry in ((b"PK\x05\x06", _END, 5), (b"PK\x06\x06", _END_64, 8)):
        place = tail.find(mark)
        while place >= 0:
            if place + record.size <= len(tail):
                found = int(record.unpack_from(tail, place)[entry])
                is_told_elsewhere = record is _END and found == _IN_ZIP64
                longest = max(longest, 0 if is_told_elsewhere else found)
            place = tail.find(mark, place + 1)
    return min(longest, n_bytes)


Members = list[tuple[str, zipfile.ZipInfo]]


@dataclass(frozen=True)
class _Found:
    members: Members
    left_out: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


class _Check:
    """Counts what a zip holds, or what comes out of it; refuses what is dangerous and leaves out what is only odd."""

    def __init__(self, name: str, limits: ZipLimits) -> None:
        self._name, self._limits = name, limits
        self._n_bytes = self._n_file_bytes = self._n_packed = 0

    def members(self, archive: zipfile.ZipFile) -> _Found:
        """The files of a zip by the names they will have; CorpusError at the first one that breaks a rule."""
        infos = archive.infolist()
        names, words = written_names(infos, _texts(archive, infos))
        members: Members = []
        left_out: list[tuple[str, str]] = []
        taken: dict[str, str] = {}
        for path, info in zip(names, infos, strict=True):
            if (danger := why_dangerous(path)) is not None:
                raise self.refusal(path, danger, "rename it and pack the folder again")
            if path.endswith("/") or info.is_dir() or _is_left_behind(path):
                continue
            why = self._why_odd(info, path, taken)
            if why is not None:
                left_out.append((path, why))
                continue
            taken[path.casefold()] = path
            self.begin(info)
            self.add(info.file_size, path)
            members.append((path, info))
            if len(members) > self._limits.n_files:
                raise CorpusError(
                    f"holds more than {self._limits.n_files:,} files", where=self._name, remedy=_IN_PARTS
                )
        members, both = _without_folders(members)
        left_out += both
        if not members:
            raise self._nothing(left_out)
        return _Found(members, tuple(left_out), (words,) if words else ())

    def begin(self, info: zipfile.ZipInfo) -> None:
        """Turn to the next file and count its packed bytes."""
        self._n_file_bytes = 0
        self._n_packed += info.compress_size

    def add(self, n_bytes: int, path: str) -> None:
        """Count unpacked bytes of a file; CorpusError where they are too many, or too many for how they were packed."""
        self._n_bytes += n_bytes
        self._n_file_bytes += n_bytes
        if self._n_file_bytes > self._limits.file_bytes:
            raise self.refusal(path, f"is larger than {_size(self._limits.file_bytes)}", "cut it into parts")
        if self._n_bytes > self._limits.total_bytes:
            raise CorpusError(
                f"unpacks to more than {_size(self._limits.total_bytes)}", where=self._name, remedy=_IN_PARTS
            )
        if self._n_bytes > max(
            _LITTLE_BYTES, self._limits.ratio * min(self._n_packed, self._limits.zip_bytes)
        ):
            times = f"{self._limits.ratio:.0f}"
            raise self.refusal(
                path, f"unpacks to over {times} times its size, as recordings never do", _AGAIN
            )

    def refusal(self, path: str, reason: str, remedy: str) -> CorpusError:
        """The error for one file of the zip."""
        return CorpusError(f"holds {path!r}, which {reason}", where=self._name, remedy=remedy)

    def _nothing(self, left_out: list[tuple[str, str]]) -> CorpusError:
        if left_out:
            return self.refusal(left_out[0][0], left_out[0][1] + ", and no other file", _AGAIN)
        return CorpusError("holds no files", where=self._name, remedy="pack the folder with the recordings")

    def _why_odd(self, info: zipfile.ZipInfo, path: str, taken: Mapping[str, str]) -> str | None:
        """Why one member is left out and the others are not."""
        why = why_odd(path, max_name_bytes=MAX_NAME_BYTES, max_path_bytes=MAX_PATH_BYTES)
        if why is None and path.casefold() in taken:
            other = taken[path.casefold()]
            why = "stands in it twice" if other == path else f"is {other!r} but for small and large letters"
        return why or self._why_unread(info)

    def _why_unread(self, info: zipfile.ZipInfo) -> str | None:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            return "is a link or a device, no file"
        if info.flag_bits & 0x1:
            return "is encrypted; pack the folder again without a password"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return "is packed in an unusual way"
        if info.file_size > self._limits.file_bytes:
            return f"is larger than {_size(self._limits.file_bytes)}"
        return None


def _is_left_behind(path: str) -> bool:
    """Whether a file is what systems leave beside others, or a hidden one."""
    parts = path.split("/")
    return parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts)


def _without_folders(members: Members) -> tuple[Members, list[tuple[str, str]]]:
    """The members whose names are no folders of others, and those that are."""
    folders = {str(parent) for path, _ in members for parent in PurePosixPath(path.casefold()).parents}
    both = [path for path, _ in members if path.casefold() in folders]
    kept = [(path, info) for path, info in members if path.casefold() not in folders]
    return kept, [(path, "is both a file and a folder") for path in both]


def _texts(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> list[str]:
    """The texts of tables in a zip that may tell how the names of its files are written, where that is open."""
    if all(info.flag_bits & 0x800 or info.orig_filename.isascii() for info in infos):
        return []
    members = [(info.orig_filename, info) for info in infos if not info.is_dir()]
    found = (decode(raw) for raw in _small_tables(archive, members).values())
    return [text.text for text in found if text is not None]


def _small_tables(archive: zipfile.ZipFile, members: Members) -> dict[str, bytes]:
    """The content of files that may be tables, never much of it."""
    found: dict[str, bytes] = {}
    n_bytes = 0
    for path, info in members:
        is_small = info.file_size <= min(MAX_TABLE_BYTES, info.compress_size * 200 + 4096)
        if (
            PurePosixPath(path).suffix.lower() not in TABLE_SUFFIXES
            or not is_small
            or len(found) == MAX_TABLES
        ):
            continue
        n_bytes += info.file_size
        if n_bytes > MAX_ALL_TABLES_BYTES:
            break
        with suppress(*_DAMAGE, OSError), archive.open(info) as source:
            found[path] = source.read(MAX_TABLE_BYTES)
    return found


def _write_members(
    archive: zipfile.ZipFile, members: Members, staging: Path, check: _Check, progress: Progress
) -> list[tuple[str, str]]:
    """Write all members, and return (name, reason) of those that are damaged; CorpusError where none is whole."""
    damaged: list[tuple[str, str]] = []
    for number, (path, info) in enumerate(members):
        progress(number, len(members), "unpacking")
        target = staging / path
        target.parent.mkdir(parents=True, exist_ok=True)
        check.begin(info)
        try:
            # "x": a new file only, never over another one
            with archive.open(info) as source, target.open("xb") as sink:
                while piece := source.read(PIECE):
                    check.add(len(piece), path)
                    sink.write(piece)
        except _DAMAGE as error:
            target.unlink(missing_ok=True)
            damaged.append((path, f"is damaged ({error})"))
    progress(len(members), len(members), "unpacking")
    if len(damaged) == len(members):
        raise check.refusal(damaged[0][0], damaged[0][1] + ", and no other file", _AGAIN)
    return damaged


def _check_disk(folder: Path, n_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    n_free = shutil.disk_usage(folder).free
    if n_bytes + SPARE_DISK_BYTES > n_free:
        raise ArtifactError(
            f"has {_size(n_free)} left, and unpacking takes {_size(n_bytes)}",
            where=folder,
            remedy="free some space on that disk",
        )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1024**2:,.0f} MiB" if n_bytes < 1024**3 else f"{n_bytes / 1024**3:,.1f} GiB"
