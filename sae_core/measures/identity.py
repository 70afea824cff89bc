"""Which latents carry identity and which carry nuisance: where their variance lies, and what verification is without.

A latent that helps to distinguish speakers is steady within a speaker and differs between speakers; without it, errors
rise. One that follows the telephone line or the sentence varies within a speaker; without it, errors may fall.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, Int
from scipy.sparse import csr_matrix

from sae_core.measures.steering import Change, Steering
from sae_core.measures.verification import Trials, VerificationResult, draw_pairs, equal_error_rate, verify
from sae_core.sae.codes import SparseCodes
from sae_core.sae.quality import firing_counts

LATENTS_AT_ONCE = 64


def speaker_variances(
    codes: SparseCodes, speaker_groups: Int[np.ndarray, " n"], rows: Int[np.ndarray, " m"]
) -> pd.DataFrame:
    """How the variance of each latent's activation splits between speakers and within them, over some clips.

    One row a latent: n_active, between (variance component σ_b², 0 where clips of one speaker differ as much as those
    of two), within (σ_w²), within_between = within / between (inf where between is 0), speaker_fraction = σ_b² /
    (σ_b² + σ_w²), the intraclass correlation: 1 where the speaker alone decides the activation. One-way analysis of
    variance with unequal groups; a latent that never varies has 0 for all of them, and for within_between too.
    """
    _, speaker = np.unique(speaker_groups[rows], return_inverse=True)
    active = _csr(codes, rows)
    n_speakers, n = int(speaker.max(initial=-1)) + 1, len(rows)
    of_speaker = csr_matrix((np.ones(n), (speaker, np.arange(n))), shape=(n_speakers, n))
    sizes = np.bincount(speaker, minlength=n_speakers).astype(np.float64)
    sums = csr_matrix(of_speaker @ active)  # [S, L]
    totals, squares = (_column_sums(active, active.data**power) for power in (1, 2))
    among = _column_sums(sums, sums.data**2 / np.repeat(sizes, np.diff(sums.indptr)))
    spread_within = np.maximum(squares - among, 0) / max(n - n_speakers, 1)
    spread_between = np.maximum(among - totals**2 / n, 0) / max(n_speakers - 1, 1)
    typical_size = (n - (sizes**2).sum() / n) / max(n_speakers - 1, 1)
    between = np.maximum(spread_between - spread_within, 0) / max(typical_size, 1)
    total = between + spread_within
    share = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    ratio = np.divide(spread_within, between, out=np.full_like(total, np.inf), where=between > 0)
    return pd.DataFrame(
        {
            "latent": np.arange(codes.n_latents),
            "n_active": np.bincount(active.indices, minlength=codes.n_latents),
            "between": between,
            "within": spread_within,
            "within_between": np.where(total > 0, ratio, 0.0),
            "speaker_fraction": share,
        }
    )


def _column_sums(table: csr_matrix, values: np.ndarray) -> np.ndarray:
    """Sums by column of `values`, which stand where the table's own stand."""
    return np.bincount(table.indices, weights=values, minlength=table.shape[1])


def _csr(codes: SparseCodes, rows: np.ndarray) -> csr_matrix:
    some = codes.take(rows)
    is_active = some.activations > 0
    starts = np.append(0, np.cumsum(is_active.sum(axis=1)))
    values = some.activations[is_active].astype(np.float64)
    return csr_matrix((values, some.latents[is_active], starts), shape=(len(rows), codes.n_latents))


def ablation_eers(
    vectors: Float32[np.ndarray, "n d"],
    steps: Float32[np.ndarray, "L d"],
    codes: SparseCodes,
    *,
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
) -> Float64[np.ndarray, " L"]:
    """The EER when each latent alone is taken out, the reconstruction error kept; in closed form, nothing is decoded.

    `steps` are decoder directions at their true length; `codes` are those of the same clips as `vectors`, `trials`
    pairs of places in them, `scores` their cosines. A latent active on none of them leaves the EER where it was.
    """
    eers = np.full(codes.n_latents, equal_error_rate(scores, trials.is_target))
    active = np.flatnonzero(firing_counts(codes) > 0)
    for start in range(0, len(active), LATENTS_AT_ONCE):
        latents = tuple(int(latent) for latent in active[start : start + LATENTS_AT_ONCE])
        steering = Steering.prepare(vectors, steps, codes, latents)
        for latent in latents:
            eers[latent] = equal_error_rate(_ablated(steering, latent, scores, trials), trials.is_target)
    return eers


def _ablated(steering: Steering, latent: int, scores: np.ndarray, trials: Trials) -> np.ndarray:
    alone = steering.only(latent)
    return alone.similarities(scores, trials, alone.deltas([Change(latent, "ablate")]))


def changes_with_interval(
    steering: Steering,
    *,
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
    speaker_groups: Int[np.ndarray, " n"],
    before: VerificationResult,
) -> pd.DataFrame:
    """EER change when each prepared latent is ablated: latent, eer_change, low, high (95 %, speakers resampled)."""
    drawn, lines = draw_pairs(trials, speaker_groups), []
    for latent in steering.latents:
        after = verify(_ablated(steering, latent, scores, trials), trials, speaker_groups, drawn=drawn)
        lines.append((latent, *after.eer_change_from(before)))
    return pd.DataFrame(lines, columns=["latent", "eer_change", "low", "high"])
