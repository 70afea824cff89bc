"""Scores as log-likelihood ratios: logistic calibration, Cllr and its least possible value, costs at a fixed threshold.

    llr(s) = a s + b                                              a, b by prior-weighted logistic regression
    Cllr   = ½ (mean over targets of log₂(1 + e^−llr) + mean over non-targets of log₂(1 + e^llr))
    minCllr: Cllr after the best monotone mapping of the scores (pool adjacent violators, PAV)
    DCF(t) = π FRR(t) + (1 − π) FAR(t), divided by min(π, 1 − π)

After Brümmer and du Preez 2006, "Application-independent evaluation of speaker detection" (Computer Speech and
Language 20). Natural logarithms; an LLR of 0 supports neither side.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64
from scipy.special import expit

from sae_core.measures.intervals import PairDraws, bounds

MOST_LLR = 50.0
"""Stands for an infinite LLR, where one side has no scores at all."""
_N_STEPS, _RIDGE = 60, 1e-9
N_RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """llr = slope · score + offset."""

    slope: float
    offset: float

    def llrs(self, scores: Float[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
        """The log-likelihood ratio of each score."""
        return self.slope * np.asarray(scores, dtype=np.float64) + self.offset

    def threshold(self, prior: float) -> float:
        """The score from which Bayes decisions accept, at this prior of targets and equal costs."""
        if self.slope <= 0:
            raise ValueError("scores that fall as speakers agree have no threshold")
        return (-float(np.log(prior / (1 - prior))) - self.offset) / self.slope


def fit_calibration(
    scores: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, prior: float = 0.5
) -> Calibration:
    """The calibration of some scored trials: logistic regression in which targets weigh `prior` together, non-targets
    the rest, so that it does not depend on how many of either there are.

    Scores that separate both sides without any error have no finite optimum; the slope then stops growing where the
    loss falls by less than 10⁻⁹. Raises ValueError without targets or without non-targets.
    """
    _check_sides(is_target)
    if not 0 < prior < 1:
        raise ValueError(f"a prior lies between 0 and 1, not {prior}")
    wide = np.asarray(scores, dtype=np.float64)
    centre, scale = wide.mean(), max(wide.std(), 1e-12)
    design = np.stack([(wide - centre) / scale, np.ones(len(wide))], axis=1)
    weights = np.where(is_target, prior / is_target.sum(), (1 - prior) / (~is_target).sum())
    shift = np.log(prior / (1 - prior))
    found = _newton(design, is_target.astype(np.float64), weights, shift)
    return Calibration(float(found[0] / scale), float(found[1] - found[0] * centre / scale))


def _newton(design: np.ndarray, truth: np.ndarray, weights: np.ndarray, shift: float) -> np.ndarray:
    """Slope and offset that minimise the weighted logistic loss, by Newton steps that are halved until it falls."""

    def loss(found: np.ndarray) -> float:
        logits = design @ found + shift
        return float(weights @ (np.logaddexp(0, logits) - truth * logits) + _RIDGE * found @ found)

    found, now = np.zeros(2), loss(np.zeros(2))
    for _ in range(_N_STEPS):
        chance = expit(design @ found + shift)
        gradient = design.T @ (weights * (chance - truth)) + 2 * _RIDGE * found
        curvature = (design * (weights * chance * (1 - chance))[:, None]).T @ design + 2 * _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (after := loss(found - step)) > now and np.abs(step).max() > 1e-12:
            step /= 2
        found, gained, now = found - step, now - after, after
        if gained < 1e-12:
            break
    return found


def cllr(llrs: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"]) -> float:
    """The cost of log-likelihood ratios in bits: 0 for perfect ones, 1 for those that say nothing."""
    _check_sides(is_target)
    costs = _bits(llrs, is_target)
    return float((costs[is_target].mean() + costs[~is_target].mean()) / 2)


def cllr_draws(
    llrs: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], draws: PairDraws
) -> Float64[np.ndarray, " B"]:
    """Cllr in each bootstrap draw of speakers; NaN in draws without a side."""
    costs = _bits(llrs, is_target)
    sides = [is_target, ~is_target]
    sums = draws.sums(np.stack([*sides, *(costs * side for side in sides)], axis=1).astype(np.float64))
    weights = np.where(sums[:, :2] > 0, sums[:, :2], np.nan)
    return np.asarray((sums[:, 2:] / weights).mean(axis=1))


def _bits(llrs: np.ndarray, is_target: np.ndarray) -> np.ndarray:
    wide = np.asarray(llrs, dtype=np.float64)
    return np.logaddexp(0, np.where(is_target, -wide, wide)) / np.log(2)


def pav_llrs(scores: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """The LLR of each score by the best monotone mapping, fitted on these very trials; equal scores get equal ones.

    Between ±`MOST_LLR`: the lowest non-targets and the highest targets would get infinite ones.
    """
    _check_sides(is_target)
    _, level = np.unique(scores, return_inverse=True)
    n_targets = np.bincount(level, weights=is_target)
    n_all = np.bincount(level).astype(np.float64)
    fraction = _pool(n_targets, n_all)
    prior = is_target.mean()
    with np.errstate(divide="ignore"):
        llrs = np.log(fraction) - np.log(1 - fraction) - np.log(prior / (1 - prior))
    return np.asarray(np.clip(llrs, -MOST_LLR, MOST_LLR)[level], dtype=np.float64)


def _pool(n_targets: np.ndarray, n_all: np.ndarray) -> np.ndarray:
    """Isotonic regression of the fraction of targets over rising levels, each weighted by its trials."""
    sums: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    for own_sum, own_weight in zip(n_targets.tolist(), n_all.tolist(), strict=True):
        hit, n, size = own_sum, own_weight, 1
        while sums and sums[-1] * n >= hit * weights[-1]:
            hit, n, size = hit + sums.pop(), n + weights.pop(), size + sizes.pop()
        sums.append(hit)
        weights.append(n)
        sizes.append(size)
    return np.repeat(np.array(sums) / np.array(weights), sizes)


def min_cllr(scores: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"]) -> float:
    """Cllr after the best monotone mapping of these scores: what is lost to discrimination alone."""
    return cllr(pav_llrs(scores, is_target), is_target)


def detection_cost(
    scores: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, threshold: float, prior: float
) -> float:
    """The actual detection cost at a threshold that was fixed elsewhere, normalised: 1 is what rejecting (or accepting)
    everybody costs. A score at or above the threshold is accepted."""
    _check_sides(is_target)
    frr = float((scores[is_target] < threshold).mean())
    far = float((scores[~is_target] >= threshold).mean())
    return (prior * frr + (1 - prior) * far) / min(prior, 1 - prior)


def cost_of_decisions(
    llrs: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, prior: float
) -> float:
    """The detection cost of Bayes decisions on LLRs, which accept above −log(prior / (1 − prior))."""
    return detection_cost(llrs, is_target, threshold=-float(np.log(prior / (1 - prior))), prior=prior)


def tippett(
    llrs: Float[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, n_points: int = 200
) -> pd.DataFrame:
    """Tippett plot: for LLRs from lowest to highest (llr), the fraction of targets and of non-targets at or above
    (targets_above, nontargets_above)."""
    _check_sides(is_target)
    wide = np.asarray(llrs, dtype=np.float64)
    levels = np.linspace(wide.min(), wide.max(), n_points)
    above = [
        1 - np.searchsorted(np.sort(wide[side]), levels, side="left") / side.sum()
        for side in (is_target, ~is_target)
    ]
    return pd.DataFrame({"llr": levels, "targets_above": above[0], "nontargets_above": above[1]})


def reliability(
    llrs: Float[np.ndarray, " p"],
    is_target: Bool[np.ndarray, " p"],
    *,
    draws: PairDraws | None = None,
    prior: float = 0.5,
) -> pd.DataFrame:
    """Reliability diagram: trials in bins of equal posterior at this prior, and how many of each are targets.

    Columns: low, high (of the posterior), posterior (mean), observed (fraction of targets, both sides weighted to the
    prior), n_targets, n_nontargets, and observed_low, observed_high (95 %, speakers resampled) with `draws`. Bins
    without trials are left out.
    """
    _check_sides(is_target)
    posterior = expit(np.asarray(llrs, dtype=np.float64) + np.log(prior / (1 - prior)))
    place = np.minimum((posterior * N_RELIABILITY_BINS).astype(np.int64), N_RELIABILITY_BINS - 1)
    weights = np.where(is_target, prior / is_target.sum(), (1 - prior) / (~is_target).sum())
    lines = []
    for number in np.unique(place):
        mask = place == number
        line = {
            "low": number / N_RELIABILITY_BINS,
            "high": (number + 1) / N_RELIABILITY_BINS,
            "posterior": float(np.average(posterior[mask], weights=weights[mask])),
            "observed": float(weights[mask & is_target].sum() / weights[mask].sum()),
            "n_targets": int((mask & is_target).sum()),
            "n_nontargets": int((mask & ~is_target).sum()),
        }
        if draws is not None:
            line["observed_low"], line["observed_high"] = _observed_bounds(mask, is_target, draws, prior)
        lines.append(line)
    return pd.DataFrame(lines)


def _observed_bounds(
    mask: np.ndarray, is_target: np.ndarray, draws: PairDraws, prior: float
) -> tuple[float, float]:
    columns = np.stack([is_target, ~is_target, mask & is_target, mask & ~is_target], axis=1)
    sums = draws.sums(columns.astype(np.float64))
    usable = (sums[:, :2] > 0).all(axis=1) & (sums[:, 2:].sum(axis=1) > 0)
    hit = prior * sums[usable, 2] / sums[usable, 0]
    other = (1 - prior) * sums[usable, 3] / sums[usable, 1]
    if not usable.any():
        return 0.0, 1.0
    low, high = bounds((hit / (hit + other))[:, None])[0]
    return float(low), float(high)


def _check_sides(is_target: np.ndarray) -> None:
    if is_target.all() or not is_target.any():
        raise ValueError("scores are judged on targets and non-targets")
