"""Calibration against scikit-learn, brute force and scores whose likelihood ratios are known; ties included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from sae_core.measures.calibration import (
    MOST_LLR,
    Calibration,
    cllr,
    cllr_draws,
    cost_of_decisions,
    detection_cost,
    fit_calibration,
    min_cllr,
    pav_llrs,
    reliability,
    tippett,
)
from sae_core.measures.verification import Trials, draw_pairs, verify


def gaussians(n=4_000, *, seed=0, gap=2.0):
    """Scores of targets N(gap, 1) and non-targets N(0, 1), whose LLR is gap · s − gap² / 2."""
    rng = np.random.default_rng(seed)
    is_target = rng.random(n) < 0.3
    return rng.normal(size=n) + gap * is_target, is_target


tied = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda trials: 0 < sum(hit for _, hit in trials) < len(trials)
)


def test_calibration_finds_the_likelihood_ratio_of_known_scores():
    scores, is_target = gaussians(60_000, gap=2.0)
    found = fit_calibration(scores / 10 + 3, is_target)
    assert found.slope == pytest.approx(20, rel=0.03)
    assert found.llrs(np.array([3.1]))[0] == pytest.approx(0, abs=0.06)
    assert found.threshold(0.5) == pytest.approx(3.1, abs=0.005)
    assert found.threshold(0.01) > found.threshold(0.5)


@given(tied, st.sampled_from([0.01, 0.3, 0.5]))
def test_calibration_is_weighted_logistic_regression(trials, prior):
    scores = np.array([score for score, _ in trials], dtype=float)
    is_target = np.array([hit for _, hit in trials])
    overlap = (
        scores[is_target].min() < scores[~is_target].max()
        and scores[~is_target].min() < scores[is_target].max()
    )
    found = fit_calibration(scores, is_target, prior=prior)
    if not overlap:  # no finite optimum
        assert np.isfinite([found.slope, found.offset]).all()
        return
    weights = np.where(is_target, prior / is_target.sum(), (1 - prior) / (~is_target).sum())
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=2_000).fit(
        scores[:, None], is_target, sample_weight=weights * len(scores)
    )
    assert found.slope == pytest.approx(model.coef_[0, 0], abs=2e-3)
    shift = np.log(prior / (1 - prior))
    assert found.offset + shift == pytest.approx(model.intercept_[0], abs=1e-2)


@given(tied)
def test_the_least_cost_is_that_of_isotonic_regression(trials):
    scores = np.array([score for score, _ in trials], dtype=float)
    is_target = np.array([hit for _, hit in trials])
    fraction = IsotonicRegression(out_of_bounds="clip").fit_transform(scores, is_target.astype(float))
    odds = np.clip(fraction, 1e-300, 1) / np.clip(1 - fraction, 1e-300, 1)
    expected = np.clip(np.log(odds) - np.log(is_target.mean() / (1 - is_target.mean())), -MOST_LLR, MOST_LLR)
    np.testing.assert_allclose(pav_llrs(scores, is_target), expected, atol=1e-6)
    calibrated = fit_calibration(scores, is_target)
    if calibrated.slope >= 0:
        assert min_cllr(scores, is_target) <= cllr(calibrated.llrs(scores), is_target) + 1e-6


@given(tied)
def test_cllr_is_its_definition(trials):
    llrs = np.array([score - 3.0 for score, _ in trials])
    is_target = np.array([hit for _, hit in trials])
    hits = [np.log2(1 + np.exp(-llr)) for llr, hit in zip(llrs, is_target, strict=True) if hit]
    others = [np.log2(1 + np.exp(llr)) for llr, hit in zip(llrs, is_target, strict=True) if not hit]
    assert cllr(llrs, is_target) == pytest.approx((np.mean(hits) + np.mean(others)) / 2)


def test_cllr_knows_its_ends():
    is_target = np.array([True, False, True])
    assert cllr(np.zeros(3), is_target) == pytest.approx(1)
    assert cllr(np.array([900.0, -900.0, 900.0]), is_target) == 0
    assert cllr(np.array([-900.0, 900.0, -900.0]), is_target) > 1_000


@given(tied, st.integers(-1, 8), st.sampled_from([0.01, 0.05, 0.5, 0.9]))
def test_actual_cost_counts_decisions_one_by_one(trials, threshold, prior):
    scores = np.array([score for score, _ in trials], dtype=np.float32)
    is_target = np.array([hit for _, hit in trials])
    lost = sum(score < threshold for score, hit in trials if hit) / is_target.sum()
    taken = sum(score >= threshold for score, hit in trials if not hit) / (~is_target).sum()
    expected = (prior * lost + (1 - prior) * taken) / min(prior, 1 - prior)
    assert detection_cost(scores, is_target, threshold=float(threshold), prior=prior) == pytest.approx(
        expected
    )


def test_actual_cost_is_at_least_the_minimum_and_near_it_once_calibrated():
    scores, is_target = gaussians(20_000)
    other, other_target = gaussians(20_000, seed=1)
    trials = Trials(np.arange(20_000), np.arange(20_000)[::-1].copy(), other_target)
    least = verify(other.astype(np.float32), trials, np.arange(20_000) % 50).min_dcf[0.05]
    fixed = fit_calibration(scores, is_target)
    actual = cost_of_decisions(fixed.llrs(other), other_target, prior=0.05)
    assert least <= actual <= least + 0.05
    assert actual == detection_cost(other, other_target, threshold=fixed.threshold(0.05), prior=0.05)
    wrong = Calibration(fixed.slope, fixed.offset + 3)
    assert cost_of_decisions(wrong.llrs(other), other_target, prior=0.05) > actual + 0.3


def test_draws_of_cllr_agree_with_weights_by_hand():
    scores, is_target = gaussians(300, seed=3)
    rng = np.random.default_rng(0)
    trials = Trials(rng.integers(12, size=300), rng.integers(12, size=300), is_target)
    draws = draw_pairs(trials, np.arange(12))
    found = cllr_draws(scores, is_target, draws)
    weights = draws.weights(slice(7, 8), np.arange(300))[0]
    costs = np.log2(1 + np.exp(np.where(is_target, -scores, scores)))
    expected = np.mean([np.average(costs[side], weights=weights[side]) for side in (is_target, ~is_target)])
    assert found[7] == pytest.approx(expected)
    assert np.quantile(found, 0.025) < cllr(scores, is_target) < np.quantile(found, 0.975)


def test_figures_of_calibrated_scores():
    scores, is_target = gaussians(8_000)
    llrs = fit_calibration(scores, is_target).llrs(scores)
    curve = tippett(llrs, is_target)
    assert curve["targets_above"].iloc[0] == curve["nontargets_above"].iloc[0] == 1
    level = curve.iloc[80]
    assert level["targets_above"] == pytest.approx((llrs[is_target] >= level["llr"]).mean())
    trials = Trials(np.arange(8_000) % 60, np.arange(8_000) % 59, is_target)
    table = reliability(llrs, is_target, draws=draw_pairs(trials, np.arange(60)))
    assert (table["observed"] - table["posterior"]).abs().max() < 0.06
    assert (table["observed_low"] <= table["observed"]).all() and (
        table["observed"] <= table["observed_high"]
    ).all()
    assert table["n_targets"].sum() == is_target.sum()


def test_one_side_alone_is_refused():
    for judge in (fit_calibration, cllr, min_cllr, tippett):
        with pytest.raises(ValueError, match="targets and non-targets"):
            judge(np.arange(3.0), np.ones(3, dtype=bool))
