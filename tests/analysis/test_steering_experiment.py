"""Trial sets, steering experiments and forms of a voice on a whole workspace, against decoding everything again."""

import numpy as np
import pytest

from sae_core.corpus.clips import SPLITS
from sae_core.files.errors import CorpusError
from sae_core.measures.steering import Change
from sae_core.measures.verification import cosine_scores, equal_error_rate
from sae_core.sae.codes import SparseCodes


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def trial_set(view):
    from sae_core.analysis.trial_sets import draw_trials

    return draw_trials(view, n_trials=3000)


@pytest.fixture(scope="module")
def latents(view):
    return [int(latent) for latent in view.latents.sort_values("n_active", ascending=False)["latent"].head(3)]


def experiment_on(view, trial_set, latents, **settings):
    from sae_core.analysis.steering_experiment import SteeringExperiment

    return SteeringExperiment(view, trial_set, latents, **settings)


def decode_again(view, rows, changes, *, is_steered, keeps_error):
    """Steer by changing the codes and decoding them anew."""
    before = view.codes.dense(rows)
    after = before.copy()
    for change in changes:
        after[is_steered, change.latent] = change.apply(before[:, change.latent])[is_steered]

    def decode(dense):
        latents = np.tile(np.arange(view.n_latents, dtype=np.int32), (len(dense), 1))
        return view.model().decode(SparseCodes(latents, dense, view.n_latents))

    if keeps_error:
        return np.asarray(view.embeddings.vectors[rows]) + decode(after) - decode(before)
    return decode(after)


def test_drawn_trials_leave_training_voices_out(view, trial_set):
    corpus = view.workspace.corpus
    assert set(corpus.table["split"].iloc[trial_set.rows]) <= set(SPLITS[1:])
    assert trial_set.n_training == 0 and not trial_set.is_listed
    expected = cosine_scores(np.asarray(view.embeddings.vectors), trial_set.clip_trials)
    np.testing.assert_allclose(trial_set.scores, expected, atol=1e-6)
    groups = corpus.speaker_groups
    assert (
        trial_set.trials.is_target
        == (groups[trial_set.clip_trials.enrol_rows] == groups[trial_set.clip_trials.test_rows])
    ).all()
    assert trial_set.n_speakers == len(np.unique(groups[trial_set.rows]))


def test_trials_can_be_drawn_among_one_value(view):
    from sae_core.analysis.trial_sets import draw_trials, unseen_rows, usual_among

    corpus = view.workspace.corpus
    among = draw_trials(view, among=("gender", "female"), n_trials=400)
    assert corpus.has_value("gender", "female")[among.rows].all()
    assert set(unseen_rows(view, ("gender", "female"))) <= set(unseen_rows(view))
    assert usual_among(corpus) == ("kind", "speech")
    with pytest.raises(CorpusError, match="two clips of one speaker"):
        draw_trials(view, among=("gender", "nobody"))


def test_operating_points_let_in_as_many_as_they_say(trial_set):
    others = trial_set.scores[~trial_set.trials.is_target]
    assert (others >= trial_set.threshold("1 impostor in 100")).mean() <= 0.01
    assert trial_set.threshold("equal errors") == trial_set.verified.threshold
    assert trial_set.threshold("1 impostor in 1,000") >= trial_set.threshold("1 impostor in 100")


def test_a_list_is_read_as_it_stands(view):
    from sae_core.analysis.trial_sets import read_trial_list

    corpus = view.workspace.corpus
    names, rows = corpus.table["clip_id"], np.flatnonzero(view.embeddings.is_valid)
    first = rows[0]
    mate = next(row for row in rows[1:] if corpus.speaker_groups[row] == corpus.speaker_groups[first])
    other = next(row for row in rows[1:] if corpus.speaker_groups[row] != corpus.speaker_groups[first])
    text = f"1 {names[first]} {names[mate]}\n\n0 {names[first]} {corpus.table['audio_path'][other]}\n"
    listed = read_trial_list(view, text, name="mine.txt")
    assert listed.is_listed and len(listed.trials) == 2
    assert listed.clip_trials.enrol_rows.tolist() == [first, first]
    assert listed.clip_trials.test_rows.tolist() == [mate, other]
    is_training = corpus.table["split"] == "train"
    assert listed.n_training == sum(is_training[first] | is_training[row] for row in (mate, other))
    without = read_trial_list(view, f"{text}0 {names[first]} nobody\n", name="mine.txt")
    assert len(without.trials) == 2 and "line 4" in without.left_out, "counted, not dropped in silence"
    with pytest.raises(CorpusError, match="no targets"):
        read_trial_list(view, f"1 {names[first]} {names[mate]}\n", name="mine.txt")
    with pytest.raises(CorpusError, match="no trials"):
        read_trial_list(view, " \n", name="mine.txt")


def test_too_long_a_list_is_refused(view, monkeypatch):
    from sae_core.analysis.trial_sets import read_trial_list
    from sae_core.measures import verification

    monkeypatch.setattr(verification, "MAX_LISTED_TRIALS", 3)
    with pytest.raises(CorpusError, match="holds 4 trials"):
        read_trial_list(view, "1 a b\n" * 4, name="long.txt")


@pytest.mark.parametrize("keeps_error", [True, False])
@pytest.mark.parametrize("steered", [None, ("gender", "female")])
def test_steered_similarities_equal_those_decoded_again(view, trial_set, latents, steered, keeps_error):
    experiment = experiment_on(view, trial_set, latents, steered=steered, keeps_error=keeps_error)
    changes = [Change(latents[0], "ablate"), Change(latents[1], "scale", 2.0), Change(latents[2], "set", 1.5)]
    is_steered = np.ones(len(trial_set.rows), dtype=bool)
    if steered:
        is_steered = view.workspace.corpus.has_value(*steered)[trial_set.rows]
    again = decode_again(view, trial_set.rows, changes, is_steered=is_steered, keeps_error=keeps_error)
    expected = cosine_scores(again.astype(np.float32), trial_set.trials)
    found = experiment.similarities(changes)
    assert np.abs(found - expected).max() < 1e-5
    unit = again / np.linalg.norm(again, axis=1, keepdims=True)
    assert np.abs(experiment.steered_vectors(trial_set.rows, changes) - unit).max() < 1e-5
    assert experiment.count_steered(changes) == is_steered.sum()  # one of them sets a latent: all change


def test_no_change_is_exactly_the_original(view, trial_set, latents):
    experiment = experiment_on(view, trial_set, latents)
    unchanged = [Change(latent, "scale", 1.0) for latent in latents]
    np.testing.assert_allclose(experiment.similarities(unchanged), trial_set.scores, atol=1e-6)
    outcome = experiment.outcome(unchanged, operating_point="equal errors")
    assert outcome.eer_change[0] == pytest.approx(0, abs=1e-3)
    assert np.abs(outcome.shifts["shift"]).max() < 1e-6
    rebuilt = experiment_on(view, trial_set, latents, keeps_error=False)
    assert np.abs(rebuilt.similarities(unchanged) - trial_set.scores).max() > 1e-3


def test_histograms_count_every_pair_once(view, trial_set, latents):
    from sae_core.analysis.steering_experiment import N_BINS

    experiment = experiment_on(view, trial_set, latents)
    changes = [Change(latent, "set", 3.0) for latent in latents]
    after = experiment.similarities(changes)
    plain, relative = (experiment.histograms(changes, is_relative=kind) for kind in (False, True))
    for name, mask in trial_set.groups.items():
        shown, moved = plain.groups[name], relative.groups[name]
        for shares in (shown.before, shown.after, moved.after):
            assert len(shares) == N_BINS and shares.sum() == pytest.approx(1)
        counts, _ = np.histogram(after[mask], bins=N_BINS, range=(plain.low, plain.high))
        assert np.abs(counts / mask.sum() - shown.after).max() < 0.01
        change = (after[mask] - trial_set.scores[mask]) / np.abs(trial_set.scores[mask])
        usable = np.abs(trial_set.scores[mask]) >= 0.05
        assert moved.mean_after == pytest.approx(change[usable].mean(), abs=1e-4)
        assert (shown.n_pairs, moved.n_pairs) == (mask.sum(), usable.sum())
    assert relative.low == -relative.high
    assert relative.n_left_out == (np.abs(trial_set.scores) < 0.05).sum()
    table = plain.table()
    assert len(table) == N_BINS * len(trial_set.groups)
    assert table.groupby("group")["share_after"].sum().to_numpy() == pytest.approx(1)


def test_touched_pairs_are_those_with_a_changed_clip(view, trial_set, latents):
    experiment = experiment_on(view, trial_set, latents)
    changes = [Change(latents[0], "ablate")]
    fires = np.zeros(len(view.workspace.corpus), dtype=bool)
    fires[view.index.postings(latents[0])[0]] = True
    pairs = trial_set.clip_trials
    touched = fires[pairs.enrol_rows] | fires[pairs.test_rows]
    found = experiment.histograms(changes, only_touched=True)
    for name, mask in trial_set.groups.items():
        assert found.groups[name].n_pairs == (mask & touched).sum()
    nothing = experiment.histograms([], only_touched=True, is_relative=True)
    assert not any(group.n_pairs for group in nothing.groups.values())


def test_neighbours_are_those_of_the_steered_vector(view, trial_set, latents):
    experiment = experiment_on(view, trial_set, latents)
    row, changes = int(view.index.top(latents[0], 1)[0][0]), [Change(latents[0], "ablate")]
    before, after = experiment.neighbours(row, changes, n=5)
    expected = view.nearest_clips(row, n=5)
    np.testing.assert_allclose(before["cosine"], expected["cosine"], atol=1e-6)
    again = decode_again(view, np.array([row]), changes, is_steered=np.array([True]), keeps_error=True)[0]
    cosine = np.asarray(view.embeddings.vectors) @ (again / np.linalg.norm(again))
    cosine[row] = -1
    np.testing.assert_allclose(after["cosine"], np.sort(cosine)[::-1][:5], atol=1e-5)
    assert row not in after["row"].tolist()


def test_offered_clips_are_steered_clips_of_the_trials(view, trial_set, latents):
    experiment = experiment_on(view, trial_set, latents, steered=("gender", "female"))
    offered = experiment.strongest_rows(10)
    assert len(offered) == len(set(offered)) == 10
    assert set(offered) <= set(trial_set.pool_rows.tolist())
    assert view.workspace.corpus.has_value("gender", "female")[offered].all()
    assert not experiment_on(view, trial_set, []).strongest_rows(10)


def test_more_latents_than_sliders_are_refused(view, trial_set):
    from sae_core.analysis.steering_experiment import MAX_STEERED

    with pytest.raises(ValueError, match=f"at most {MAX_STEERED}"):
        experiment_on(view, trial_set, range(MAX_STEERED + 1))


def test_presets_switch_off_latents_measured_on_new_voices(view):
    from sae_core.analysis.steering_experiment import MAX_PRESET, steering_presets
    from sae_core.measures.attributes import UNSEEN_SPEAKERS

    presets = steering_presets(view)
    assert presets and presets[0].is_confirmed
    for preset in presets:
        place = view.statistics.value_row(preset.attribute, preset.value)
        assert view.statistics.values["evidence"][place] == UNSEEN_SPEAKERS
        assert 1 <= len(preset.latents) <= MAX_PRESET
        named = view.latents.iloc[list(preset.latents)]
        if preset.is_confirmed:
            assert named["is_named"].all() and (named["best_value"] == preset.value).all()
        else:
            assert preset.latents == (view.statistics.predominant(preset.attribute, preset.value),)


def test_forms_are_verified_as_their_vectors_are(view, trial_set, latents):
    from sae_core.analysis.verification_forms import CODES, EMBEDDING, RECONSTRUCTION, STEERED, compare_forms

    experiment, changes = experiment_on(view, trial_set, latents), [Change(latents[0], "set", 4.0)]
    found = compare_forms(view, trial_set, experiment=experiment, changes=changes)
    dense, is_target = view.codes.dense(trial_set.rows), trial_set.trials.is_target
    everyone = np.ones(len(trial_set.rows), dtype=bool)
    expected = {
        EMBEDDING: trial_set.vectors,
        RECONSTRUCTION: decode_again(view, trial_set.rows, [], is_steered=everyone, keeps_error=False),
        CODES: dense,
        STEERED: decode_again(view, trial_set.rows, changes, is_steered=everyone, keeps_error=True),
    }
    assert list(found.results) == list(expected)
    for name, vectors in expected.items():
        scores = cosine_scores(np.asarray(vectors, dtype=np.float32), trial_set.trials)
        assert found.results[name].eer == pytest.approx(equal_error_rate(scores, is_target), abs=2e-3)
    assert list(compare_forms(view, trial_set).results) == [EMBEDDING, RECONSTRUCTION, CODES]


def test_groups_are_told_apart_and_few_voices_claim_nothing(view, trial_set):
    from sae_core.analysis.verification_forms import FEW_SPEAKERS, compare_forms

    table = compare_forms(view, trial_set).by_value
    corpus = view.workspace.corpus
    assert set(table["attribute"]) == {"language", "gender"}
    assert set(table["value"][table["attribute"] == "language"]) == set(corpus.values_of("language"))
    tested = table[table["is_tested"].astype(bool)]
    assert tested["eer"].between(0, 1).all()
    assert tested["n_speakers"].gt(0).all()
    few = tested["is_few"].astype(bool)
    assert (few == (tested["n_speakers"] < FEW_SPEAKERS)).all()
    assert tested.loc[few, "eer_low"].isna().all() and tested.loc[~few, "eer_low"].notna().all()


def test_ranked_latents_stand_in_order_with_intervals_at_both_ends(view, trial_set):
    from sae_core.analysis.verification_forms import N_WITH_INTERVAL, rank_latents

    table = rank_latents(view, trial_set)
    assert table["eer_change"].is_monotonic_decreasing
    assert (table["n_active"] > 0).all() and not table["latent"].duplicated().any()
    ends = [*range(N_WITH_INTERVAL), *range(len(table) - N_WITH_INTERVAL, len(table))]
    assert table["low"].iloc[ends].notna().all()
    assert table["low"].isna().sum() == len(table) - len(set(ends))
    latent = int(table["latent"].iloc[0])
    experiment = experiment_on(view, trial_set, [latent])
    after = equal_error_rate(experiment.similarities([Change(latent, "ablate")]), trial_set.trials.is_target)
    assert table["eer_change"].iloc[0] == pytest.approx(after - trial_set.verified.eer, abs=1e-6)


def planted_outcome(view, shift, *, seed=0):
    """The outcome of a steering that moves pairs of other language by `shift` for every speaker and nothing else."""
    from sae_core.analysis.steering_experiment import SteeringExperiment
    from sae_core.analysis.trial_sets import draw_trials

    drawn = draw_trials(view, n_trials=4000)

    class Planted(SteeringExperiment):
        def similarities(self, changes):
            noise = np.random.default_rng(seed).normal(0, 1e-4, len(drawn.scores))
            is_moved = drawn.groups["different speaker, other language"]
            return (drawn.scores + noise + shift * is_moved).astype(np.float32)

    return Planted(view, drawn, [3]).outcome([Change(3, "ablate")], operating_point="equal errors")


@pytest.mark.parametrize(
    ("shift", "is_effect"), [(0.0, False), (0.001, False), (-0.001, False), (0.05, True), (-0.05, True)]
)
def test_an_effect_is_a_shift_beyond_its_interval_that_the_distributions_show(view, shift, is_effect):
    moved = planted_outcome(view, shift).moved
    assert bool(len(moved)) == is_effect
    if is_effect:
        assert moved["group"].iloc[0] == "different speaker, other language"
        assert moved["shift"].iloc[0] == pytest.approx(shift, abs=1e-3)
        assert "same speaker" not in set(moved["group"])


def test_a_tiny_shift_with_a_tight_interval_is_no_effect(view):
    outcome = planted_outcome(view, 0.001)
    line = outcome.shifts.set_index("group").loc["different speaker, other language"]
    assert line["shift_low"] > 0  # the interval alone would call it one
    assert outcome.moved.empty


def test_nothing_moves_where_the_latent_is_silent_or_nothing_is_changed(view, trial_set, latents):
    experiment = experiment_on(view, trial_set, latents)
    for changes in ([], [Change(latents[0], "scale", 1.0)]):
        assert experiment.count_steered(changes) == 0
        assert experiment.outcome(changes, operating_point="equal errors").moved.empty


def test_only_clips_whose_activation_changes_count_as_steered(view, trial_set, latents):
    latent = int(view.latents.query("n_active > 0").sort_values("n_active")["latent"].iloc[10])
    is_active = view.codes.dense(trial_set.rows)[:, latent] > 0
    ablate = [Change(latent, "ablate")]
    assert 0 < is_active.sum() < len(is_active)
    assert experiment_on(view, trial_set, [latent]).count_steered(ablate) == is_active.sum()
    women = experiment_on(view, trial_set, [latent], steered=("gender", "female"))
    carries = view.workspace.corpus.has_value("gender", "female")[trial_set.rows]
    assert women.count_steered(ablate) == (is_active & carries).sum()
    assert women.count_steered([Change(latent, "set", 2.5)]) == carries.sum()
