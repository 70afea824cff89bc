"""Verification against scikit-learn's ROC, against brute force, and against planted voices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_curve

from sae_core.files.errors import CorpusError
from sae_core.measures import verification
from sae_core.measures.intervals import PairDraws
from sae_core.measures.verification import (
    N_DRAWS,
    Trials,
    compare_decisions,
    draw_pairs,
    equal_error_rate,
    kolmogorov_smirnov,
    sample_trials,
    threshold_at,
    verify,
)
from tests.planting import plant_corpus, plant_embeddings


def eer_from_roc(truth, scores):
    """The equal error rate where scikit-learn's ROC, joined by straight lines, meets miss = false alarm."""
    alarm, hit, _ = roc_curve(truth, scores, drop_intermediate=False)
    gap = alarm - (1 - hit)
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return alarm[after - 1] + share * (alarm[after] - alarm[after - 1])


def random_trials(seed, n=400, n_clips=60, levels=None):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(n_clips, size=(n, 2))
    is_target = np.arange(n) % 3 == 0
    scores = rng.normal(size=n) + is_target
    if levels:
        scores = np.round(scores * levels) / levels
    return Trials(pairs[:, 0], pairs[:, 1], is_target), scores.astype(np.float32)


@given(st.integers(0, 500), st.sampled_from([None, 1, 3]))
def test_eer_equals_the_one_from_scikit_learns_roc(seed, levels):
    trials, scores = random_trials(seed, levels=levels)
    result = verify(scores, trials, np.arange(60))
    assert result.eer == pytest.approx(eer_from_roc(trials.is_target, scores), abs=1e-9)
    assert equal_error_rate(scores, trials.is_target) == result.eer
    assert 0 <= result.eer_low <= result.eer_high <= 1


def test_min_dcf_is_the_best_over_every_threshold():
    trials, scores = random_trials(1)
    result = verify(scores, trials, np.arange(60))
    for prior, found in result.min_dcf.items():
        costs = [
            prior * (scores[trials.is_target] < cut).mean()
            + (1 - prior) * (scores[~trials.is_target] >= cut).mean()
            for cut in [*scores, np.inf]
        ]
        assert found == pytest.approx(min(costs) / prior, abs=1e-6)


def test_the_threshold_gives_about_equal_errors():
    trials, scores = random_trials(2, n=3000)
    result = verify(scores, trials, np.arange(60))
    miss = (scores[trials.is_target] < result.threshold).mean()
    alarm = (scores[~trials.is_target] >= result.threshold).mean()
    assert miss == pytest.approx(result.eer, abs=0.01) and alarm == pytest.approx(result.eer, abs=0.01)


def test_perfect_and_useless_scores():
    trials, _ = random_trials(3)
    assert verify(trials.is_target.astype(np.float32), trials, np.arange(60)).eer == 0
    useless = verify(np.zeros(len(trials), np.float32), trials, np.arange(60))
    assert useless.eer == pytest.approx(0.5)
    with pytest.raises(ValueError, match="targets and non-targets"):
        verify(
            np.zeros(3, np.float32), trials.select(trials.is_target).select(np.arange(134) < 3), np.arange(60)
        )


def test_det_falls_from_all_missed_to_all_accepted():
    trials, scores = random_trials(4)
    alarm, miss = verify(scores, trials, np.arange(60)).det
    assert (alarm[0], miss[0]) == (0, 1) and (alarm[-1], miss[-1]) == (1, pytest.approx(0))
    assert (np.diff(alarm) >= 0).all() and (np.diff(miss) <= 1e-12).all()


def speaker_trials(n_speakers, *, n=4000, seed=5):
    """Trials of speakers some of whom are easy to tell and some hard; clip i is by speaker i modulo their number."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(2, 1, size=n_speakers)
    one = rng.integers(n_speakers * 50, size=n)
    is_target = np.arange(n) % 2 == 0
    shift = rng.integers(1, n_speakers, size=n)
    other = np.where(is_target, one + n_speakers * rng.integers(1, 50, size=n), one + shift)
    other %= n_speakers * 50
    scores = rng.normal(size=n) + np.where(is_target, ease[one % n_speakers], 0)
    return Trials(one, other, is_target), scores.astype(np.float32), np.arange(n_speakers * 50) % n_speakers


def test_few_speakers_make_wide_intervals():
    widths = {}
    for n_speakers in (5, 200):
        trials, scores, groups = speaker_trials(n_speakers)
        assert (trials.is_target == (groups[trials.enrol_rows] == groups[trials.test_rows])).all()
        result = verify(scores, trials, groups)
        assert result.eer_low <= result.eer <= result.eer_high
        assert result.n_speakers == n_speakers
        widths[n_speakers] = result.eer_high - result.eer_low
    assert widths[5] > 3 * widths[200]


def test_resampled_eers_are_those_of_trials_repeated_as_often_as_drawn():
    trials, scores, groups = speaker_trials(6, n=300, seed=8)
    draws = PairDraws.over(groups[trials.enrol_rows], groups[trials.test_rows], seed=0, n_draws=N_DRAWS)
    found = verify(scores, trials, groups).eer_draws
    assert len(found) == N_DRAWS
    for number in range(0, N_DRAWS, 25):
        weights = draws.weights(slice(number, number + 1), np.arange(300))[0].astype(int)
        again = np.repeat(np.arange(300), weights)
        assert found[number] == pytest.approx(eer_from_roc(trials.is_target[again], scores[again]), abs=1e-9)


def test_sums_over_draws_are_those_of_their_weights():
    trials, _, groups = speaker_trials(6, n=300)
    draws = PairDraws.over(groups[trials.enrol_rows], groups[trials.test_rows], seed=1, n_draws=9)
    values = np.random.default_rng(0).normal(size=(300, 2))
    expected = draws.weights(slice(0, 9), np.arange(300)) @ values
    np.testing.assert_allclose(draws.sums(values), expected)
    assert len(list(draws.blocks(n_at_once=300))) == 9


def test_a_difference_has_an_interval_of_its_own():
    trials, scores, groups = speaker_trials(60)
    before = verify(scores, trials, groups)
    assert before.eer_change_from(before) == (0, 0, 0)
    after = verify(np.where(trials.is_target, scores - 1, scores).astype(np.float32), trials, groups)
    change, low, high = after.eer_change_from(before)
    assert change == after.eer - before.eer and 0 < low <= change <= high
    assert high - low < after.eer_high - after.eer_low + before.eer_high - before.eer_low


@given(st.integers(0, 100), st.sampled_from([None, 2]), st.sampled_from([0.0, 0.01, 0.3, 1.0]))
def test_a_threshold_lets_in_no_more_than_asked(seed, levels, far):
    trials, scores = random_trials(seed, levels=levels)
    cut = threshold_at(scores, trials.is_target, far=far)
    others = scores[~trials.is_target]
    assert (others >= cut).mean() <= far + 1e-12
    next_lower = others[others < cut]
    if len(next_lower):
        assert (others >= next_lower.max()).mean() > far


def test_det_points_lie_on_probit_axes():
    trials, scores, groups = speaker_trials(60, n=20_000)
    result = verify(scores, trials, groups)
    alarm, miss = result.det_probits()
    assert np.isfinite(alarm).all() and np.isfinite(miss).all()
    middle = (result.det[0] > 0.002) & (result.det[1] > 0.002)
    assert middle.sum() > 60
    assert np.hypot(np.diff(alarm[middle]), np.diff(miss[middle])).max() < 0.3
    # normal scores, one unit wide each, two apart: Φ⁻¹(miss) + Φ⁻¹(false alarm) is −2
    rng = np.random.default_rng(0)
    plain = (rng.normal(size=20_000) + 2 * trials.is_target).astype(np.float32)
    alarm, miss = verify(plain, trials, groups).det_probits()
    straight = (np.abs(alarm) < 2) & (np.abs(miss) < 2)
    assert np.abs(alarm + miss + 2)[straight].max() < 0.15


def test_sampled_trials_are_what_their_labels_say():
    corpus = plant_corpus(240, 24)
    trials = sample_trials(corpus, np.arange(0, 240), n_trials=600)
    groups = corpus.speaker_groups
    assert (trials.is_target == (groups[trials.enrol_rows] == groups[trials.test_rows])).all()
    assert (trials.enrol_rows != trials.test_rows).all()
    pairs = set(zip(trials.enrol_rows.tolist(), trials.test_rows.tolist(), strict=True))
    assert len(pairs) == len(trials) and trials.is_target.sum() > 200
    again = sample_trials(corpus, np.arange(0, 240), n_trials=600)
    assert np.array_equal(again.enrol_rows, trials.enrol_rows)
    only = sample_trials(corpus, np.arange(0, 240, 2), n_trials=100)
    assert (only.enrol_rows % 2 == 0).all()


def test_speakers_with_many_clips_do_not_dominate():
    corpus = plant_corpus(1000, 10)
    corpus.table["speaker_id"] = ["big" if clip % 10 else f"s{clip % 50}" for clip in range(1000)]
    trials = sample_trials(corpus, np.arange(1000), n_trials=400)
    is_big = (corpus.table["speaker_id"] == "big").to_numpy()[trials.enrol_rows]
    assert is_big[trials.is_target].mean() < 0.5


def test_trials_need_speakers():
    with pytest.raises(CorpusError, match="speaker_id"):
        sample_trials(plant_corpus(20, 20), np.arange(20), n_trials=10)
    with pytest.raises(ValueError, match="n_trials"):
        sample_trials(plant_corpus(), np.arange(240), n_trials=1)


def test_trial_groups_follow_language_and_gender():
    corpus = plant_corpus(
        240,
        24,
        language=lambda speaker: ["es", "en", None][speaker % 3],
        gender=lambda speaker: "mf"[speaker % 2],
    )
    trials = sample_trials(corpus, np.arange(240), n_trials=500)
    groups = verification.group_trials(corpus, trials)
    assert tuple(groups) == verification.TRIAL_GROUPS
    labels = corpus.table["language"].to_numpy(dtype=object)
    for place in np.flatnonzero(groups["different speaker, other language"])[:50]:
        one, other = labels[trials.enrol_rows[place]], labels[trials.test_rows[place]]
        assert isinstance(one, str) and isinstance(other, str) and one != other
    both = groups["different speaker, same gender"] | groups["different speaker, other gender"]
    assert np.array_equal(both, ~trials.is_target)


def test_cosine_scores_are_cosines():
    vectors = plant_embeddings(50).vectors * np.arange(1, 51, dtype=np.float32)[:, None]
    vectors[3] = 0
    trials, _ = random_trials(6, n_clips=50)
    scores = verification.cosine_scores(vectors, trials)
    for place in range(0, 400, 37):
        one, other = vectors[trials.enrol_rows[place]], vectors[trials.test_rows[place]]
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        assert scores[place] == pytest.approx(one @ other / lengths if lengths else 0, abs=1e-6)


def test_trial_lists_are_read_by_id_or_path_and_wrong_lines_are_named(tmp_path):
    corpus = plant_corpus(10, 2)
    path = tmp_path / "trials.txt"
    path.write_text("1 c00000 c00002\n\n0 s0/c0.wav c00001\n")
    trials = verification.read_trials(path, corpus)
    assert trials.enrol_rows.tolist() == [0, 0] and trials.is_target.tolist() == [True, False]
    for text, words in (
        ("1 c00000", "line 1 is no trial"),
        ("1 c00000 c99", "line 1 names 'c99'.*every line"),
        ("\n", "no trials"),
    ):
        path.write_text(text)
        with pytest.raises(CorpusError, match=words):
            verification.read_trials(path, corpus)


@given(st.integers(0, 100), st.sampled_from([None, 3]))
def test_ks_distance_equals_scipys(seed, levels):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=70).astype(np.float32), rng.normal(0.3, 1.2, size=50).astype(np.float32)
    if levels:
        one, other = (np.round(part * levels) / levels for part in (one, other))
    assert kolmogorov_smirnov(one, other) == pytest.approx(ks_2samp(one, other).statistic, abs=1e-9)


def test_decisions_count_what_changes_sides():
    rng = np.random.default_rng(0)
    one, other = rng.integers(30, size=(2, 2000))
    before = rng.normal(0.5, 0.1, size=2000).astype(np.float32)
    after = (before + 0.2 * ((one == 0) | (other == 0))).astype(np.float32)
    trials = Trials(one, other, one == other)
    draws = draw_pairs(trials, np.arange(30))
    made = compare_decisions((before, after), trials.is_target, threshold=0.6, draws=draws)
    accepted, then = before >= np.float32(0.6), after >= np.float32(0.6)
    assert made.rejections_added[0] == 0 and made.acceptances_fixed[0] == 0
    assert made.rejections_fixed[0] == pytest.approx((~accepted & then)[trials.is_target].mean())
    assert made.acceptances_added[0] == pytest.approx((~accepted & then)[~trials.is_target].mean())
    assert made.acceptances_added[1] <= made.acceptances_added[0] <= made.acceptances_added[2]
    assert made.frr[1] == pytest.approx(made.frr[0] - made.rejections_fixed[0])
    assert made.far[1] == pytest.approx(made.far[0] + made.acceptances_added[0])
    back = compare_decisions((after, before), trials.is_target, threshold=0.6, draws=draws)
    assert (back.rejections_added, back.acceptances_fixed) == (made.rejections_fixed, made.acceptances_added)
