"""SAEs side by side, on a workspace with planted truth: the same numbers as the parts below give."""

from dataclasses import replace

import numpy as np
import pytest

from sae_core.analysis.movement import (
    ActiveSet,
    best_active_set,
    follow_clips,
    measure_detection,
    order_by_activation,
    order_by_size,
    refine_sae,
    side_effects,
    smallest_and_largest,
    split_active_set,
    steer_active_set,
    trace_saes,
)
from sae_core.measures.movement import IN_INDEX
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import Workspace

PLAIN, NESTED = "synthetic-topk-64-k8-s1", "synthetic-matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def workspace(small_workspace):
    return Workspace(small_workspace)


@pytest.fixture
def value(workspace):
    """A value that held-out speakers confirm."""
    named = workspace.sae(PLAIN).latents
    best = named[named["is_named"]].sort_values("best_f1", ascending=False).iloc[0]
    return str(best["best_attribute"]), str(best["best_value"])


def test_the_best_active_set_is_what_the_statistics_say(workspace, value):
    view = workspace.sae(PLAIN)
    choice = best_active_set(view, *value)
    row = view.statistics.value_row(*value)
    assert choice.latent == view.statistics.measures["selection_f1"][:, row].argmax()
    dense = view.codes.dense()[:, choice.latent]
    assert set(choice.rows(view.embeddings.is_valid).tolist()) == set(
        np.flatnonzero(dense > choice.threshold).tolist()
    )
    with pytest.raises(ValueError, match="was not measured"):
        best_active_set(view, value[0], "no such value")


def test_the_ends_of_the_grid(workspace):
    assert order_by_size(workspace) == sorted([PLAIN, NESTED])
    assert smallest_and_largest(workspace, PLAIN) == (NESTED, PLAIN)  # one of each variant: any will do


def test_clips_are_followed_and_told_by_rare_latents(workspace, value):
    stations = [best_active_set(workspace.sae(name), *value) for name in (PLAIN, NESTED)]
    movement = follow_clips(stations)
    for number, station in enumerate(stations):
        view = station.view
        dense = view.codes.dense()
        assert set(movement.rows[movement.places[:, number] == IN_INDEX]) == set(
            np.flatnonzero(dense[:, station.latent] > station.threshold)
        )
        weighted = dense * np.log(view.embeddings.is_valid.sum() / np.maximum(view.index.n_active(), 1))
        weighted[:, station.latent] = 0
        outside = movement.places[:, number] >= 0
        assert (
            movement.places[outside, number].tolist()
            == weighted[movement.rows[outside]].argmax(axis=1).tolist()
        )
    held_out = follow_clips(stations, split="held-out")
    splits = workspace.corpus.table["split"].to_numpy()
    assert set(held_out.rows) == {row for row in movement.rows if splits[row] == "held-out"}


def test_clips_are_ordered_by_the_index_that_holds_them(workspace, value):
    first, last = (best_active_set(workspace.sae(name), *value) for name in (PLAIN, NESTED))
    rows = follow_clips([first, last]).rows
    ordered, activations = order_by_activation([first, last], rows)
    assert sorted(ordered) == rows.tolist() and (np.diff(activations) <= 0).all()
    one, other = (choice.view.codes.dense()[:, choice.latent] for choice in (first, last))
    for row, activation in zip(ordered, activations, strict=True):
        assert activation == pytest.approx(one[row] if one[row] > first.threshold else other[row])


def test_the_splitting_lists_kin_and_their_part_of_the_index(workspace, value):
    before, after = best_active_set(workspace.sae(PLAIN), *value), workspace.sae(NESTED)
    splitting = split_active_set(before, after)
    kin = trace_saes(before.view, after).successors_of(before.latent)
    assert set(splitting.successors["successor"]) == set(kin["successor"]) and len(kin) > 0
    whole = set(before.rows(before.view.embeddings.is_valid).tolist())
    for successor in splitting.successors.itertuples():
        held = set(np.flatnonzero(after.codes.dense()[:, successor.successor] > 0).tolist()) & whole
        assert set(splitting.rows[successor.successor].tolist()) == held
        assert successor.share == pytest.approx(len(held) / len(whole))


def test_nested_saes_are_refined_within_and_others_are_not(workspace, value):
    nested = workspace.sae(NESTED)
    refined = refine_sae(nested)
    assert (refined["predecessor"] < refined["successor"]).all()
    parent = int(refined["predecessor"].iloc[0]) if len(refined) else 0
    within = split_active_set(ActiveSet(nested, parent, 0.0, *value), nested)
    assert set(within.successors["successor"]) <= set(refined[refined["predecessor"] == parent]["successor"])
    plain = best_active_set(workspace.sae(PLAIN), *value)
    assert split_active_set(plain, plain.view).successors.empty
    with pytest.raises(ValueError, match="no Matryoshka SAE"):
        refine_sae(plain.view)


def test_a_steered_index_is_what_encoding_the_changed_embeddings_gives(workspace, value):
    view = workspace.sae(PLAIN)
    choice = best_active_set(view, *value)
    steered = steer_active_set(choice, [Change(choice.latent, "ablate")])
    model, dense = view.model(), view.codes.dense()
    change = -dense[:, [choice.latent]] * (model.W_dec[choice.latent] * model.scale).detach().numpy()
    moved = np.asarray(view.embeddings.vectors) + change
    unit = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    expected = model.encode(unit).dense()
    assert np.allclose(steered.codes.dense(), expected, atol=1e-3)
    told = np.flatnonzero(steered.codes.dense()[:, choice.latent] > choice.threshold)
    assert set(steered.rows(view.embeddings.is_valid).tolist()) == set(told.tolist())
    movement = follow_clips([choice, steered])
    assert len(movement.rows_that("leave")) > len(movement.rows_that("stay"))
    nothing = follow_clips([choice, steer_active_set(choice, [Change(choice.latent, "scale", 1.0)])])
    assert not len(nothing.rows_that("leave")) and not len(nothing.rows_that("enter"))


def brute_detection(active_set, *, n_draws=1000):
    """Precision, recall and F1 clip by clip, and their bounds by drawing speakers one after another."""
    from sae_core.measures.attributes import attribute_targets
    from sae_core.measures.intervals import draw_speakers

    view, corpus = active_set.view, active_set.view.workspace.corpus
    target = next(
        found
        for found in attribute_targets(corpus, view.embeddings.is_valid)
        if (found.attribute, found.value) == (active_set.attribute, active_set.value)
    )
    rows = np.flatnonzero(target.is_reported)
    predicted = view.codes.dense(rows)[:, active_set.latent] > active_set.threshold
    is_positive, speakers = (
        target.is_positive[rows],
        np.unique(corpus.speaker_groups[rows], return_inverse=True)[1],
    )

    def measures(weights):
        both, either = (weights * (predicted & is_positive)).sum(), (weights * predicted).sum()
        positive = (weights * is_positive).sum()
        return both / max(either, 1), both / positive, 2 * both / (either + positive)

    drawn = draw_speakers(int(speakers.max()) + 1, seed=0, n_draws=n_draws)
    found = [measures(line[speakers]) for line in drawn if (line[speakers] * is_positive).sum() > 0]
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return list(zip(measures(np.ones(len(rows))), low, high, strict=True))


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0, 1.5, 1e9])
def test_detection_is_measured_at_the_threshold_asked_for(workspace, value, part):
    tuned = best_active_set(workspace.sae(PLAIN), *value)
    asked = ActiveSet(tuned.view, tuned.latent, part * tuned.threshold, *value)
    found = measure_detection(asked)
    for name, expected in zip(("precision", "recall", "f1"), brute_detection(asked), strict=True):
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-6, err_msg=name)
    if part == 1e9:
        assert found.f1[0] == found.recall[0] == 0


def test_at_the_tuned_threshold_detection_is_the_stored_statistics(workspace, value):
    tuned = best_active_set(workspace.sae(PLAIN), *value)
    facts = tuned.view.statistics.of(tuned.latent, tuned.view.statistics.value_row(*value))
    found = measure_detection(tuned)
    for name in ("precision", "recall", "f1"):
        stored = [facts[name], facts[f"{name}_low"], facts[f"{name}_high"]]
        np.testing.assert_allclose(getattr(found, name), stored, atol=1e-6)
    counts = [
        facts[name] for name in ("evidence", "n_reported", "n_reported_positive", "n_reported_speakers")
    ]
    assert [found.evidence, found.n_clips, found.n_positive, found.n_speakers] == counts
    lower = measure_detection(ActiveSet(tuned.view, tuned.latent, 0.0, *value))
    top = float(tuned.view.latents["max_activation"].iloc[tuned.latent])
    nothing = measure_detection(ActiveSet(tuned.view, tuned.latent, top, *value))
    assert lower.recall[0] >= found.recall[0] > nothing.recall[0] == nothing.f1[0] == 0


def test_one_speaker_gives_no_interval_of_detection(workspace, value, monkeypatch):
    from sae_core.analysis import movement as module

    tuned = best_active_set(workspace.sae(PLAIN), *value)
    target = module._target_of(tuned.view, *value)
    groups = workspace.corpus.speaker_groups
    only = groups == groups[np.flatnonzero(target.is_reported & target.is_positive)[0]]
    alone = replace(target, is_positive=target.is_positive & only)
    monkeypatch.setattr(module, "_target_of", lambda *_: alone)
    found = measure_detection(tuned)
    assert found.n_speakers == 1 and found.f1[1:] == found.recall[1:] == (None, None)


@pytest.mark.parametrize("split", [None, "held-out"])
def test_side_effects_are_the_other_latents_that_start_or_stop(workspace, value, split):
    before = best_active_set(workspace.sae(PLAIN), *value)
    steered = [Change(before.latent, "set", 6.0), Change((before.latent + 5) % 64, "ablate")]
    after = steer_active_set(before, steered)
    found = side_effects(before, after, split=split)
    is_counted = before.view.embeddings.is_valid
    if split:
        is_counted = is_counted & (workspace.corpus.table["split"] == split).to_numpy()
    others = np.setdiff1d(np.arange(64), [change.latent for change in steered])
    old, new = (part.codes.dense()[is_counted] > 0 for part in (before, after))
    by_latent = found.latents.set_index("latent")
    for latent in others:
        was, now = old[:, latent], new[:, latent]
        expected = [was.sum(), now.sum(), (was & ~now).sum(), (now & ~was).sum()]
        assert (
            by_latent.loc[latent].tolist() == expected
            if (was != now).any()
            else latent not in by_latent.index
        )
    assert set(by_latent.index) <= set(others) and len(by_latent)
    by_row = found.clips.set_index("row")
    for place, row in enumerate(np.flatnonzero(is_counted)):
        was, now = old[place, others], new[place, others]
        if (was != now).any():
            assert by_row.loc[row].tolist() == [(was & ~now).sum(), (now & ~was).sum()]
        else:
            assert row not in by_row.index
    for table in (found.latents, found.clips):
        assert (table["n_lost"] + table["n_gained"]).is_monotonic_decreasing


def test_a_steering_that_changes_nothing_has_no_side_effects(workspace, value):
    before = best_active_set(workspace.sae(PLAIN), *value)
    found = side_effects(before, steer_active_set(before, [Change(before.latent, "scale", 1.0)]))
    assert found.latents.empty and found.clips.empty
