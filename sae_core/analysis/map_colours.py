"""Groupings: how the points of a map are told apart by colour, one byte a point."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int, UInt8

from sae_core.workspace.workspace import SaeView

Role = Literal["value", "rest", "unknown", "scale"]
UNKNOWN, OTHERS, SILENT, BELOW, ACTIVE, UNNAMED = "unknown", "other", "silent", "below", "active", "unnamed"
N_SPEAKERS = 20
MAX_CODE = 255
MAX_VALUES = 254
_LAST_BELOW = 100


@dataclass(frozen=True)
class PointGroup:
    """Points whose codes lie in low…high (inclusive).

    key: what they have in common: an attribute value, a speaker, or one of the words of this module.
    role: "value" takes a colour of its own, "rest" is grey, "unknown" stays in the background, "scale" is graded.
    """

    key: str
    role: Role
    low: int
    high: int
    n: int


@dataclass(frozen=True)
class Grouping:
    """codes: u8[m], one for each point. groups: what they mean, largest value first. top: the activation that code 255
    stands for on a scale, else 0."""

    codes: UInt8[np.ndarray, " m"]
    groups: tuple[PointGroup, ...]
    top: float = 0.0

    def is_in(self, keys: Collection[str]) -> Bool[np.ndarray, " m"]:
        """True for the points of the named groups; for all points when none of them is a group here."""
        chosen = [group for group in self.groups if group.key in keys]
        found = np.full(len(self.codes), not chosen)
        for group in chosen:
            found |= (self.codes >= group.low) & (self.codes <= group.high)
        return found


def group_by_attribute(view: SaeView, rows: Int[np.ndarray, " m"], attribute: str) -> Grouping:
    """Clips by the value of one attribute; ValueError for a column that is no attribute."""
    codes, values = view.workspace.corpus.coded(attribute)
    return _by_value(codes[rows], values, n_values=MAX_VALUES)


def group_by_speaker(view: SaeView, rows: Int[np.ndarray, " m"], *, n_speakers: int = N_SPEAKERS) -> Grouping:
    """Clips by speaker: those with the most clips here, all others together, and the unknown ones."""
    names = view.workspace.corpus.table["speaker_id"].take(rows)
    codes, speakers = pd.factorize(names)
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(speakers)), kind="stable")
    rank = np.empty(len(speakers), dtype=np.int64)
    rank[order] = np.arange(len(speakers))
    ranked = np.where(codes >= 0, rank[np.maximum(codes, 0)], -1) if len(speakers) else codes
    return _by_value(ranked, [str(speakers[number]) for number in order], n_values=n_speakers)


def group_by_activation(view: SaeView, rows: Int[np.ndarray, " m"], latent: int) -> Grouping:
    """Clips by one latent's activation: silent, active up to the threshold of its best value, and above it.

    Codes grow with the activation, piecewise linear with a bend at the threshold, so that every group is exact.
    """
    active_rows, values = view.index.postings(latent)
    activations = np.zeros(len(view.workspace.corpus), dtype=np.float32)
    activations[active_rows] = values
    here, top = activations[rows], float(values[0]) if len(values) else 0.0
    threshold = min(max(view.threshold_of(latent), 0.0), top)
    first = _LAST_BELOW + 1 if threshold > 0 else 1
    codes = np.zeros(len(rows), dtype=np.uint8)
    is_above, is_below = here > threshold, (here > 0) & (here <= threshold)
    codes[is_above] = _graded(here[is_above], threshold, top, (first, MAX_CODE))
    codes[is_below] = _graded(here[is_below], 0.0, threshold, (1, first - 1))
    groups = [PointGroup(ACTIVE, "scale", first, MAX_CODE, int(is_above.sum()))]
    if first > 1:
        groups.append(PointGroup(BELOW, "scale", 1, first - 1, int(is_below.sum())))
    groups.append(PointGroup(SILENT, "unknown", 0, 0, int((codes == 0).sum())))
    return Grouping(codes, tuple(groups), top)


def group_by_detected_value(view: SaeView, latents: Int[np.ndarray, " m"]) -> Grouping:
    """Latents by the attribute value they may be called by (`attribute=value`); those without one together."""
    facts = view.latents.iloc[latents]
    names = facts["best_attribute"].astype("object") + "=" + facts["best_value"].astype("object")
    names = names.where(facts["is_named"].astype(bool), None)
    counts = names.value_counts()
    values = sorted(map(str, counts.index), key=lambda name: (-counts[name], name))
    found = _by_value(pd.Index(values).get_indexer_for(names), values, n_values=MAX_VALUES)
    groups = (
        PointGroup(UNNAMED, "rest", group.low, group.high, group.n) if group.key == UNKNOWN else group
        for group in found.groups
    )
    return Grouping(found.codes, tuple(groups))


def group_by_prefix(view: SaeView, latents: Int[np.ndarray, " m"]) -> Grouping:
    """Latents of a nested SAE by the first prefix that holds them, innermost first, named by the prefix's size."""
    sizes = [int(size) for size in view.config.get("prefixes") or (view.n_latents,)]
    codes = np.searchsorted(sizes, latents, side="right")
    return _by_value(codes, [str(size) for size in sizes], n_values=MAX_VALUES)


def sizes_by_firing(view: SaeView, latents: Int[np.ndarray, " m"]) -> UInt8[np.ndarray, " m"]:
    """How large each latent is drawn, 0…255: the square root of its firing rate against the highest one."""
    rates = view.latents["firing_rate"].to_numpy(dtype=np.float32)[latents]
    return np.rint(MAX_CODE * np.sqrt(rates / max(float(rates.max(initial=0)), 1e-12))).astype(np.uint8)


def _by_value(codes: np.ndarray, values: list[str], *, n_values: int) -> Grouping:
    """Codes 0… for the first values, one code for the others, 255 for what is unknown (below 0)."""
    n_shown = min(len(values), n_values)
    counts = np.bincount(np.minimum(codes[codes >= 0], n_shown), minlength=n_shown + 1)
    found = np.where(codes >= 0, np.minimum(codes, n_shown), MAX_CODE).astype(np.uint8)
    groups = [
        PointGroup(value, "value", code, code, int(counts[code]))
        for code, value in enumerate(values[:n_shown])
        if counts[code]
    ]
    if counts[n_shown]:
        groups.append(PointGroup(OTHERS, "rest", n_shown, n_shown, int(counts[n_shown])))
    if n_unknown := int((found == MAX_CODE).sum()):
        groups.append(PointGroup(UNKNOWN, "unknown", MAX_CODE, MAX_CODE, n_unknown))
    return Grouping(found, tuple(groups))


def _graded(
    values: Float32[np.ndarray, " m"], low: float, high: float, codes: tuple[int, int]
) -> UInt8[np.ndarray, " m"]:
    """Values in (low, high] as codes in first…last."""
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return np.rint(codes[0] + share * (codes[1] - codes[0])).astype(np.uint8)
