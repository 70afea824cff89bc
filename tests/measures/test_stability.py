"""Directions matched over seeds: planted copies, the dense assignment, and what counts as found."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from sae_core.measures import stability
from sae_core.measures.stability import SeedMatch, match_directions, stability_table


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_copies_are_found_whatever_their_order_and_strangers_are_not():
    rng = np.random.default_rng(0)
    one = unit(rng.normal(size=(40, 64)))
    other = unit(np.vstack([one[:30] + 0.02 * rng.normal(size=(30, 64)), rng.normal(size=(10, 64))]))
    order = rng.permutation(40)
    cosine, mcc = match_directions(one, other[order])
    assert (cosine[:30] > 0.95).all() and (cosine[30:] < 0.7).all()
    rows, columns = linear_sum_assignment(-(one @ other.T))
    assert mcc == pytest.approx((one @ other.T)[rows, columns].mean(), abs=1e-5)
    assert match_directions(one, one[order])[1] == pytest.approx(1, abs=1e-5)


def test_many_latents_are_matched_as_few_are(monkeypatch):
    rng = np.random.default_rng(1)
    one = unit(rng.normal(size=(300, 16)))
    other = unit(one + 0.1 * rng.normal(size=one.shape))[rng.permutation(300)]
    dense = match_directions(one, other)
    monkeypatch.setattr(stability, "MAX_DENSE", 100)
    monkeypatch.setattr(stability, "LATENTS_AT_ONCE", 128)
    sparse = match_directions(one, other)
    np.testing.assert_allclose(sparse[0], dense[0], atol=1e-6)
    assert sparse[1] == pytest.approx(dense[1], abs=1e-4)


def test_a_table_over_seeds_counts_where_a_latent_was_found():
    matches = [
        SeedMatch(np.array([0.9, 0.2], np.float32), np.array([0.8, 0.1], np.float32), 0.5),
        SeedMatch(np.array([0.5, 0.4], np.float32), np.array([0.6, 0.3], np.float32), 0.4),
    ]
    table = stability_table(matches)
    assert table["n_found"].tolist() == [1, 0] and (table["n_seeds"] == 2).all()
    np.testing.assert_allclose(table["cosine"], [0.7, 0.3], atol=1e-6)
    np.testing.assert_allclose(table["correlation_low"], [0.6, 0.1], atol=1e-6)
    with pytest.raises(ValueError, match="another seed"):
        stability_table([])
