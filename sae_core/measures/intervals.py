"""Confidence intervals that resample speakers: clips of one speaker are no independent evidence."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int
from scipy.sparse import csr_matrix

N_DRAWS = 1000
CONFIDENCE = 0.95
MAX_LEVELS = 512
MAX_UNITS = 1_000


def resampling_units(speaker_groups: Int[np.ndarray, " m"]) -> tuple[int, Int[np.ndarray, " m"]]:
    """What is drawn with replacement, a number for each clip: its speaker.

    Beyond `MAX_UNITS` speakers, that many fixed groups of whole speakers are drawn instead. Their variance stays as it
    is (1,000 units estimate a standard error to within 2.2 %) and the work no longer grows with the speakers.
    """
    found, unit = np.unique(speaker_groups, return_inverse=True)
    return min(len(found), MAX_UNITS), unit % MAX_UNITS


@dataclass(frozen=True)
class SpeakerCounts:
    """Counts of clips by speaker, over the speakers of some chosen clips (many speakers: see `resampling_units`).

    n_speakers: S. speaker_of_row: a number below S for each chosen clip, -1 for the others.
    """

    n_speakers: int
    speaker_of_row: Int[np.ndarray, " n"]

    @classmethod
    def over(
        cls, speaker_groups: Int[np.ndarray, " n"], is_chosen: Bool[np.ndarray, " n"]
    ) -> "SpeakerCounts":
        """Number the speakers of the chosen clips."""
        n_units, unit = resampling_units(speaker_groups[is_chosen])
        of_row = np.full(len(speaker_groups), -1, dtype=np.int64)
        of_row[is_chosen] = unit
        return cls(n_units, of_row)

    def count(self, rows_of: list[np.ndarray]) -> csr_matrix:
        """Clips per speaker of several lists of chosen rows: a sparse m×S table, one line a list."""
        line = np.repeat(np.arange(len(rows_of)), [len(rows) for rows in rows_of])
        speaker = self.speaker_of_row[np.concatenate(rows_of)] if rows_of else np.empty(0, np.int64)
        return csr_matrix((np.ones(len(line)), (line, speaker)), shape=(len(rows_of), self.n_speakers))


@functools.lru_cache(maxsize=4)
def draw_speakers(n_speakers: int, *, seed: int, n_draws: int = N_DRAWS) -> Float64[np.ndarray, "B S"]:
    """How often each speaker is drawn in each of B bootstrap draws of S speakers with replacement; read-only."""
    even = np.full(n_speakers, 1 / max(n_speakers, 1))
    draws = np.random.default_rng(seed).multinomial(n_speakers, even, n_draws).astype(np.float64)
    draws.setflags(write=False)
    return draws


def bounds(draws: Float64[np.ndarray, "B m"]) -> Float32[np.ndarray, "m 2"]:
    """The percentile interval of each column at `CONFIDENCE`: low and high."""
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(draws, [tail, 1 - tail], axis=0).T.astype(np.float32)


@dataclass(frozen=True)
class PairDraws:
    """How much each pair of clips weighs when speakers are drawn with replacement.

    A pair of one speaker weighs as often as that speaker was drawn, a pair of two the product of both.
    draws: f64[B, S], how often each speaker was drawn. one, other: i64[p], the speakers of each pair.
    """

    draws: Float64[np.ndarray, "B S"]
    one: Int[np.ndarray, " p"]
    other: Int[np.ndarray, " p"]

    @classmethod
    def over(
        cls, one: Int[np.ndarray, " p"], other: Int[np.ndarray, " p"], *, seed: int, n_draws: int
    ) -> "PairDraws":
        """Draw the speakers that occur in pairs, given the speaker group of either side."""
        n_units, unit = resampling_units(np.concatenate([one, other]))
        return cls(draw_speakers(n_units, seed=seed, n_draws=n_draws), unit[: len(one)], unit[len(one) :])

    def blocks(self, n_at_once: int = 2**21) -> Iterator[slice]:
        """Ranges of draws whose weights fit in memory together."""
        step = max(1, n_at_once // max(len(self.one), 1))
        for start in range(0, len(self.draws), step):
            yield slice(start, start + step)

    def weights(self, block: slice, pairs: Int[np.ndarray, " q"]) -> Float64[np.ndarray, "b q"]:
        """Weights of some pairs in a range of draws."""
        draws, one, other = self.draws[block], self.one[pairs], self.other[pairs]
        left = np.take(draws, one, axis=1)
        return np.where(one == other, left, left * np.take(draws, other, axis=1))

    def sums(self, values: Float64[np.ndarray, "p c"]) -> Float64[np.ndarray, "B c"]:
        """Weighted sums of each column of `values`, one line a draw."""
        everything = np.arange(len(self.one))
        parts = [self.weights(block, everything) @ values for block in self.blocks()]
        return np.concatenate(parts)


def auroc_bounds(
    scores: Float[np.ndarray, " m"],
    is_positive: Bool[np.ndarray, " m"],
    speaker_groups: Int[np.ndarray, " m"],
    *,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the 95 % bounds of the area under the ROC curve when speakers are resampled; None from fewer than two.

    Scores beyond `MAX_LEVELS` different ones are put together by rank, which moves the area by less than a thousandth.
    Draws that hold one side only are left out.
    """
    speakers = SpeakerCounts.over(speaker_groups, np.ones(len(speaker_groups), dtype=bool))
    if speakers.n_speakers < 2:
        return None
    values, level = np.unique(scores, return_inverse=True)
    if len(values) > MAX_LEVELS:
        level = level * MAX_LEVELS // len(values)
    shape = (speakers.n_speakers, int(level.max()) + 1)

    def counts(mask: np.ndarray) -> csr_matrix:
        place = speakers.speaker_of_row[mask], level[mask]
        return csr_matrix((np.ones(int(mask.sum())), place), shape=shape)

    draws = draw_speakers(speakers.n_speakers, seed=seed)
    # [B, T], lowest level first
    positive, negative = draws @ counts(is_positive), draws @ counts(~is_positive)
    below = np.cumsum(negative, axis=1) - negative / 2
    n_pairs = positive.sum(axis=1) * negative.sum(axis=1)
    areas = (positive * below).sum(axis=1)[n_pairs > 0] / n_pairs[n_pairs > 0]
    if not len(areas):
        return None
    low, high = bounds(areas[:, None])[0]
    return float(low), float(high)
