"""Matches of latents against numpy.corrcoef and the dense Hungarian method, and what shuffling leaves."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from sae_core.measures import matching
from sae_core.measures.matching import assign_one_to_one, correlations, match_latents, shuffled
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes

N = 400


@pytest.fixture(scope="module")
def pair():
    """Two SAEs: the first eight latents of B are those of A, renumbered and noisy; the rest have nothing in common."""
    rng = np.random.default_rng(0)
    shared = rng.random((N, 8)) < 0.15
    strength = shared * rng.uniform(0.5, 1.5, (N, 8))
    order = rng.permutation(8)
    one = np.hstack([strength, (rng.random((N, 70)) < 0.05) * rng.uniform(0.1, 1, (N, 70))])
    other = np.hstack(
        [strength[:, order] * rng.uniform(0.9, 1.1, (N, 8)), (rng.random((N, 60)) < 0.05) * 1.0]
    )
    return sparse(one), sparse(other), order


def sparse(dense):
    k = int((dense > 0).sum(axis=1).max())
    latents = np.argsort(-dense, axis=1, kind="stable")[:, :k].astype(np.int32)
    return SparseCodes(latents, np.take_along_axis(dense, latents, axis=1).astype(np.float32), dense.shape[1])


def brute_force(one, other, rows):
    table = np.corrcoef(one.dense(rows).T.astype(float), other.dense(rows).T.astype(float))
    return np.nan_to_num(table[: one.n_latents, one.n_latents :])


@pytest.mark.parametrize("counted", ["all", "some"])
def test_correlations_are_those_of_numpy(pair, counted):
    one, other, _ = pair
    is_counted = np.ones(N, bool) if counted == "all" else np.arange(N) % 3 > 0
    found = correlations(FeatureIndex.build(one), other, is_counted)
    with np.errstate(invalid="ignore"):
        expected = brute_force(one, other, np.flatnonzero(is_counted))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_best_matches_and_partners_are_those_of_the_dense_table(pair, monkeypatch):
    one, other, order = pair
    monkeypatch.setattr(matching, "MAX_CANDIDATES", 100)
    found = match_latents(FeatureIndex.build(one), other, np.ones(N, bool))
    table = brute_force(one, other, np.arange(N))
    np.testing.assert_array_equal(found.one["best"], table.argmax(1))
    np.testing.assert_allclose(found.one["correlation"], table.max(1), atol=1e-5)
    np.testing.assert_array_equal(found.other["best"], table.argmax(0))
    weights = np.where(table >= matching.MIN_CORRELATION, table, 0)
    rows, columns = linear_sum_assignment(-weights)
    partners = found.one.set_index("latent")["partner"]
    assert found.one["partner_correlation"].sum() == pytest.approx(weights[rows, columns].sum(), abs=1e-4)
    assert [partners[order[place]] for place in range(8)] == list(range(8))
    used = partners[partners >= 0]
    assert used.is_unique
    back = found.other.set_index("latent")["partner"]
    assert all(back[partner] == latent for latent, partner in used.items())


def test_only_what_is_shared_stands_out_from_shuffled_clips(pair):
    one, other, _ = pair
    found = match_latents(FeatureIndex.build(one), other, np.ones(N, bool))
    threshold = found.threshold_at(0.01)
    matched = found.one["correlation"] > threshold
    assert matched[:8].all()
    assert matched[8:].mean() < 0.1
    line = found.fractions((0.5,)).iloc[0]
    assert line["best_of_one"] == pytest.approx(8 / 78) and line["null_best_of_one"] == 0
    assert line["partners_of_other"] == pytest.approx(8 / 68) and line["null_partners_of_other"] == 0
    # by chance alone, the rate that was asked for
    assert (found.null_one["correlation"] > threshold).mean() <= 0.01


def test_shuffling_whole_speakers_keeps_what_speakers_alone_make_alike():
    """Two SAEs whose latents each fire on all clips of some speakers, drawn apart: single clips shuffled would promise
    too little chance."""
    rng = np.random.default_rng(1)
    speakers = np.repeat(np.arange(40), 10)
    one, other = (sparse((rng.random((40, 30)) < 0.15)[speakers] * 1.0) for _ in range(2))
    index, everyone = FeatureIndex.build(one), np.ones(N, bool)
    by_clip = match_latents(index, other, everyone)
    by_speaker = match_latents(index, other, everyone, speaker_groups=speakers)
    real = by_clip.one["correlation"].mean()
    assert by_clip.null_one["correlation"].mean() < real / 2
    assert by_speaker.null_one["correlation"].mean() == pytest.approx(real, rel=0.15)


def test_a_shuffle_has_every_clip_once_and_keeps_speakers_together():
    rows = np.arange(3, 123)
    speakers = np.arange(200) % 12
    for groups in (None, speakers):
        found = shuffled(rows, groups, seed=4)
        assert sorted(found) == rows.tolist()
        assert (found != rows).mean() > 0.8
    met = {
        (speakers[row], speakers[other]) for row, other in zip(rows, shuffled(rows, speakers), strict=True)
    }
    assert len(met) == 12


def test_partners_of_nothing_and_of_silent_latents():
    codes = plant_codes(50, 10, 2)
    silent = SparseCodes(codes.latents, np.zeros_like(codes.activations), 10)
    found = match_latents(FeatureIndex.build(silent), codes, np.ones(50, bool))
    assert (found.one["best"] == -1).all() and (found.other["partner"] == -1).all()
    assert (found.fractions()["best_of_one"] == 0).all()
    assert found.threshold_at() == 0
    with pytest.raises(ValueError, match="not the same clips"):
        match_latents(FeatureIndex.build(codes), codes, np.ones(51, bool))
    empty = np.zeros(0, int)
    assert assign_one_to_one(empty, empty, np.zeros(0), 3).tolist() == [-1] * 3
