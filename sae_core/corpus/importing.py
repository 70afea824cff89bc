"""Folders of recordings, with or without label files, become a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from sae_core.audio.recordings import AudioInfo
from sae_core.corpus.clips import Corpus, attribute_columns
from sae_core.corpus.cutting import CutSettings, cut_clips
from sae_core.corpus.decisions import NO_DECISIONS, Decisions
from sae_core.corpus.folders import Listing, glimpse, list_recordings
from sae_core.corpus.id_rows import join_recordings
from sae_core.corpus.inspection import Probes, probe_all
from sae_core.corpus.labels import Choices
from sae_core.corpus.layouts import IMPORTERS, recognise_layout
from sae_core.corpus.names import NameIndex
from sae_core.corpus.placing import place_rows, settle_splits, settle_times
from sae_core.corpus.reading import read_plain_folder, unused_files
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.summary import ImportSummary, summarise
from sae_core.corpus.trial_lists import keep_trial_lists
from sae_core.files.artifacts import write_json, write_table
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.formats import FORMAT_VERSION
from sae_core.files.progress import Progress, ignore

PLAIN, BY_TABLE, BY_VECTORS = "folder", "labels", "vectors"
NOBODY = "none"
MAX_ATTRIBUTES = 100
FEW_CLIPS = 10
FIRST_COLUMNS = ("language", "locale", "gender", "kind")
_PLACES = ("audio_path", "clip_id", "start_s", "duration_s", "audio_channel", "speaker_id", "split")


@dataclass(frozen=True)
class ImportSettings:
    """What is asked of an import.

    labels: a table with a row a clip (see `labels.LAYOUT`); None lets the folder speak for itself.
    channel, window_s, channels: see `CutSettings`. layout: one of `IMPORTERS`; None takes the one that fits.
    speakers: what says who speaks: a column of the table, "folder 1" for the uppermost level of folders, or "none";
    splits: the column of splits, or "none" to split by speaker. None for what names and values say.
    CorpusError when they cannot be.
    """

    labels: Path | None = None
    channel: int | None = None
    window_s: float | None = None
    layout: str | None = None
    channels: str = "mix"
    speakers: str | None = None
    splits: str | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in IMPORTERS:
            raise CorpusError(
                f"there is no layout {self.layout!r}", remedy=f"choose --layout among {', '.join(IMPORTERS)}"
            )
        if self.layout is not None and self.labels is not None:
            raise CorpusError(
                "a label file says itself what is where, and so does a layout",
                where=self.labels,
                remedy="give either --labels or --layout",
            )
        _ = self.cuts

    @property
    def cuts(self) -> CutSettings:
        """How recordings become clips."""
        return CutSettings(self.channel, self.window_s, self.channels)

    @property
    def choices(self) -> Choices:
        """Which columns people say play which role."""
        asked = {"speaker_id": self.speakers, "split": self.splits}
        return Choices(
            {role: None if name == NOBODY else name for role, name in asked.items() if name is not None}
        )


@dataclass(frozen=True)
class ImportReport:
    """What an import made.

    failures: `audio_path` and `reason` of every recording or row that gave no clip. summary: what was understood.
    notices: what the recordings themselves say, a sentence each; the summary has them too.
    """

    corpus: Corpus
    failures: pd.DataFrame
    summary: ImportSummary = field(default_factory=lambda: ImportSummary("", "", 0))
    notices: tuple[str, ...] = ()

    @property
    def layout(self) -> str:
        """How the folder was read: one of `IMPORTERS`, or "labels"."""
        return self.summary.layout

    @property
    def evidence(self) -> str:
        """Why so, in words."""
        return self.summary.evidence


@dataclass(frozen=True)
class Understood:
    """Rows of a folder whose recordings are there, and how they were read; nothing has been opened yet."""

    rows: Rows
    layout: str
    evidence: str
    attributes: tuple[str, ...]

    @property
    def summary(self) -> ImportSummary:
        """What was understood so far."""
        return self.summarise(None, n_failed=len(self.rows.unread))

    def summarise(self, clips: pd.DataFrame | None, *, n_failed: int) -> ImportSummary:
        """What was understood, and of the clips that were cut where there are any yet."""
        return summarise(
            self.rows,
            clips,
            layout=self.layout,
            evidence=self.evidence,
            attributes=self.attributes,
            n_failed=n_failed,
        )


def import_corpus(
    folder: Path,
    workspace: Path,
    settings: ImportSettings = ImportSettings(),
    *,
    progress: Progress = ignore,
    decisions: Decisions = NO_DECISIONS,
    told: tuple[str, ...] = (),
) -> ImportReport:
    """Make the clips table of a workspace from a folder of recordings, labelled by a table or by the folder itself.

    Nothing is copied. `told` is what is known of the folder already, such as of the zip that it came in.
    Raises CorpusError when the folder or the labels are not usable or no recording is,
    ArtifactError when the workspace cannot be written; what is there then stays as it was.
    """
    read = understand(folder, settings)
    read = replace(read, rows=replace(read.rows, notices=(*told, *read.rows.notices)))
    return _import(read, Path(folder), Path(workspace), settings.cuts, progress=progress, decisions=decisions)


def understand(
    folder: Path, settings: ImportSettings = ImportSettings(), *, listing: Listing | None = None
) -> Understood:
    """What a folder says of its recordings, none of which is opened; CorpusError where that cannot be used.

    listing: of the folder, where it was listed already.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(
            "is no folder" if folder.exists() else "does not exist",
            where=folder,
            remedy="give the folder that holds the recordings",
        )
    if settings.labels is not None:
        return understand_listed(folder, listing or list_recordings(folder), settings=settings)
    layout, evidence = (settings.layout, "asked for") if settings.layout else recognise_layout(folder)
    if layout != PLAIN:
        rows = _as_chosen(IMPORTERS[layout].read(folder), settings, layout)
        used = {*rows.table["audio_path"], *(place for place, _ in rows.unread)}
        beside = [name for name in glimpse(folder).files if name not in used]
        if not rows.is_listed:
            listing = listing or list_recordings(folder)
        listed = None if rows.is_listed else listing
        return _understood(_tell_rest(rows, beside), folder, layout, evidence, listed)
    return understand_listed(folder, listing or list_recordings(folder), settings=settings)


def _as_chosen(rows: Rows, settings: ImportSettings, layout: str) -> Rows:
    """The rows of a published layout without the speakers or splits that people do not want; CorpusError where they
    name others, since such a layout has its own."""
    dropped = []
    for role, column in settings.choices.columns.items():
        if column is not None:
            raise CorpusError(
                f"is laid out as {layout}, which says itself what the {role} is, not {column!r}",
                where=rows.where,
                remedy="leave that out, or import with --layout folder or --labels",
            )
        dropped += [role] if role in rows.table else []
    sources = {role: source for role, source in rows.sources.items() if role not in dropped}
    return replace(rows, table=rows.table.drop(columns=dropped), sources=sources)


def understand_listed(
    folder: Path, listing: Listing, *, settings: ImportSettings = ImportSettings()
) -> Understood:
    """What a folder without a published layout says of the recordings listed; only tables in it are opened."""
    rows, told = read_plain_folder(
        folder,
        listing,
        choices=settings.choices,
        takes_tables=settings.layout is None,
        labels=settings.labels,
    )
    layout = PLAIN if rows.is_listed else BY_TABLE
    skipped = replace(listing, unread=()) if settings.labels is not None else listing
    rows = _tell_rest(_say_skipped(rows, skipped), list(listing.beside))
    return _understood(rows, folder, layout, "asked for" if settings.layout else told, listing)


def _say_skipped(rows: Rows, listing: Listing) -> Rows:
    """The rows with what was passed over while the folder was listed."""
    notices = list(rows.notices)
    if listing.workspaces:
        named = ", ".join(f"{name}/" for name in listing.workspaces[:5])
        notices.append(f"found, not used: {named} (a workspace has its own recordings)")
    known = set(rows.unread)
    unread = tuple(entry for entry in listing.unread if entry not in known)
    return replace(rows, unread=(*rows.unread, *unread), notices=tuple(notices))


def _tell_rest(rows: Rows, beside: list[str]) -> Rows:
    """The rows with a word about files that were not read and are not named yet."""
    words = unused_files(beside, [*rows.used, *rows.tables])
    return replace(rows, notices=(*rows.notices, words)) if words else rows


def _understood(rows: Rows, folder: Path, layout: str, evidence: str, listing: Listing | None) -> Understood:
    """The rows with their recordings in place, what every corpus tells of speakers first."""
    if not len(rows.table):
        raise _nothing_left(
            rows, pd.DataFrame(list(rows.unread), columns=["audio_path", "reason"], dtype="str")
        )
    placed = place_rows(rows, folder, listing or Listing([], ()), NameIndex(listing.names if listing else []))
    if listing is not None and not rows.is_listed:
        placed = _count_unnamed(placed, listing)
    first = [name for name in FIRST_COLUMNS if name in placed.table]
    placed = replace(placed, table=placed.table[[*first, *placed.table.columns.drop(first)]])
    attributes, placed = _choose_attributes(placed)
    return Understood(placed, layout, evidence, attributes)


def _count_unnamed(rows: Rows, listing: Listing) -> Rows:
    n = len(set(listing.names) - set(rows.table["audio_path"]))
    if not n:
        return rows
    words = f"{n:,} recordings of the folder are not named in {rows.where.name} and were left out"
    return replace(rows, notices=(*rows.notices, words))


def _choose_attributes(rows: Rows) -> tuple[tuple[str, ...], Rows]:
    """The columns that describe clips, at most `MAX_ATTRIBUTES`, and the rows with why the others do not."""
    table, left_out = rows.table, dict(rows.left_out)
    chosen: list[str] = []
    for name in attribute_columns(table):
        if name == SUBSET_COLUMN or name in rows.plain:
            continue
        if len(table) >= FEW_CLIPS and table[name].nunique() == len(table) and table[name].notna().all():
            left_out[name] = "says something else of every recording"
        elif len(chosen) == MAX_ATTRIBUTES:
            left_out[name] = f"there are {MAX_ATTRIBUTES} attributes already"
        else:
            chosen.append(name)
    many = {
        name: f"has {table[name].nunique():,} values"
        for name in set(table.columns) - set(chosen) - set(left_out) - {*_PLACES, SUBSET_COLUMN, *rows.plain}
        if table[name].dtype.kind not in "fiu" and table[name].nunique() > 1
    }
    return tuple(chosen), replace(rows, left_out={**left_out, **dict(sorted(many.items()))})


def import_rows(
    rows: Rows, folder: Path, *, workspace: Path, settings: CutSettings, progress: Progress = ignore
) -> ImportReport:
    """Make the clips table of a workspace from the rows of any reader; raises as `import_corpus` does."""
    listing = list_recordings(folder)
    read = _understood(rows, folder, "", "", listing)
    return _import(read, folder, Path(workspace), settings, progress=progress)


def import_ids(
    rows: Rows, workspace: Path, *, folder: Path | None = None, progress: Progress = ignore
) -> ImportReport:
    """Make the clips table of a workspace from rows of ids (see `rows_by_id`): of the recordings below `folder` that
    the ids name, or of clips without sound where that is None. Raises as `import_corpus` does."""
    evidence = f"{rows.where.name} says which clips there are"
    if folder is not None:
        listing = list_recordings(folder)
        read = _understood(join_recordings(rows, listing, folder), folder, BY_VECTORS, evidence, listing)
        return _import(read, folder, Path(workspace), CutSettings(), progress=progress)
    read = _understood(rows, rows.where.parent, BY_VECTORS, evidence, None)
    silent = AudioInfo("", "", 1, 1, 1.0)
    clips, _ = cut_clips(read.rows, dict.fromkeys(read.rows.table["audio_path"], silent), CutSettings())
    clips = clips.assign(clip_id=clips["audio_path"], duration_s=0.0)
    failures = pd.DataFrame(list(rows.unread), columns=["audio_path", "reason"], dtype="str")
    attributes = tuple(name for name in read.attributes if clips[name].notna().any())
    return _keep(
        replace(read, attributes=attributes), Corpus(clips, workspace, attributes, False), failures, workspace
    )


def _import(
    read: Understood,
    folder: Path,
    workspace: Path,
    settings: CutSettings,
    *,
    progress: Progress = ignore,
    decisions: Decisions = NO_DECISIONS,
) -> ImportReport:
    if workspace.exists() and not workspace.is_dir():
        raise ArtifactError("is no folder", where=workspace, remedy="choose another --workspace")
    rows = _decide(read.rows, decisions)
    names = list(dict.fromkeys(rows.table["audio_path"]))
    probes = probe_all(folder, names, workspace, progress=progress) if names else Probes()
    rows = settle_times(rows, probes)
    clips, failed = cut_clips(rows, probes, settings)
    is_kept = decisions.is_kept(clips["clip_id"])
    clips = clips[is_kept].reset_index(drop=True)
    if not is_kept.all():
        rows = replace(
            rows, notices=(*rows.notices, f"{int((~is_kept).sum()):,} clips were left out, as decided")
        )
    failures = pd.DataFrame([*rows.unread, *failed], columns=["audio_path", "reason"], dtype="str")
    if not len(clips):
        raise _nothing_left(rows, failures)
    attributes = tuple(name for name in read.attributes if clips[name].notna().any())
    notices = probes.notices(channels=settings.channels)
    rows = _say_trials(replace(rows, notices=(*rows.notices, *notices)))
    read = replace(read, rows=rows, attributes=attributes)
    return _keep(read, Corpus(clips, folder.resolve(), attributes), failures, workspace, notices=notices)


def _keep(
    read: Understood,
    corpus: Corpus,
    failures: pd.DataFrame,
    workspace: Path,
    *,
    notices: tuple[str, ...] = (),
) -> ImportReport:
    """Write what an import made."""
    write_table(workspace / "import_failures.parquet", failures)
    corpus.save(workspace)
    keep_trial_lists(workspace, _by_clip(read.rows.trials, corpus.table))
    if not (workspace / "workspace.json").exists():
        named = corpus.audio_root.resolve() if corpus.has_sound else workspace.resolve()
        write_json(workspace / "workspace.json", {"format_version": FORMAT_VERSION, "name": named.name})
    summary = read.summarise(corpus.table, n_failed=len(failures))
    summary.save(workspace)
    return ImportReport(Corpus.load(workspace), failures, summary, notices)


def _decide(rows: Rows, decisions: Decisions) -> Rows:
    """The rows with speakers under the names that people decided on."""
    if "speaker_id" not in rows.table or not decisions.renamed:
        return rows
    renamed = rows.table.assign(speaker_id=decisions.rename(rows.table["speaker_id"]))
    return settle_splits(replace(rows, table=renamed))


def _say_trials(rows: Rows) -> Rows:
    """The rows with a word about each list of trials, and how many of its trials have both clips."""
    words = tuple(
        f"{name} lists {len(table):,} trials, {int(table[['enrol', 'test']].notna().all(axis=1).sum()):,} of them with "
        "both clips"
        for name, table in rows.trials.items()
    )
    return replace(rows, notices=(*rows.notices, *words))


def _by_clip(trials: Mapping[str, pd.DataFrame], clips: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Lists of trials with clip ids for recordings: the first clip of each that was cut, null where there is none."""
    clip_of = clips.drop_duplicates("audio_path").set_index("audio_path")["clip_id"] if trials else None
    return {
        name: table.assign(**{side: table[side].map(clip_of).astype("str") for side in ("enrol", "test")})
        for name, table in trials.items()
    }


def _nothing_left(rows: Rows, failures: pd.DataFrame) -> CorpusError:
    if not len(failures):
        return CorpusError(
            "holds no recordings", where=rows.where, remedy="give the folder that holds the recordings"
        )
    first = failures.iloc[0]
    return CorpusError(
        f"none of its {len(failures)} recordings can be used; {first['audio_path']}: {first['reason']}",
        where=rows.where,
        remedy="check that the folder and the labels belong together",
    )
