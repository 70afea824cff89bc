"""Groups of latents on codes with a value that is planted in one latent, in four, or in none."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from sae_core.measures.attributes import UNSEEN_SPEAKERS, AttributeTarget
from sae_core.measures.groups import LatentGroup, _fit_logistic, find_groups, latents_needed
from tests.measures.test_matching import sparse

N, L = 2400, 40
SPEAKERS = np.arange(N) // 20


def plant(parts):
    """Codes of which latents `parts` fire on a value, each on its share of the clips; all else fires at random."""
    rng = np.random.default_rng(0)
    positive = (SPEAKERS % 3) == 0
    dense = (rng.random((N, L)) < 0.08) * rng.uniform(0.2, 1, (N, L))
    dense[:, parts] = 0
    which = rng.integers(0, len(parts), N)
    for number, latent in enumerate(parts):
        fires = np.where(positive, which == number, rng.random(N) < 0.01)
        dense[:, latent] = fires * rng.uniform(0.5, 1.5, N)
    is_selection = SPEAKERS % 2 == 0
    target = AttributeTarget("language", "es", UNSEEN_SPEAKERS, positive, is_selection, ~is_selection)
    return sparse(dense), target


def test_a_value_in_four_latents_takes_four_and_in_one_takes_one():
    codes, target = plant([3, 11, 20, 31])
    found = find_groups(codes, target, SPEAKERS, 11)
    assert list(found.groups) == [1, 2, 4, 8, 16]
    assert found.groups[1].latents.tolist() == [11]
    assert set(found.groups[4].latents) == {3, 11, 20, 31} and (found.groups[4].weights > 0).all()
    f1 = pd.Series({size: measures["f1"] for size, measures in found.measures.items()})
    assert f1[1] < 0.5 and f1[4] > 0.95
    assert found.n_splits == 4 and latents_needed(f1) == 4
    codes, target = plant([7])
    found = find_groups(codes, target, SPEAKERS, 7)
    f1 = pd.Series({size: measures["f1"] for size, measures in found.measures.items()})
    assert found.n_splits == 1 and latents_needed(f1) == 1


def test_a_value_that_shows_by_what_is_silent_does_not_lose_its_first_latent():
    """The value's clips are those on which latents 3 to 6 are off; latent 7 is weakly for it."""
    codes, other = plant([3, 4, 5, 6])
    target = AttributeTarget(
        "band", "wide", UNSEEN_SPEAKERS, ~other.is_positive, other.is_selection, other.is_reported
    )
    found = find_groups(codes, target, SPEAKERS, 7)
    chosen_by = [found.measures[size]["selection_f1"] for size in found.groups]
    assert chosen_by == sorted(chosen_by) and chosen_by[0] > 0
    assert all(measures["f1"] > 0 for measures in found.measures.values())


def test_measures_are_of_the_reported_clips_and_of_the_group_as_it_can_be_used():
    codes, target = plant([3, 11])
    found = find_groups(codes, target, SPEAKERS, 3)
    group, rows = found.groups[4], np.flatnonzero(target.is_reported)
    scores = group.activations(codes)
    truth = target.is_positive[rows]
    assert found.measures[4]["f1"] == pytest.approx(f1_score(truth, scores[rows] > group.threshold))
    assert found.measures[4]["auroc"] == pytest.approx(roc_auc_score(truth, scores[rows]), abs=1e-4)
    assert found.measures[4]["f1_low"] <= found.measures[4]["f1"] <= found.measures[4]["f1_high"]
    dense = codes.dense()[:, group.latents] @ group.weights
    np.testing.assert_allclose(scores, np.maximum(dense, 0), atol=1e-4)


def test_a_group_is_a_latent_of_an_index():
    codes, _ = plant([3, 11])
    group = LatentGroup(np.array([3, 5]), np.array([2.0, -1.0]), 0.4)
    rows, strengths = group.index(codes).postings(0)
    values = group.activations(codes)
    assert set(rows.tolist()) == set(np.flatnonzero(values > 0).tolist())
    np.testing.assert_array_equal(strengths, -np.sort(-values[values > 0]))


def test_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(500, 3))
    truth = inputs @ [2, -1, 0] + rng.logistic(size=500) > 0.5
    ours = _fit_logistic(np.hstack([np.ones((500, 1)), inputs]), truth, np.ones(500), np.zeros(4))
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit(inputs, truth)
    np.testing.assert_allclose(ours[1:], theirs.coef_[0], rtol=1e-3, atol=1e-3)
    assert ours[0] == pytest.approx(theirs.intercept_[0], rel=1e-2)
