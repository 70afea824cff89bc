"""Steering: change some latents of some clips and see at once how pair similarities move.

Steered embeddings differ from the given ones only along a few decoder directions, e' = e + Σ_j δ_j D_j, so cosines of
any pairs follow in closed form from a few numbers a clip; nothing is decoded again (after arXiv 2502.00127, with the
reconstruction error kept, so that no change is exactly the original).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int

from sae_core.measures.intervals import PairDraws, bounds
from sae_core.measures.verification import N_DRAWS, Trials
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


def kolmogorov_smirnov(one: Float32[np.ndarray, " p"], other: Float32[np.ndarray, " q"]) -> float:
    """The largest gap between the two cumulative distributions: 0 when they are equal, 1 when they do not overlap."""
    places = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(part), places, side="right") / len(part) for part in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


@dataclass(frozen=True)
class Decisions:
    """Trials whose decision changes at a threshold that stays where it was.

    lost, let_in: targets accepted before and no longer, non-targets rejected before and now accepted, as shares of all
    targets and of all non-targets. regained, shut_out: the opposite. Each is (share, low, high), 95 %, speakers
    resampled. miss, alarm: error rates before and after.
    """

    threshold: float
    lost: tuple[float, float, float]
    regained: tuple[float, float, float]
    let_in: tuple[float, float, float]
    shut_out: tuple[float, float, float]
    miss: tuple[float, float]
    alarm: tuple[float, float]


def compare_decisions(
    scores: tuple[Float32[np.ndarray, " p"], Float32[np.ndarray, " p"]],
    is_target: Bool[np.ndarray, " p"],
    *,
    threshold: float,
    draws: PairDraws,
) -> Decisions:
    """Return which decisions change between scores before and after, accepting at or above `threshold`."""
    was, is_in = (part >= np.float32(threshold) for part in scores)
    changed = {
        "lost": (was & ~is_in, is_target),
        "regained": (~was & is_in, is_target),
        "let_in": (~was & is_in, ~is_target),
        "shut_out": (was & ~is_in, ~is_target),
    }
    columns = [is_target, ~is_target, *(mask & side for mask, side in changed.values())]
    sums = draws.sums(np.stack(columns, axis=1).astype(np.float64))
    shares = {}
    for place, (name, (mask, side)) in enumerate(changed.items()):
        weights = sums[:, 0 if name in ("lost", "regained") else 1]
        usable = weights > 0
        drawn = sums[usable, 2 + place] / weights[usable]
        low, high = bounds(drawn[:, None])[0] if usable.any() else (0.0, 1.0)
        shares[name] = (float(mask[side].mean()), float(low), float(high))
    miss = float((~was)[is_target].mean()), float((~is_in)[is_target].mean())
    alarm = float(was[~is_target].mean()), float(is_in[~is_target].mean())
    return Decisions(threshold=threshold, **shares, miss=miss, alarm=alarm)


def draw_pairs(trials: Trials, speaker_groups: Int[np.ndarray, " n"], *, seed: int = 0) -> PairDraws:
    """Bootstrap draws of the speakers of some trials; the same ones that `verify` takes for its interval."""
    one, other = speaker_groups[trials.enrol_rows], speaker_groups[trials.test_rows]
    return PairDraws.over(one, other, seed=seed, n_draws=N_DRAWS)
