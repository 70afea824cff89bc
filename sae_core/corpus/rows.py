"""What a reader of folders or tables hands over: one row a recording or a stretch of one, before anything is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sae_core.files.errors import CorpusError

ROW_COLUMNS = ("audio_path", "clip_id", "start_s", "duration_s", "audio_channel", "speaker_id", "split")
# Which part of the corpus, as published, a row stands in: kept, but it describes no sound.
SUBSET_COLUMN = "subset"
N_NAMED = 5


@dataclass(frozen=True)
class TableHead:
    """The first rows of a table as they stand in it.

    name: of the file. columns: name → texts of the first rows, "" where a cell is empty. roles: column → the role it
    plays, see `columns.ROLE_NAMES`; columns that describe clips are not among them.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, str]


@dataclass(frozen=True)
class Rows:
    """What is said about a folder of recordings.

    table: `audio_path` (relative to the folder, or absolute inside it) and any other of `ROW_COLUMNS`; every further
        column describes clips. The index holds the number of each row in the file it was read from.
    where: the file or folder that says so. unit: what the index counts, "line" or "row".
    unread: recordings that the importer itself had to leave out: (path, reason).
    is_listed: whether every path was found by `list_recordings`, so that none needs to be looked for or confined again.
    trials: verification lists that come with the corpus, by name: `is_target`, `enrol` and `test` (each an `audio_path`
        of `table`, null where the recording is not there).
    sources: role → where it was found, in words, such as speaker_id → "column 'client_id'".
    left_out: column → why it is not in `table`. plain: columns of `table` that are kept and are no attributes.
    used: files of the folder that were read, relative to it. notices: what else people should know.
    head: the first rows of the table that says so, where one does. tables: tables that lie in the folder, by name →
        what each was taken for, or why it is not used.
    """

    table: pd.DataFrame
    where: Path
    unit: str = "row"
    unread: tuple[tuple[str, str], ...] = field(default=())
    is_listed: bool = False
    trials: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()
    used: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    head: TableHead | None = None
    tables: Mapping[str, str] = field(default_factory=dict)

    def refuse(self, what: str, numbers: Sequence[object], remedy: str) -> CorpusError:
        """A CorpusError that says `what` is wrong and names the first rows with it."""
        return CorpusError(f"{what} ({self.name(numbers)})", where=self.where, remedy=remedy)

    def name(self, numbers: Sequence[object]) -> str:
        """The first of some rows, as "lines 2, 3 and 7 more"."""
        named = ", ".join(str(number) for number in numbers[:N_NAMED])
        more = f" and {len(numbers) - N_NAMED} more" if len(numbers) > N_NAMED else ""
        unit = self.unit if len(numbers) == 1 else f"{self.unit}s"
        return f"{unit} {named}{more}"
