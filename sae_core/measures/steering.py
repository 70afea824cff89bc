"""Steering: change some latents of some clips and see at once how pair similarities move.

Steered embeddings differ from the given ones only along a few decoder directions, e' = e + Σ_j δ_j D_j, so cosines of
any pairs follow in closed form from a few numbers a clip; nothing is decoded again (after arXiv 2502.00127, with the
reconstruction error kept, so that no change is exactly the original).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64

from sae_core.measures.intervals import PairDraws, bounds
from sae_core.measures.verification import Trials, kolmogorov_smirnov
from sae_core.sae.codes import SparseCodes

Mode = Literal["set", "scale", "ablate"]
# so few that the gathered rows stay in the processor's cache: twice as fast as a piece four times as long
PAIRS_AT_ONCE = 16_384
MAX_LATENTS = 64


@dataclass(frozen=True)
class Change:
    """What is done to one latent: `set` its activation to `amount`, `scale` it by `amount`, or `ablate` it."""

    latent: int
    mode: Mode
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {self.mode!r}")
        if not np.isfinite(self.amount) or self.amount < 0:
            raise ValueError(f"amount must be finite and not negative, not {self.amount!r}")

    def apply(self, activations: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The activations after the change."""
        if self.mode == "set":
            return np.full_like(activations, self.amount)
        return activations * np.float32(self.amount if self.mode == "scale" else 0.0)


@dataclass(frozen=True)
class Steering:
    """Everything that pair similarities need about some latents, made once for any number of slider moves.

    latents: m of them. activations: f32[n, m]. projections: f32[n, m], each clip's base vector on each direction D_j.
    gram: f64[m, m], D_i · D_j. squared_norms: f64[n] of the base vectors. directions: f32[m, d].
    """

    latents: tuple[int, ...]
    activations: Float32[np.ndarray, "n m"]
    projections: Float32[np.ndarray, "n m"]
    gram: Float64[np.ndarray, "m m"]
    squared_norms: Float64[np.ndarray, " n"]
    directions: Float32[np.ndarray, "m d"]

    @classmethod
    def prepare(
        cls,
        vectors: Float32[np.ndarray, "n d"],
        directions: Float32[np.ndarray, "L d"],
        codes: SparseCodes,
        latents: tuple[int, ...],
    ) -> "Steering":
        """Prepare to steer some latents of `vectors`: the embeddings, or their reconstructions to drop the error.

        `directions` are decoder directions in embedding space at their true length, D_j = scale · W_dec[j].
        `codes` are those of the same clips.
        """
        if len(set(latents)) != len(latents) or len(latents) > MAX_LATENTS:
            raise ValueError(f"steer each latent once, and at most {MAX_LATENTS} of them")
        chosen = np.asarray(directions[list(latents)], dtype=np.float32).reshape(
            len(latents), vectors.shape[1]
        )
        activations = codes.activations_of(latents)
        wide = chosen.astype(np.float64)
        squared = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
        return cls(latents, activations, vectors @ chosen.T, wide @ wide.T, squared, chosen)

    def only(self, latent: int) -> "Steering":
        """The same for one of the prepared latents alone."""
        column = [self.latents.index(latent)]
        return Steering(
            (latent,),
            self.activations[:, column],
            self.projections[:, column],
            self.gram[np.ix_(column, column)],
            self.squared_norms,
            self.directions[column],
        )

    def deltas(
        self, changes: list[Change], is_steered: Bool[np.ndarray, " n"] | None = None
    ) -> Float32[np.ndarray, "n m"]:
        """δ: how much each latent of each clip is changed; 0 for latents without a change and clips not steered."""
        delta = np.zeros_like(self.activations)
        for change in changes:
            if change.latent not in self.latents:
                raise ValueError(f"latent {change.latent} was not prepared")
            column = self.latents.index(change.latent)
            delta[:, column] = change.apply(self.activations[:, column]) - self.activations[:, column]
        if is_steered is not None:
            delta[~is_steered] = 0
        return delta

    def similarities(
        self, scores: Float32[np.ndarray, " p"], trials: Trials, delta: Float32[np.ndarray, "n m"]
    ) -> Float32[np.ndarray, " p"]:
        """Cosines of the steered pairs from the `scores` (cosines) before.

        e'_a · e'_b = e_a · e_b + δ_a · (P_b + ½ G δ_b) + (P_a + ½ G δ_a) · δ_b with P = projections and G = gram;
        likewise the norms. So a clip is 2m numbers and its norm, and a pair is two look-ups and a short sum.
        """
        wide = delta.astype(np.float64)
        moved = wide @ self.gram
        gained = 2 * np.einsum("nm,nm->n", wide, self.projections) + np.einsum("nm,nm->n", wide, moved)
        by_norm = 1 / np.sqrt(np.maximum(self.squared_norms + gained, 1e-24))
        shrink = (np.sqrt(self.squared_norms) * by_norm).astype(np.float32)
        half = self.projections + moved / 2
        left = (np.hstack([delta, half]) * by_norm[:, None]).astype(np.float32)  # [n, 2m]
        right = (np.hstack([half, delta]) * by_norm[:, None]).astype(np.float32)
        return _pair_sums(scores, trials, shrink, (left, right))

    def steer(
        self, vectors: Float32[np.ndarray, "m d"], delta: Float32[np.ndarray, "m k"]
    ) -> Float32[np.ndarray, "m d"]:
        """The steered vectors themselves, of norm 1."""
        moved = vectors + delta @ self.directions
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        return moved / np.where(norms > 0, norms, 1)


def _pair_sums(
    scores: np.ndarray, trials: Trials, shrink: np.ndarray, sides: tuple[np.ndarray, np.ndarray]
) -> Float32[np.ndarray, " p"]:
    """scores · shrink_a · shrink_b + left_a · right_b of every pair, in pieces that reuse their memory."""
    left, right = sides
    sums = np.empty(len(trials), dtype=np.float32)
    size = min(PAIRS_AT_ONCE, len(trials))
    ones = np.ones(left.shape[1], np.float32)
    rows_a, rows_b = np.empty((size, left.shape[1]), np.float32), np.empty((size, left.shape[1]), np.float32)
    factor, other_factor = np.empty(size, np.float32), np.empty(size, np.float32)
    for start in range(0, len(trials), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        one, other = trials.enrol_rows[part], trials.test_rows[part]
        n = len(one)
        # "clip" (row numbers are in range) lets numpy write straight into `out`
        np.take(left, one, axis=0, out=rows_a[:n], mode="clip")
        np.take(right, other, axis=0, out=rows_b[:n], mode="clip")
        # the sum of each row as a product with ones: half the time of einsum, which begins anew for every short row
        np.multiply(rows_a[:n], rows_b[:n], out=rows_a[:n])
        np.matmul(rows_a[:n], ones, out=sums[part])
        np.take(shrink, one, out=factor[:n], mode="clip")
        np.take(shrink, other, out=other_factor[:n], mode="clip")
        factor[:n] *= other_factor[:n]
        factor[:n] *= scores[part]
        sums[part] += factor[:n]
    return sums


def measure_shifts(
    scores: tuple[Float32[np.ndarray, " p"], Float32[np.ndarray, " p"]],
    groups: dict[str, Bool[np.ndarray, " p"]],
    draws: PairDraws,
) -> pd.DataFrame:
    """How similarities before and after differ, one row a group of trials.

    Columns: group, n_pairs, mean_before, mean_after, shift (after − before) with shift_low and shift_high (95 %,
    speakers resampled), ks (Kolmogorov–Smirnov distance between the two distributions, 0 to 1).
    """
    before, after = scores
    masks = np.stack([*groups.values()], axis=1).astype(np.float64)
    sums = draws.sums(np.hstack([masks, masks * (after - before)[:, None]]))
    n_groups = masks.shape[1]
    lines = []
    for column, (name, mask) in enumerate(groups.items()):
        weights = sums[:, column]
        usable = weights > 0
        drawn = sums[usable, n_groups + column] / weights[usable]
        low, high = bounds(drawn[:, None])[0] if usable.any() else (-2.0, 2.0)
        means = [float(part[mask].mean(dtype=np.float64)) for part in scores]
        ks = kolmogorov_smirnov(before[mask], after[mask])
        lines.append((name, int(mask.sum()), *means, means[1] - means[0], float(low), float(high), ks))
    names = ["group", "n_pairs", "mean_before", "mean_after", "shift", "shift_low", "shift_high", "ks"]
    return pd.DataFrame(lines, columns=names)
