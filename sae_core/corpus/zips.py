"""A zip of recordings from somebody else, unpacked without trust: bounded, checked by name first, all of it or nothing.

Whatever a zip claims of itself is checked before anything is written, and measured again while it is: how many bytes
come out decides, not how many were announced.
"""

import os
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.progress import Progress, ignore

MAX_NAME_BYTES = 200
MAX_PATH_BYTES = 1000
PIECE = 1024 * 1024
SPARE_DISK_BYTES = 256 * 1024 * 1024
_LITTLE_BYTES = 8 * 1024 * 1024
"""So much may be packed to next to nothing, as silence is."""
_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES, _MAX_COMMENT, _IN_ZIP64 = 20, 65_535, 0xFFFFFFFF
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
    """What a zip says it holds, checked: names as they will be written, their sizes in bytes, and its own name."""

    name: str
    files: tuple[tuple[str, int], ...]

    @property
    def n_bytes(self) -> int:
        """Of all files, unpacked."""
        return sum(size for _, size in self.files)


def inspect_zip(stream: BufferedIOBase, name: str, *, limits: ZipLimits = USUAL_LIMITS) -> ZipContents:
    """Return what a zip holds, nothing of it unpacked; CorpusError names what is wrong with it and what to do."""
    with _open(stream, name, limits) as archive:
        members = _Check(name, limits).members(archive)
    return ZipContents(name, tuple((path, info.file_size) for path, info in members))


def unpack_zip(
    stream: BufferedIOBase,
    name: str,
    folder: Path,
    *,
    limits: ZipLimits = USUAL_LIMITS,
    progress: Progress = ignore,
) -> Path:
    """Unpack a zip as a new `folder` and return it: whole, or not there at all.

    Raises CorpusError when the zip breaks a rule, announced or found while unpacking, ArtifactError when the folder is
    there already or the disk cannot take it.
    """
    folder = Path(folder)
    if folder.exists():
        raise ArtifactError("is there already", where=folder, remedy="choose another name")
    with _open(stream, name, limits) as archive:
        members = _Check(name, limits).members(archive)
        _check_disk(folder.parent, sum(info.file_size for _, info in members))
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_members(archive, members, staging, _Check(name, limits), progress)
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
    return folder


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
    for mark, record, field in ((b"PK\x05\x06", _END, 5), (b"PK\x06\x06", _END_64, 8)):
        place = tail.find(mark)
        while place >= 0:
            if place + record.size <= len(tail):
                found = int(record.unpack_from(tail, place)[field])
                is_told_elsewhere = record is _END and found == _IN_ZIP64
                longest = max(longest, 0 if is_told_elsewhere else found)
            place = tail.find(mark, place + 1)
    return min(longest, n_bytes)


class _Check:
    """Counts what a zip holds, or what comes out of it, and refuses what breaks a rule."""

    def __init__(self, name: str, limits: ZipLimits) -> None:
        self._name, self._limits = name, limits
        self._n_bytes = self._n_file_bytes = self._n_packed = 0

    def members(self, archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
        """The files of a zip by the names they will have; CorpusError at the first one that breaks a rule."""
        members: list[tuple[str, zipfile.ZipInfo]] = []
        for info in archive.infolist():
            path = self._path_of(info)
            if path is None:
                continue
            self._check_kind(info, path)
            self.begin(info)
            self.add(info.file_size, path)
            members.append((path, info))
            if len(members) > self._limits.n_files:
                raise CorpusError(
                    f"holds more than {self._limits.n_files:,} files", where=self._name, remedy=_IN_PARTS
                )
        if not members:
            raise CorpusError(
                "holds no files", where=self._name, remedy="pack the folder with the recordings"
            )
        self._check_clashes([path for path, _ in members])
        return members

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

    def _path_of(self, info: zipfile.ZipInfo) -> str | None:
        """The path of a member, None for folders and for what systems leave beside files."""
        # what zipfile makes of a name that holds a zero byte is another name
        path = unicodedata.normalize(
            "NFC", info.orig_filename if "\0" in info.orig_filename else info.filename
        )
        parts = path.removesuffix("/").split("/")
        if "\\" in path or not path.isprintable():
            reason = "has characters in its name that no file should have"
        elif path.startswith("/") or path[1:2] == ":":
            reason = "has an absolute name"
        elif any(part in ("", ".", "..") for part in parts):
            reason = "has a name that leads elsewhere"
        elif len(path.encode()) > MAX_PATH_BYTES or any(
            len(part.encode()) > MAX_NAME_BYTES for part in parts
        ):
            reason = "has too long a name"
        else:
            is_left_behind = parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts)
            return None if info.is_dir() or is_left_behind else path
        raise self.refusal(path, reason, "rename it and pack the folder again")

    def _check_kind(self, info: zipfile.ZipInfo, path: str) -> None:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise self.refusal(path, "is a link or a device, no file", "pack the file it stands for")
        if info.flag_bits & 0x1:
            raise self.refusal(path, "is encrypted", "pack the folder again without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self.refusal(path, "is packed in an unusual way", _AGAIN)

    def _check_clashes(self, paths: list[str]) -> None:
        """Refuse names that are one name on some disks, and files that are folders elsewhere."""
        folded = [path.casefold() for path in paths]
        twice = next((fold for fold, n in Counter(folded).items() if n > 1), None)
        if twice is not None:
            reason = "stands in it twice, small and large letters being one on some disks"
            raise self.refusal(paths[folded.index(twice)], reason, "rename one of the two")
        folders = {str(parent) for fold in folded for parent in PurePosixPath(fold).parents}
        both = next((path for path, fold in zip(paths, folded, strict=True) if fold in folders), None)
        if both is not None:
            raise self.refusal(both, "is both a file and a folder", "rename one of the two")


def _write_members(
    archive: zipfile.ZipFile,
    members: list[tuple[str, zipfile.ZipInfo]],
    staging: Path,
    check: _Check,
    progress: Progress,
) -> None:
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
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise check.refusal(path, f"is damaged ({error})", _AGAIN) from error
    progress(len(members), len(members), "unpacking")


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
