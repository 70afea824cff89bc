"""Every metric against its definition, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.sae import quality
from sae_core.sae.codes import SparseCodes


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(st.integers(2, 60), st.integers(0, 50), st.lists(st.integers(1, 30), max_size=4))
def test_reconstruction_over_pieces_equals_the_sums_over_all(n, seed, cuts):
    original = normal(n, 6, seed=seed) + 3
    rebuilt = original + 0.5 * normal(n, 6, seed=seed + 1) - 0.2
    pieces = [(original[rows], rebuilt[rows]) for rows in np.split(np.arange(n), np.cumsum(cuts))]
    found = quality.reconstruction_metrics(piece for piece in pieces if len(piece[0]))
    x, y = original.astype(float), rebuilt.astype(float)
    mean = x.mean(0)
    fvu = ((x - y) ** 2).sum() / ((x - mean) ** 2).sum()
    bias = ((y - mean) ** 2).sum(1).mean() / ((x - mean) * (y - mean)).sum(1).mean()
    cosines = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert found.explained_variance == pytest.approx(1 - fvu, abs=1e-6)
    assert found.reconstruction_bias == pytest.approx(bias, rel=1e-4)
    assert found.cosine_mean == pytest.approx(cosines.mean())
    assert found.cosine_p05 == pytest.approx(np.quantile(cosines, 0.05))


def test_reconstruction_at_its_two_ends():
    x = normal(50, 4)
    perfect = quality.reconstruction_metrics([(x, x)])
    assert (perfect.explained_variance, perfect.reconstruction_bias) == pytest.approx((1, 1))
    mean = quality.reconstruction_metrics([(x, np.broadcast_to(x.mean(0), x.shape))])
    assert mean.explained_variance == pytest.approx(0, abs=1e-6)


def test_a_reconstruction_that_is_too_short_has_a_bias_below_one():
    x = normal(500, 4)
    assert quality.reconstruction_metrics([(x, 0.8 * x)]).reconstruction_bias == pytest.approx(0.8, abs=0.01)


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="no clip to measure reconstruction"):
        quality.reconstruction_metrics([])
    with pytest.raises(ValueError, match="all embeddings are the same"):
        quality.reconstruction_metrics([(np.ones((5, 3), np.float32), np.ones((5, 3), np.float32))])
    with pytest.raises(ValueError, match="no clip to measure activity"):
        quality.activity_metrics(SparseCodes(np.zeros((0, 2), np.int32), np.zeros((0, 2), np.float32), 5))
    with pytest.raises(ValueError, match="no vector"):
        quality.mean_and_std(normal(0, 3))
    with pytest.raises(ValueError, match="not defined"):
        quality.gamma(np.ones((5, 3), np.float32))


def test_activity_counts_only_used_slots():
    # latent 0 stands in the unused slots too, and must not be counted there
    latents = np.array([[1, 2], [1, 0], [1, 0], [3, 0]], np.int32)
    activations = np.array([[2, 1], [1, 0], [1, 0.5], [1, 0]], np.float32)
    codes = SparseCodes(latents, activations, 10)
    assert quality.firing_counts(codes).tolist() == [1, 3, 1, 1, 0, 0, 0, 0, 0, 0]
    found = quality.activity_metrics(codes)
    assert found.l0 == pytest.approx(6 / 4)
    assert found.dead_fraction == pytest.approx(0.6)
    assert found.fraction_above_1_percent == pytest.approx(0.4)


def test_shares_above_one_and_ten_percent():
    activations = np.ones((200, 1), np.float32)
    latents = np.repeat([0, 1, 2, 3], [150, 30, 18, 2])[:, None].astype(np.int32)
    found = quality.activity_metrics(SparseCodes(latents, activations, 5))
    # of 200 clips: 75 %, 15 %, 9 %, exactly 1 % (not more), never
    assert (found.fraction_above_1_percent, found.fraction_above_10_percent) == pytest.approx((3 / 5, 2 / 5))


def test_gamma_and_mean_over_several_pieces():
    vectors = normal(150_000, 3) * [1, 2, 3] + [4, 0, -1]
    vectors = vectors.astype(np.float32)
    mean, spread = quality.mean_and_std(vectors)
    np.testing.assert_allclose(mean, vectors.mean(0, dtype=float), rtol=1e-6)
    assert spread == pytest.approx(np.linalg.norm(vectors.std(0, dtype=float)), rel=1e-5)
    assert quality.gamma(vectors) == pytest.approx(17**0.5 / 14**0.5, rel=0.01)


def test_max_decoder_cosine_leaves_out_the_latent_itself():
    directions = np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32)
    np.testing.assert_allclose(quality.max_decoder_cosine(directions), [0.6, 0.6, -0.6], atol=1e-6)
    assert quality.max_decoder_cosine(directions[:1]).tolist() == [-1]
    many = normal(1500, 8)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    cosines = many @ many.T - 3 * np.eye(1500, dtype=np.float32)
    np.testing.assert_allclose(quality.max_decoder_cosine(many), cosines.max(1), atol=1e-6)


def test_mean_max_cosine_is_one_when_all_are_found_in_any_order():
    truth = normal(1100, 9)
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    found = np.concatenate([truth[::-1], -truth[:5]])
    assert quality.mean_max_cosine(truth, found) == pytest.approx(1, abs=1e-6)
    assert quality.mean_max_cosine(truth, found[:1]) == pytest.approx(
        float((truth @ found[0]).mean()), abs=1e-6
    )


def test_mean_pairwise_cosine_equals_the_mean_over_pairs():
    vectors = normal(30, 4) + 0.5
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(30, dtype=bool)]
    assert quality.mean_pairwise_cosine(vectors) == pytest.approx(pairs.mean(), abs=1e-6)


def test_effective_rank_counts_dimensions_in_equal_use():
    vectors = np.zeros((60_000, 8), np.float32)
    vectors[:, :5] = normal(60_000, 5)
    assert quality.effective_rank(vectors) == pytest.approx(5, abs=0.01)
