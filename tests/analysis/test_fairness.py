"""Fairness and scores of a small workspace, against the functions beneath and masks made by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import sae_core as vox
from sae_core.analysis.fairness import (
    attribute_groups,
    bands,
    errors_by_group,
    errors_by_speaker,
    explain_gap,
)
from sae_core.analysis.score_comparison import NORMALISED, compare_scores, identify_speakers
from sae_core.analysis.steering_experiment import SteeringExperiment
from sae_core.analysis.trial_sets import OPERATING_POINTS, draw_trials, unseen_rows
from sae_core.files.errors import CorpusError
from sae_core.measures.fairness import far_at_equal_errors, frr_gap
from sae_core.measures.score_files import ScoredTrials
from sae_core.measures.steering import Change

AT = next(iter(OPERATING_POINTS))


@pytest.fixture(scope="module")
def view(small_workspace):
    return vox.open_sae(small_workspace)


@pytest.fixture(scope="module")
def trials(view):
    return draw_trials(view, n_trials=3_000)


def test_groups_are_values_intersections_and_bands(view):
    corpus = view.workspace.corpus
    pairs = attribute_groups(corpus, ["gender", "language"])
    one = next(iter(pairs))
    gender, language = one.split(", ")
    np.testing.assert_array_equal(
        pairs[one], corpus.has_value("gender", gender) & corpus.has_value("language", language)
    )
    assert (
        sum(mask.sum() for mask in attribute_groups(corpus, ["gender"]).values())
        == corpus.is_known("gender").sum()
    )
    with pytest.raises(CorpusError, match="no attribute 'shoe size'"):
        attribute_groups(corpus, ["shoe size"])
    values = pd.Series([5.0, 1.0, None, 3.0, 2.0, 4.0, 6.0])
    found = bands(values, unit="dB")
    assert [int(mask.sum()) for mask in found.values()] == [2, 2, 2] and next(iter(found)).startswith("1 to")
    assert not bands(pd.Series([None, None], dtype="Float32"))


def test_attributes_and_measures_are_crossed(view, monkeypatch):
    from sae_core.analysis import fairness

    corpus = view.workspace.corpus
    loud = pd.Series(np.arange(len(corpus)) / len(corpus), dtype="Float32")
    monkeypatch.setattr(
        fairness, "acoustics_of", lambda _: SimpleNamespace(table=pd.DataFrame({"snr_db": loud}))
    )
    found = fairness.crossed_groups(view.workspace, ["gender", "snr_db"])
    genders, measured = {keys[0] for keys in found}, {keys[1] for keys in found}
    assert genders == set(corpus.values_of("gender")) and len(measured) == 3
    assert all(band.endswith(" dB") for band in measured)
    assert sum(mask.sum() for mask in found.values()) == corpus.is_known("gender").sum()
    first = next(iter(found))
    assert (corpus.has_value("gender", first[0]) | ~found[first]).all()
    with pytest.raises(CorpusError, match="no attribute 'shoe size'"):
        fairness.crossed_groups(view.workspace, ["shoe size"])


def test_errors_by_group_and_speaker_follow_the_common_threshold(view, trials):
    groups = attribute_groups(view.workspace.corpus, ["gender"])
    table = errors_by_group(trials, groups, operating_point=AT).set_index("group")
    inside = groups["female"][trials.rows]
    mask = inside[trials.trials.enrol_rows] & inside[trials.trials.test_rows] & trials.trials.is_target
    rejected = trials.scores[mask] < np.float32(trials.threshold(AT))
    assert table.loc["female", "frr"] == pytest.approx(rejected.mean())
    people = errors_by_speaker(trials, operating_point=AT)
    assert len(people) == trials.n_speakers and people["speaker_id"].is_unique


def test_a_gap_is_taken_apart_latent_by_latent(view, trials):
    groups = attribute_groups(view.workspace.corpus, ["gender"])
    gap = explain_gap(view, trials, groups, worse="female", better="male")
    far = far_at_equal_errors(trials.scores, trials.trials)
    pair = tuple(groups[name][trials.rows] for name in ("female", "male"))
    assert gap.frr_gap == pytest.approx(frr_gap(trials.scores, trials.trials, pair, far=far))
    latent = int(gap.table["latent"].iloc[0])
    after = SteeringExperiment(view, trials, [latent]).similarities([Change(latent, "ablate")])
    assert gap.latents[latent] == pytest.approx(frr_gap(after, trials.trials, pair, far=far), abs=0.01)
    assert gap.table["gap"].iloc[0] == pytest.approx(gap.latents[latent], abs=1e-6)
    assert all(change.mode == "ablate" for change in gap.remedy())
    with pytest.raises(CorpusError, match="too few to compare"):
        explain_gap(
            view, trials, {**groups, "none": ~groups["male"] & ~groups["female"]}, worse="none", better="male"
        )


def test_scores_are_compared_on_speakers_that_fixed_nothing(view, trials):
    clips = trials.clip_trials
    listed = {"theirs": ScoredTrials(clips, trials.scores * 3 + 1, "")}
    found = compare_scores(view, trials, listed=listed)
    split = view.workspace.corpus.table["split"].to_numpy()
    assert found.is_fixed_elsewhere and (split[found.trials.enrol_rows] == "held-out").all()
    assert {"embedding", f"embedding{NORMALISED}", "reconstruction", "theirs"} <= set(found.reports)
    mine, theirs = found.reports["embedding"], found.reports["theirs"]
    assert mine.verified.eer == pytest.approx(theirs.verified.eer, abs=1e-6)
    assert mine.cllr == pytest.approx(theirs.cllr, abs=1e-3)
    assert mine.calibration.slope == pytest.approx(3 * theirs.calibration.slope, rel=1e-2)
    assert found.n_cohort > 20 and (found.table["n_trials"] == len(found.trials)).all()


def test_speakers_are_identified_among_those_enrolled(view):
    corpus, vectors = view.workspace.corpus, np.asarray(view.embeddings.vectors)
    found = identify_speakers(corpus, vectors, unseen_rows(view), n_enrol=2)
    assert found.n_known + found.n_unknown + 2 * found.n_enrolled == len(unseen_rows(view))
    assert found.closed.rank_1 > 5 / found.n_enrolled
    assert found.open["false_positive"].is_monotonic_increasing
    perfect = np.eye(int(corpus.speaker_groups.max()) + 1, dtype=np.float32)[corpus.speaker_groups]
    assert identify_speakers(corpus, perfect, unseen_rows(view), n_enrol=2).closed.rank_1 == 1
    with pytest.raises(CorpusError, match="fewer than two speakers"):
        identify_speakers(corpus, vectors, unseen_rows(view), n_enrol=500)
