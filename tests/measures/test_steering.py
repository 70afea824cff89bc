"""Steering in closed form against decoding every clip again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from sae_core.measures.steering import (
    PAIRS_AT_ONCE,
    Change,
    Steering,
    measure_shifts,
)
from sae_core.measures.verification import Trials, cosine_scores, draw_pairs
from tests.planting import plant_codes, plant_embeddings


def prepare(seed, latents=(2, 5, 7)):
    codes = plant_codes(80, 12, 4, seed=seed)
    vectors = plant_embeddings(80, 16, seed=seed).vectors
    directions = plant_embeddings(12, 16, seed=seed + 1).vectors * np.float32(0.3)
    rng = np.random.default_rng(seed)
    trials = Trials(rng.integers(80, size=300), rng.integers(80, size=300), np.arange(300) % 2 == 0)
    steering = Steering.prepare(vectors, directions, codes, latents)
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


def test_pairs_in_several_pieces_are_those_of_one_piece():
    _, vectors, _, _, steering = prepare(3)
    rng = np.random.default_rng(3)
    n = 2 * PAIRS_AT_ONCE + 12_345
    trials = Trials(rng.integers(80, size=n), rng.integers(80, size=n), np.arange(n) % 2 == 0)
    scores = cosine_scores(vectors, trials)
    delta = steering.deltas([Change(2, "set", 3.0), Change(7, "ablate")])
    found = steering.similarities(scores, trials, delta)
    for start in range(0, n, 5_000):
        few = np.zeros(n, dtype=bool)
        few[start : start + 5_000] = True
        one_piece = steering.similarities(scores[few], trials.select(few), delta)
        assert np.allclose(found[few], one_piece, rtol=0, atol=1e-6)


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


def test_one_latent_alone_is_as_if_prepared_alone():
    codes, vectors, directions, trials, steering = prepare(3)
    scores = cosine_scores(vectors, trials)
    alone = Steering.prepare(vectors, directions, codes, (5,))
    cut = steering.only(5)
    changes = [Change(5, "ablate")]
    np.testing.assert_allclose(
        cut.similarities(scores, trials, cut.deltas(changes)),
        alone.similarities(scores, trials, alone.deltas(changes)),
        atol=1e-6,
    )


def test_some_rows_are_prepared_as_among_all():
    codes, vectors, directions, _, steering = prepare(4)
    rows = np.array([3, 10, 11, 40, 79])
    some = Steering.prepare(vectors[rows], directions, codes.take(rows), (2, 5, 7))
    np.testing.assert_array_equal(some.activations, steering.activations[rows])
    np.testing.assert_allclose(some.projections, steering.projections[rows], atol=1e-6)


def test_nothing_to_steer_leaves_everything_as_it_is():
    _, vectors, _, trials, _ = prepare(0)
    _, _, _, _, none = prepare(0, latents=())
    scores = cosine_scores(vectors, trials)
    assert np.allclose(none.similarities(scores, trials, none.deltas([])), scores, atol=1e-7)


def spread(n_speakers, *, n=2000, seed=0):
    """Scores before and after: pairs of speaker 0 with anyone move by 0.2, all others by 0."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(n_speakers, size=(2, n))
    before = rng.normal(0.5, 0.1, size=n).astype(np.float32)
    after = (before + 0.2 * ((one == 0) | (other == 0))).astype(np.float32)
    trials = Trials(one, other, one == other)
    return before, after, trials, draw_pairs(trials, np.arange(n_speakers))


def test_shifts_are_differences_of_means_and_intervals_count_speakers_not_pairs():
    before, after, trials, draws = spread(8)
    groups = {"same": trials.is_target, "different": ~trials.is_target}
    table = measure_shifts((before, after), groups, draws).set_index("group")
    for name, mask in groups.items():
        line = table.loc[name]
        assert line["shift"] == pytest.approx((after[mask] - before[mask]).mean(dtype=np.float64), abs=1e-6)
        assert line["n_pairs"] == mask.sum()
        assert line["shift_low"] <= line["shift"] <= line["shift_high"]
        assert line["ks"] == pytest.approx(ks_2samp(before[mask], after[mask]).statistic, abs=1e-9)
    # one voice of eight moves: other draws of voices may well hold it never, or often
    assert table.loc["same", "shift_low"] == 0 and table.loc["same", "shift_high"] > 0.05
    unmoved = measure_shifts((before, before), groups, draws)
    assert not unmoved[["shift", "shift_low", "shift_high", "ks"]].to_numpy().any()
