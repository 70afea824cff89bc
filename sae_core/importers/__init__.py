"""Folders of recordings, with or without label files, become a corpus.

Another layout is one more file here with `read(folder) -> Rows` and a `LAYOUT` text, and one line in `IMPORTERS`; all
that follows (opening recordings, cutting, names, splits, failures) is the same for every layout: `import_rows`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sae_core.artifacts import FORMAT_VERSION, write_json, write_table
from sae_core.corpus import Corpus, attribute_columns
from sae_core.errors import ArtifactError, CorpusError
from sae_core.importers import folder as plain_folder
from sae_core.importers import labels as label_file
from sae_core.importers.clips import CutSettings, cut_clips, place_rows
from sae_core.importers.probing import probe_all
from sae_core.importers.rows import Rows
from sae_core.progress import Progress, ignore

__all__ = [
    "IMPORTERS",
    "CutSettings",
    "ImportReport",
    "ImportSettings",
    "Importer",
    "Rows",
    "import_corpus",
    "import_rows",
]


@dataclass(frozen=True)
class Importer:
    """A way to read a folder. layout: what it expects to find there, in words. read: the folder → its rows."""

    layout: str
    read: Callable[[Path], Rows]


IMPORTERS = {
    "folder": Importer(plain_folder.LAYOUT, plain_folder.read),
}


@dataclass(frozen=True)
class ImportSettings:
    """What is asked of an import.

    labels: a table with a row a clip (see `labels.LAYOUT`); None lets the folder speak for itself.
    channel, window_s: see `CutSettings`. layout: one of `IMPORTERS`; None takes the one that fits.
    CorpusError when they cannot be.
    """

    labels: Path | None = None
    channel: int | None = None
    window_s: float | None = None
    layout: str | None = None

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
        CutSettings(self.channel, self.window_s)

    @property
    def cuts(self) -> CutSettings:
        """How recordings become clips."""
        return CutSettings(self.channel, self.window_s)


@dataclass(frozen=True)
class ImportReport:
    """What an import made. failures: `audio_path` and `reason` of every recording or row that gave no clip."""

    corpus: Corpus
    failures: pd.DataFrame


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
    if settings.labels is None:
        rows = IMPORTERS[settings.layout or "folder"].read(folder)
    else:
        rows = label_file.read(Path(settings.labels))
    return import_rows(rows, folder, workspace=workspace, settings=settings.cuts, progress=progress)


def import_rows(
    rows: Rows, folder: Path, *, workspace: Path, settings: CutSettings, progress: Progress = ignore
) -> ImportReport:
    """Make the clips table of a workspace from the rows of any importer; raises as `import_corpus` does."""
    workspace = Path(workspace)
    if workspace.exists() and not workspace.is_dir():
        raise ArtifactError("is no folder", where=workspace, remedy="choose another --workspace")
    placed = place_rows(rows, folder)
    names = list(dict.fromkeys(placed.table["audio_path"]))
    probes = probe_all(folder, names, workspace, progress=progress) if names else {}
    clips, failed = cut_clips(placed, probes, settings)
    failures = pd.DataFrame([*rows.unread, *failed], columns=["audio_path", "reason"], dtype="str")
    if not len(clips):
        raise _nothing_left(rows, failures)
    corpus = Corpus(clips, folder.resolve(), attribute_columns(clips))
    write_table(workspace / "import_failures.parquet", failures)
    corpus.save(workspace)
    if not (workspace / "workspace.json").exists():
        write_json(
            workspace / "workspace.json", {"format_version": FORMAT_VERSION, "name": folder.resolve().name}
        )
    return ImportReport(Corpus.load(workspace), failures)


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
