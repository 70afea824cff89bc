"""Lineage: which latents of one SAE become which of another, and how nested prefixes refine each other.

Two latents are kin when their indexes share more clips than chance would have them share and their decoder directions
agree. A latent of A with one child that has no other parent is one-to-one; with several children it is split; children
with several parents are merged; without kin a latent of A is gone and one of B is new.

How much two indexes share is measured against chance, because a latent that fires on most clips holds most of any other
latent's clips without meaning anything by it:

    beyond_chance = (shared / n_small − n_large / n) / (1 − n_large / n)

with the sizes of the smaller and the larger index and n clips in all: 0 where two indexes overlap as independent ones
do, 1 where the smaller lies inside the larger, whatever their sizes. Computed on demand from codes, on at most
`MAX_CLIPS` clips evenly spread.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.sparse import csr_matrix
from scipy.special import betainc

from sae_core.sae.codes import SparseCodes

MAX_CLIPS = 200_000
LATENTS_AT_ONCE = 1024


@dataclass(frozen=True)
class KinRule:
    """When two latents count as kin: their overlap must be no chance, and then either their directions agree much, or
    they agree somewhat and the smaller index lies mostly inside the larger.

    min_cosine: of decoder directions that agree much. min_related_cosine: of those that agree somewhat.
    min_beyond_chance: what counts as lying mostly inside.
    max_false_pairs: how many pairs of independent latents may pass for overlapping, over all pairs compared.
    """

    min_cosine: float = 0.7
    min_related_cosine: float = 0.35
    min_beyond_chance: float = 0.5
    max_false_pairs: float = 0.01

    def __post_init__(self) -> None:
        for name in ("min_cosine", "min_related_cosine", "min_beyond_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)!r}")
        if not self.max_false_pairs > 0:
            raise ValueError(f"max_false_pairs must be above 0, not {self.max_false_pairs!r}")


USUAL_RULE = KinRule()


@dataclass(frozen=True)
class Lineage:
    """Kin between the latents of SAE A and SAE B.

    edges: parent, child, cosine (of decoder directions), n_shared, jaccard, containment (share of the child's clips
        that are in the parent's index), kept (share of the parent's clips in the child's), lift (n_shared against
        chance) and beyond_chance; most beyond chance first within a parent.
    parents: one row a latent of A: latent, n_active, fate (one-to-one, split, merged, gone, silent), n_children.
    children: one row a latent of B: latent, n_active, origin (one-to-one, split, merged, new, silent), n_parents.
    """

    edges: pd.DataFrame
    parents: pd.DataFrame
    children: pd.DataFrame

    def children_of(self, parent: int) -> pd.DataFrame:
        """The edges of one latent of A."""
        return self.edges[self.edges["parent"] == parent].reset_index(drop=True)

    def parents_of(self, child: int) -> pd.DataFrame:
        """The edges of one latent of B, most beyond chance first."""
        found = self.edges[self.edges["child"] == child]
        return found.sort_values("beyond_chance", ascending=False, kind="stable", ignore_index=True)


def trace(
    directions: tuple[Float32[np.ndarray, "La d"], Float32[np.ndarray, "Lb d"]],
    codes: tuple[SparseCodes, SparseCodes],
    is_valid: Bool[np.ndarray, " n"],
    *,
    rule: KinRule = USUAL_RULE,
) -> Lineage:
    """Return the lineage from A to B, from unit decoder directions and the codes of the same clips.

    Raises ValueError when the codes do not describe the same clips.
    """
    if not len(codes[0]) == len(codes[1]) == len(is_valid):
        raise ValueError(f"{len(codes[0])} clips in A and {len(codes[1])} in B are not the same clips")
    (one, other), n_clips = _thinned(codes, is_valid)
    sizes = _sizes(one), _sizes(other)
    parts = []
    for start in range(0, codes[0].n_latents, LATENTS_AT_ONCE):
        span = slice(start, min(start + LATENTS_AT_ONCE, codes[0].n_latents))
        overlap = _Overlap(_shared(one, other, span), sizes[0][span], sizes[1], n_clips)
        cosine = directions[0][span] @ directions[1].T
        is_kin = overlap.is_kin(cosine, rule, n_pairs=len(sizes[0]) * len(sizes[1]))
        parts.append(overlap.edges(is_kin, cosine, parent_start=start))
    edges = pd.concat(parts, ignore_index=True)
    edges = edges.sort_values(
        ["parent", "beyond_chance"], ascending=[True, False], kind="stable", ignore_index=True
    )
    n_children = np.bincount(edges["parent"], minlength=len(sizes[0]))
    n_parents = np.bincount(edges["child"], minlength=len(sizes[1]))
    return Lineage(
        edges,
        _fates("fate", edges, ("parent", "child"), (n_children, n_parents), sizes[0]),
        _fates("origin", edges, ("child", "parent"), (n_parents, n_children), sizes[1]),
    )


def refine(
    directions: Float32[np.ndarray, "L d"],
    codes: SparseCodes,
    is_valid: Bool[np.ndarray, " n"],
    prefixes: tuple[int, ...],
    *,
    rule: KinRule = USUAL_RULE,
) -> pd.DataFrame:
    """Return which latent of an earlier prefix each later latent of a nested SAE refines, if any.

    A later latent refines an earlier one when its index lies mostly inside the other's, beyond chance; of several it
    refines the one that it lies in most. Their directions need not agree: the later one adds what the earlier leaves.
    Columns: those of `Lineage.edges`, parent_prefix and child_prefix (the prefix where each appears), by parent.
    """
    (members, _), n_clips = _thinned((codes, codes), is_valid)
    sizes = _sizes(members)
    parts = [_Overlap(np.zeros((0, 0), np.int64), sizes[:0], sizes[:0], n_clips).edges(*_NOTHING)]
    for n_earlier, end in pairwise(prefixes):
        for start in range(n_earlier, end, LATENTS_AT_ONCE):
            span = slice(start, min(start + LATENTS_AT_ONCE, end))
            shared = _shared(members, members[:, :n_earlier], span).T
            overlap = _Overlap(shared, sizes[:n_earlier], sizes[span], n_clips)
            is_kin = overlap.is_refined(rule, n_pairs=n_earlier * (end - n_earlier))
            cosine = directions[:n_earlier] @ directions[span].T
            parts.append(overlap.edges(is_kin, cosine, child_start=start))
    edges = pd.concat(parts, ignore_index=True)
    # inside two that hold each other, it refines the smaller
    edges = edges.sort_values(["beyond_chance", "jaccard"], ascending=False, kind="stable")
    edges = edges.drop_duplicates("child")
    for side in ("parent", "child"):
        place = np.searchsorted(prefixes, edges[side].to_numpy(), side="right")
        edges[f"{side}_prefix"] = np.array(prefixes, dtype=np.int64)[place]
    return edges.sort_values(["parent", "child"], ignore_index=True)


@dataclass(frozen=True)
class _Overlap:
    """Clips shared by some latents of A (parents) and some of B (children), among `n_clips` in all."""

    shared: Int64[np.ndarray, "m c"]
    n_parent: Int64[np.ndarray, " m"]
    n_child: Int64[np.ndarray, " c"]
    n_clips: int

    def beyond_chance(self) -> Float64[np.ndarray, "m c"]:
        """How far the smaller index lies inside the larger; see the module's first lines."""
        small = np.minimum(self.n_parent[:, None], self.n_child)
        chance = np.maximum(self.n_parent[:, None], self.n_child) / max(self.n_clips, 1)
        return _above(self.shared / np.maximum(small, 1), chance)

    def is_kin(
        self, cosine: Float32[np.ndarray, "m c"], rule: KinRule, *, n_pairs: int
    ) -> Bool[np.ndarray, "m c"]:
        """Which pairs the rule takes for kin."""
        agree_much = cosine >= rule.min_cosine
        is_inside = self.beyond_chance() >= rule.min_beyond_chance
        candidates = (agree_much | (is_inside & (cosine >= rule.min_related_cosine))) & (self.shared > 0)
        # where both are always active chance would do the same, so the directions alone must tell
        always = np.minimum(self.n_parent[:, None], self.n_child) == self.n_clips
        return (self._is_no_chance(candidates, rule, n_pairs)) | (candidates & always & agree_much)

    def is_refined(self, rule: KinRule, *, n_pairs: int) -> Bool[np.ndarray, "m c"]:
        """Which children lie mostly inside which parents that are no smaller."""
        parent_share = self.n_parent[:, None] / max(self.n_clips, 1)
        inside = _above(self.shared / np.maximum(self.n_child, 1), parent_share)
        candidates = (inside >= rule.min_beyond_chance) & (self.n_child <= self.n_parent[:, None])
        return self._is_no_chance(candidates & (self.shared > 0), rule, n_pairs)

    def _is_no_chance(self, candidates: np.ndarray, rule: KinRule, n_pairs: int) -> np.ndarray:
        """Where so many shared clips would hardly come about by chance: the binomial tail of the smaller index's clips
        falling into the larger, times the number of pairs compared."""
        parent, child = np.nonzero(candidates)
        sizes = np.stack([self.n_parent[parent], self.n_child[child]])
        small, chance = sizes.min(axis=0), sizes.max(axis=0) / max(self.n_clips, 1)
        shared = self.shared[parent, child]
        tail = betainc(shared, small - shared + 1, chance)  # P(at least so many of the small one's clips)
        found = np.zeros(candidates.shape, dtype=bool)
        found[parent, child] = tail * n_pairs <= rule.max_false_pairs
        return found

    def edges(
        self, is_kin: np.ndarray, cosine: np.ndarray, *, parent_start: int = 0, child_start: int = 0
    ) -> pd.DataFrame:
        """The chosen pairs and what was measured of each; latents numbered from the given starts."""
        parent, child = np.nonzero(is_kin)
        n_shared, n_parent, n_child = self.shared[parent, child], self.n_parent[parent], self.n_child[child]
        return pd.DataFrame(
            {
                "parent": parent + parent_start,
                "child": child + child_start,
                "cosine": cosine[parent, child],
                "n_shared": n_shared,
                "jaccard": n_shared / np.maximum(n_parent + n_child - n_shared, 1),
                "containment": n_shared / np.maximum(n_child, 1),
                "kept": n_shared / np.maximum(n_parent, 1),
                "lift": n_shared * self.n_clips / np.maximum(n_parent * n_child, 1),
                "beyond_chance": self.beyond_chance()[parent, child],
            }
        )


_NOTHING = (np.zeros((0, 0), dtype=bool), np.zeros((0, 0), dtype=np.float32))


def _above(share: np.ndarray, chance: np.ndarray) -> Float64[np.ndarray, "m c"]:
    """A share rescaled so that chance is 0 and all is 1."""
    return (share - chance) / np.maximum(1 - chance, 1e-12)


def _thinned(
    codes: tuple[SparseCodes, SparseCodes], is_valid: np.ndarray
) -> tuple[tuple[csr_matrix, csr_matrix], int]:
    """Clip × latent tables of who is active where, over at most `MAX_CLIPS` clips, and how many of these count."""
    step = -(-len(is_valid) // MAX_CLIPS) if len(is_valid) else 1
    valid = is_valid[::step]
    one = _membership(codes[0], step, valid)
    other = one if codes[1] is codes[0] else _membership(codes[1], step, valid)
    return (one, other), int(valid.sum())


def _membership(codes: SparseCodes, step: int, valid: np.ndarray) -> csr_matrix:
    is_active = (np.asarray(codes.activations[::step]) > 0) & valid[:, None]
    ends = np.concatenate([[0], np.cumsum(is_active.sum(axis=1))])
    latents = np.asarray(codes.latents[::step])[is_active]
    return csr_matrix((np.ones(len(latents), np.float32), latents, ends), shape=(len(valid), codes.n_latents))


def _sizes(members: csr_matrix) -> Int64[np.ndarray, " L"]:
    return np.bincount(members.indices, minlength=members.shape[1]).astype(np.int64)


def _shared(one: csr_matrix, other: csr_matrix, span: slice) -> Int64[np.ndarray, "m c"]:
    """How many clips each latent of a span of the one shares with each latent of the other."""
    return (one[:, span].T.tocsr() @ other).toarray().astype(np.int64)


def _fates(
    name: str,
    edges: pd.DataFrame,
    ends: tuple[str, str],
    n_kin: tuple[np.ndarray, np.ndarray],
    n_active: np.ndarray,
) -> pd.DataFrame:
    """What becomes of the latents at one end: a single bond that is single from the other side too is one-to-one."""
    mine, theirs = ends
    kin = edges.groupby(mine)[theirs].first().reindex(range(len(n_active)))
    has_one = n_kin[0] == 1
    bond_is_single = np.zeros(len(n_active), dtype=bool)
    only = kin[has_one].astype(np.int64)
    bond_is_single[only.index] = n_kin[1][only.to_numpy()] == 1
    is_parent = mine == "parent"
    several, shared = ("split", "merged") if is_parent else ("merged", "split")
    fate = np.select(
        [n_active == 0, n_kin[0] == 0, has_one & bond_is_single, n_kin[0] > 1],
        ["silent", "gone" if is_parent else "new", "one-to-one", several],
        default=shared,
    )
    count = "n_children" if is_parent else "n_parents"
    return pd.DataFrame(
        {"latent": np.arange(len(n_active)), "n_active": n_active, name: fate, count: n_kin[0]}
    )
