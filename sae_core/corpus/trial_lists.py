"""Lists of verification trials, in every order people write them, and those kept in a workspace."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sae_core.corpus.texts import Text
from sae_core.corpus.wordlists import words_of
from sae_core.files.artifacts import read_json, read_table, write_json, write_table
from sae_core.files.contents import key_fault, text, truths
from sae_core.files.errors import ArtifactError, CorpusError

FOLDER = "trials"
INDEX = "lists.json"
COLUMNS = ("is_target", "enrol", "test")
_KINDS = {"is_target": truths(), "enrol": text(), "test": text()}
_ENTRY = {"n_listed": int, "n_kept": int, "file": str}
REMEDY = "import the corpus again"
TARGET_WORDS = words_of("1 1.0 target targets tgt tar true same yes y positive pos genuine match client")
NON_TARGET_WORDS = words_of(
    "0 0.0 -1 nontarget nontargets non-target non_target nontgt non imp impostor imposter false different diff no n "
    "negative neg nonmatch non-match mismatch"
)
_LABELS = TARGET_WORDS | NON_TARGET_WORDS
_N_SAMPLED = 500
_ORDER = "write a line `1 enrol test` (or 0) for each trial, or the label last; commas and tabs will do"


@dataclass(frozen=True)
class ListedTrials:
    """The trials of a text. table: `is_target`, `enrol` and `test` as they are written, by number of line.
    unread: numbers of lines that are no trials."""

    table: pd.DataFrame
    unread: tuple[int, ...] = ()


def read_trial_lines(
    text: Text, where: str | Path, *, is_clip: Callable[[str], bool] = lambda _: False
) -> ListedTrials:
    """The trials of a list: two clips and whether they are of one speaker, in words or digits, first or last.

    `is_clip` tells names of clips, where there are more columns than three. CorpusError where it holds no trials.
    """
    rows = [(number, split_line(line)) for number, line in enumerate(text.lines, start=1) if line.strip()]
    if not rows:
        raise CorpusError("holds no trials", where=where, remedy=_ORDER)
    label = _label_column([row for _, row in rows[:_N_SAMPLED]])
    if label is None:
        shown = rows[0][1]
        raise CorpusError(
            f"line {rows[0][0]} is no trial: {' '.join(shown)[:80]!r} does not say whether two clips have one speaker",
            where=where,
            remedy=_ORDER,
        )
    sides = _sides([row for _, row in rows[:_N_SAMPLED]], label, is_clip)
    trials, numbers, unread = [], [], []
    for number, row in rows:
        word = row[label].casefold() if max(label % max(1, len(row)), *sides) < len(row) else ""
        if word in _LABELS:
            trials.append((word in TARGET_WORDS, row[sides[0]], row[sides[1]]))
            numbers.append(number)
        elif number != rows[0][0] or len(row) < 3:  # the first may be a header
            unread.append(number)
    table = pd.DataFrame(trials, columns=list(COLUMNS), index=numbers)
    return ListedTrials(table.astype({"is_target": bool, "enrol": "str", "test": "str"}), tuple(unread))


def split_line(line: str) -> list[str]:
    """The parts of a line, between tabs, commas or semicolons where there are two of them, else between blanks."""
    for mark in ("\t", ",", ";"):
        if line.count(mark) >= 2:
            return [part.strip().strip('"') for part in line.split(mark)]
    return line.split()


def _label_column(rows: list[list[str]]) -> int | None:
    """The column of labels, 0 or the last one (-1): nearly all of its values are words for target and non-target."""
    whole = [row for row in rows if len(row) >= 3]
    if not whole or len(whole) < 0.5 * len(rows):
        return None
    for column in (0, -1, 1, 2):
        n = sum(row[column].casefold() in _LABELS for row in whole if len(row) > column)
        if n >= max(1, 0.9 * (len(whole) - 1)):
            return column if column < len(whole[-1]) else None
    return None


def _sides(rows: list[list[str]], label: int, is_clip: Callable[[str], bool]) -> tuple[int, int]:
    """The columns of the two clips: the first two others, or those whose values are clips where there are more."""
    width = Counter(len(row) for row in rows if len(row) >= 3).most_common(1)[0][0]
    others = [column for column in range(width) if column != label % width]
    if len(others) > 2:
        hits = {column: sum(is_clip(row[column]) for row in rows if len(row) > column) for column in others}
        others = sorted(sorted(others, key=lambda column: -hits[column])[:2])
    return others[0], others[1]


def looks_like_trials(text: Text, is_clip: Callable[[str], bool]) -> bool:
    """Whether a text is a list of trials of these clips: most lines are, and some of their clips are there."""
    try:
        listed = read_trial_lines(Text("\n".join(text.lines[:_N_SAMPLED])), "", is_clip=is_clip)
    except CorpusError:
        return False
    table = listed.table
    return len(table) > len(listed.unread) and any(
        is_clip(one) and is_clip(other) for one, other in zip(table["enrol"], table["test"], strict=True)
    )


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
