"""Looks at folders: all recordings below one, or just enough of it to tell how it is laid out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from sae_core.corpus.wordlists import words_of
from sae_core.files.errors import CorpusError

# Files that lie beside recordings and are none; anything else is opened, whatever it is called.
NOT_AUDIO = frozenset(
    f".{suffix}"
    for suffixes in (
        "arrow csv feather json jsonl kaldi list lst meta ods parquet psv scp tab trial trials tsv txt xlsx",
        "toml xml yaml yml",
        "ctm eaf lab lrc mlf phn rttm srt stm textgrid trn vtt wrd",
        "bmp gif jpeg jpg png svg webp",
        "bib doc docx htm html md pdf rst xls xlsx",
        "cfg css info ini ipynb js lock log py sh",
        "7z bz2 gz npy npz rar safetensors sqlite tar tgz xz zip",
        "bak db lnk md5 sha1 sha256 url",
    )
    for suffix in suffixes.split()
)
# The same without a suffix: what comes with corpora, and the tables of Kaldi.
NOT_AUDIO_NAMES = words_of(
    "authors changelog citation copying licence license makefile notice readme version "
    "reco2dur reco2num_spk reco2utt segments spk2gender spk2utt text utt2dur utt2lang utt2num_frames utt2spk"
)
TABLE_SUFFIXES = words_of(
    ".csv .tsv .tab .psv .txt .parquet .json .jsonl .lst .list .trial .trials .scp .kaldi .meta .info"
)
"""Of files that may be tables or lists, to be looked into."""
GLIMPSE_DEPTH = 4
MAX_GLIMPSED_A_FOLDER = 2_000
MAX_GLIMPSED = 20_000
N_SHOWN = 6
N_BETWEEN_LOOKS = 64
"""Entries of a folder between two looks at the clock."""


@dataclass(frozen=True)
class Listing:
    """What lies below a folder: names relative to it, with `/`, sorted.

    names: of recordings. unread: (path, reason) of those left out. beside: of files that are no recordings.
    workspaces: folders passed over because they are workspaces. n_linked: recordings reached through links.
    is_partial: there was more than could be listed in the time that was given.
    """

    names: list[str]
    unread: tuple[tuple[str, str], ...]
    beside: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    n_linked: int = 0
    is_partial: bool = False


def list_recordings(folder: Path, *, within_s: float | None = None) -> Listing:
    """Every recording below `folder`, none of which leads out of it; no file is opened and only links are resolved.

    Hidden files, workspaces and files that are plainly no recordings are passed over; symbolic links are followed to
    files inside the folder only, and a file that several names lead to is listed once. within_s: seconds after which
    to stop with what was seen so far; None lists all.
    """
    seen = _Seen(os.path.realpath(folder))
    until = None if within_s is None else monotonic() + within_s
    pending = [""]
    while pending:
        inside = pending.pop()
        for n_seen, entry in enumerate(_entries(folder, inside, seen)):
            if until is not None and n_seen % N_BETWEEN_LOOKS == 0 and monotonic() > until:
                return replace(seen.listing(), is_partial=True)
            name = inside + entry.name
            if entry.name[0] == ".":
                continue
            if not entry.is_dir(follow_symlinks=False):
                seen.add(entry, name)
            elif os.path.lexists(os.path.join(entry.path, "workspace.json")):
                seen.workspaces.append(name)
            else:
                pending.append(name + "/")
    return seen.listing()


def _entries(folder: Path, inside: str, seen: "_Seen") -> Iterator[os.DirEntry[str]]:
    """What stands in one folder, one after the other however much it is; one that cannot be listed is named."""
    try:
        with os.scandir(os.path.join(folder, inside)) as entries:
            yield from entries
    except OSError as error:
        seen.unread.append((_as_text(inside), f"cannot be listed ({error.strerror})"))


class _Seen:
    """What was found so far below a folder."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._found: list[str] = []
        self._links: list[tuple[str, str]] = []
        self._beside: list[str] = []
        self.unread: list[tuple[str, str]] = []
        self.workspaces: list[str] = []

    def add(self, entry: os.DirEntry[str], name: str) -> None:
        """Take a file or link to where it belongs."""
        if (why := self._why_unread(entry)) is not None:
            self.unread.append((_as_text(name), why))
        elif is_beside(entry.name):
            self._beside.append(name)
        elif entry.is_symlink():
            self._links.append((name, os.path.realpath(entry.path)))
        else:
            self._found.append(name)

    def listing(self) -> Listing:
        """All of it, a file that several names lead to under one: its own where that says what it is, else a link's."""
        names = set(self._found)
        leads: dict[str, str] = {}
        for name, target in sorted(self._links):
            own = target[len(self._root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
            if own in names and os.path.splitext(own)[1]:
                self.unread.append((_as_text(name), f"is a symbolic link to {own}, which is there itself"))
            elif target in leads:
                self.unread.append((_as_text(name), f"is a symbolic link to the file of {leads[target]}"))
            else:
                leads[target] = name
                names.discard(own)
        return Listing(
            sorted(names | set(leads.values())),
            tuple(sorted(self.unread)),
            tuple(sorted(self._beside)),
            tuple(sorted(self.workspaces)),
            len(leads),
        )

    def _why_unread(self, entry: os.DirEntry[str]) -> str | None:
        if entry.is_symlink():
            if entry.is_dir():
                return "is a symbolic link to a folder, and those are not followed; import that folder itself"
            if not Path(entry.path).resolve().is_relative_to(self._root):
                return "is a symbolic link that leads outside the folder; import the folder it leads to"
        try:
            entry.path.encode("utf-8")
        except UnicodeEncodeError:
            return None if is_beside(entry.name) else "its name is not valid Unicode; rename it"
        return None


def _as_text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_beside(name: str) -> bool:
    """Whether a file is by its name no recording but something that lies beside them."""
    last = name.rpartition("/")[2].lower()
    return os.path.splitext(last)[1] in NOT_AUDIO or last in NOT_AUDIO_NAMES


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
