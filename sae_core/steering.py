"""Steering: change some latents of some clips and see at once how pair similarities move.

Steered embeddings differ from the given ones only along a few decoder directions, e' = e + Σ_j δ_j D_j, so cosines of
any pairs follow in closed form from a few numbers a clip; nothing is decoded again (after arXiv 2502.00127, with the
reconstruction error kept, so that no change is exactly the original).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Float64

from sae_core.feature_index import FeatureIndex
from sae_core.verification import Trials

Mode = Literal["set", "scale", "ablate"]
PAIRS_AT_ONCE = 65_536
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
        index: FeatureIndex,
        latents: tuple[int, ...],
    ) -> "Steering":
        """Prepare to steer some latents of `vectors`: the embeddings, or their reconstructions to drop the error.

        `directions` are decoder directions in embedding space at their true length, D_j = scale · W_dec[j].
        """
        if len(set(latents)) != len(latents) or len(latents) > MAX_LATENTS:
            raise ValueError(f"steer each latent once, and at most {MAX_LATENTS} of them")
        chosen = np.asarray(directions[list(latents)], dtype=np.float32).reshape(
            len(latents), vectors.shape[1]
        )
        activations = np.zeros((len(vectors), len(latents)), dtype=np.float32)
        for column, latent in enumerate(latents):
            rows, values = index.postings(latent)
            activations[rows, column] = values
        wide = chosen.astype(np.float64)
        squared = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
        return cls(latents, activations, vectors @ chosen.T, wide @ wide.T, squared, chosen)

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

        e'_a · e'_b = e_a · e_b + δ_a · (P_b + G δ_b) + P_a · δ_b with P = projections and G = gram; likewise the norms.
        """
        wide = delta.astype(np.float64)
        moved = wide @ self.gram
        new_norms = np.sqrt(
            np.maximum(
                self.squared_norms
                + 2 * np.einsum("nm,nm->n", wide, self.projections)
                + np.einsum("nm,nm->n", wide, moved),
                1e-24,
            )
        )
        shrink = (np.sqrt(self.squared_norms) / new_norms).astype(np.float32)
        by_norm = (1 / new_norms).astype(np.float32)[:, None]
        left = np.hstack([delta, self.projections]) * by_norm  # [n, 2m]
        right = np.hstack([self.projections + moved.astype(np.float32), delta]) * by_norm
        steered = np.empty(len(trials), dtype=np.float32)
        for start in range(0, len(trials), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            one, other = trials.enrol_rows[part], trials.test_rows[part]
            steered[part] = scores[part] * (shrink[one] * shrink[other])
            steered[part] += np.einsum("pm,pm->p", left[one], right[other])
        return steered

    def steer(
        self, vectors: Float32[np.ndarray, "m d"], delta: Float32[np.ndarray, "m k"]
    ) -> Float32[np.ndarray, "m d"]:
        """The steered vectors themselves, of norm 1."""
        moved = vectors + delta @ self.directions
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        return moved / np.where(norms > 0, norms, 1)
