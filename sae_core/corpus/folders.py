"""Looks at folders: all recordings below one, or just enough of it to tell how it is laid out."""

import os
from dataclasses import dataclass
from pathlib import Path

from sae_core.files.errors import CorpusError

# Files that lie beside recordings and are none; anything else is opened, whatever it is called.
NOT_AUDIO = frozenset(
    f".{suffix}"
    for suffixes in (
        "csv json jsonl parquet toml tsv txt xml yaml yml",
        "ctm lab lrc rttm srt stm textgrid trn vtt",
        "bmp gif jpeg jpg png svg webp",
        "bib doc docx htm html md pdf rst xls xlsx",
        "cfg css ini ipynb js lock log py sh",
        "gz npy npz safetensors sqlite tar zip",
    )
    for suffix in suffixes.split()
)
GLIMPSE_DEPTH = 4
MAX_GLIMPSED_A_FOLDER = 2_000
MAX_GLIMPSED = 20_000
N_SHOWN = 6


@dataclass(frozen=True)
class Listing:
    """Recordings below a folder: names relative to it, with `/`, sorted. unread: (path, reason) of those left out."""

    names: list[str]
    unread: tuple[tuple[str, str], ...]


def list_recordings(folder: Path) -> Listing:
    """Every recording below `folder`, none of which leads out of it; no file is opened and only links are resolved.

    Hidden files, workspaces and files that are plainly no recordings are passed over; symbolic links are followed to
    files inside the folder only.
    """
    root = os.path.realpath(folder)
    found: list[str] = []
    unread: list[tuple[str, str]] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, inside)))
        except OSError as error:
            unread.append((_as_text(inside), f"cannot be listed ({error.strerror})"))
            continue
        for entry in entries:
            name = inside + entry.name
            if entry.name[0] == ".":
                continue
            if entry.is_dir(follow_symlinks=False):
                if not os.path.lexists(os.path.join(entry.path, "workspace.json")):
                    pending.append(name + "/")
            elif (why := _why_unread(entry, root)) is not None:
                unread.append((_as_text(name), why))
            elif not _is_beside(entry.name):
                found.append(name)
    return Listing(sorted(found), tuple(sorted(unread)))


def _as_text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_beside(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in NOT_AUDIO


def _why_unread(entry: os.DirEntry[str], root: str) -> str | None:
    if entry.is_symlink():
        if entry.is_dir():
            return "is a symbolic link to a folder, and those are not followed; import that folder itself"
        if not _is_beside(entry.name) and not Path(entry.path).resolve().is_relative_to(root):
            return "is a symbolic link that leads outside the folder; import the folder it leads to"
    try:
        entry.path.encode("utf-8")
    except UnicodeEncodeError:
        return None if _is_beside(entry.name) else "its name is not valid Unicode; rename it"
    return None


@dataclass(frozen=True)
class Glimpse:
    """The upper floors of a folder: what lies at most `GLIMPSE_DEPTH` levels down, never much of it.

    files, folders: names relative to the folder, with `/`, nearest first and then by name.
    """

    folder: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]

    def misfit(self, corpus: str, expected: str) -> CorpusError:
        """What to raise where the folder is not laid out as `corpus` is published."""
        there = [*(f"{name}/" for name in self.folders if "/" not in name)]
        there += [name for name in self.files if "/" not in name]
        more = f" and {len(there) - N_SHOWN} more" if len(there) > N_SHOWN else ""
        found = ", ".join(there[:N_SHOWN]) + more if there else "nothing"
        return CorpusError(
            f"is not laid out as {corpus} is published: expected {expected}; found {found}",
            where=self.folder,
            remedy="give the folder that holds these, or choose another --layout (folder fits any)",
        )


def glimpse(folder: Path) -> Glimpse:
    """The upper floors of `folder`, read in no time however large it is; links and hidden names are passed over."""
    files: list[str] = []
    folders: list[str] = []
    floor, n_seen = [""], 0
    for _ in range(GLIMPSE_DEPTH):
        below: list[str] = []
        for inside in floor:
            names, inner = _glimpse_one(folder, inside)
            files += names
            below += inner
            n_seen += len(names) + len(inner)
            if n_seen > MAX_GLIMPSED:
                break
        folders += below
        floor = [f"{name}/" for name in below]
        if n_seen > MAX_GLIMPSED:
            break
    return Glimpse(folder, tuple(files), tuple(folders))


def _glimpse_one(folder: Path, inside: str) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(os.path.join(folder, inside)) as entries:
            for n_seen, entry in enumerate(entries):
                if n_seen == MAX_GLIMPSED_A_FOLDER:
                    break
                if entry.name[0] == "." or entry.is_symlink():
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                (folders if is_folder else files).append(inside + entry.name)
    except OSError:
        return [], []
    return sorted(files), sorted(folders)
