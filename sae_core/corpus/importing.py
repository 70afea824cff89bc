"""Folders of recordings, with or without label files, become a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sae_core.corpus import labels as label_file
from sae_core.corpus.clips import Corpus, attribute_columns
from sae_core.corpus.cutting import CutSettings, cut_clips
from sae_core.corpus.inspection import Probes, probe_all
from sae_core.corpus.layouts import IMPORTERS, recognise_layout
from sae_core.corpus.placing import place_rows
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.trial_lists import keep_trial_lists
from sae_core.files.artifacts import write_json, write_table
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.formats import FORMAT_VERSION
from sae_core.files.progress import Progress, ignore

FIRST_COLUMNS = ("language", "locale", "gender", "kind")


@dataclass(frozen=True)
class ImportSettings:
    """What is asked of an import.

    labels: a table with a row a clip (see `labels.LAYOUT`); None lets the folder speak for itself.
    channel, window_s, channels: see `CutSettings`. layout: one of `IMPORTERS`; None takes the one that fits.
    CorpusError when they cannot be.
    """

    labels: Path | None = None
    channel: int | None = None
    window_s: float | None = None
    layout: str | None = None
    channels: str = "mix"

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


@dataclass(frozen=True)
class ImportReport:
    """What an import made.

    failures: `audio_path` and `reason` of every recording or row that gave no clip. layout: how the folder was read,
    one of `IMPORTERS` or "labels". evidence: why so, in words. notices: what else to know, a sentence each.
    """

    corpus: Corpus
    failures: pd.DataFrame
    layout: str = ""
    evidence: str = ""
    notices: tuple[str, ...] = ()


def import_corpus(
    folder: Path, workspace: Path, settings: ImportSettings = ImportSettings(), *, progress: Progress = ignore
) -> ImportReport:
    """Make the clips table of a workspace from a folder of recordings, labelled by a file or by the folder itself.

    Nothing is copied. Raises CorpusError when the folder or the labels are not usable or no recording is,
    ArtifactError when the workspace cannot be written; what is there then stays as it was.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(
            "is no folder" if folder.exists() else "does not exist",
            where=folder,
            remedy="give the folder that holds the recordings",
        )
    if settings.labels is not None:
        layout, evidence = "labels", f"{settings.labels} says what is where"
        rows = label_file.read(Path(settings.labels))
    elif settings.layout is not None:
        layout, evidence = settings.layout, "asked for"
        rows = _read_as(layout, folder)
    else:
        layout, evidence = recognise_layout(folder)
        rows = _read_as(layout, folder)
    report = import_rows(rows, folder, workspace=workspace, settings=settings.cuts, progress=progress)
    return replace(report, layout=layout, evidence=evidence)


def _read_as(layout: str, folder: Path) -> Rows:
    """The rows of a folder, what every corpus tells of voices first."""
    rows = IMPORTERS[layout].read(folder)
    first = [name for name in FIRST_COLUMNS if name in rows.table]
    return replace(rows, table=rows.table[[*first, *rows.table.columns.drop(first)]])


def import_rows(
    rows: Rows, folder: Path, *, workspace: Path, settings: CutSettings, progress: Progress = ignore
) -> ImportReport:
    """Make the clips table of a workspace from the rows of any importer; raises as `import_corpus` does."""
    workspace = Path(workspace)
    if workspace.exists() and not workspace.is_dir():
        raise ArtifactError("is no folder", where=workspace, remedy="choose another --workspace")
    placed = place_rows(rows, folder)
    names = list(dict.fromkeys(placed.table["audio_path"]))
    probes = probe_all(folder, names, workspace, progress=progress) if names else Probes()
    clips, failed = cut_clips(placed, probes, settings)
    failures = pd.DataFrame([*rows.unread, *failed], columns=["audio_path", "reason"], dtype="str")
    if not len(clips):
        raise _nothing_left(rows, failures)
    attributes = tuple(name for name in attribute_columns(clips) if name != SUBSET_COLUMN)
    corpus = Corpus(clips, folder.resolve(), attributes)
    write_table(workspace / "import_failures.parquet", failures)
    corpus.save(workspace)
    keep_trial_lists(workspace, _by_clip(rows.trials, clips))
    if not (workspace / "workspace.json").exists():
        write_json(
            workspace / "workspace.json", {"format_version": FORMAT_VERSION, "name": folder.resolve().name}
        )
    return ImportReport(Corpus.load(workspace), failures, notices=probes.notices(channels=settings.channels))


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
