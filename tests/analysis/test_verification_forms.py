"""Rates of groups with intervals like those drawn speaker by speaker, and none where too few speakers take part."""

import numpy as np
import pytest

from sae_core.analysis.trial_sets import FEW_SPEAKERS, draw_trials, read_trial_list
from sae_core.analysis.verification_forms import compare_forms, rank_latents
from sae_core.measures.verification import N_DRAWS


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


def list_of(view, speakers, *, n_others=3, also=()):
    """A trial list: every pair of the first clips of some speakers, and each of the clips `also` with the first."""
    corpus = view.workspace.corpus
    names = corpus.table["clip_id"]
    rows = [
        row for speaker in speakers for row in np.flatnonzero(corpus.speaker_groups == speaker)[:n_others]
    ]
    pairs = [(one, other) for place, one in enumerate(rows) for other in rows[:place]]
    pairs += [(rows[0], row) for row in also]
    same = corpus.speaker_groups
    return "\n".join(f"{int(same[one] == same[other])} {names[one]} {names[other]}" for one, other in pairs)


def speakers_with(view, attribute, value):
    corpus = view.workspace.corpus
    groups, counts = np.unique(corpus.speaker_groups[corpus.has_value(attribute, value)], return_counts=True)
    return groups[counts >= 3]


@pytest.mark.parametrize("form", ["embedding", "sparse codes"])
@pytest.mark.parametrize("rate", ["frr", "far"])
def test_error_rates_of_groups_have_the_intervals_of_drawn_speakers(view, rate, form):
    from sae_core.measures.intervals import draw_speakers
    from sae_core.measures.verification import cosine_scores, sample_trials

    trial_set = draw_trials(view, n_trials=3000)
    found = compare_forms(view, trial_set)
    corpus, threshold = view.workspace.corpus, found.results[form].threshold
    line = found.by_value.query("attribute == 'gender' and value == 'female' and form == @form").iloc[0]
    pool = trial_set.pool_rows[corpus.has_value("gender", "female")[trial_set.pool_rows]]
    trials = sample_trials(corpus, pool, n_trials=4000)
    vectors = np.asarray(view.embeddings.vectors) if form == "embedding" else view.codes.dense()
    is_high = cosine_scores(vectors, trials) >= np.float32(threshold)
    asked = trials.is_target if rate == "frr" else ~trials.is_target
    wrong = asked & (is_high != trials.is_target)
    assert line[rate] == pytest.approx(wrong.sum() / asked.sum())
    sides = np.concatenate(
        [corpus.speaker_groups[trials.enrol_rows], corpus.speaker_groups[trials.test_rows]]
    )
    known, places = np.unique(sides, return_inverse=True)
    one, other = places[: len(trials)], places[len(trials) :]
    rates = []
    for drawn in draw_speakers(len(known), seed=0, n_draws=N_DRAWS):
        weights = np.where(one == other, drawn[one], drawn[one] * drawn[other])
        rates.append((weights * wrong).sum() / (weights * asked).sum())
    expected = np.quantile(rates, [0.025, 0.975])
    if expected[0] == expected[1]:  # nobody errs, in no draw: that is no certainty
        assert line[f"{rate}_low"] is None or np.isnan(line[f"{rate}_low"])
    else:
        np.testing.assert_allclose([line[f"{rate}_low"], line[f"{rate}_high"]], expected, atol=1e-6)


def test_a_list_of_two_speakers_gives_no_intervals(view):
    speakers = speakers_with(view, "gender", "female")[:2]
    trial_set = read_trial_list(view, list_of(view, speakers), name="two.txt")
    assert trial_set.verified.n_speakers == 2 and not trial_set.has_intervals
    found = compare_forms(view, trial_set)
    assert not found.has_intervals
    assert found.by_value["eer_low"].isna().all() and found.by_value["far_low"].isna().all()
    assert rank_latents(view, trial_set)[["low", "high"]].isna().all(axis=None)
    several = speakers_with(view, "gender", "female")[:FEW_SPEAKERS]
    enough = read_trial_list(view, list_of(view, several), name="five.txt")
    assert enough.has_intervals and compare_forms(view, enough).has_intervals


def test_a_value_of_one_target_speaker_is_not_tested(view):
    men, women = (speakers_with(view, "gender", value) for value in ("male", "female"))
    corpus = view.workspace.corpus
    # two men have target trials; of the women one has, the other takes part as an impostor alone
    lone = [int(np.flatnonzero(corpus.speaker_groups == women[1])[0])]
    text = f"{list_of(view, men[:2])}\n{list_of(view, women[:1], also=lone)}"
    table = compare_forms(view, read_trial_list(view, text, name="few.txt")).by_value
    tested = table[table["form"] == "embedding"].set_index(["attribute", "value"])["is_tested"]
    assert tested["gender", "male"] and not tested["gender", "female"]


def test_drawn_trials_of_one_target_speaker_are_not_tested_either(view, monkeypatch):
    from sae_core.analysis import verification_forms as module

    trial_set = draw_trials(view, n_trials=400)
    drawn = module.sample_trials

    def of_one(corpus, rows, *, n_trials):
        trials = drawn(corpus, rows, n_trials=n_trials)
        first = corpus.speaker_groups[trials.enrol_rows[trials.is_target][0]]
        return trials.select(~trials.is_target | (corpus.speaker_groups[trials.enrol_rows] == first))

    monkeypatch.setattr(module, "sample_trials", of_one)
    assert not compare_forms(view, trial_set).by_value["is_tested"].any()
