"""Is a latent an accident of its seed? Each latent against SAEs that differ in nothing but the seed.

    cosine_i       = mean over the other seeds of max_j ⟨D_i, D'_j⟩, D and D' decoder directions of norm 1
    correlation_i  = mean over the other seeds of max_j r_ij, correlations of activations (see `matching`)
    PW-MCC         = mean over pairs of seeds of (1/L) Σ_i ⟨D_i, D'_π(i)⟩, π one-to-one with the highest sum

PW-MCC, the pairwise mean correlation coefficient of dictionaries, after Song et al. 2025 (arXiv 2505.20254). A latent
counts as found in another seed when its best cosine there is at least `MIN_COSINE`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32
from scipy.optimize import linear_sum_assignment

from sae_core.measures.matching import assign_one_to_one

MIN_COSINE = 0.7
MAX_DENSE = 2048
"""With more latents, only the most similar `MAX_CANDIDATES` of each are looked at as its partner."""
MAX_CANDIDATES = 64
LATENTS_AT_ONCE = 1024
STABILITY_COLUMNS = ("latent", "cosine", "cosine_low", "correlation", "correlation_low", "n_found", "n_seeds")


@dataclass(frozen=True)
class SeedMatch:
    """How the latents of an SAE come back in one other seed: f32[L] each, and the SAE's mean over one-to-one pairs."""

    cosine: Float32[np.ndarray, " L"]
    correlation: Float32[np.ndarray, " L"]
    mcc: float


def match_directions(
    one: Float32[np.ndarray, "La d"], other: Float32[np.ndarray, "Lb d"]
) -> tuple[Float32[np.ndarray, " La"], float]:
    """Return each unit direction's highest cosine with one of the other SAE, and the mean cosine over one-to-one pairs
    with the highest sum (MCC).

    Beyond `MAX_DENSE` latents pairs are sought among each one's most similar, and a latent that gets none counts as 0.
    """
    if max(len(one), len(other)) <= MAX_DENSE:
        cosines = one @ other.T
        rows, columns = linear_sum_assignment(cosines, maximize=True)
        return cosines.max(axis=1), float(cosines[rows, columns].mean())
    highest, parts = np.zeros(len(one), np.float32), []
    for start in range(0, len(one), LATENTS_AT_ONCE):
        cosines = one[start : start + LATENTS_AT_ONCE] @ other.T
        highest[start : start + len(cosines)] = cosines.max(axis=1)
        near = np.argpartition(-cosines, MAX_CANDIDATES, axis=1)[:, :MAX_CANDIDATES]
        rows = np.repeat(np.arange(start, start + len(cosines)), MAX_CANDIDATES)
        parts.append((rows, near.ravel(), np.take_along_axis(cosines, near, axis=1).ravel()))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    partner = assign_one_to_one(rows, columns, values, len(one))
    return highest, float(values[partner[rows] == columns].sum() / min(len(one), len(other)))


def stability_table(matches: list[SeedMatch]) -> pd.DataFrame:
    """One row a latent, from its matches in each other seed: latent, cosine and correlation (means over the seeds),
    cosine_low and correlation_low (the lowest), n_found (seeds in which it is found), n_seeds. ValueError without any.
    """
    if not matches:
        raise ValueError("stability needs another seed to compare with")
    cosines, correlations = (
        np.stack([getattr(match, name) for match in matches]) for name in ("cosine", "correlation")
    )
    return pd.DataFrame(
        {
            "latent": np.arange(cosines.shape[1]),
            "cosine": cosines.mean(axis=0),
            "cosine_low": cosines.min(axis=0),
            "correlation": correlations.mean(axis=0),
            "correlation_low": correlations.min(axis=0),
            "n_found": (cosines >= MIN_COSINE).sum(axis=0),
            "n_seeds": len(matches),
        }
    )
