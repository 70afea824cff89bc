"""How alike the clips are on which a latent fires: the monosemanticity score.

    MS_i = (‖Σ_c a_c ê_c‖² − Σ_c a_c²) / ((Σ_c a_c)² − Σ_c a_c²)

is the mean cosine of all pairs of clips, each pair weighted by both activations: a_c is the activation of latent i on
clip c, scaled to at most 1, and ê_c the clip's embedding, of norm 1. After Pach et al. 2025 (arXiv 2504.02821), in the
linear form of arXiv 2602.12403. Embeddings of another encoder than the one that the SAE reads make it a fairer judge.
"""

import numpy as np
from jaxtyping import Bool, Float32

from sae_core.sae.feature_index import FeatureIndex

CLIPS_AT_ONCE = 65_536


def monosemanticity(
    index: FeatureIndex, vectors: Float32[np.ndarray, "n d"], is_counted: Bool[np.ndarray, " n"]
) -> Float32[np.ndarray, " L"]:
    """Return the score of each latent over the counted clips; NaN for a latent that fires on fewer than two.

    vectors: embeddings of norm 1, of any encoder. Memory does not grow with the clips of a latent.
    """
    scores = np.full(index.n_latents, np.nan, dtype=np.float32)
    for latent in range(index.n_latents):
        rows, activations = index.postings(latent)
        is_used = is_counted[rows]
        rows, strengths = rows[is_used], activations[is_used].astype(np.float64)
        if len(rows) < 2:
            continue
        strengths /= strengths.max()
        total = np.zeros(vectors.shape[1])
        for start in range(0, len(rows), CLIPS_AT_ONCE):
            part = slice(start, start + CLIPS_AT_ONCE)
            total += strengths[part] @ vectors[rows[part]]
        squares = float(strengths @ strengths)
        scores[latent] = (total @ total - squares) / (strengths.sum() ** 2 - squares)
    return scores
