"""Two or more SAEs of one workspace side by side: where clips go between their indexes, and what latents become."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int, Int64

from sae_core.files.errors import ArtifactError
from sae_core.measures.lineage import Lineage, refine, trace
from sae_core.measures.movement import LatentIndex, Movement, follow, tell_apart
from sae_core.measures.steering import Change, Steering
from sae_core.sae.codes import SparseCodes
from sae_core.workspace.workspace import SaeView, Workspace


@dataclass(frozen=True)
class IndexChoice:
    """One index to follow clips through: a latent of an SAE above a threshold.

    attribute, value: what the latent stands for here.
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
        """The codes that the index is read from."""
        return self.view.codes if self.steered_codes is None else self.steered_codes

    def station(self) -> LatentIndex:
        """The index as a station of a movement.

        A clip outside it is told by the latent with the highest activation × ln(clips / clips it fires on), so that
        latents which fire nearly everywhere tell nothing.
        """
        known = (
            None
            if self.steered_codes is not None
            else self.view.index.rows_active(self.latent, self.threshold)
        )
        return LatentIndex(self.codes, self.latent, self.threshold, _rarity(self.view), known)

    def rows(self, is_counted: Bool[np.ndarray, " n"]) -> np.ndarray:
        """The counted clips in the index, strongest first."""
        if self.steered_codes is None:
            rows = np.asarray(self.view.index.rows_active(self.latent, self.threshold))
            return rows[is_counted[rows]]
        members = np.flatnonzero(self.station().members() & is_counted)
        return order_by_activation([self], members)[0]


def steer_index(choice: IndexChoice, changes: Sequence[Change]) -> IndexChoice:
    """The same latent and threshold once every clip is steered and encoded again; reconstruction errors are kept.

    Whatever else answers to the changed embeddings then shows: a latent switched off may fire again, others may join.
    """
    view, rows = choice.view, choice.view.embeddings.valid_rows
    vectors = np.asarray(view.embeddings.vectors[rows])
    latents = tuple(dict.fromkeys(change.latent for change in changes))
    steering = Steering.prepare(vectors, view.decoder().steps, view.codes.take(rows), latents)
    moved = np.zeros(view.embeddings.vectors.shape, dtype=np.float32)
    moved[rows] = steering.steer(vectors, steering.deltas(list(changes)))
    return replace(choice, steering=tuple(changes), steered_codes=view.model().encode(moved))


def predominant_index(view: SaeView, attribute: str, value: str) -> IndexChoice:
    """Return the index of the latent that tells a value best on the selection clips, above the threshold chosen there;
    ValueError when the value was not measured."""
    latent = view.statistics.predominant(attribute, value)
    row = view.statistics.value_row(attribute, value)
    threshold = float(view.statistics.measures["threshold"][latent, row])
    return IndexChoice(view, latent, threshold, attribute, value)


def order_by_size(workspace: Workspace) -> list[str]:
    """The SAEs whose index is whole, small ones first: by L, then k, then name."""
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
    alike = [view for view in views if view.embeddings.embedder == chosen.embeddings.embedder]
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


def follow_clips(choices: Sequence[IndexChoice], *, split: str | None = None) -> Movement:
    """Return how clips move through the chosen indexes: all embedded clips, or those of one split."""
    return follow([choice.station() for choice in choices], counted_clips(choices[0].view, split))


def order_by_activation(
    choices: Sequence[IndexChoice], rows: Int[np.ndarray, " m"]
) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, " m"]]:
    """Return clips by their activation in the first of the indexes that holds them, strongest first, and that
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
    if before.embeddings.embedder != after.embeddings.embedder:
        raise ValueError(
            f"{before.name} reads {before.embeddings.embedder} and {after.name} {after.embeddings.embedder}: "
            "directions can be compared within one embedder only"
        )
    directions = before.directions(), after.directions()
    return trace(directions, (before.codes, after.codes), before.embeddings.is_valid)


def refine_sae(view: SaeView) -> pd.DataFrame:
    """Return which latents of later prefixes refine which earlier one within a nested SAE (see `lineage.refine`);
    ValueError for an SAE that is not nested."""
    prefixes = tuple(int(prefix) for prefix in view.config.get("prefixes") or ())
    if not prefixes:
        raise ValueError(f"{view.name} is not nested: only matryoshka SAEs have prefixes")
    return refine(view.directions(), view.codes, view.embeddings.is_valid, prefixes)


@dataclass(frozen=True)
class Splitting:
    """What the predominant latent of A becomes in B.

    successors: successor, n (clips of A's active set that it holds), share (fraction of that set), cosine,
        beyond_chance, lift; the one that holds most first.
    apart: what sets each successor's part of A's active set apart from all of it, see `tell_apart`.
    rows: successor → the clips of A's index that it holds, strongest first.
    """

    successors: pd.DataFrame
    apart: pd.DataFrame
    rows: dict[int, np.ndarray]


def split_index(
    before: IndexChoice, after: SaeView, *, split: str | None = None, n_largest: int = 8
) -> Splitting:
    """Return the successors of an index's latent in another SAE and what tells their shares of the index apart.

    Within one nested SAE (`after` is `before.view`) the successors are the latents that refine it.
    """
    if after is before.view:
        related = refine_sae(after) if after.config.get("prefixes") else _no_successors()
        related = related[related["predecessor"] == before.latent]
    else:
        related = trace_saes(before.view, after).successors_of(before.latent)
    is_counted = counted_clips(before.view, split)
    whole = before.rows(is_counted)
    rows = {}
    for successor in related["successor"]:
        held = np.asarray(after.index.postings(int(successor))[0])
        rows[int(successor)] = held[np.isin(held, whole)]
    successors = related[["successor", "cosine", "beyond_chance", "lift"]].copy()
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
