"""Adaptive symmetric score normalisation (AS-norm): scores in units of what a clip scores against a cohort.

    s' = ½ ((s − μ_e) / σ_e + (s − μ_t) / σ_t)

μ_e and σ_e: mean and standard deviation (of n degrees of freedom) of the `n_nearest` highest scores of the enrolment
side against the cohort, μ_t and σ_t those of the test side. After Matějka et al. 2017, "Analysis of Score Normalization
in Multilingual Speaker Recognition" (Interspeech), AS-norm1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from sae_core.measures.erasure import scaled_to_one
from sae_core.measures.verification import Trials

N_NEAREST = 300
LEAST_STD = 1e-6
_SCORES_AT_ONCE = 2**21


@dataclass(frozen=True)
class CohortStatistics:
    """mean, std: f64[n], of the highest scores of each of n clips against a cohort."""

    mean: Float64[np.ndarray, " n"]
    std: Float64[np.ndarray, " n"]


def cohort_statistics(
    vectors: Float[np.ndarray, "n d"], cohort: Float[np.ndarray, "c d"], *, n_nearest: int = N_NEAREST
) -> CohortStatistics:
    """What clips score against a cohort of speakers that take no part, by cosine: statistics of the `n_nearest` highest
    scores of each, or of all where the cohort is smaller. Raises ValueError for a cohort of fewer than two."""
    if len(cohort) < 2:
        raise ValueError(f"a cohort has at least two speakers, not {len(cohort)}")
    others = scaled_to_one(cohort)
    found = np.empty((2, len(vectors)))
    n_each = max(1, _SCORES_AT_ONCE // len(cohort))
    for start in range(0, len(vectors), n_each):
        piece = slice(start, start + n_each)
        found[:, piece] = nearest_statistics(scaled_to_one(vectors[piece]) @ others.T, n_nearest=n_nearest)
    return CohortStatistics(*found)


def nearest_statistics(
    scores: Float32[np.ndarray, "n c"], *, n_nearest: int = N_NEAREST
) -> Float64[np.ndarray, "2 n"]:
    """Mean and standard deviation of the `n_nearest` highest scores of each row; `scores` are put in another order."""
    if n_nearest < 2:
        raise ValueError(f"statistics need at least two scores of the cohort, not {n_nearest}")
    if n_nearest < scores.shape[1]:
        scores.partition(scores.shape[1] - n_nearest, axis=1)
        scores = scores[:, scores.shape[1] - n_nearest :]
    mean = scores.mean(axis=1, dtype=np.float64)
    off = scores - mean[:, None].astype(np.float32)
    squares = np.einsum("nc,nc->n", off, off)
    return np.stack([mean, np.maximum(np.sqrt(squares / scores.shape[1]), LEAST_STD)])


def as_norm(
    scores: Float[np.ndarray, " p"], trials: Trials, statistics: CohortStatistics
) -> Float32[np.ndarray, " p"]:
    """The normalised scores of trials; `statistics` are those of the clips that the trials name by position."""
    found = np.zeros(len(scores))
    for rows in (trials.enrol_rows, trials.test_rows):
        found += (scores - statistics.mean[rows]) / statistics.std[rows]
    return np.asarray(found / 2, dtype=np.float32)


def speaker_means(
    vectors: Float[np.ndarray, "n d"], speaker_groups: Int[np.ndarray, " n"], *, n_at_most: int, seed: int = 0
) -> Float32[np.ndarray, "s d"]:
    """A cohort: the mean of the unit embeddings of each speaker, of norm 1; of at most so many, drawn evenly."""
    found, speaker = np.unique(speaker_groups, return_inverse=True)
    kept = np.arange(len(found))
    if len(kept) > n_at_most:
        kept = np.sort(np.random.default_rng(seed).permutation(kept)[:n_at_most])
    place = np.full(len(found), -1)
    place[kept] = np.arange(len(kept))
    rows = np.flatnonzero(place[speaker] >= 0)
    order = rows[np.argsort(place[speaker[rows]], kind="stable")]
    starts = np.flatnonzero(np.diff(place[speaker[order]], prepend=-1))
    return scaled_to_one(np.add.reduceat(scaled_to_one(vectors[order]), starts, axis=0))
