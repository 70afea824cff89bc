"""Selections: some clips chosen on a map, and what sets them apart from all the others."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int, Shaped

from sae_core.corpus.clips import Corpus
from sae_core.measures.intervals import bounds, draw_speakers, resampling_units
from sae_core.measures.maps import PointMap
from sae_core.measures.profiles import BaseCounts, value_shares
from sae_core.measures.threshold_measures import matthews
from sae_core.workspace.workspace import SaeView


def points_inside(
    xy: Float32[np.ndarray, "n 2"], polygon: Shaped[np.ndarray, "corners 2"]
) -> Int[np.ndarray, " m"]:
    """Numbers of the points inside a closed polygon, ascending, by the even-odd rule.

    Points are sorted by height, so each edge looks only at those beside it. Raises ValueError below three corners.
    """
    if len(polygon) < 3:
        raise ValueError(f"a polygon needs at least 3 corners, not {len(polygon)}")
    corners = np.asarray(polygon, dtype=np.float64)
    near = np.flatnonzero(((xy >= corners.min(axis=0)) & (xy <= corners.max(axis=0))).all(axis=1))
    near = near[np.argsort(xy[near, 1], kind="stable")]
    x, y = np.asarray(xy[near], dtype=np.float64).T
    is_inside = np.zeros(len(near), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        first, last = np.searchsorted(y, sorted((y0, y1)))
        crossing = x0 + (y[first:last] - y0) * ((x1 - x0) / (y1 - y0))
        is_inside[first:last] ^= x[first:last] < crossing
    return np.sort(near[is_inside])


def rows_inside(
    found: PointMap,
    polygon: Shaped[np.ndarray, "corners 2"],
    *,
    is_shown: Bool[np.ndarray, " p"] | None = None,
) -> Int[np.ndarray, " m"]:
    """Rows of a map's points inside a polygon, ascending; only of those that are shown, where some are not."""
    points = points_inside(found.places, polygon)
    return np.sort(found.rows[points if is_shown is None else points[is_shown[points]]])


def values_apart(view: SaeView, rows: Int[np.ndarray, " m"]) -> pd.DataFrame:
    """How each attribute value's share among the chosen clips differs from its base rate among all embedded clips, over
    all splits.

    Columns: attribute, value, n, n_speakers, share, share_low, share_high (95 %, resampling the speakers that were
    chosen), base_rate, lift = share / base_rate, mcc (of being chosen and carrying the value, among the clips whose
    attribute is known); highest MCC first.
    """
    shares = value_shares(view.base_counts, rows)
    beside = [_beside(view.base_counts, rows, attribute) for attribute in view.workspace.corpus.attributes]
    if not beside:
        return shares.assign(n_speakers=0, share_low=0.0, share_high=0.0, mcc=0.0)
    table = shares.merge(pd.concat(beside), on=["attribute", "value"])
    return table.sort_values("mcc", ascending=False, kind="stable", ignore_index=True)


def latents_apart(view: SaeView, rows: Int[np.ndarray, " m"]) -> pd.DataFrame:
    """How much oftener each latent is active on the chosen clips than on all: latent, n, share (of the chosen clips),
    firing_rate, lift = share / firing_rate, mcc (of being chosen and being active); highest MCC first."""
    here, n_all = rows[view.embeddings.is_valid[rows]], int(view.embeddings.is_valid.sum())
    is_used = np.asarray(view.codes.activations[here]) > 0
    n_here = np.bincount(np.asarray(view.codes.latents[here])[is_used], minlength=view.n_latents)
    n_active = view.index.n_active()
    table = pd.DataFrame({"latent": np.arange(view.n_latents), "n": n_here})
    table["share"] = n_here / max(len(here), 1)
    table["firing_rate"] = n_active / max(n_all, 1)
    table["lift"] = np.divide(
        table["share"], table["firing_rate"], out=np.zeros(len(table)), where=table["firing_rate"] > 0
    )
    table["mcc"] = matthews(n_here, n_active, len(here), n_all)
    return table[n_here > 0].sort_values("mcc", ascending=False, kind="stable", ignore_index=True)


def in_turns(corpus: Corpus, rows: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """The chosen clips with speakers taking turns: every speaker's first clip, then every speaker's second, and so on:
    the first few clips are by as many people as there are."""
    groups = pd.Series(corpus.speaker_groups[rows])
    turn = groups.groupby(groups).cumcount().to_numpy()
    return rows[np.argsort(turn, kind="stable")]


def clips_table(view: SaeView, rows: Int[np.ndarray, " m"], xy: Float[np.ndarray, "m 2"]) -> pd.DataFrame:
    """The chosen clips for export: row, every column of the clips table, and their places on the map (map_x, map_y)."""
    table = view.workspace.corpus.table.iloc[rows].reset_index(drop=True)
    table.insert(0, "row", rows)
    return table.assign(map_x=xy[:, 0], map_y=xy[:, 1])


def _beside(counts: BaseCounts, rows: Int[np.ndarray, " m"], attribute: str) -> pd.DataFrame:
    """What `value_shares` leaves open for the values of one attribute: n_speakers, bounds of the share, MCC."""
    codes, values = counts.corpus.coded(attribute)
    here, n_all = rows[codes[rows] >= 0], counts.of(attribute)
    speakers, speaker = np.unique(counts.corpus.speaker_groups[here], return_inverse=True)
    cells = np.bincount(speaker * len(values) + codes[here], minlength=len(speakers) * len(values))
    by_speaker = cells.reshape(len(speakers), len(values))
    low_high = _share_bounds(by_speaker) if len(speakers) else np.zeros((len(values), 2))
    return pd.DataFrame(
        {
            "attribute": attribute,
            "value": values,
            "n_speakers": (by_speaker > 0).sum(axis=0),
            "share_low": low_high[:, 0],
            "share_high": low_high[:, 1],
            "mcc": matthews(by_speaker.sum(axis=0), n_all, len(here), int(n_all.sum())),
        }
    )


def _share_bounds(by_speaker: Int[np.ndarray, "s v"]) -> Float32[np.ndarray, "v 2"]:
    """Bounds of each value's share when speakers are resampled."""
    n_units, unit = resampling_units(np.arange(len(by_speaker)))
    grouped = np.zeros((n_units, by_speaker.shape[1]))
    np.add.at(grouped, unit, by_speaker)
    draws = draw_speakers(n_units, seed=0) @ grouped
    return bounds(draws / np.maximum(draws.sum(axis=1, keepdims=True), 1))
