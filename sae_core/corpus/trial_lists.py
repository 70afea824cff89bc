"""Lists of verification trials that came with a corpus, kept in its workspace under the names they go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sae_core.files.artifacts import read_json, read_table, write_json, write_table
from sae_core.files.contents import key_fault, text, truths
from sae_core.files.errors import ArtifactError, CorpusError

FOLDER = "trials"
INDEX = "lists.json"
COLUMNS = ("is_target", "enrol", "test")
_KINDS = {"is_target": truths(), "enrol": text(), "test": text()}
_ENTRY = {"n_listed": int, "n_kept": int, "file": str}
REMEDY = "import the corpus again"


@dataclass(frozen=True)
class TrialList:
    """A list that is there. n_listed: trials as published; n_kept: those whose clips are both in the workspace."""

    name: str
    n_listed: int
    n_kept: int


def keep_trial_lists(workspace: Path, lists: Mapping[str, pd.DataFrame]) -> None:
    """Write these lists (`is_target`, and `enrol` and `test` as clip_id) in the place of those that are there.

    Trials without a clip are counted and left out; a list of which nothing remains is counted too.
    """
    folder = workspace / FOLDER
    if not lists and not (folder / INDEX).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    index = {}
    for number, (name, table) in enumerate(lists.items()):
        kept = table.dropna(subset=["enrol", "test"]).reset_index(drop=True)
        file = f"list-{number}.parquet"
        write_table(folder / file, kept[list(COLUMNS)])
        index[name] = {"n_listed": len(table), "n_kept": len(kept), "file": file}
    write_json(folder / INDEX, index)
    for old in folder.glob("list-*.parquet"):
        if old.name not in {entry["file"] for entry in index.values()}:
            old.unlink()


def kept_trial_lists(workspace: Path) -> tuple[TrialList, ...]:
    """The lists of a workspace that hold any trial, by name; ArtifactError when their index is damaged."""
    return tuple(
        TrialList(name, entry["n_listed"], entry["n_kept"])
        for name, entry in sorted(_index(workspace).items())
        if entry["n_kept"]
    )


def read_kept_trials(workspace: Path, name: str) -> pd.DataFrame:
    """The trials of one list: `is_target`, and `enrol` and `test` as clip_id. CorpusError when it is not there."""
    index = _index(workspace)
    if name not in index:
        there = ", ".join(sorted(index)) or "none"
        raise CorpusError(
            f"holds no list of trials {name!r} (it has {there})", where=workspace, remedy="choose another"
        )
    return read_table(workspace / FOLDER / index[name]["file"], columns=_KINDS, remedy=REMEDY)


def _index(workspace: Path) -> dict[str, dict]:
    path = workspace / FOLDER / INDEX
    if not path.exists():
        return {}
    index = read_json(path, remedy=REMEDY)
    for entry in index.values():
        is_known = isinstance(entry, dict) and not key_fault(entry, _ENTRY)
        if not is_known or Path(entry["file"]).name != entry["file"]:
            raise ArtifactError("is no index of trial lists", where=path, remedy=REMEDY)
    return index
