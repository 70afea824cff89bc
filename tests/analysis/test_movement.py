"""SAEs side by side, on a workspace with planted truth: the same numbers as the parts below give."""

import numpy as np
import pytest

from sae_core.analysis.movement import (
    IndexChoice,
    follow_clips,
    order_by_activation,
    order_by_size,
    predominant_index,
    refine_sae,
    smallest_and_largest,
    split_index,
    steer_index,
    trace_saes,
)
from sae_core.measures.movement import IN_INDEX
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import Workspace

PLAIN, NESTED = "topk-64-k8-s1", "matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def workspace(small_workspace):
    return Workspace(small_workspace)


@pytest.fixture
def value(workspace):
    """A value that held-out speakers confirm."""
    named = workspace.sae(PLAIN).latents
    best = named[named["is_named"]].sort_values("best_f1", ascending=False).iloc[0]
    return str(best["best_attribute"]), str(best["best_value"])


def test_the_predominant_index_is_what_the_statistics_say(workspace, value):
    view = workspace.sae(PLAIN)
    choice = predominant_index(view, *value)
    row = view.statistics.value_row(*value)
    assert choice.latent == view.statistics.measures["selection_f1"][:, row].argmax()
    dense = view.codes.dense()[:, choice.latent]
    assert set(choice.rows(view.embeddings.is_valid).tolist()) == set(
        np.flatnonzero(dense > choice.threshold).tolist()
    )
    with pytest.raises(ValueError, match="was not measured"):
        predominant_index(view, value[0], "no such value")


def test_the_ends_of_the_grid(workspace):
    assert order_by_size(workspace) == sorted([PLAIN, NESTED])
    assert smallest_and_largest(workspace, PLAIN) == (NESTED, PLAIN)  # one of each variant: any will do


def test_clips_are_followed_and_told_by_rare_latents(workspace, value):
    stations = [predominant_index(workspace.sae(name), *value) for name in (PLAIN, NESTED)]
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
    first, last = (predominant_index(workspace.sae(name), *value) for name in (PLAIN, NESTED))
    rows = follow_clips([first, last]).rows
    ordered, activations = order_by_activation([first, last], rows)
    assert sorted(ordered) == rows.tolist() and (np.diff(activations) <= 0).all()
    one, other = (choice.view.codes.dense()[:, choice.latent] for choice in (first, last))
    for row, activation in zip(ordered, activations, strict=True):
        assert activation == pytest.approx(one[row] if one[row] > first.threshold else other[row])


def test_the_splitting_lists_kin_and_their_part_of_the_index(workspace, value):
    before, after = predominant_index(workspace.sae(PLAIN), *value), workspace.sae(NESTED)
    splitting = split_index(before, after)
    related = trace_saes(before.view, after).successors_of(before.latent)
    assert set(splitting.successors["successor"]) == set(related["successor"]) and len(related) > 0
    whole = set(before.rows(before.view.embeddings.is_valid).tolist())
    for successor in splitting.successors.itertuples():
        held = set(np.flatnonzero(after.codes.dense()[:, successor.successor] > 0).tolist()) & whole
        assert set(splitting.rows[successor.successor].tolist()) == held
        assert successor.share == pytest.approx(len(held) / len(whole))


def test_nested_saes_are_refined_within_and_others_are_not(workspace, value):
    nested = workspace.sae(NESTED)
    refined = refine_sae(nested)
    assert (refined["predecessor"] < refined["successor"]).all()
    predecessor = int(refined["predecessor"].iloc[0]) if len(refined) else 0
    within = split_index(IndexChoice(nested, predecessor, 0.0, *value), nested)
    assert set(within.successors["successor"]) <= set(
        refined[refined["predecessor"] == predecessor]["successor"]
    )
    plain = predominant_index(workspace.sae(PLAIN), *value)
    assert split_index(plain, plain.view).successors.empty
    with pytest.raises(ValueError, match="not nested"):
        refine_sae(plain.view)


def test_a_steered_index_is_what_encoding_the_changed_embeddings_gives(workspace, value):
    view = workspace.sae(PLAIN)
    choice = predominant_index(view, *value)
    steered = steer_index(choice, [Change(choice.latent, "ablate")])
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
    nothing = follow_clips([choice, steer_index(choice, [Change(choice.latent, "scale", 1.0)])])
    assert not len(nothing.rows_that("leave")) and not len(nothing.rows_that("enter"))
