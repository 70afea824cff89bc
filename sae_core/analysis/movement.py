"""Two or more SAEs of one workspace side by side: which clips move between active sets, and what latents become.

The active set of a latent is the set of clips on which it is above a threshold. One attribute value is followed
through the active sets of its best latents, as in arXiv 2502.00127.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int, Int64

from sae_core.files.errors import ArtifactError
from sae_core.measures.attributes import AttributeTarget, attribute_targets
from sae_core.measures.intervals import SpeakerCounts, bounds, draw_speakers
from sae_core.measures.lineage import Lineage, refine, trace
from sae_core.measures.movement import LatentIndex, Movement, follow, tell_apart
from sae_core.measures.steering import Change, Steering
from sae_core.sae.codes import SparseCodes
from sae_core.workspace.workspace import SaeView, Workspace

Bounded = tuple[float, float | None, float | None]
_PIECE = 4096
"""Clips whose codes are compared at once: few enough to stay in the cache."""


@dataclass(frozen=True)
class ActiveSet:
    """The clips on which one latent of an SAE is above a threshold: one station of a movement.

    attribute, value: what the latent is taken to detect here.
    steering: what was changed in every clip before it was encoded again; empty for the clips as they are.
    steered_codes: the codes after that steering.
    """

    view: SaeView
    latent: int
    threshold: float
    attribute: str
    value: str
    steering: tuple[Change, ...] = ()
    steered_codes: SparseCodes | None = None

    @property
    def codes(self) -> SparseCodes:
        """The codes that the active set is read from."""
        return self.view.codes if self.steered_codes is None else self.steered_codes

    def station(self) -> LatentIndex:
        """The active set as a station of a movement.

        A clip outside it is represented by the latent with the highest activation × ln(clips / clips it is active on),
        so that latents which are active nearly everywhere represent no clip.
        """
        known = (
            None
            if self.steered_codes is not None
            else self.view.index.rows_active(self.latent, self.threshold)
        )
        return LatentIndex(self.codes, self.latent, self.threshold, _rarity(self.view), known)

    def rows(self, is_counted: Bool[np.ndarray, " n"]) -> np.ndarray:
        """The counted clips in the active set, strongest first."""
        if self.steered_codes is None:
            rows = np.asarray(self.view.index.rows_active(self.latent, self.threshold))
            return rows[is_counted[rows]]
        members = np.flatnonzero(self.station().members() & is_counted)
        return order_by_activation([self], members)[0]


def steer_active_set(choice: ActiveSet, changes: Sequence[Change]) -> ActiveSet:
    """The same latent and threshold once every clip is steered and encoded again; reconstruction errors are kept.

    So whatever else responds to the changed embeddings shows: an ablated latent may become active again, and others
    may join or drop out.
    """
    view, rows = choice.view, choice.view.embeddings.valid_rows
    vectors = np.asarray(view.embeddings.vectors[rows])
    latents = tuple(dict.fromkeys(change.latent for change in changes))
    steering = Steering.prepare(vectors, view.decoder().steps, view.codes.take(rows), latents)
    moved = np.zeros(view.embeddings.vectors.shape, dtype=np.float32)
    moved[rows] = steering.steer(vectors, steering.deltas(list(changes)))
    return replace(choice, steering=tuple(changes), steered_codes=view.model().encode(moved))


def best_active_set(view: SaeView, attribute: str, value: str) -> ActiveSet:
    """Return the active set of the best latent for a value, chosen on the selection clips, above the threshold chosen
    there; ValueError when the value was not measured."""
    latent = view.statistics.predominant(attribute, value)
    row = view.statistics.value_row(attribute, value)
    threshold = float(view.statistics.measures["threshold"][latent, row])
    return ActiveSet(view, latent, threshold, attribute, value)


@dataclass(frozen=True)
class Detection:
    """How well "above the threshold" predicts an attribute value on the evaluated clips.

    evidence: whether those are of unseen speakers (see `AttributeTarget`). n_clips, n_positive, n_speakers: evaluated
    clips, those that carry the value, and their speakers. Each measure is (value, low, high), the bounds at 95 %,
    speakers resampled; they are None where one speaker carries the value in all evaluated clips.
    """

    evidence: str
    n_clips: int
    n_positive: int
    n_speakers: int
    precision: Bounded
    recall: Bounded
    f1: Bounded


def measure_detection(active_set: ActiveSet, *, seed: int = 0) -> Detection:
    """Return precision, recall and F1 of an active set at its own threshold, whatever threshold was tuned.

    At the tuned threshold these are the stored statistics. ValueError when the value was not measured.
    """
    view = active_set.view
    target = _target_of(view, active_set.attribute, active_set.value)
    reported, positive = target.is_reported, target.is_reported & target.is_positive
    called = np.asarray(active_set.rows(reported))
    speakers = SpeakerCounts.over(view.workspace.corpus.speaker_groups, reported)
    counts = speakers.count([called, called[target.is_positive[called]], np.flatnonzero(positive)])
    draws = (
        draw_speakers(speakers.n_speakers, seed=seed) @ counts.T
    )  # [B, 3]: predicted, correct, of the value
    n_speakers = int((counts[2] > 0).sum())
    usable = draws[draws[:, 2] > 0] if n_speakers > 1 else draws[:0]
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).reshape(1, 3)
    values, low_high = _detection_measures(totals)[0], None
    if len(usable):
        low_high = bounds(_detection_measures(usable))
    measures = [
        (float(value), *((None, None) if low_high is None else map(float, low_high[place])))
        for place, value in enumerate(values)
    ]
    return Detection(target.evidence, int(reported.sum()), int(positive.sum()), n_speakers, *measures)


def _detection_measures(counts: Float64[np.ndarray, "B 3"]) -> Float64[np.ndarray, "B 3"]:
    """Precision, recall and F1 from counts of predicted, of correct and of all positive clips."""
    predicted, correct, positive = counts.T
    precision = correct / np.maximum(predicted, 1)
    return np.stack(
        [precision, correct / np.maximum(positive, 1), 2 * correct / (predicted + positive)], axis=1
    )


def _target_of(view: SaeView, attribute: str, value: str) -> AttributeTarget:
    for target in attribute_targets(view.workspace.corpus, view.embeddings.is_valid):
        if (target.attribute, target.value) == (attribute, value):
            return target
    raise ValueError(f"{attribute} = {value} was not measured (too few clips)")


@dataclass(frozen=True)
class SideEffects:
    """What a steering changes besides the latents that it steers, once every clip is encoded again.

    latents: one row a latent that changes on any clip, most changes first: latent, n_before and n_after (clips on
        which it is active), n_lost, n_gained (clips on which it stops or starts being active).
    clips: one row a clip on which any of them changes, most changes first: row, n_lost, n_gained (latents).
    """

    latents: pd.DataFrame
    clips: pd.DataFrame


def side_effects(before: ActiveSet, after: ActiveSet, *, split: str | None = None) -> SideEffects:
    """Return which latents other than the steered ones, on which counted clips, start or stop being active."""
    rows = np.flatnonzero(counted_clips(before.view, split))
    n_latents, steered = before.view.n_latents, [change.latent for change in after.steering]
    of_latent = np.zeros((4, n_latents), dtype=np.int64)  # active before, active after, lost, gained
    of_clip = np.zeros((2, len(rows)), dtype=np.int64)  # lost, gained
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        old, new = (_active_keys(part.codes, piece, n_latents, steered) for part in (before, after))
        gone, come = np.setdiff1d(old, new, assume_unique=True), np.setdiff1d(new, old, assume_unique=True)
        of_latent += [np.bincount(keys % n_latents, minlength=n_latents) for keys in (old, new, gone, come)]
        of_clip[:, start : start + len(piece)] = [
            np.bincount(keys // n_latents, minlength=len(piece)) for keys in (gone, come)
        ]
    counts = dict(zip(("n_before", "n_after", "n_lost", "n_gained"), of_latent, strict=True))
    latents = pd.DataFrame({"latent": np.arange(n_latents), **counts})
    clips = pd.DataFrame({"row": rows, "n_lost": of_clip[0], "n_gained": of_clip[1]})
    return SideEffects(_most_changed(latents), _most_changed(clips))


def _active_keys(
    codes: SparseCodes, rows: Int[np.ndarray, " m"], n_latents: int, but: Sequence[int]
) -> Int64[np.ndarray, " a"]:
    """place · L + latent of everything that is active on some clips, the latents in `but` left out; each once."""
    latents = np.asarray(codes.latents[rows]).astype(np.int64)
    is_on = (np.asarray(codes.activations[rows]) > 0) & ~np.isin(latents, but)
    place, slot = np.nonzero(is_on)
    return np.unique(place * n_latents + latents[place, slot])


def _most_changed(table: pd.DataFrame) -> pd.DataFrame:
    changes = table["n_lost"] + table["n_gained"]
    order = np.argsort(-changes.to_numpy(), kind="stable")
    return table.iloc[order][changes.iloc[order].to_numpy() > 0].reset_index(drop=True)


def order_by_size(workspace: Workspace) -> list[str]:
    """The SAEs that are indexed and not stale, small ones first: by L, then k, then name."""
    sizes = []
    for name in workspace.sae_names():
        view = _opened(workspace, name)
        if view is not None:
            sizes.append((view.n_latents, int(view.config["k"]), name))
    return [name for _, _, name in sorted(sizes)]


def smallest_and_largest(workspace: Workspace, like: str) -> tuple[str, str]:
    """Return the two ends of the grid that `like` belongs to: the SAEs on its embedder with the fewest and the most
    latents, of its own variant and k where there are two such, else of its own variant, else of any."""
    chosen = workspace.sae(like)
    views = [workspace.sae(name) for name in order_by_size(workspace)]
    alike = [view for view in views if view.embeddings.name == chosen.embeddings.name]
    for setting in ("variant", "k"):
        closer = [view for view in alike if view.config[setting] == chosen.config[setting]]
        if len(closer) < 2:
            break
        alike = closer
    return alike[0].name, alike[-1].name


def _opened(workspace: Workspace, name: str) -> SaeView | None:
    try:
        return workspace.sae(name)
    except ArtifactError:
        return None


def follow_clips(choices: Sequence[ActiveSet], *, split: str | None = None) -> Movement:
    """Return how clips move through the chosen active sets: all embedded clips, or those of one split."""
    return follow([choice.station() for choice in choices], counted_clips(choices[0].view, split))


def order_by_activation(
    choices: Sequence[ActiveSet], rows: Int[np.ndarray, " m"]
) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, " m"]]:
    """Return clips by their activation in the first of the active sets that holds them, strongest first, and that
    activation; 0 for a clip that is in none."""
    activations = np.zeros(len(rows), dtype=np.float32)
    for choice in reversed(choices):
        is_latent = np.asarray(choice.codes.latents[rows]) == choice.latent
        found = (np.asarray(choice.codes.activations[rows]) * is_latent).max(axis=1, initial=0)
        activations = np.where(found > choice.threshold, found, activations)
    order = np.argsort(-activations, kind="stable")
    return np.asarray(rows, dtype=np.int64)[order], activations[order]


def counted_clips(view: SaeView, split: str | None) -> Bool[np.ndarray, " n"]:
    """True for the embedded clips, or only for those of one split."""
    is_counted = np.array(view.embeddings.is_valid)
    if split is not None:
        is_counted &= np.isin(np.arange(len(is_counted)), view.workspace.corpus.rows_in(split))
    return is_counted


def _rarity(view: SaeView) -> Float32[np.ndarray, " L"]:
    n_clips = int(view.embeddings.is_valid.sum())
    return np.log(n_clips / np.clip(view.index.n_active(), 1, n_clips)).astype(np.float32)


def trace_saes(before: SaeView, after: SaeView) -> Lineage:
    """Return which latents of one SAE become which of another; ValueError when they read different embeddings."""
    if before.embeddings.name != after.embeddings.name:
        raise ValueError(
            f"{before.name} reads {before.embeddings.name} and {after.name} {after.embeddings.name}: "
            "directions can be compared within one embedder only"
        )
    directions = before.directions(), after.directions()
    return trace(directions, (before.codes, after.codes), before.embeddings.is_valid)


def refine_sae(view: SaeView) -> pd.DataFrame:
    """Return which latents of later groups refine which earlier one within a Matryoshka SAE (see `lineage.refine`);
    ValueError for any other SAE."""
    prefixes = tuple(int(prefix) for prefix in view.config.get("prefixes") or ())
    if not prefixes:
        raise ValueError(f"{view.name} is no Matryoshka SAE: only these have nested groups of latents")
    return refine(view.directions(), view.codes, view.embeddings.is_valid, prefixes)


@dataclass(frozen=True)
class Splitting:
    """What the best latent of A becomes in B.

    successors: successor, n (clips of A's active set on which it is active), share (fraction of it), cosine,
        beyond_chance, lift; the one with most clips first.
    apart: what sets each successor's clips apart from all of A's active set, see `tell_apart`.
    rows: successor → the clips of A's active set on which it is active, strongest first.
    """

    successors: pd.DataFrame
    apart: pd.DataFrame
    rows: dict[int, np.ndarray]


def split_active_set(
    before: ActiveSet, after: SaeView, *, split: str | None = None, n_largest: int = 8
) -> Splitting:
    """Return the successors of a latent in another SAE, and what sets their parts of its active set apart.

    Within one Matryoshka SAE (`after` is `before.view`) they are the latents of later groups that refine it.
    """
    if after is before.view:
        successors = refine_sae(after) if after.config.get("prefixes") else _no_successors()
        successors = successors[successors["predecessor"] == before.latent]
    else:
        successors = trace_saes(before.view, after).successors_of(before.latent)
    is_counted = counted_clips(before.view, split)
    whole = before.rows(is_counted)
    rows = {}
    for successor in successors["successor"]:
        held = np.asarray(after.index.postings(int(successor))[0])
        rows[int(successor)] = held[np.isin(held, whole)]
    successors = successors[["successor", "cosine", "beyond_chance", "lift"]].copy()
    successors["n"] = [len(rows[int(successor)]) for successor in successors["successor"]]
    successors["share"] = successors["n"] / max(len(whole), 1)
    successors = (
        successors[successors["n"] > 0].sort_values("n", ascending=False, kind="stable").head(n_largest)
    )
    kept = {int(successor): rows[int(successor)] for successor in successors["successor"]}
    apart = tell_apart(before.view.workspace.corpus, kept, whole)
    return Splitting(successors.reset_index(drop=True), apart, kept)


def _no_successors() -> pd.DataFrame:
    return pd.DataFrame(
        {name: [] for name in ("predecessor", "successor", "cosine", "beyond_chance", "lift")}
    )
