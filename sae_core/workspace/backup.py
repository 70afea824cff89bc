"""Backups: what people made in a workspace, in one zip: notes with their decisions, saved views, kept recordings.

All else of a workspace can be derived again. A backup is read without trust: only names that a backup has are taken,
each within a bounded size, and everything is checked before anything is written.
"""

import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sae_core.audio import reading
from sae_core.files.artifacts import ArtifactMeta, read_array, writing
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version
from sae_core.workspace import notes_file
from sae_core.workspace.excerpts import KEPT_FOLDER, MAX_KEPT
from sae_core.workspace.note_entries import NoteEntry, notes_from_json, notes_to_json
from sae_core.workspace.saved_views import ViewEntry
from sae_core.workspace.workspace import Workspace

KIND = "voxscope-backup"
ABOUT, VIEWS = "backup.json", "views.json"
N_NOTES_A_FILE = 20_000
PROBE_FILES = ("sound.wav", "vector.npy", "probe.json")
"""Of a kept recording, in the order they are written: a folder without the last is unfinished."""
MAX_FILES = 1_000
MAX_BYTES = {"json": 32 * 2**20, "wav": 64 * 2**20, "npy": 2**20}
MAX_ALL_BYTES = 8 * 2**30
_NAME = re.compile(
    r"backup\.json|views\.json|notes-\d{3}\.json|probes/[0-9a-f]{16}/(sound\.wav|vector\.npy|probe\.json)"
)
_PIECE = 2**20
_AGAIN = "make the backup again: python -m sae_core backup --workspace W --out FILE"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds: entries of notes, entries of saved views, kept recordings."""

    n_notes: int
    n_views: int
    n_probes: int


@dataclass(frozen=True)
class RestoreReport:
    """What a backup brought: counts of what is new here. n_left_out: kept recordings beyond what a workspace holds.
    is_of_other_clips: whether it was made of other clips. aside: where what was here before lies, with `replace`."""

    n_notes: int
    n_views: int
    n_probes: int
    n_left_out: int = 0
    is_of_other_clips: bool = False
    aside: tuple[Path, ...] = ()


@dataclass
class _Held:
    """What was read of a backup."""

    about: dict[str, Any] = field(default_factory=dict)
    notes: list[NoteEntry] = field(default_factory=list)
    views: list[ViewEntry] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def write_backup(workspace: Workspace, file: Path, *, replace: bool = False) -> BackupReport:
    """Write what people made into a zip; ArtifactError where a file is there and is not to be replaced."""
    if file.exists() and not replace:
        raise ArtifactError("is there already", where=file, remedy="choose another name, or add --replace")
    notes, views = workspace.notes.entries(), workspace.saved_views.entries()
    about = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "workspace": workspace.name,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "audio": workspace.corpus.audio_fingerprint,
    }
    probes = list(_finished_probes(workspace.path))
    with (
        writing(file, mode=0o600) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        packed.writestr(ABOUT, _as_json(about))
        for number, start in enumerate(range(0, len(notes), N_NOTES_A_FILE)):
            part = notes[start : start + N_NOTES_A_FILE]
            packed.writestr(f"notes-{number:03d}.json", notes_to_json(part, workspace=workspace.name))
        packed.writestr(VIEWS, _as_json({"views": [asdict(entry) for entry in views]}))
        for folder in probes:
            for name in PROBE_FILES:
                packed.write(folder / name, f"{KEPT_FOLDER}/{folder.name}/{name}")
    return BackupReport(len(notes), len(views), len(probes))


def _finished_probes(workspace: Path) -> Iterator[Path]:
    for folder in sorted((workspace / KEPT_FOLDER).glob("*")):
        is_whole = all((folder / name).is_file() for name in PROBE_FILES)
        if is_whole and _NAME.fullmatch(f"probes/{folder.name}/probe.json"):
            yield folder


def _as_json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def restore_backup(workspace: Workspace, file: Path, *, replace: bool = False) -> RestoreReport:
    """Add to a workspace what a backup holds and is not there yet; nothing that is there is changed.

    replace: have what the backup holds and nothing else; what was there is kept aside. ArtifactError where the file is
    no backup, is damaged or holds anything else; nothing is written then.
    """
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=workspace.path) as name:
        staging = Path(name)
        held = _read(file, staging)
        aside = _set_aside(workspace) if replace else ()
        n_notes = workspace.notes.merge(held.notes).n_new
        n_views = workspace.saved_views.merge(held.views)
        n_probes, n_left_out = _take_probes(workspace.path, staging, held.marks)
    is_other = held.about.get("audio") != workspace.corpus.audio_fingerprint
    return RestoreReport(n_notes, n_views, n_probes, n_left_out, is_other, aside)


def _set_aside(workspace: Workspace) -> tuple[Path, ...]:
    mark = datetime.now(UTC).strftime("before-%Y%m%dT%H%M%S%f")
    found = []
    if (kept := notes_file.set_aside(workspace.notes.path, mark)) is not None:
        found.append(kept)
    probes = workspace.path / KEPT_FOLDER
    if probes.is_dir():
        found.append(probes.rename(probes.with_name(f"{KEPT_FOLDER}.{mark}")))
    return tuple(found)


def _take_probes(workspace: Path, staging: Path, marks: list[str]) -> tuple[int, int]:
    """Move kept recordings that are new into place, as many as a workspace holds: how many, and how many were left."""
    here = {folder.name for folder in (workspace / KEPT_FOLDER).glob("*")}
    new = [mark for mark in marks if mark not in here]
    taken = new[: max(0, MAX_KEPT - len(here))]
    (workspace / KEPT_FOLDER).mkdir(exist_ok=True)
    for mark in taken:
        os.replace(staging / mark, workspace / KEPT_FOLDER / mark)
    return len(taken), len(new) - len(taken)


def _read(file: Path, staging: Path) -> _Held:
    """Read and check a whole backup; kept recordings lie in `staging` afterwards."""
    held = _Held()
    try:
        with zipfile.ZipFile(file) as packed:
            for member in _checked_members(packed, file):
                _take(packed, member, held, staging, file)
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=file, remedy="name a file that `backup` wrote") from error
    except _DAMAGE as error:
        raise ArtifactError(f"is damaged or no zip ({error})", where=file, remedy=_AGAIN) from error
    if held.about.get("kind") != KIND:
        raise ArtifactError("is no backup of VoxScope", where=file, remedy=_AGAIN)
    check_version(held.about.get("format_version"), where=file)
    for mark in held.marks:
        _check_probe(staging / mark)
    return held


def _checked_members(packed: zipfile.ZipFile, file: Path) -> list[zipfile.ZipInfo]:
    """The members, of which every name and size is one that a backup has."""
    members = packed.infolist()
    names = [member.filename for member in members]
    if len(members) > MAX_FILES or len(set(names)) < len(names):
        raise ArtifactError("holds more files than a backup has", where=file, remedy=_AGAIN)
    for member in members:
        if not _NAME.fullmatch(member.filename):
            raise ArtifactError(
                f"holds {member.filename[:80]!r}, which no backup has", where=file, remedy=_AGAIN
            )
        if member.file_size > _most(member):
            raise ArtifactError(f"holds a {member.filename} that is too large", where=file, remedy=_AGAIN)
    if sum(member.file_size for member in members) > MAX_ALL_BYTES:
        raise ArtifactError(f"unpacks to more than {MAX_ALL_BYTES // 2**30} GiB", where=file, remedy=_AGAIN)
    return members


def _most(member: zipfile.ZipInfo) -> int:
    return MAX_BYTES[member.filename.rpartition(".")[2]]


def _take(packed: zipfile.ZipFile, member: zipfile.ZipInfo, held: _Held, staging: Path, file: Path) -> None:
    where = f"{file}: {member.filename}"
    if member.filename.startswith(f"{KEPT_FOLDER}/"):
        _, mark, name = member.filename.split("/")
        (staging / mark).mkdir(exist_ok=True)
        with packed.open(member) as source, (staging / mark / name).open("wb") as target:
            shutil.copyfileobj(_Bounded(source, _most(member), where), target, _PIECE)
        held.marks += [mark] if name == PROBE_FILES[-1] else []
        return
    with packed.open(member) as source:
        content = _Bounded(source, _most(member), where).read()
    if member.filename == ABOUT:
        held.about = _object(content, where)
    elif member.filename == VIEWS:
        held.views = _views(_object(content, where).get("views"), where)
    else:
        held.notes += notes_from_json(content, where=where)


class _Bounded:
    """A stream that ends in an error where more comes out than a member may hold, whatever it announced."""

    def __init__(self, source: Any, most: int, where: str) -> None:
        self._source, self._left, self._where = source, most, where

    def read(self, n: int = -1) -> bytes:
        """The next bytes."""
        found: bytes = self._source.read(self._left + 1 if n < 0 else min(n, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise ArtifactError("is too large", where=self._where, remedy=_AGAIN)
        return found


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"is not valid JSON ({error})", where=where, remedy=_AGAIN) from error
    if not isinstance(value, dict):
        raise ArtifactError("holds no JSON object", where=where, remedy=_AGAIN)
    return value


def _views(lines: Any, where: str) -> list[ViewEntry]:
    try:
        if not all(isinstance(value, str) for line in lines for value in line.values()):
            raise TypeError("a view holds something that is no text")
        return [ViewEntry(**line) for line in lines]
    except (TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"holds a view that cannot be used ({error})", where=where, remedy=_AGAIN
        ) from error


def _check_probe(folder: Path) -> None:
    """ArtifactError or AudioError where a kept recording is not whole or is none."""
    if missing := [name for name in PROBE_FILES if not (folder / name).is_file()]:
        raise ArtifactError(f"lacks {missing[0]}", where=f"{KEPT_FOLDER}/{folder.name}", remedy=_AGAIN)
    meta = ArtifactMeta.read(folder / "probe.json", kind="probe", remedy=_AGAIN)
    if meta.fingerprint != folder.name:
        raise ArtifactError("is another recording", where=f"{KEPT_FOLDER}/{folder.name}", remedy=_AGAIN)
    read_array(folder / "vector.npy", remedy=_AGAIN)
    reading.probe(folder / "sound.wav")
