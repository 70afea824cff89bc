"""Erasers and probes against their definitions: linear guardedness, brute force, scikit-learn, planted values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from sae_core.measures.erasure import (
    RIDGE,
    ProbeMoments,
    area_under_curve,
    fit_leace,
    fit_linear_probe,
    judge_probe,
    mean_difference,
    nonlinear_scores,
    projection,
    scaled_to_one,
)


def plant(n=600, d=12, *, seed=0, gap=1.5, n_speakers=30):
    """Correlated embeddings in which a value of the speaker moves two coordinates."""
    rng = np.random.default_rng(seed)
    speaker = np.arange(n) % n_speakers
    has_value = speaker % 3 == 0
    mixing = rng.normal(size=(d, d))
    vectors = rng.normal(size=(n, d)) @ mixing + np.arange(d)
    vectors[:, :2] += gap * has_value[:, None]
    return vectors.astype(np.float32), has_value, speaker


def test_after_leace_no_linear_probe_does_better_than_a_constant():
    vectors, has_value, _ = plant()
    erased = fit_leace(vectors, has_value[:, None].astype(float)).apply(vectors).astype(np.float64)
    gap = erased[has_value].mean(axis=0) - erased[~has_value].mean(axis=0)
    assert np.abs(gap).max() < 1e-4
    fitted = LinearRegression().fit(erased, has_value)
    assert fitted.score(erased, has_value) < 1e-6


def test_leace_moves_embeddings_less_than_any_other_guard():
    """Of all affine maps that take the value away, it changes the clips least in squared distance."""
    vectors, has_value, _ = plant(seed=1)
    moved = np.square(fit_leace(vectors, has_value[:, None].astype(float)).apply(vectors) - vectors).mean()
    for other in (mean_difference(vectors, has_value),):
        assert moved <= np.square(other.apply(vectors) - vectors).mean() + 1e-6
    rng = np.random.default_rng(0)
    centred = vectors - vectors.mean(axis=0)
    gap = vectors[has_value].mean(axis=0) - vectors[~has_value].mean(axis=0)
    for _ in range(20):  # e − a bᵀ(e − μ) with bᵀgap = 1 and a = gap is a guard, whatever b is
        reads = rng.normal(size=12)
        reads /= reads @ gap
        assert moved <= np.square(np.outer(centred @ reads, gap)).mean() + 1e-6


def test_several_values_are_erased_at_once_and_dead_coordinates_stay():
    vectors, has_value, speaker = plant(seed=2)
    vectors[:, 5] = 3.0
    values = np.stack([has_value, speaker % 2], axis=1).astype(float)
    eraser = fit_leace(vectors, values)
    assert eraser.reads.shape == (12, 2)
    erased = eraser.apply(vectors).astype(np.float64)
    covariance = (erased - erased.mean(axis=0)).T @ (values - values.mean(axis=0)) / len(values)
    assert np.abs(covariance).max() < 1e-4
    np.testing.assert_allclose(erased[:, 5], 3.0, atol=1e-4)


def test_projections_take_their_direction_away():
    vectors, has_value, _ = plant()
    direction = np.arange(12.0)
    left = projection(vectors.mean(axis=0), direction).apply(vectors) @ direction
    np.testing.assert_allclose(left, left[0], atol=1e-2)
    guarded = mean_difference(vectors, has_value).apply(vectors)
    np.testing.assert_allclose(guarded[has_value].mean(axis=0), guarded[~has_value].mean(axis=0), atol=1e-4)


def test_the_linear_probe_is_weighted_ridge_regression():
    vectors, has_value, _ = plant(seed=3)
    probe = fit_linear_probe(vectors, has_value)
    wide = vectors.astype(np.float64)
    weights = np.where(has_value, 0.5 / has_value.sum(), 0.5 / (~has_value).sum())
    mean = weights @ wide
    centred = wide - mean
    covariance = (centred * weights[:, None]).T @ centred
    covariance += RIDGE * np.trace(covariance) / 12 * np.eye(12)
    expected = np.linalg.solve(covariance, (centred * weights[:, None]).T @ np.where(has_value, 1.0, -1.0))
    np.testing.assert_allclose(probe.weight, expected, rtol=1e-3, atol=1e-5)
    assert balanced_accuracy_score(has_value, probe.scores(vectors) > 0) > 0.6


def test_moments_follow_clips_that_move():
    vectors, has_value, _ = plant(seed=4)
    moments = ProbeMoments(vectors, has_value)
    places = np.array([3, 50, 51, 599])
    after = vectors.copy()
    after[places] += 2
    moments.move(places, vectors[places], after[places])
    found, expected = moments.probe(), fit_linear_probe(after, has_value)
    np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-3, atol=1e-6)
    assert found.bias == pytest.approx(expected.bias, rel=1e-3)


@given(st.integers(0, 200))
def test_what_a_probe_tells_is_counted_clip_by_clip(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(40) < 0.4
    truth[:2] = True, False
    scores = np.round(rng.normal(size=40) + truth, 1).astype(np.float32)
    speaker = rng.integers(6, size=40)
    found = judge_probe(scores, truth, speaker)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, scores > 0))
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores)) == area_under_curve(scores, truth)
    assert found.majority_rate == pytest.approx(max(truth.mean(), 1 - truth.mean()))


def test_intervals_of_a_probe_resample_speakers():
    """Ten speakers of sixty clips each, told alike: the interval is as wide as that of ten clips, not of 600."""
    speaker = np.repeat(np.arange(10), 60)
    truth = speaker < 5
    told = np.isin(speaker, [0, 1, 2, 3, 9])
    found = judge_probe(np.where(told, 1, -1).astype(np.float32), truth, speaker)
    low, high = found.balanced_accuracy_bounds
    assert found.balanced_accuracy == pytest.approx(0.8) and low < 0.6 and high == pytest.approx(1)
    same = judge_probe(np.ones(600, np.float32), truth, speaker)
    assert same.is_at_chance and same.change_from(found)[0] == pytest.approx(-0.3)
    assert same.change_from(found)[2] < 0.05


def test_the_nonlinear_probe_tells_what_a_linear_one_cannot():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(900, 6)).astype(np.float32)
    truth = (vectors[:, 0] * vectors[:, 1]) > 0
    linear = fit_linear_probe(vectors[:600], truth[:600]).scores(vectors[600:])
    curved = nonlinear_scores(vectors[:600], truth[:600], vectors[600:])
    assert balanced_accuracy_score(truth[600:], linear > 0) < 0.6
    assert balanced_accuracy_score(truth[600:], curved > 0) > 0.75


def test_one_side_alone_is_refused():
    vectors = np.ones((4, 3), np.float32)
    with pytest.raises(ValueError, match="fitted on"):
        fit_linear_probe(vectors, np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="judged on"):
        judge_probe(np.ones(4, np.float32), np.zeros(4, dtype=bool), np.arange(4))
    assert not scaled_to_one(np.zeros((2, 3), np.float32)).any()
