"""Absorption: clips of a value that its predominant latent misses because a narrower latent took them.

    c_i = v_i ⟨D_i, w⟩

is what latent i adds along w, the difference between the mean embeddings of clips with the value and without it. A
missed clip of the value is absorbed by the latent with the highest c when that latent points along w (cosine from
`MIN_COSINE`), carries at least `MIN_FRACTION` of what all latents add, and is active on fewer clips than the first.
After Chanin et al. 2024 (arXiv 2409.14507) as SAEBench measures it, with a difference of means for its probe.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from sae_core.sae.codes import SparseCodes

MIN_COSINE = 0.1
MIN_FRACTION = 0.4


@dataclass(frozen=True)
class Absorption:
    """What a value's predominant latent misses.

    clips: the absorbed clips: row, latent (which took it), fraction (of what all latents add along the value).
    n_positive: clips of the value that were looked at. n_missed: of them, those not above the latent's threshold.
    """

    clips: pd.DataFrame
    n_positive: int
    n_missed: int

    @property
    def rate(self) -> float:
        """The fraction of the value's clips that are absorbed."""
        return len(self.clips) / max(self.n_positive, 1)

    def by_latent(self) -> pd.DataFrame:
        """The latents that took clips, and how many: latent, n."""
        counts = self.clips["latent"].value_counts()
        return counts.rename_axis("latent").reset_index(name="n")


@dataclass(frozen=True)
class ValueDirection:
    """Along which direction of the embedding a value lies, and how far each latent moves an embedding along it.

    steps: ⟨D_i, w⟩ a unit of activation, w of norm 1. cosines: of D_i and w.
    """

    steps: Float[np.ndarray, " L"]
    cosines: Float[np.ndarray, " L"]

    @classmethod
    def between(
        cls,
        vectors: Float[np.ndarray, "n d"],
        is_positive: Bool[np.ndarray, " n"],
        rows: Int[np.ndarray, " m"],
        decoder_steps: Float[np.ndarray, "L d"],
    ) -> "ValueDirection":
        """From the mean embedding of the other clips of `rows` to that of the positive ones."""
        with_value, without = rows[is_positive[rows]], rows[~is_positive[rows]]
        way = vectors[with_value].mean(axis=0) - vectors[without].mean(axis=0)
        way = way / max(float(np.linalg.norm(way)), 1e-12)
        steps = decoder_steps @ way
        return cls(steps, steps / np.maximum(np.linalg.norm(decoder_steps, axis=1), 1e-12))


def find_absorbed(
    codes: SparseCodes,
    rows: Int[np.ndarray, " m"],
    direction: ValueDirection,
    *,
    latent: int,
    threshold: float,
    n_active: Int[np.ndarray, " L"],
) -> Absorption:
    """Return which of `rows`, the clips of the value, `latent` misses and a narrower latent took; n_active: on how many
    clips each latent is active."""
    some = codes.take(rows)
    own = np.where(some.latents == latent, some.activations, 0).max(axis=1, initial=0)
    missed = np.flatnonzero(own <= threshold)
    adds = some.activations[missed] * direction.steps[some.latents[missed]]
    adds = np.where(some.latents[missed] == latent, 0, np.maximum(adds, 0))
    best = adds.argmax(axis=1) if len(missed) else np.zeros(0, np.int64)
    taker = some.latents[missed, best].astype(np.int64)
    fraction = adds[np.arange(len(missed)), best] / np.maximum(adds.sum(axis=1), 1e-12)
    is_absorbed = (
        (direction.cosines[taker] >= MIN_COSINE)
        & (fraction >= MIN_FRACTION)
        & (n_active[taker] < n_active[latent])
    )
    table = pd.DataFrame({"row": rows[missed], "latent": taker, "fraction": fraction})[is_absorbed]
    return Absorption(table.reset_index(drop=True), len(rows), len(missed))
