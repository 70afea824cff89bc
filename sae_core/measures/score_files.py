"""Score files of other systems: `enrol test score` a line, in any order, with or without the label."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32

from sae_core.corpus.clips import Corpus
from sae_core.corpus.texts import Text, read_text
from sae_core.corpus.trial_lists import TARGET_WORDS, split_line
from sae_core.files.errors import CorpusError
from sae_core.measures.verification import ClipNames, Trials

MAX_SCORES = 5_000_000
_REMEDY = "write a line `enrol test score` for each trial, clips by clip_id or audio_path"
_N_SAMPLED = 500


@dataclass(frozen=True)
class ScoredTrials:
    """Trials that another system scored.

    trials: pairs of clip rows; is_target is that of the file where it has labels, else whether the speakers are the
    same. scores: f32[p]. left_out: which lines were, in words.
    """

    trials: Trials
    scores: Float32[np.ndarray, " p"]
    left_out: str


def read_scores(path: Path, corpus: Corpus) -> ScoredTrials:
    """Return the scores in a file; CorpusError where it is none, or none of its clips is here."""
    return parse_scores(read_text(path), corpus, where=path)


def parse_scores(text: Text | str, corpus: Corpus, *, where: str | Path) -> ScoredTrials:
    """Return the scores in a text.

    The two columns that name clips are told by their values, the score by being a number that is no label (0 and 1
    alone are labels where another column of numbers is there). `where` is what errors call it.
    """
    lines = (text if isinstance(text, Text) else Text(text)).lines
    if len(lines) > MAX_SCORES:
        raise CorpusError(f"holds {len(lines):,} lines", where=where, remedy=f"keep at most {MAX_SCORES:,}")
    rows = [split_line(line) for line in lines if line.strip()]
    names = ClipNames(corpus.table)
    sides, score, label = _columns(rows, names, where)
    width = max(sides + [score] + ([] if label is None else [label])) + 1
    usable = [
        (row, value) for row in rows if len(row) >= width and (value := _number(row[score])) is not None
    ]
    found = [names.rows(pd.Series([row[side] for row, _ in usable], dtype="str")) for side in sides]
    is_here = (found[0].notna() & found[1].notna()).to_numpy()
    if not is_here.any():
        raise CorpusError("names no clip of this workspace", where=where, remedy=_REMEDY)
    one, other = (side.to_numpy()[is_here].astype(np.int64) for side in found)
    is_target = corpus.speaker_groups[one] == corpus.speaker_groups[other]
    if label is not None:
        said = np.array([row[label].casefold() in TARGET_WORDS for row, _ in usable], dtype=bool)
        is_target = said[is_here]
    scores = np.array([value for _, value in usable], np.float32)[is_here]
    n_gone = len(rows) - len(scores)
    words = (
        f"{n_gone:,} of its {len(rows):,} lines name a clip that is not here, or hold no score"
        if n_gone
        else ""
    )
    return ScoredTrials(Trials(one, other, is_target), scores, words)


def match_scores(
    listed: ScoredTrials, trials: Trials
) -> tuple[Float32[np.ndarray, " p"], Bool[np.ndarray, " p"]]:
    """The scores of given trials (pairs of clip rows), and which of them the file has; either clip may be named first.
    A pair that was scored twice has its last score."""
    known = {
        (one, other): score
        for one, other, score in zip(
            listed.trials.enrol_rows.tolist(),
            listed.trials.test_rows.tolist(),
            listed.scores.tolist(),
            strict=True,
        )
    }
    found = [
        known.get((one, other), known.get((other, one), math.nan))
        for one, other in zip(trials.enrol_rows.tolist(), trials.test_rows.tolist(), strict=True)
    ]
    scores = np.array(found, np.float32)
    is_there = np.isfinite(scores)
    return np.where(is_there, scores, np.float32(0)), is_there


def _columns(rows: list[list[str]], names: ClipNames, where: str | Path) -> tuple[list[int], int, int | None]:
    """The columns of the two clips, of the score, and of the label where there is one."""
    sample = rows[:_N_SAMPLED]
    width = max((len(row) for row in sample), default=0)
    columns = [[row[column] for row in sample if len(row) > column] for column in range(width)]
    hits = [sum(names.knows(value) for value in column) for column in columns]
    sides = sorted(sorted(range(width), key=lambda column: -hits[column])[:2])
    rest = [column for column in range(width) if column not in sides]
    numeric = [
        c
        for c in rest
        if sum(_number(v) is not None for v in columns[c]) >= 0.9 * max(len(columns[c]) - 1, 1)
    ]
    graded = [c for c in numeric if not {_number(v) for v in columns[c]} <= {0.0, 1.0, None}] or numeric
    if width < 3 or not all(hits[side] for side in sides) or not graded:
        shown = " ".join(rows[0])[:80] if rows else ""
        raise CorpusError(
            f"is no list of scores of these clips (it begins {shown!r})", where=where, remedy=_REMEDY
        )
    labels = [c for c in rest if c != graded[0]]
    return sides, graded[0], labels[0] if labels else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
