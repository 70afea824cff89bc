"""What a folder or a zip holds, at a glance: shown to people before anything is built of it."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from time import monotonic

from sae_core.corpus.folders import Glimpse, Listing, is_beside, list_recordings
from sae_core.corpus.importing import (
    BY_TABLE,
    PLAIN,
    ImportSettings,
    Understood,
    understand,
    understand_listed,
)
from sae_core.corpus.layouts import IMPORTERS, recognise_layout
from sae_core.corpus.summary import ImportSummary
from sae_core.corpus.zips import ZipContents
from sae_core.files.errors import CorpusError

MAX_LOOK_S = 3.0
N_EXAMPLES = 5
N_ROWS = 5
GLIMPSE_DEPTH = 4
USUAL = ImportSettings()


@dataclass(frozen=True)
class TablePreview:
    """The first rows of what an import would make of a folder. name: of the table, empty where folders say it all.
    columns: name → values. sources: role → where it is from, in words."""

    name: str
    columns: dict[str, list[str]]
    sources: dict[str, str]


@dataclass(frozen=True)
class Survey:
    """What is there.

    source: the folder of the recordings, relative to what was looked at ("." where it is that itself).
    layout, evidence: how it is laid out, and why it is taken for that. labels: the table of labels that an import
    would take by itself, relative likewise. n_recordings, n_bytes: of recordings by their names. kinds: suffix → how
    many. examples: names of some. is_partial: there is more than could be looked at in a moment. summary: what an
    import would understand; None where that takes more than a moment, or fails for `problem`. preview: its first rows.
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


def survey_folder(folder: Path, settings: ImportSettings = USUAL) -> Survey:
    """Look at a folder; one that holds nothing but one folder is taken for that one."""
    folder = Path(folder)
    deadline = monotonic() + MAX_LOOK_S
    source = _only_folder(folder)
    listing = list_recordings(folder / source)
    sizes, is_partial = [], False
    for name in listing.names:
        sizes.append((name, _size(folder / source / name)))
        if monotonic() > deadline:
            is_partial = True
            break
    read, problem = None, ""
    if monotonic() < deadline:
        read, problem = _try(folder / source, settings)
    layout, evidence = (read.layout, read.evidence) if read is not None else recognise_layout(folder / source)
    survey = _summarise(sizes, source, layout=(layout, evidence), is_partial=is_partial)
    return _with_reading(survey, read, problem, _links(listing))


def _try(folder: Path, settings: ImportSettings) -> tuple[Understood | None, str]:
    try:
        return understand(folder, settings), ""
    except CorpusError as error:
        return None, str(error)


def _links(listing: Listing) -> tuple[str, ...]:
    """What to say of what was passed over in a folder."""
    if not listing.unread:
        return ()
    name, why = listing.unread[0]
    return (f"{len(listing.unread):,} left out, such as {name}: {why}",)


def survey_zip(contents: ZipContents) -> Survey:
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
    layout, evidence, read, problem = _read_packed(files, listing, tables)
    recordings = [(name, n_bytes) for name, n_bytes in files if not is_beside(name)]
    survey = _summarise(recordings, source, layout=(layout, evidence), is_partial=False)
    return _with_reading(survey, read, problem, contents.told())


def _read_packed(
    files: list[tuple[str, int]], listing: Listing, tables: dict[str, bytes]
) -> tuple[str, str, Understood | None, str]:
    """How a zip is laid out and what an import would understand of it, by its names and the tables in it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, content in tables.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        seen = _glimpse_of(folder, [name for name, _ in files])
        told = ((name, importer.recognise(seen)) for name, importer in IMPORTERS.items())
        layout, evidence = next((name, why) for name, why in told if why is not None)
        if layout != PLAIN:
            return layout, evidence, None, ""
        try:
            read = understand_listed(folder, listing)
        except CorpusError as error:
            return (
                layout,
                evidence,
                None,
                str(error).replace(f"{folder}/", "").replace(str(folder), "the zip"),
            )
        return read.layout, read.evidence, read, ""


def _glimpse_of(folder: Path, names: list[str]) -> Glimpse:
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents if str(parent) != "."}
    order = sorted(folders, key=lambda name: (name.count("/"), name))
    files = sorted(names, key=lambda name: (name.count("/"), name))
    shallow = [name for name in files if name.count("/") < GLIMPSE_DEPTH]
    return Glimpse(folder, tuple(shallow), tuple(name for name in order if name.count("/") < GLIMPSE_DEPTH))


def _with_reading(survey: Survey, read: Understood | None, problem: str, notices: tuple[str, ...]) -> Survey:
    facts = dict(vars(survey)) | {"problem": problem, "notices": notices}
    if read is None:
        return Survey(**facts)
    used = read.rows.used
    labels = used[0] if read.layout == BY_TABLE and len(used) == 1 else None
    facts["labels"] = labels if labels is None or survey.source == "." else f"{survey.source}/{labels}"
    facts["layout"] = PLAIN if read.layout == BY_TABLE else read.layout
    return Survey(**facts | {"summary": read.summary, "preview": _preview(read, ", ".join(used[:3]))})


def _preview(read: Understood, name: str) -> TablePreview:
    head = read.rows.table.head(N_ROWS).astype("object").fillna("")
    columns = {str(column): [str(value)[:80] for value in head[column]] for column in head}
    return TablePreview(name if read.layout == BY_TABLE else "", columns, dict(read.rows.sources))


def is_at_hand(embedder: str) -> bool:
    """Whether an embedder's usual weights are on this machine; others are fetched when they are asked for."""
    if embedder != "titanet":
        return True
    home = Path.home() / ".cache"
    caches = (Path(os.environ.get("NEMO_CACHE_DIR") or home / "torch" / "NeMo"), home / "huggingface" / "hub")
    return any(next(cache.rglob("*titanet*.nemo"), None) is not None for cache in caches if cache.is_dir())


def _summarise(
    recordings: Iterable[tuple[str, int]], source: str, *, layout: tuple[str, str], is_partial: bool
) -> Survey:
    recordings = list(recordings)
    kinds = Counter(PurePosixPath(name).suffix.lower().lstrip(".") or "no suffix" for name, _ in recordings)
    return Survey(
        source,
        *layout,
        None,
        len(recordings),
        sum(n_bytes for _, n_bytes in recordings),
        dict(kinds.most_common()),
        tuple(name for name, _ in recordings[:N_EXAMPLES]),
        is_partial,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _only_folder(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return "."
    is_one = len(shown) == 1 and shown[0].is_dir(follow_symlinks=False)
    return shown[0].name if is_one else "."
