"""Groups of points by colour: one byte each, counted right, nothing mixed up at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.analysis import map_colours
from sae_core.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def view(small_workspace):
    workspace = Workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def rows(view):
    return np.random.default_rng(0).permutation(len(view.workspace.corpus))[:400]


def members(grouping, key):
    return grouping.is_in([key])


def check_whole(grouping):
    """Every point is in exactly one group, and the counts say so."""
    times = sum(members(grouping, group.key).astype(int) for group in grouping.groups)
    np.testing.assert_array_equal(times, 1)
    for group in grouping.groups:
        assert members(grouping, group.key).sum() == group.n


@pytest.mark.parametrize("attribute", ["language", "gender", "kind"])
def test_attribute_values_are_the_corpus_values(view, rows, attribute):
    found = map_colours.group_by_attribute(view, rows, attribute)
    check_whole(found)
    column = view.workspace.corpus.table[attribute].iloc[rows]
    for group in found.groups:
        expected = column.isna() if group.key == "unknown" else column == group.key
        np.testing.assert_array_equal(members(found, group.key), expected)
    assert {group.role for group in found.groups if group.key == "unknown"} <= {"unknown"}


def test_a_column_that_is_no_attribute_is_refused(view, rows):
    with pytest.raises(ValueError, match="no attribute"):
        map_colours.group_by_attribute(view, rows, "clip_id")


def test_voices_with_most_clips_come_first_and_the_rest_together(view, rows):
    found = map_colours.group_by_speaker(view, rows, n_speakers=5)
    check_whole(found)
    counts = view.workspace.corpus.table["speaker_id"].iloc[rows].value_counts()
    shown = [group for group in found.groups if group.role == "value"]
    assert [group.n for group in shown] == counts.iloc[:5].tolist()
    assert all(counts[group.key] == group.n for group in shown)
    assert [group.n for group in found.groups if group.key == "other"] == [len(rows) - counts.iloc[:5].sum()]


def test_activations_keep_silent_told_and_below_apart(view, rows):
    latent = int(view.latents["best_threshold"].fillna(0).to_numpy().argmax())
    threshold = view.threshold_of(latent)
    assert threshold > 0
    found = map_colours.group_by_activation(view, rows, latent)
    check_whole(found)
    active, values = view.index.postings(latent)
    dense = np.zeros(len(view.workspace.corpus))
    dense[active] = values
    np.testing.assert_array_equal(members(found, "active"), dense[rows] > threshold)
    np.testing.assert_array_equal(members(found, "silent"), dense[rows] == 0)
    order = np.argsort(dense[rows], kind="stable")
    assert (np.diff(found.codes[order].astype(int)) >= 0).all()
    assert found.top == pytest.approx(float(values[0]))


def test_a_latent_without_threshold_or_clips_has_no_group_below(view, rows, monkeypatch):
    monkeypatch.setattr(type(view), "threshold_of", lambda self, latent: 0.0)
    found = map_colours.group_by_activation(view, rows, 0)
    assert {group.key for group in found.groups} == {"active", "silent"}
    check_whole(found)


def test_latents_go_by_the_value_they_may_be_called_by(view):
    latents = np.arange(view.n_latents)[::-1].copy()
    found = map_colours.group_by_detected_value(view, latents)
    check_whole(found)
    is_named = view.latents["is_named"].to_numpy()[latents]
    assert is_named.any()
    assert not is_named.all()
    np.testing.assert_array_equal(members(found, "unnamed"), ~is_named)
    for group in found.groups:
        if group.role == "value":
            attribute, value = group.key.split("=")
            facts = view.latents.iloc[latents[members(found, group.key)]]
            assert set(facts["best_attribute"]) == {attribute}
            assert set(facts["best_value"]) == {value}


def test_nested_prefixes_hold_their_latents(view):
    name = next(name for name in view.workspace.sae_names() if "matryoshka" in name)
    nested = view.workspace.sae(name)
    found = map_colours.group_by_prefix(nested, np.arange(64))
    check_whole(found)
    np.testing.assert_array_equal(members(found, "16"), np.arange(64) < 16)


def test_sizes_rise_with_the_firing_rate(view):
    latents = np.arange(view.n_latents)
    sizes = map_colours.sizes_by_firing(view, latents)
    rates = view.latents["firing_rate"].to_numpy()
    assert sizes[rates.argmax()] == 255
    assert (np.diff(sizes[np.argsort(rates)].astype(int)) >= 0).all()
    assert (sizes[rates == 0] == 0).all()


@given(st.lists(st.integers(-1, 12), min_size=1, max_size=60), st.integers(1, 13))
def test_values_past_the_limit_share_one_code(codes, n_values):
    values = [f"v{number}" for number in range(13)]
    found = map_colours._by_value(np.array(codes), values, n_values=n_values)
    check_whole(found)
    for point, code in enumerate(codes):
        key = "unknown" if code < 0 else values[code] if code < n_values else "other"
        assert members(found, key)[point]


def test_no_known_key_means_all_points(view, rows):
    found = map_colours.group_by_attribute(view, rows, "language")
    assert found.is_in([]).all()
    assert found.is_in(["no such value"]).all()
