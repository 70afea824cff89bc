"""Which latents of two SAEs fire on the same clips, whatever embeddings they read: matched by correlation.

    r_ij = (Σ a_i b_j / n − ā_i b̄_j) / (σ(a_i) σ(b_j))

over n clips, a and b the activations of the two SAEs, 0 where a latent is silent. Each latent has a *best match*, the
latent of the other SAE with the highest correlation (many may share one), and at most one *partner*: partners are
one-to-one, with the highest sum of correlations (Hungarian method, as in arXiv 2505.20254), over pairs of at least
`MIN_CORRELATION`.

By chance alone the best of thousands correlates a little. How much is seen in a null: the same matching after the clips
of one SAE were shuffled. Where speakers are given, whole speakers are shuffled, because clips of a speaker are alike.

Only active slots are multiplied, so work is n · k² and memory a block of latents, however many clips there are.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from inspect import unwrap
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex

MIN_CORRELATION = 0.1
"""Less is no match: pairs below it are not looked at as partners."""
MAX_CANDIDATES = 32
"""So many of the most correlated latents of the other SAE can become a latent's partner."""
LATENTS_AT_ONCE = 64
N_THREADS = min(8, os.cpu_count() or 1)
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
_NO_WEIGHT = 1e-9
_PIECE = 65_536


@dataclass(frozen=True)
class LatentMatches:
    """Latents of SAE A matched with those of SAE B over the same clips.

    one: a row per latent of A: latent, n_active (of the counted clips), best (latent of B, -1 where none correlates
        above 0), correlation, partner (-1 where there is none), partner_correlation (0 there).
    other: the same for B.
    null_one, null_other: correlation and partner_correlation of each latent after clips were shuffled.
    n_clips: clips that were counted.
    """

    one: pd.DataFrame
    other: pd.DataFrame
    null_one: pd.DataFrame
    null_other: pd.DataFrame
    n_clips: int

    def turned(self) -> "LatentMatches":
        """The same matches, seen from SAE B."""
        return LatentMatches(self.other, self.one, self.null_other, self.null_one, self.n_clips)

    def fractions(self, thresholds: tuple[float, ...] = THRESHOLDS) -> pd.DataFrame:
        """One row a threshold: which fraction of the active latents has a match that correlates at least so much.

        Columns: threshold; best_of_one, best_of_other (best matches of A's and of B's latents), partners_of_one,
        partners_of_other; each again with `null_` before it: the false-match rate, the fraction after shuffling.
        """
        sides = {"one": (self.one, self.null_one), "other": (self.other, self.null_other)}
        table = pd.DataFrame({"threshold": thresholds})
        for kind, column in (("best", "correlation"), ("partners", "partner_correlation")):
            for side, (found, null) in sides.items():
                is_active = (found["n_active"] > 0).to_numpy()
                for prefix, matched in (("", found), ("null_", null)):
                    reached = matched[column].to_numpy()[is_active, None] >= np.array(thresholds)
                    table[f"{prefix}{kind}_of_{side}"] = reached.sum(axis=0) / max(int(is_active.sum()), 1)
        return table

    def threshold_at(self, false_match_rate: float = 0.01) -> float:
        """The correlation that at most this fraction of A's active latents reaches with shuffled clips."""
        null = self.null_one["correlation"].to_numpy()[(self.one["n_active"] > 0).to_numpy()]
        return float(np.quantile(null, 1 - false_match_rate, method="higher")) if len(null) else 0.0


def match_latents(
    one: FeatureIndex,
    other: SparseCodes,
    is_counted: Bool[np.ndarray, " n"],
    *,
    speaker_groups: Int[np.ndarray, " n"] | None = None,
    seed: int = 0,
) -> LatentMatches:
    """Match the latents of SAE A, given by its feature index, with those of SAE B, given by its codes of these clips.

    Clips that are not counted take no part. speaker_groups: whom each clip is by; given, the null shuffles whole
    speakers. Raises ValueError when the codes are of another number of clips.
    """
    if len(other) != len(is_counted):
        raise ValueError(f"{len(other)} clips in B and {len(is_counted)} in all are not the same clips")
    rows = np.flatnonzero(is_counted)
    partner_rows = np.full(len(is_counted), -1, dtype=np.int64)
    partner_rows[rows] = rows
    spread = _Spread.of(one, other, partner_rows)
    found = _match(one, other, partner_rows, spread)
    partner_rows[rows] = shuffled(rows, speaker_groups, seed=seed)
    null = _match(one, other, partner_rows, spread)
    one_table, other_table = (
        table.assign(n_active=counts)[["latent", "n_active", *table.columns[1:]]]
        for table, counts in zip(found, (spread.n_active_one, spread.n_active_other), strict=True)
    )
    null_one, null_other = (table[["latent", "correlation", "partner_correlation"]] for table in null)
    return LatentMatches(one_table, other_table, null_one, null_other, len(rows))


def shuffled(
    rows: Int64[np.ndarray, " m"], speaker_groups: Int[np.ndarray, " n"] | None = None, *, seed: int = 0
) -> Int64[np.ndarray, " m"]:
    """A clip for each of these clips, every one once: drawn at random, or whole speakers one after another in another
    order, so that clips of one speaker meet clips of one other speaker as far as their numbers allow."""
    random = np.random.default_rng(seed)
    if speaker_groups is None:
        return random.permutation(rows)
    _, speaker = np.unique(speaker_groups[rows], return_inverse=True)
    place = random.permutation(int(speaker.max()) + 1 if len(rows) else 0)
    order = random.permutation(len(rows))  # within a speaker, clips are shuffled, too
    mine = order[np.argsort(speaker[order], kind="stable")]
    theirs = order[np.argsort(place[speaker[order]], kind="stable")]
    found = np.empty_like(rows)
    found[mine] = rows[theirs]
    return found


def correlations(
    one: FeatureIndex, other: SparseCodes, is_counted: Bool[np.ndarray, " n"]
) -> Float32[np.ndarray, "La Lb"]:
    """All correlations of two SAEs as one array: for few latents only."""
    rows = np.where(is_counted, np.arange(len(is_counted)), -1)
    blocks = [block for _, block in _blocks(one, other, rows, _Spread.of(one, other, rows))]
    return np.concatenate(blocks) if blocks else np.zeros((0, other.n_latents), np.float32)


def assign_one_to_one(
    rows: Int[np.ndarray, " e"], columns: Int[np.ndarray, " e"], weights: Float[np.ndarray, " e"], n_rows: int
) -> Int64[np.ndarray, " r"]:
    """The column of each row, -1 for none, so that no column is used twice and the sum of weights is highest, among
    pairs with a weight above 0."""
    chosen = np.full(n_rows, -1, dtype=np.int64)
    is_used = weights > 0
    if not is_used.any():
        return chosen
    n_columns = int(columns.max()) + 1
    # a column of its own for each row lets it stay without a partner
    pairs = (
        np.concatenate([weights[is_used].astype(np.float64), np.full(n_rows, _NO_WEIGHT)]),
        (
            np.concatenate([rows[is_used], np.arange(n_rows)]),
            np.concatenate([columns[is_used], n_columns + np.arange(n_rows)]),
        ),
    )
    matched, place = min_weight_full_bipartite_matching(
        csr_matrix(pairs, shape=(n_rows, n_columns + n_rows)), maximize=True
    )
    chosen[matched] = np.where(place < n_columns, place, -1)
    return chosen


@dataclass(frozen=True)
class _Spread:
    """What correlations of sums of products need: mean, standard deviation and active clips of each latent."""

    n_clips: int
    mean_one: Float64[np.ndarray, " La"]
    std_one: Float64[np.ndarray, " La"]
    n_active_one: Int64[np.ndarray, " La"]
    mean_other: Float64[np.ndarray, " Lb"]
    std_other: Float64[np.ndarray, " Lb"]
    n_active_other: Int64[np.ndarray, " Lb"]

    @classmethod
    def of(cls, one: FeatureIndex, other: SparseCodes, partner_rows: Int64[np.ndarray, " n"]) -> "_Spread":
        """Over the clips that have a partner; a shuffle of the same clips changes nothing here."""
        is_counted = partner_rows >= 0
        n_clips = max(int(is_counted.sum()), 1)
        sums = np.zeros((3, one.n_latents)), np.zeros((3, other.n_latents))
        step = max(1, _PIECE * max(other.k, 1))
        for start in range(0, len(one.rows), step):
            part = slice(start, start + step)
            values = np.where(is_counted[one.rows[part]], one.activations[part], 0)
            latents = np.searchsorted(one.offsets, np.arange(start, start + len(values)), side="right") - 1
            _add_moments(sums[0], latents, values)
        for start in range(0, len(other), _PIECE):
            part = slice(start, start + _PIECE)
            values = np.where(is_counted[part, None], other.activations[part], 0)
            _add_moments(sums[1], np.asarray(other.latents[part]).ravel(), values.ravel())
        parts: list[Any] = []
        for total, squares, n_active in sums:
            mean = total / n_clips
            deviation = np.sqrt(np.maximum(squares / n_clips - mean**2, 0))
            parts += [mean, deviation, n_active.astype(np.int64)]
        return cls(n_clips, *parts)


def _add_moments(sums: np.ndarray, latents: np.ndarray, values: np.ndarray) -> None:
    exact, n_latents = values.astype(np.float64), sums.shape[1]
    for moment, weights in enumerate((exact, exact**2, exact > 0)):
        sums[moment] += np.bincount(latents, weights=weights, minlength=n_latents)


def _blocks(
    one: FeatureIndex, other: SparseCodes, partner_rows: np.ndarray, spread: _Spread
) -> Iterator[tuple[int, Float32[np.ndarray, "m Lb"]]]:
    """The first latent of a block of A's and the correlations of that block, one block after another."""
    multiply = _kernel()
    offsets, rows, acts = (np.asarray(part) for part in (one.offsets, one.rows, one.activations))
    latents, activations = np.asarray(other.latents), np.asarray(other.activations)
    scale_other = np.where(spread.std_other > 0, 1 / np.maximum(spread.std_other, 1e-30), 0)
    scale_one = np.where(spread.std_one > 0, 1 / np.maximum(spread.std_one, 1e-30), 0)

    def work(start: int) -> tuple[int, np.ndarray]:
        end = min(start + LATENTS_AT_ONCE, one.n_latents)
        block = np.zeros((end - start, other.n_latents))
        multiply((offsets[start : end + 1], rows, acts), partner_rows, (latents, activations), block)
        block /= spread.n_clips
        block -= spread.mean_one[start:end, None] * spread.mean_other
        block *= scale_one[start:end, None]
        block *= scale_other
        return start, block.astype(np.float32)

    starts = range(0, one.n_latents, LATENTS_AT_ONCE)
    with ThreadPoolExecutor(N_THREADS) as pool:
        for first in range(0, len(starts), 2 * N_THREADS):
            yield from pool.map(work, starts[first : first + 2 * N_THREADS])


@cache
def _kernel() -> Any:
    """The inner loop, compiled when it is first used: block[i, j] += Σ a_i b_j over the postings of a few latents."""
    from numba import njit

    def multiply(postings: Any, partner_rows: Any, codes: Any, block: Any) -> None:
        offsets, rows, acts = postings
        latents, activations = codes
        for latent in range(len(offsets) - 1):
            for place in range(offsets[latent], offsets[latent + 1]):
                row = partner_rows[rows[place]]
                if row >= 0:
                    strength = acts[place]
                    for slot in range(latents.shape[1]):
                        block[latent, latents[row, slot]] += strength * activations[row, slot]

    # tests wrap every function to check shapes, which is nothing to compile
    return njit(nogil=True)(unwrap(multiply))


def _match(
    one: FeatureIndex, other: SparseCodes, partner_rows: np.ndarray, spread: _Spread
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Best matches and partners of both sides."""
    best, highest = np.full(one.n_latents, -1), np.zeros(one.n_latents, np.float32)
    best_other, highest_other = np.full(other.n_latents, -1), np.zeros(other.n_latents, np.float32)
    candidates = []
    for start, block in _blocks(one, other, partner_rows, spread):
        part = slice(start, start + len(block))
        best[part], highest[part] = block.argmax(axis=1), block.max(axis=1)
        line = block.argmax(axis=0)
        value = block[line, np.arange(block.shape[1])]
        is_higher = value > highest_other
        best_other[is_higher], highest_other[is_higher] = start + line[is_higher], value[is_higher]
        candidates.append(_candidates(block, start))
    best[highest <= 0], highest[highest <= 0] = -1, 0
    rows, columns, values = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    partner = assign_one_to_one(rows, columns, values, one.n_latents)
    partner_value = np.zeros(one.n_latents, np.float32)
    is_chosen = partner[rows] == columns
    partner_value[rows[is_chosen]] = values[is_chosen]
    partner_other, value_other = np.full(other.n_latents, -1), np.zeros(other.n_latents, np.float32)
    matched = np.flatnonzero(partner >= 0)
    partner_other[partner[matched]], value_other[partner[matched]] = matched, partner_value[matched]
    return (
        _table(best, highest, partner, partner_value),
        _table(best_other, highest_other, partner_other, value_other),
    )


def _table(
    best: np.ndarray, highest: np.ndarray, partner: np.ndarray, partner_value: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "latent": np.arange(len(best)),
            "best": best,
            "correlation": highest,
            "partner": partner,
            "partner_correlation": partner_value,
        }
    )


def _candidates(block: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and correlations of the pairs of a block that may become partners."""
    rows, columns = np.nonzero(block >= MIN_CORRELATION)
    values = block[rows, columns]
    order = np.lexsort((-values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    is_kept = rank < MAX_CANDIDATES
    return start + rows[is_kept], columns[is_kept], values[is_kept]
