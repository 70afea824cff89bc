"""What a folder or a zip holds, at a glance: shown to people before anything is built of it."""

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from time import monotonic

from sae_core.corpus.columns import ROLE_NAMES
from sae_core.corpus.folders import Glimpse, Listing, is_beside, list_recordings
from sae_core.corpus.importing import (
    BY_TABLE,
    PLAIN,
    ImportSettings,
    Understood,
    understand,
    understand_listed,
)
from sae_core.corpus.inspection import find_two_sided
from sae_core.corpus.labels import MAX_SHOWN, N_HEAD
from sae_core.corpus.layouts import IMPORTERS, recognise_layout
from sae_core.corpus.levels import level_examples
from sae_core.corpus.reading import table_candidates
from sae_core.corpus.rows import SUBSET_COLUMN
from sae_core.corpus.summary import ImportSummary
from sae_core.corpus.zips import ZipContents, unpack_some
from sae_core.files.errors import CorpusError

MAX_LOOK_S = 3.0
MAX_TABLES_BYTES = 64 * 1024**2
N_EXAMPLES = 8
GLIMPSE_DEPTH = 4
USUAL = ImportSettings()
TOO_MUCH = "there is too much to be read in a moment; what is understood of it is said once it is imported"
ROLE_WORDS = {
    "audio_path": "recording",
    "clip_id": "id of the clip",
    "start_s": "start",
    "duration_s": "duration",
    "end_s": "end",
    "audio_channel": "channel",
    "speaker_id": "speaker",
    "split": "split",
    SUBSET_COLUMN: "subset",
}
"""Roles in words; the others are called as they are."""


@dataclass(frozen=True)
class TablePreview:
    """The first rows of what an import would read.

    name: of the table, empty where folders or a layout say it all. columns: name → texts of the first rows. taken:
    column → what it was taken for, in words.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    taken: Mapping[str, str]


@dataclass(frozen=True)
class Survey:
    """What is there.

    source: the folder of the recordings, relative to what was looked at ("." where it is that itself).
    layout, evidence: how it is laid out, and why it is taken for that. labels: the table of labels that an import
    would take by itself, relative likewise. n_recordings, n_bytes: of recordings by their names. kinds: suffix → how
    many. examples: names of some. is_partial: there is more than could be looked at in a moment. summary: what an
    import would understand; None where that takes more than a moment, or fails for `problem`. preview: its first rows.
    tables: files that may be tables, relative to `source` → what each was taken for, empty where that is not known.
    levels: level of folders, from 1 → some of its names. splits_from: what says which split a recording is in, in
    words; empty where splits are drawn by speaker.
    """

    source: str
    layout: str
    evidence: str
    labels: str | None
    n_recordings: int
    n_bytes: int
    kinds: dict[str, int]
    examples: tuple[str, ...]
    is_partial: bool = False
    summary: ImportSummary | None = None
    preview: TablePreview | None = None
    problem: str = ""
    notices: tuple[str, ...] = field(default=())
    tables: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[int, str] = field(default_factory=dict)
    splits_from: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that labels the recordings; none where none does."""
        return tuple(self.preview.columns) if self.preview is not None and self.preview.name else ()


def survey_folder(folder: Path, settings: ImportSettings = USUAL, *, within_s: float = MAX_LOOK_S) -> Survey:
    """Look at a folder for about `within_s` seconds; one that holds nothing but one folder is taken for that one.

    Labels that `settings` name may be relative to the folder of the recordings.
    """
    folder = Path(folder)
    until = monotonic() + within_s
    source = _only_folder(folder)
    inside = folder / source
    listing = list_recordings(inside, within_s=within_s)
    sizes, has_all = _sizes(inside, listing.names, until)
    candidates = table_candidates(listing.beside)
    read, problem, notices = None, "", _left_out(listing)
    if listing.is_partial or not has_all or _n_bytes(inside, candidates) > MAX_TABLES_BYTES:
        notices = (TOO_MUCH, *notices)
    else:
        read, problem = _try(inside, settings, listing)
    layout, evidence = (read.layout, read.evidence) if read is not None else recognise_layout(inside)
    survey = replace(
        _summarise(sizes, source, layout=(settings.layout or layout, evidence)),
        is_partial=listing.is_partial or not has_all,
        problem=problem,
        notices=notices,
    )
    return _with_reading(survey, read, listing, candidates)


def _sizes(folder: Path, names: Sequence[str], until: float) -> tuple[list[tuple[str, int]], bool]:
    """Recordings with their sizes in bytes, 0 for those that there is no time for, and whether there was for all."""
    sizes = [(name, 0) for name in names]
    for place, name in enumerate(names):
        if place % 64 == 0 and monotonic() > until:
            return sizes, False
        sizes[place] = name, _size(folder / name)
    return sizes, True


def _n_bytes(folder: Path, names: Sequence[str]) -> int:
    return sum(_size(folder / name) for name in names)


def _try(folder: Path, settings: ImportSettings, listing: Listing) -> tuple[Understood | None, str]:
    try:
        return understand(folder, _labels_in(folder, settings), listing=listing), ""
    except CorpusError as error:
        return None, str(error)


def _labels_in(folder: Path, settings: ImportSettings) -> ImportSettings:
    """The settings with labels that are relative to a folder."""
    return settings if settings.labels is None else replace(settings, labels=folder / settings.labels)


def _left_out(listing: Listing) -> tuple[str, ...]:
    """What to say of what was passed over in a folder."""
    if not listing.unread:
        return ()
    name, why = listing.unread[0]
    return (f"{len(listing.unread):,} left out, such as {name}: {why}",)


def survey_zip(contents: ZipContents, settings: ImportSettings = USUAL) -> Survey:
    """Look at what a zip says it holds, as `survey_folder` will look at it unpacked."""
    tops = {name.split("/", maxsplit=1)[0] for name, _ in contents.files}
    has_one = len(tops) == 1 and all("/" in name for name, _ in contents.files)
    source = tops.pop() if has_one else "."
    skipped = len(source) + 1 if has_one else 0
    files = [(name[skipped:], n_bytes) for name, n_bytes in contents.files]
    tables = {name[skipped:]: content for name, content in contents.tables.items()}
    listing = Listing(
        sorted(name for name, _ in files if not is_beside(name)),
        (),
        tuple(sorted(name for name, _ in files if is_beside(name))),
    )
    layout, evidence, read, problem = _read_packed([name for name, _ in files], listing, tables, settings)
    recordings = [(name, n_bytes) for name, n_bytes in files if not is_beside(name)]
    survey = replace(
        _summarise(recordings, source, layout=(layout, evidence)), problem=problem, notices=contents.told()
    )
    return _with_reading(survey, read, listing, table_candidates(list(tables)))


def _read_packed(
    names: list[str], listing: Listing, tables: Mapping[str, bytes], settings: ImportSettings
) -> tuple[str, str, Understood | None, str]:
    """How a zip is laid out and what an import would understand of it, by its names and the tables in it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, content in tables.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        layout, evidence = _layout_of(_glimpse_of(folder, names), settings)
        if layout != PLAIN:
            return layout, evidence, None, ""
        try:
            read = understand_listed(folder, listing, settings=_labels_in(folder, settings))
        except CorpusError as error:
            problem = str(error).replace(f"{folder}/", "").replace(str(folder), "the zip")
            return layout, evidence, None, problem
        return read.layout, read.evidence, read, ""


def _layout_of(seen: Glimpse, settings: ImportSettings) -> tuple[str, str]:
    if settings.layout is not None or settings.labels is not None:
        return settings.layout or PLAIN, "asked for"
    told = ((name, importer.recognise(seen)) for name, importer in IMPORTERS.items())
    return next((name, why) for name, why in told if why is not None)


def _glimpse_of(folder: Path, names: list[str]) -> Glimpse:
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents if str(parent) != "."}
    order = sorted(folders, key=lambda name: (name.count("/"), name))
    files = sorted(names, key=lambda name: (name.count("/"), name))
    shallow = [name for name in files if name.count("/") < GLIMPSE_DEPTH]
    return Glimpse(folder, tuple(shallow), tuple(name for name in order if name.count("/") < GLIMPSE_DEPTH))


def two_sided_in_zip(stream: BufferedIOBase, contents: ZipContents, names: Sequence[str]) -> tuple[str, ...]:
    """Which of some recordings in a zip have two different sides, as both ends of a call (see `find_two_sided`)."""
    wanted = {name: n_bytes for name, n_bytes in contents.files if name in set(names)}
    small = [name for name, n_bytes in wanted.items() if n_bytes <= MAX_TABLES_BYTES // N_EXAMPLES]
    with tempfile.TemporaryDirectory() as place:
        try:
            unpack_some(stream, contents.name, Path(place), small)
        except (CorpusError, OSError):
            return ()
        return find_two_sided(Path(place), small)


def _with_reading(
    survey: Survey, read: Understood | None, listing: Listing, candidates: Sequence[str]
) -> Survey:
    """The survey with what an import would understand, and what there is to choose from."""
    told = {} if read is None else read.rows.tables
    used = set() if read is None else set(read.rows.used)
    survey = replace(
        survey,
        tables={name: told.get(name, "read" if name in used else "") for name in candidates},
        levels=level_examples(listing.names),
    )
    if read is None:
        return survey
    names = read.rows.used if read.layout == BY_TABLE else ()
    labels = next((name for name in names if told.get(name) == told.get(names[0])), None)
    return replace(
        survey,
        labels=labels if labels is None or survey.source == "." else f"{survey.source}/{labels}",
        layout=PLAIN if read.layout == BY_TABLE else read.layout,
        summary=read.summary,
        preview=_preview(read),
        splits_from=read.rows.sources.get("split", read.layout) if "split" in read.rows.table else "",
    )


def _preview(read: Understood) -> TablePreview:
    head = read.rows.head
    if head is not None and read.layout == BY_TABLE:
        columns = dict(head.columns)
        return TablePreview(head.name, columns, {name: _taken(name, head.roles, read) for name in columns})
    rows = read.rows.table.dropna(axis="columns", how="all").head(N_HEAD).astype("object").fillna("")
    columns = {str(name): tuple(str(value)[:MAX_SHOWN] for value in rows[name]) for name in rows}
    roles = {name: name for name in columns if name in ROLE_NAMES or name in ROLE_WORDS}
    return TablePreview("", columns, {name: _taken(name, roles, read) for name in columns})


def _taken(column: str, roles: Mapping[str, str], read: Understood) -> str:
    """What a column was taken for, in words."""
    role = roles.get(column)
    own = role if role is not None and role in read.rows.table else column
    if role is not None and own not in read.attributes:
        return ROLE_WORDS.get(role, role)
    why = read.rows.left_out.get(own) or read.rows.left_out.get(column)
    if own in read.attributes:
        return f"attribute {own}" if role is not None else "attribute"
    if why:
        return f"left out: {why}"
    return "kept as a number" if own in read.rows.table else "not used"


def is_at_hand(embedder: str) -> bool:
    """Whether an embedder's usual weights are on this machine; others are fetched when they are asked for."""
    if embedder != "titanet":
        return True
    home = Path.home() / ".cache"
    caches = (Path(os.environ.get("NEMO_CACHE_DIR") or home / "torch" / "NeMo"), home / "huggingface" / "hub")
    return any(next(cache.rglob("*titanet*.nemo"), None) is not None for cache in caches if cache.is_dir())


def _summarise(recordings: Sequence[tuple[str, int]], source: str, *, layout: tuple[str, str]) -> Survey:
    kinds = Counter(PurePosixPath(name).suffix.lower().lstrip(".") or "no suffix" for name, _ in recordings)
    return Survey(
        source,
        *layout,
        None,
        len(recordings),
        sum(n_bytes for _, n_bytes in recordings),
        dict(kinds.most_common()),
        tuple(name for name, _ in recordings[:: max(1, len(recordings) // N_EXAMPLES)][:N_EXAMPLES]),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _only_folder(folder: Path) -> str:
    """The one folder that lies in a folder, "." where there is anything else; hidden names do not count."""
    shown: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    shown.append(entry)
                if len(shown) > 1:
                    return "."
    except OSError:
        return "."
    return shown[0].name if shown and shown[0].is_dir(follow_symlinks=False) else "."
