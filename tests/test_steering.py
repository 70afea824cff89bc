"""Steering in closed form against decoding every clip again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.feature_index import FeatureIndex
from sae_core.steering import Change, Steering
from sae_core.verification import Trials, cosine_scores
from tests.planting import plant_codes, plant_embeddings


def prepare(seed, latents=(2, 5, 7)):
    codes = plant_codes(80, 12, 4, seed=seed)
    vectors = plant_embeddings(80, 16, seed=seed).vectors
    directions = plant_embeddings(12, 16, seed=seed + 1).vectors * np.float32(0.3)
    rng = np.random.default_rng(seed)
    trials = Trials(rng.integers(80, size=300), rng.integers(80, size=300), np.arange(300) % 2 == 0)
    steering = Steering.prepare(vectors, directions, FeatureIndex.build(codes), latents)
    return codes, vectors, directions, trials, steering


changes_of = st.lists(
    st.builds(
        Change, st.sampled_from([2, 5, 7]), st.sampled_from(["set", "scale", "ablate"]), st.floats(0, 8)
    ),
    max_size=3,
    unique_by=lambda change: change.latent,
)


@given(st.integers(0, 50), changes_of, st.booleans())
def test_similarities_equal_those_of_vectors_decoded_again(seed, changes, only_some):
    codes, vectors, directions, trials, steering = prepare(seed)
    is_steered = np.arange(80) % 3 == 0 if only_some else np.ones(80, dtype=bool)
    before = codes.dense()
    after = before.copy()
    for change in changes:
        column = before[:, change.latent]
        new = {"set": np.full(80, change.amount), "scale": column * change.amount, "ablate": np.zeros(80)}
        after[is_steered, change.latent] = new[change.mode][is_steered]
    decoded_again = vectors + (after - before) @ directions
    expected = cosine_scores(decoded_again.astype(np.float32), trials)
    delta = steering.deltas(changes, is_steered)
    found = steering.similarities(cosine_scores(vectors, trials), trials, delta)
    assert np.abs(found - expected).max() < 1e-5
    unit = decoded_again / np.linalg.norm(decoded_again, axis=1, keepdims=True)
    assert np.abs(steering.steer(vectors, delta) - unit).max() < 1e-5


def test_no_change_is_exactly_the_original():
    _, vectors, _, trials, steering = prepare(0)
    scores = cosine_scores(vectors, trials)
    assert np.allclose(steering.similarities(scores, trials, steering.deltas([])), scores, atol=1e-7)
    same = steering.deltas([Change(2, "scale", 1.0)])
    assert not same.any()


def test_only_chosen_clips_are_steered():
    *_, steering = prepare(0)
    is_steered = np.arange(80) < 10
    assert not steering.deltas([Change(5, "set", 3.0)], is_steered)[10:].any()


def test_wrong_changes_are_refused():
    *_, steering = prepare(0)
    with pytest.raises(ValueError, match="amount"):
        Change(1, "set", -1.0)
    with pytest.raises(ValueError, match="not prepared"):
        steering.deltas([Change(1, "ablate")])
    with pytest.raises(ValueError, match="once"):
        prepare(0, latents=(2, 2))
