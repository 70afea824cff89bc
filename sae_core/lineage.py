"""Lineage: which latents of one SAE become which of another, and how nested prefixes refine each other.

Two latents are kin when their decoder directions point the same way or their indexes share clips. A latent of A with
one child that has no other parent is one-to-one; with several children it is split; children with several parents are
merged; without kin a latent of A is gone and one of B is new.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64
from scipy.sparse import csr_matrix

from sae_core.feature_index import FeatureIndex

MIN_COSINE = 0.7
MIN_CONTAINMENT = 0.5
LATENTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Lineage:
    """Kin between the latents of SAE A and SAE B.

    edges: parent, child, cosine (of decoder directions), jaccard, containment (share of the child's clips that are in
        the parent's index), strongest first within a parent.
    parents: one row a latent of A: latent, n_active, fate (one-to-one, split, merged, gone, silent), n_children.
    children: one row a latent of B: latent, n_active, origin (one-to-one, split, merged, new, silent), n_parents.
    """

    edges: pd.DataFrame
    parents: pd.DataFrame
    children: pd.DataFrame

    def children_of(self, parent: int) -> pd.DataFrame:
        """The edges of one latent of A."""
        return self.edges[self.edges["parent"] == parent].reset_index(drop=True)


def trace(
    directions: tuple[Float32[np.ndarray, "La d"], Float32[np.ndarray, "Lb d"]],
    indexes: tuple[FeatureIndex, FeatureIndex],
    *,
    min_cosine: float = MIN_COSINE,
    min_containment: float = MIN_CONTAINMENT,
) -> Lineage:
    """Return the lineage from A to B, from unit decoder directions and feature indexes over the same clips.

    Kin are pairs with cosine ≥ `min_cosine`, or where at least `min_containment` of the child's clips lie in the
    parent's index and the cosine is positive beyond chance (≥ half of `min_cosine`).
    """
    edges = pd.concat(
        [
            _edges(directions, indexes, start, min_cosine, min_containment)
            for start in range(0, indexes[0].n_latents, LATENTS_AT_ONCE)
        ],
        ignore_index=True,
    ).sort_values(["parent", "cosine"], ascending=[True, False], kind="stable", ignore_index=True)
    n_children = np.bincount(edges["parent"], minlength=indexes[0].n_latents)
    n_parents = np.bincount(edges["child"], minlength=indexes[1].n_latents)
    return Lineage(
        edges,
        _fates("fate", edges, ("parent", "child"), (n_children, n_parents), indexes[0].n_active()),
        _fates("origin", edges, ("child", "parent"), (n_parents, n_children), indexes[1].n_active()),
    )


def _edges(
    directions: tuple[np.ndarray, np.ndarray],
    indexes: tuple[FeatureIndex, FeatureIndex],
    start: int,
    min_cosine: float,
    min_containment: float,
) -> pd.DataFrame:
    """Kin of the parents start…start+LATENTS_AT_ONCE-1."""
    end = min(start + LATENTS_AT_ONCE, indexes[0].n_latents)
    cosine = directions[0][start:end] @ directions[1].T
    shared = overlap(indexes, start, end)
    sizes = indexes[0].n_active()[start:end, None], indexes[1].n_active()[None, :]
    containment = shared / np.maximum(sizes[1], 1)
    both_active = (sizes[0] > 0) & (sizes[1] > 0)
    is_kin = both_active & (
        (cosine >= min_cosine) | ((containment >= min_containment) & (cosine >= min_cosine / 2))
    )
    parent, child = np.nonzero(is_kin)
    jaccard = shared / np.maximum(sizes[0] + sizes[1] - shared, 1)
    return pd.DataFrame(
        {
            "parent": parent + start,
            "child": child,
            "cosine": cosine[parent, child],
            "jaccard": jaccard[parent, child],
            "containment": containment[parent, child],
        }
    )


def overlap(indexes: tuple[FeatureIndex, FeatureIndex], start: int, end: int) -> Int64[np.ndarray, "m Lb"]:
    """How many clips each of A's latents start…end-1 shares with each latent of B."""
    one, other = (
        _membership(index, *span)
        for index, span in zip(indexes, ((start, end), (0, indexes[1].n_latents)), strict=True)
    )
    n_clips = max(one.shape[1], other.shape[1])
    one.resize(one.shape[0], n_clips)
    other.resize(other.shape[0], n_clips)
    return (one @ other.T).toarray().astype(np.int64)


def _membership(index: FeatureIndex, start: int, end: int) -> csr_matrix:
    offsets = index.offsets[start : end + 1]
    rows = np.asarray(index.rows[int(offsets[0]) : int(offsets[-1])])
    shape = (end - start, int(rows.max()) + 1 if len(rows) else 1)
    return csr_matrix((np.ones(len(rows), dtype=np.int64), rows, offsets - offsets[0]), shape=shape)


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
