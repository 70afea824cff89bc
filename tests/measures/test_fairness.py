"""Errors by group and by speaker, and latents behind a gap, against counting trial by trial and planted gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.measures.fairness import far_at_equal_errors, frr_gap, gap_changes, group_errors, speaker_errors
from sae_core.measures.verification import Trials, equal_error_rate

N_SPEAKERS = 24


def plant(seed=0, n=4_000, *, penalty=0.3):
    """Trials of 24 speakers, those of the second half rejected more often; a speaker's clips lie 24 apart."""
    rng = np.random.default_rng(seed)
    speaker = np.arange(240) % N_SPEAKERS
    one, other = rng.integers(240, size=(2, n))
    same = rng.random(n) < 0.5
    other[same] = (one[same] + N_SPEAKERS * rng.integers(1, 10, size=same.sum())) % 240
    is_target = speaker[one] == speaker[other]
    is_worse = speaker >= N_SPEAKERS // 2
    scores = rng.normal(size=n) * 0.4 + is_target - penalty * (is_target & is_worse[one])
    return scores.astype(np.float32), Trials(one, other, is_target), speaker, is_worse


@given(st.integers(0, 20))
def test_rates_within_groups_are_counted_trial_by_trial(seed):
    scores, trials, speaker, is_worse = plant(seed, 800)
    scores = np.round(scores, 1)
    table = group_errors(
        scores, trials, {"worse": is_worse, "better": ~is_worse}, speaker, threshold=0.5
    ).set_index("group")
    for name, member in (("worse", is_worse), ("better", ~is_worse)):
        inside = member[trials.enrol_rows] & member[trials.test_rows]
        lost = [score < np.float32(0.5) for score in scores[inside & trials.is_target]]
        taken = [score >= np.float32(0.5) for score in scores[inside & ~trials.is_target]]
        line = table.loc[name]
        assert line["frr"] == pytest.approx(np.mean(lost)) and line["far"] == pytest.approx(np.mean(taken))
        assert line["n_targets"] == len(lost) and line["n_nontargets"] == len(taken)
        assert line["frr_low"] <= line["frr"] <= line["frr_high"]
        whole = (scores[trials.is_target] < np.float32(0.5)).mean()
        assert line["frr_ratio"] == pytest.approx(np.mean(lost) / whole)
        assert line["eer"] == equal_error_rate(scores[inside], trials.is_target[inside])


def test_a_planted_gap_is_found_and_small_groups_are_said_not_measured():
    scores, trials, speaker, is_worse = plant(penalty=0.5)
    groups = {"worse": is_worse, "better": ~is_worse, "few": speaker < 3}
    table = group_errors(scores, trials, groups, speaker, threshold=0.5).set_index("group")
    assert table.loc["worse", "frr_ratio_low"] > 1 > table.loc["better", "frr_ratio_high"]
    assert not table.loc["few", "is_tested"] and np.isnan(table.loc["few", "frr"])
    assert table.loc["few", "n_speakers"] == 3


def test_the_latent_behind_a_gap_closes_it():
    scores, trials, speaker, is_worse = plant(penalty=0.5)
    rng = np.random.default_rng(1)
    mended = scores + np.float32(0.5) * (trials.is_target & is_worse[trials.enrol_rows])
    unrelated = scores + rng.normal(scale=0.02, size=len(scores)).astype(np.float32)
    shifted = scores + np.float32(2)
    harmful = scores - np.float32(0.5) * (trials.is_target & is_worse[trials.enrol_rows])
    pair, far = (is_worse, ~is_worse), far_at_equal_errors(scores, trials)
    table = gap_changes(
        {3: mended, 5: unrelated, 7: shifted, 9: harmful}, (scores, trials), speaker, pair
    ).set_index("latent")
    assert table.index[0] == 3 and table.loc[3, "high"] < 0 and table.loc[3, "helps"]
    assert table.loc[5, "low"] <= 0 <= table.loc[5, "high"] and not table.loc[5, "helps"]
    assert table.loc[7, "change"] == pytest.approx(0, abs=1e-3)
    assert table.loc[9, "low"] > 0
    for latent, other in ((3, mended), (9, harmful)):
        assert table.loc[latent, "gap"] == pytest.approx(frr_gap(other, trials, pair, far=far))
    assert table["gap_before"].iloc[0] == pytest.approx(frr_gap(scores, trials, pair, far=far))
    assert table["gap_before"].iloc[0] > 0.1


def test_goats_lambs_and_wolves_are_who_was_planted():
    scores, trials, speaker, _ = plant(2, 20_000, penalty=0)
    one, other = speaker[trials.enrol_rows], speaker[trials.test_rows]
    goat, lamb, wolf = 5, 11, 17
    scores = scores - np.float32(0.6) * (trials.is_target & (one == goat))
    scores += np.float32(0.6) * (~trials.is_target & (one == lamb))
    scores += np.float32(0.6) * (~trials.is_target & (other == wolf))
    table = speaker_errors(scores, trials, speaker, threshold=0.5).set_index("speaker")
    for mark, who in (("is_goat", goat), ("is_lamb", lamb), ("is_wolf", wolf)):
        assert table.loc[who, mark] and table[mark].sum() <= 3
    mine = scores[trials.is_target & (one == goat)]
    assert table.loc[goat, "frr"] == pytest.approx((mine < 0.5).mean())
    assert table.loc[goat, "mean_target"] == pytest.approx(mine.mean(), abs=1e-5)
    assert table.loc[wolf, "far_tested"] == pytest.approx(
        (scores[~trials.is_target & (other == wolf)] >= 0.5).mean()
    )


def test_speakers_without_trials_have_no_rates():
    trials = Trials(np.array([0, 1]), np.array([2, 3]), np.array([True, False]))
    table = speaker_errors(np.array([0.9, 0.1], np.float32), trials, np.array([0, 1, 0, 2]), threshold=0.5)
    assert table["frr"].isna().tolist() == [False, True, True]
    assert not table[["is_goat", "is_lamb", "is_wolf"]].to_numpy().any()
