"""Chosen clips: the polygon against brute force, and what sets them apart against plain counting."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from sae_core.analysis import map_selection
from sae_core.measures import intervals
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def view(small_workspace):
    workspace = Workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def rows(view):
    """All French clips and a few others: a choice with something to find."""
    is_french = view.workspace.corpus.has_value("language", "fr")
    return np.flatnonzero(is_french | (np.arange(len(is_french)) % 17 == 0))


def is_inside(point, polygon):
    """The even-odd rule, one point at a time."""
    x, y = point
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


corner = st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))


@given(st.lists(corner, min_size=3, max_size=12), st.integers(0, 5))
def test_points_inside_any_polygon_are_those_of_the_even_odd_rule(corners, seed):
    xy = np.random.default_rng(seed).uniform(-1, 1, (60, 2)).astype(np.float32)
    polygon = np.array(corners, dtype=np.float64)
    expected = [number for number, point in enumerate(xy.astype(np.float64)) if is_inside(point, polygon)]
    assert map_selection.points_inside(xy, polygon).tolist() == expected


def test_corners_on_points_and_level_edges_count_once():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2).astype(np.float32)
    square = np.array([[1, 1], [3, 1], [3, 3], [1, 3]])
    expected = [number for number, point in enumerate(grid.astype(np.float64)) if is_inside(point, square)]
    assert map_selection.points_inside(grid, square).tolist() == expected
    assert len(expected) == 4


def test_a_polygon_needs_three_corners():
    with pytest.raises(ValueError, match="at least 3 corners"):
        map_selection.points_inside(np.zeros((4, 2), np.float32), np.zeros((2, 2)))


def test_only_placed_and_shown_rows_are_chosen():
    xy = np.array([[0, 0], [0.5, 0.5], [-0.5, 0.5], [0.9, 0.9], [0.1, 0.1]], np.float32)
    found = PointMap(xy, np.array([False, True, True, True, True]), {})
    area = np.array([[-0.6, -0.6], [0.6, -0.6], [0.6, 0.6], [-0.6, 0.6]])
    assert map_selection.rows_inside(found, area).tolist() == [1, 2, 4]
    is_shown = found.rows != 2
    assert map_selection.rows_inside(found, area, is_shown=is_shown).tolist() == [1, 4]


def test_values_apart_are_plain_counts(view, rows):
    found = map_selection.values_apart(view, rows).set_index(["attribute", "value"])
    corpus = view.workspace.corpus
    is_chosen = np.zeros(len(corpus), dtype=bool)
    is_chosen[rows] = True
    assert found.index[0] == ("language", "fr")
    assert found["mcc"].is_monotonic_decreasing
    for (attribute, value), line in found.iterrows():
        known, has = corpus.is_known(attribute), corpus.has_value(attribute, value)
        share, base = has[is_chosen & known].mean(), has[known].mean()
        assert (line["share"], line["base_rate"]) == pytest.approx((share, base))
        assert line["lift"] == pytest.approx(share / base)
        assert line["n_speakers"] == corpus.table.loc[is_chosen & has, "speaker_id"].nunique()
        assert line["mcc"] == pytest.approx(matthews_corrcoef(is_chosen[known], has[known]))
        assert line["share_low"] <= share + 1e-6
        assert share <= line["share_high"] + 1e-6


def test_the_interval_resamples_voices_and_not_clips(view):
    """Many clips of two voices say little: one voice each way leaves everything open, many voices do not."""
    corpus = view.workspace.corpus
    voice = corpus.table["speaker_id"].to_numpy()
    woman = voice[np.flatnonzero(corpus.has_value("gender", "female"))[0]]
    man = voice[np.flatnonzero(corpus.has_value("gender", "male"))[0]]
    two = map_selection.values_apart(view, np.flatnonzero((voice == woman) | (voice == man)))
    line = two[two["value"] == "female"].iloc[0]
    assert (line["share_low"], line["share_high"]) == (0, 1)
    everyone = map_selection.values_apart(view, np.arange(len(corpus)))
    line = everyone[everyone["value"] == "female"].iloc[0]
    assert 0.05 < line["share_high"] - line["share_low"] < 0.35


def test_grouped_voices_keep_the_width_of_the_interval(monkeypatch):
    rng = np.random.default_rng(3)
    by_voice = np.stack([rng.integers(0, 9, 300), rng.integers(0, 9, 300)], axis=1)
    exact = map_selection._share_bounds(by_voice)
    monkeypatch.setattr(intervals, "MAX_UNITS", 100)
    np.testing.assert_allclose(map_selection._share_bounds(by_voice), exact, atol=0.015)


def test_latents_apart_are_plain_counts(view, rows):
    found = map_selection.latents_apart(view, rows).set_index("latent")
    is_active = view.codes.dense() > 0
    is_chosen = np.zeros(len(is_active), dtype=bool)
    is_chosen[rows] = True
    assert set(found.index) == set(np.flatnonzero(is_active[rows].any(axis=0)))
    assert found["mcc"].is_monotonic_decreasing
    for latent, line in found.iterrows():
        share, rate = is_active[rows, latent].mean(), is_active[:, latent].mean()
        assert (line["n"], line["share"]) == (is_active[rows, latent].sum(), pytest.approx(share))
        assert line["lift"] == pytest.approx(share / rate)
        assert line["mcc"] == pytest.approx(matthews_corrcoef(is_chosen, is_active[:, latent]))


def test_voices_take_turns(view, rows):
    order = map_selection.in_turns(view.workspace.corpus, rows)
    assert sorted(order) == sorted(rows)
    groups = view.workspace.corpus.speaker_groups[order]
    turns = pd.Series(groups).groupby(groups).cumcount()
    assert turns.is_monotonic_increasing
    n_voices = len(set(groups))
    assert len(set(groups[:n_voices])) == n_voices


def test_the_export_holds_every_column_and_the_places(view, rows):
    xy = np.random.default_rng(0).normal(size=(len(rows), 2))
    table = map_selection.clips_table(view, rows, xy)
    assert table["row"].tolist() == rows.tolist()
    assert table["clip_id"].tolist() == view.workspace.corpus.table["clip_id"].iloc[rows].tolist()
    np.testing.assert_allclose(table[["map_x", "map_y"]], xy)
