"""Absorbed clips, planted: a narrow latent that takes some clips of a value from the broad one."""

import numpy as np
import pytest

from sae_core.measures.absorption import ValueDirection, find_absorbed
from tests.measures.test_matching import sparse


@pytest.fixture
def planted():
    """Latent 0 fires on a value (direction x), 1 takes its first ten clips (direction between x and y), 2 is another
    thing (direction z) that fires on clips with and without it."""
    dense = np.zeros((100, 4))
    dense[10:50, 0] = 1.0
    dense[:10, 1] = 1.0
    dense[45:70, 2] = 0.5
    dense[46:49, 0] = 0.0  # missed, and no other latent says the value
    steps = np.zeros((4, 3))
    steps[0, 0], steps[1], steps[2, 2], steps[3, 1] = 1, (0.8, 0.6, 0), 1, 1
    is_positive = np.arange(100) < 50
    return sparse(dense), dense @ steps, steps, is_positive


def test_the_clips_that_a_narrower_latent_took_are_found(planted):
    codes, vectors, steps, is_positive = planted
    direction = ValueDirection.between(vectors, is_positive, np.arange(100), steps)
    assert direction.cosines[0] > 0.9 and direction.cosines[2] < 0.1
    n_active = (codes.dense() > 0).sum(axis=0)
    found = find_absorbed(
        codes, np.flatnonzero(is_positive), direction, latent=0, threshold=0.2, n_active=n_active
    )
    assert found.clips["row"].tolist() == list(range(10)) and set(found.clips["latent"]) == {1}
    assert (found.n_positive, found.n_missed) == (50, 13)
    assert found.rate == pytest.approx(0.2)
    assert found.by_latent().to_numpy().tolist() == [[1, 10]]


def test_nothing_is_absorbed_by_a_broader_latent_or_where_nothing_is_missed(planted):
    codes, vectors, steps, is_positive = planted
    direction = ValueDirection.between(vectors, is_positive, np.arange(100), steps)
    rows = np.flatnonzero(is_positive)
    broad = find_absorbed(codes, rows, direction, latent=0, threshold=0.2, n_active=np.array([5, 80, 25, 0]))
    assert broad.clips.empty and broad.n_missed == 13
    kept = find_absorbed(
        codes, rows[10:40], direction, latent=0, threshold=0.2, n_active=np.array([40, 10, 25, 0])
    )
    assert kept.clips.empty and kept.n_missed == 0 and kept.rate == 0
