"""Is one latent enough for a value, or is the value spread over several? Groups of latents with sparse weights.

    g = max(0, Σ_i w_i v_i)     a clip has the value where g > θ

over at most 1, 2, 4, 8 or 16 latents i: a group has an activation and a threshold as a latent has, and so can be used
as one. Latents and weights are chosen on the selection clips by forward selection: the predominant latent first, then
the one along which the logistic loss falls most steeply, all weights fitted again (ridge, both sides weighted alike). θ
has the highest F1 there, and a larger group stands only where its F1 there is higher. Numbers are of the reported
clips. Sparse probing is after Gurnee et al. 2023 (arXiv 2305.01610), the count of splits after SAEBench (Karvonen et
al. 2025, arXiv 2503.09532).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Float64, Int
from scipy.sparse import csr_matrix

from sae_core.measures.attributes import AttributeTarget
from sae_core.measures.linear_probe import best_threshold, measure_predictions
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex

GROUP_SIZES = (1, 2, 4, 8, 16)
MAX_CLIPS = 40_000
"""Of more selection clips, so many evenly spread ones are fitted on."""
RIDGE = 1.0
N_NEWTON = 12
MIN_JUMP = 0.03
"""A latent added counts as another part of a split value when F1 on the reported clips rises by so much (SAEBench)."""
_PIECE = 65_536


@dataclass(frozen=True)
class LatentGroup:
    """Some latents of an SAE that together detect a value: g = max(0, Σ w_i v_i), above the threshold or not.

    latents: i64[m], the most telling first. weights: f64[m], of activations. threshold: of g, from 0.
    """

    latents: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"]
    threshold: float

    def activations(self, codes: SparseCodes) -> Float32[np.ndarray, " n"]:
        """The group's activation on every clip."""
        weight_of = np.zeros(codes.n_latents, np.float32)
        weight_of[self.latents] = self.weights
        found = np.empty(len(codes), np.float32)
        for start in range(0, len(codes), _PIECE):
            part = slice(start, start + _PIECE)
            found[part] = (weight_of[codes.latents[part]] * codes.activations[part]).sum(axis=1)
        return np.maximum(found, 0)

    def index(self, codes: SparseCodes) -> FeatureIndex:
        """The group as the one latent of a feature index: its clips, strongest first."""
        values = self.activations(codes)
        rows = np.argsort(-values, kind="stable")[: int((values > 0).sum())]
        return FeatureIndex(np.array([0, len(rows)]), rows.astype(np.int32), values[rows])


@dataclass(frozen=True)
class ValueGroups:
    """The groups of one value.

    groups: size → the best group of at most so many latents, of `GROUP_SIZES` as far as there are latents. measures:
    size → selection_f1, and of the reported clips precision, recall, f1 with `_low` and `_high`, auroc. n_splits: how
    many latents the value is split over: those that can be added one after another while each raises F1 by
    `MIN_JUMP`, the first one counted.
    """

    groups: dict[int, LatentGroup]
    measures: dict[int, dict[str, float | None]]
    n_splits: int


def find_groups(
    codes: SparseCodes,
    target: AttributeTarget,
    speaker_groups: Int[np.ndarray, " n"],
    first: int,
    *,
    sizes: Sequence[int] = GROUP_SIZES,
) -> ValueGroups:
    """Return the groups of one value and what they are worth; `first` is its predominant latent."""
    chosen, reported = np.flatnonzero(target.is_selection), np.flatnonzero(target.is_reported)
    fitted = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(MAX_CLIPS, len(chosen))).astype(np.int64))]
    path = _select(_table(codes, fitted), target.is_positive[fitted], first, max(sizes))
    latents = np.array([latent for latent, _ in path])
    columns = [codes.take(rows).activations_of(latents.tolist()) for rows in (chosen, reported)]
    truth, told = [target.is_positive[rows] for rows in (chosen, reported)], []
    groups, measures, best_f1 = {}, {}, -1.0
    for size, (_, weights) in enumerate(path, start=1):
        scores = [np.maximum(column[:, :size] @ weights, 0) for column in columns]
        threshold = max(best_threshold(scores[0], truth[0]), 0.0)
        selection_f1 = _f1(scores[0] > threshold, truth[0])
        if selection_f1 > best_f1:
            # a latent more must pay on the selection clips; weights below zero alone leave g = 0 everywhere
            best_f1, best = selection_f1, (scores[1], LatentGroup(latents[:size], weights, threshold))
        reported_scores, group = best
        told.append(reported_scores > group.threshold)
        if size in sizes:
            groups[size] = group
            measures[size] = {
                "selection_f1": best_f1,
                **measure_predictions(told[-1], truth[1], speaker_groups[reported]),
                "auroc": _auroc(reported_scores, truth[1]),
            }
    return ValueGroups(groups, measures, _count_splits([_f1(each, truth[1]) for each in told]))


def latents_needed(f1: pd.Series, *, within: float = 0.02) -> int:
    """The smallest group, by F1 of each size, that comes within so much of the best one."""
    return int(f1.index[f1 >= f1.max() - within].min())


def _table(codes: SparseCodes, rows: np.ndarray) -> csr_matrix:
    some = codes.take(rows)
    ends = np.arange(0, some.latents.size + 1, max(codes.k, 1))
    return csr_matrix(
        (some.activations.ravel(), some.latents.ravel(), ends), shape=(len(rows), codes.n_latents)
    )


def _select(
    table: csr_matrix, truth: Bool[np.ndarray, " m"], first: int, n_most: int
) -> list[tuple[int, Float64[np.ndarray, " s"]]]:
    """Each latent in the order it was chosen, and the weights of all down to it."""
    n_clips, n_latents = table.shape
    rms = np.sqrt(np.asarray(table.multiply(table).sum(axis=0)).ravel() / max(n_clips, 1))
    scale = np.divide(1, rms, out=np.zeros(n_latents), where=rms > 0)
    by_latent, chosen, path = table.tocsc(), [first], []
    sides = np.where(truth, 0.5 / max(int(truth.sum()), 1), 0.5 / max(int((~truth).sum()), 1)) * n_clips
    inputs, weights = np.ones((n_clips, 1)), np.zeros(1)
    for _ in range(min(n_most, n_latents)):
        column = by_latent[:, [chosen[-1]]].toarray() * scale[chosen[-1]]
        inputs, weights = np.hstack([inputs, column]), np.append(weights, 0)
        weights = _fit_logistic(inputs, truth, sides, weights)
        path.append((chosen[-1], weights[1:] * scale[chosen]))
        slope = np.abs(table.T @ (sides * (truth - _logistic(inputs @ weights)))) * scale
        slope[chosen] = -1
        chosen.append(int(np.argmax(slope)))
        if slope[chosen[-1]] <= 0:
            break
    return path


def _fit_logistic(
    inputs: Float64[np.ndarray, "m s"], truth: np.ndarray, sides: np.ndarray, weights: np.ndarray
) -> Float64[np.ndarray, " s"]:
    """Weights of the ridge logistic regression, the first (bias) without ridge: Newton's steps, halved while the loss
    does not fall."""
    ridge = np.full(len(weights), RIDGE)
    ridge[0] = 1e-6

    def loss(candidate: np.ndarray) -> float:
        margin = inputs @ candidate
        return float(sides @ (np.logaddexp(0, margin) - truth * margin) + ridge @ candidate**2 / 2)

    at = loss(weights)
    for _ in range(N_NEWTON):
        guess = _logistic(inputs @ weights)
        slope = inputs.T @ (sides * (guess - truth)) + ridge * weights
        curve = (inputs * (sides * guess * (1 - guess))[:, None]).T @ inputs + np.diag(ridge)
        step, before = np.linalg.solve(curve, slope), at
        for _ in range(5):
            if (at := loss(weights - step)) <= before:
                weights = weights - step
                break
            step, at = step / 2, before
        if before - at < 1e-6 * abs(before):
            break
    return weights


def _logistic(margin: np.ndarray) -> Float64[np.ndarray, " m"]:
    return 1 / (1 + np.exp(-np.clip(margin, -30, 30)))


def _f1(told: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (told & truth).sum() / max(int(told.sum() + truth.sum()), 1))


def _auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores)) if len(np.unique(truth)) == 2 else 0.5


def _count_splits(f1: list[float]) -> int:
    jumps = np.diff(f1) >= MIN_JUMP
    return 1 + (len(jumps) if jumps.all() else int(np.argmin(jumps)))
