"""Erasing an attribute value from embeddings, and probes that say how much of it is left.

    LEACE          e' = e − W⁺ P W (e − μ),  W = Σ^−½,  P the projection onto the columns of W Σ_ez
    mean difference, probe direction: e' = e − u uᵀ (e − μ), u the direction of norm 1

LEACE is the least change, in squared distance, after which no linear probe on the same clips does better than a
constant (Belrose et al. 2023, arXiv 2306.03819). Everything is measured on embeddings scaled to norm 1, as they are
compared; that step is not linear, so that LEACE need not be exactly at chance either.

The linear probe is ridge regression on ±1 with both sides weighing the same: the closed form of a linear discriminant
(Fisher 1936), so that it can be refitted at every step of a curve. The non-linear one has a hidden layer of 64 ReLUs.
"""

import copy
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from sae_core.measures.intervals import SpeakerCounts, auroc_bounds, bounds, draw_speakers

RIDGE = 1e-3
"""Of the mean variance of a coordinate: what the linear probe adds to each of them."""
N_HIDDEN, N_ROUNDS = 64, 60
MAX_FITTED = 8_000
"""Clips of each side that the non-linear probe is fitted on."""
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Eraser:
    """e' = e − (e − centre) · reads · writes, of low rank.

    centre: f64[d]. reads: f64[d, r], what is read from an embedding. writes: f64[r, d], what is taken away for it.
    """

    centre: Float64[np.ndarray, " d"]
    reads: Float64[np.ndarray, "d r"]
    writes: Float64[np.ndarray, "r d"]

    def apply(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The embeddings after erasure, not scaled."""
        amounts = (vectors - self.centre.astype(np.float32)) @ self.reads.astype(np.float32)
        return np.asarray(vectors - amounts @ self.writes.astype(np.float32), dtype=np.float32)


def fit_leace(vectors: Float[np.ndarray, "n d"], values: Float[np.ndarray, "n c"]) -> Eraser:
    """LEACE's eraser of c columns of values (one of 0 and 1 for a value against all others) from embeddings."""
    wide, labels = np.asarray(vectors, np.float64), np.asarray(values, np.float64)
    centre = wide.mean(axis=0)
    centred = wide - centre
    covariance = centred.T @ centred / len(wide)
    cross = centred.T @ (labels - labels.mean(axis=0)) / len(wide)
    variances, axes = np.linalg.eigh(covariance)
    is_real = variances > _TOLERANCE * variances.max()
    roots = np.sqrt(np.where(is_real, variances, 1))
    whiten = (axes * np.where(is_real, 1 / roots, 0)) @ axes.T
    colour = (axes * np.where(is_real, roots, 0)) @ axes.T
    left, strengths, _ = np.linalg.svd(whiten @ cross, full_matrices=False)
    basis = left[:, strengths > _TOLERANCE * max(strengths.max(), 1e-300)]
    return Eraser(centre, whiten @ basis, basis.T @ colour)


def projection(centre: Float[np.ndarray, " d"], direction: Float[np.ndarray, " d"]) -> Eraser:
    """The eraser that takes one direction away, of any length but 0."""
    unit = (direction / np.linalg.norm(direction)).astype(np.float64)
    return Eraser(np.asarray(centre, np.float64), unit[:, None], unit[None])


def mean_difference(vectors: Float[np.ndarray, "n d"], is_positive: Bool[np.ndarray, " n"]) -> Eraser:
    """The projection that makes the means of clips with and without the value equal."""
    means = [vectors[mask].mean(axis=0, dtype=np.float64) for mask in (is_positive, ~is_positive)]
    return projection(vectors.mean(axis=0, dtype=np.float64), means[0] - means[1])


@dataclass(frozen=True)
class LinearProbe:
    """score = weight · e + bias; a clip with a positive score is told to have the value."""

    weight: Float64[np.ndarray, " d"]
    bias: float

    def scores(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, " n"]:
        """The score of each embedding."""
        return np.asarray(vectors @ self.weight.astype(np.float32) + np.float32(self.bias), dtype=np.float32)


class ProbeMoments:
    """Sums over the clips that a linear probe is fitted on, which follow the embeddings as some of them change.

    Both sides weigh ½. Changing m of n clips costs m d², not n d².
    """

    def __init__(self, vectors: Float[np.ndarray, "n d"], is_positive: Bool[np.ndarray, " n"]) -> None:
        if is_positive.all() or not is_positive.any():
            raise ValueError("a probe is fitted on clips with the value and clips without it")
        self._is_positive = is_positive
        sizes = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
        self._root = np.sqrt(0.5 / sizes).astype(np.float32)
        self._gram = np.zeros((vectors.shape[1], vectors.shape[1]))
        self._sums = np.zeros((2, vectors.shape[1]))
        for start in range(0, len(vectors), 16_384):
            part = np.arange(start, min(start + 16_384, len(vectors)))
            self._add(part, vectors[part], 1.0)

    def copy(self) -> "ProbeMoments":
        """The same sums, to be moved on their own."""
        found = copy.copy(self)
        found._gram, found._sums = self._gram.copy(), self._sums.copy()
        return found

    def move(
        self, places: Int[np.ndarray, " m"], before: Float[np.ndarray, "m d"], after: Float[np.ndarray, "m d"]
    ) -> None:
        """Put `after` in place of what stood at some places of the fitted clips."""
        self._add(places, before, -1.0)
        self._add(places, after, 1.0)

    def _add(self, places: np.ndarray, rows: np.ndarray, sign: float) -> None:
        weighted = rows * self._root[places, None]
        self._gram += sign * (weighted.T @ weighted)
        squared = self._root[places].astype(np.float64) ** 2
        for side in (0, 1):
            mask = self._is_positive[places] == bool(side)
            self._sums[side] += sign * (squared[mask] @ rows[mask])

    @property
    def means(self) -> Float64[np.ndarray, "2 d"]:
        """The mean embedding without and with the value."""
        return 2 * self._sums

    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """Of all clips, both sides weighing ½, with the ridge on its diagonal."""
        mean = self._sums.sum(axis=0)
        found = self._gram - np.outer(mean, mean)
        found[np.diag_indices_from(found)] += RIDGE * max(np.trace(found), 1e-12) / len(found)
        return found

    def probe(self) -> LinearProbe:
        """The probe fitted on the embeddings as they are now."""
        without, has = self.means
        weight = np.linalg.solve(self.covariance(), (has - without) / 2)
        return LinearProbe(weight, float(-weight @ (has + without) / 2))


def fit_linear_probe(vectors: Float[np.ndarray, "n d"], is_positive: Bool[np.ndarray, " n"]) -> LinearProbe:
    """The linear probe of some clips."""
    return ProbeMoments(vectors, is_positive).probe()


def nonlinear_scores(
    fitted: Float[np.ndarray, "n d"], is_positive: Bool[np.ndarray, " n"], reported: Float[np.ndarray, "m d"]
) -> Float32[np.ndarray, " m"]:
    """What a small network, fitted on some clips, scores others; above 0 where it tells the value.

    One hidden layer of `N_HIDDEN` ReLUs on standardised numbers, Adam, `N_ROUNDS` passes; as many clips with the value
    as without it, the rarer side repeated, at most `MAX_FITTED` of each. The same clips give the same scores.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    sides = [rng.permutation(np.flatnonzero(mask))[:MAX_FITTED] for mask in (is_positive, ~is_positive)]
    size = max(map(len, sides))
    rows = np.concatenate([np.resize(side, size) for side in sides])
    mean, spread = fitted[rows].mean(axis=0), np.maximum(fitted[rows].std(axis=0), 1e-9)
    batch = int(np.clip(len(rows) // 50, 32, 256))
    model = MLPClassifier((N_HIDDEN,), alpha=1e-2, batch_size=batch, max_iter=N_ROUNDS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((fitted[rows] - mean) / spread, is_positive[rows])
    chance = model.predict_proba((reported - mean) / spread)[:, 1]
    return np.asarray(np.log(np.maximum(chance, 1e-12) / np.maximum(1 - chance, 1e-12)), dtype=np.float32)


@dataclass(frozen=True)
class ProbeResult:
    """How well a probe tells a value on unseen speakers.

    balanced_accuracy: mean of the fractions of clips with the value told so and of clips without it told so; ½ is
    chance. It and auroc each with 95 % bounds, speakers resampled; None from fewer than two. majority_rate: accuracy of
    always guessing the commoner side. draws: f64[B] of the balanced accuracy, NaN where a draw lacks a side.
    """

    balanced_accuracy: float
    balanced_accuracy_bounds: tuple[float, float] | None
    auroc: float
    auroc_bounds: tuple[float, float] | None
    majority_rate: float
    n_clips: int
    n_speakers: int
    draws: Float64[np.ndarray, " B"]

    @property
    def is_at_chance(self) -> bool:
        """Whether the interval of the balanced accuracy reaches down to ½."""
        low = (
            self.balanced_accuracy
            if self.balanced_accuracy_bounds is None
            else self.balanced_accuracy_bounds[0]
        )
        return low <= 0.5

    def change_from(self, before: "ProbeResult") -> tuple[float, float, float]:
        """This balanced accuracy less that of `before` on the same clips, with its 95 % bounds."""
        gap = self.draws - before.draws
        gap = gap[np.isfinite(gap)]
        low, high = bounds(gap[:, None])[0] if len(gap) else (-1.0, 1.0)
        return self.balanced_accuracy - before.balanced_accuracy, float(low), float(high)


def judge_probe(
    scores: Float32[np.ndarray, " m"],
    is_positive: Bool[np.ndarray, " m"],
    speaker_groups: Int[np.ndarray, " m"],
    *,
    has_auroc_bounds: bool = True,
) -> ProbeResult:
    """Judge the scores of a probe on the clips it is reported on; a positive score tells the value.

    Raises ValueError where all of them have the value, or none.
    """
    if is_positive.all() or not is_positive.any():
        raise ValueError("a probe is judged on clips with the value and clips without it")
    told = scores > 0
    everyone = SpeakerCounts.over(speaker_groups, np.ones(len(told), dtype=bool))
    tables = [is_positive & told, is_positive, ~is_positive & ~told, ~is_positive]
    counts = everyone.count([np.flatnonzero(mask) for mask in tables]).T.toarray()
    drawn = draw_speakers(everyone.n_speakers, seed=0) @ counts
    sides = np.where(drawn[:, [1, 3]] > 0, drawn[:, [1, 3]], np.nan)
    draws = (drawn[:, [0, 2]] / sides).mean(axis=1)
    usable = draws[np.isfinite(draws)]
    has_bounds = everyone.n_speakers > 1 and len(usable) > 0
    low, high = bounds(usable[:, None])[0] if has_bounds else (0.0, 1.0)
    total = counts.sum(axis=0)
    prior = float(is_positive.mean())
    return ProbeResult(
        balanced_accuracy=float((total[0] / total[1] + total[2] / total[3]) / 2),
        balanced_accuracy_bounds=(float(low), float(high)) if has_bounds else None,
        auroc=area_under_curve(scores, is_positive),
        auroc_bounds=auroc_bounds(scores, is_positive, speaker_groups) if has_auroc_bounds else None,
        majority_rate=max(prior, 1 - prior),
        n_clips=len(scores),
        n_speakers=len(np.unique(speaker_groups)),
        draws=draws,
    )


def area_under_curve(scores: Float[np.ndarray, " m"], is_positive: Bool[np.ndarray, " m"]) -> float:
    """The chance that a clip with the value scores above one without it, ties counting ½ (Mann and Whitney 1947)."""
    others = np.sort(scores[~is_positive])
    hits = scores[is_positive]
    below = np.searchsorted(others, hits, side="left").astype(np.float64)
    upto = np.searchsorted(others, hits, side="right")
    return float(((below + upto) / 2).mean() / len(others))


def scaled_to_one(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Embeddings of norm 1; rows of zeros stay as they are."""
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.asarray(vectors / np.where(norms > 0, norms, 1)[:, None], dtype=np.float32)
