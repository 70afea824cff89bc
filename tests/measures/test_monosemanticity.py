"""The monosemanticity score against the mean over all pairs."""

import numpy as np
import pytest

from sae_core.measures.monosemanticity import monosemanticity
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes, plant_embeddings


def test_the_score_is_the_mean_over_all_pairs():
    codes, vectors = plant_codes(60, 8, 2), plant_embeddings(60, 5).vectors
    is_counted = np.arange(60) % 4 > 0
    found = monosemanticity(FeatureIndex.build(codes), vectors, is_counted)
    dense = (codes.dense() * is_counted[:, None]).astype(float)
    for latent, strengths in enumerate((dense / dense.max(axis=0)).T):
        weights = np.outer(strengths, strengths)
        np.fill_diagonal(weights, 0)
        assert found[latent] == pytest.approx(
            (weights * (vectors @ vectors.T)).sum() / weights.sum(), abs=1e-5
        )


def test_clips_of_one_kind_score_one_and_a_silent_latent_nothing():
    codes = plant_codes(60, 8, 2)
    vectors = np.tile(np.float32([1, 0, 0]), (60, 1))
    index = FeatureIndex.build(codes)
    np.testing.assert_allclose(monosemanticity(index, vectors, np.ones(60, bool)), 1, atol=1e-6)
    assert np.isnan(monosemanticity(index, vectors, np.zeros(60, bool))).all()
