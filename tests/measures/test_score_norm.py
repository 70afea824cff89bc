"""AS-norm against its definition, a trial at a time; ties and small cohorts included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.measures import score_norm
from sae_core.measures.score_norm import as_norm, cohort_statistics, nearest_statistics, speaker_means
from sae_core.measures.verification import Trials, cosine_scores


def plant(seed, n=25, c=12, d=6):
    rng = np.random.default_rng(seed)
    vectors, cohort = (rng.normal(size=(size, d)).astype(np.float32) for size in (n, c))
    cohort[3] = cohort[4]  # a tie for everybody
    trials = Trials(rng.integers(n, size=40), rng.integers(n, size=40), np.arange(40) % 2 == 0)
    return vectors, cohort, trials


def plainly(vectors, cohort, trials, n_nearest):
    def cosine(one, other):
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    found = []
    for one, other in zip(trials.enrol_rows, trials.test_rows, strict=True):
        sides = []
        for row in (one, other):
            nearest = sorted((cosine(vectors[row], speaker) for speaker in cohort), reverse=True)[:n_nearest]
            sides.append((cosine(vectors[one], vectors[other]) - np.mean(nearest)) / np.std(nearest))
        found.append(np.mean(sides))
    return np.array(found)


@given(st.integers(0, 60), st.sampled_from([3, 5, 12, 300]))
def test_scores_are_normalised_as_published(seed, n_nearest):
    vectors, cohort, trials = plant(seed)
    statistics = cohort_statistics(vectors, cohort, n_nearest=n_nearest)
    found = as_norm(cosine_scores(vectors, trials), trials, statistics)
    expected = plainly(vectors.astype(np.float64), cohort.astype(np.float64), trials, n_nearest)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_clips_in_several_pieces_are_those_of_one(monkeypatch):
    vectors, cohort, _ = plant(1)
    whole = cohort_statistics(vectors, cohort, n_nearest=5)
    monkeypatch.setattr(score_norm, "_SCORES_AT_ONCE", 40)
    pieces = cohort_statistics(vectors, cohort, n_nearest=5)
    np.testing.assert_allclose(pieces.mean, whole.mean, atol=1e-7)
    np.testing.assert_allclose(pieces.std, whole.std, atol=1e-7)


def test_a_cohort_that_scores_all_the_same_gives_finite_scores():
    vectors, _, trials = plant(2)
    statistics = cohort_statistics(vectors, np.ones((5, 6), np.float32))
    assert np.isfinite(as_norm(cosine_scores(vectors, trials), trials, statistics)).all()
    with pytest.raises(ValueError, match="at least two speakers"):
        cohort_statistics(vectors, np.ones((1, 6), np.float32))
    with pytest.raises(ValueError, match="at least two scores"):
        nearest_statistics(np.ones((2, 3), np.float32), n_nearest=1)


def test_it_makes_conditions_comparable():
    """Clips over a bad line score high with everybody: normalised, one threshold serves both lines."""
    from sae_core.measures.verification import equal_error_rate

    rng = np.random.default_rng(0)
    speakers = rng.normal(size=(80, 32))
    n = 400
    speaker, is_bad = np.arange(n) % 40, np.arange(n) % 7 < 3
    line = rng.normal(size=32) * 2
    vectors = (speakers[speaker] + rng.normal(size=(n, 32)) + is_bad[:, None] * line).astype(np.float32)
    cohort = (np.repeat(speakers[40:], 2, axis=0) + np.tile([[0.0], [1.0]], (40, 1)) * line).astype(
        np.float32
    )
    pairs = rng.integers(n, size=(2, 6_000))
    pairs = pairs[:, is_bad[pairs[0]] == is_bad[pairs[1]]]
    trials = Trials(pairs[0], pairs[1], speaker[pairs[0]] == speaker[pairs[1]])
    plain = cosine_scores(vectors, trials)
    normalised = as_norm(plain, trials, cohort_statistics(vectors, cohort, n_nearest=30))
    assert equal_error_rate(normalised, trials.is_target) < 0.7 * equal_error_rate(plain, trials.is_target)


def test_a_cohort_of_speakers_is_the_mean_of_each():
    rng = np.random.default_rng(0)
    vectors, groups = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(7, size=50) * 3
    found = speaker_means(vectors, groups, n_at_most=100)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.stack([unit[groups == group].mean(axis=0) for group in np.unique(groups)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    few = speaker_means(vectors, groups, n_at_most=3)
    assert few.shape == (3, 4)
    assert all(np.abs(expected - row).max(axis=1).min() < 1e-5 for row in few)
