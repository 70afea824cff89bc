"""Lineage: which latents of one SAE become which of another, and how the groups of a Matryoshka SAE refine each other.

Two latents are related when they are active on more common clips than chance explains and their decoder directions
agree. A latent of A with one successor that has no other predecessor is one-to-one; with several successors it is
split; successors with several predecessors are merged; a latent of A with none has no counterpart, one of B is new.

How much two indexes share is measured against chance, because a latent that is active on most clips holds most of any
other latent's clips without meaning anything by it:

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
class SuccessionRule:
    """When two latents count as related: their overlap must be no chance, and then either their directions agree much
    or they agree somewhat and the smaller index lies mostly inside the larger.

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


USUAL_RULE = SuccessionRule()


@dataclass(frozen=True)
class Lineage:
    """Related latents of SAE A and SAE B.

    edges: predecessor, successor, cosine (of decoder directions), n_shared, jaccard, containment (fraction of the
        successor's clips that are in the predecessor's active set), kept (fraction of the predecessor's clips in the
        successor's), lift (n_shared against chance), beyond_chance; most beyond chance first within a predecessor.
    predecessors: one row per latent of A: latent, n_active, n_successors and fate (one-to-one, split, merged, silent,
        no counterpart).
    successors: one row per latent of B: latent, n_active, n_predecessors and origin (one-to-one, split, merged, silent,
        new).
    """

    edges: pd.DataFrame
    predecessors: pd.DataFrame
    successors: pd.DataFrame

    def successors_of(self, predecessor: int) -> pd.DataFrame:
        """The edges of one latent of A."""
        return self.edges[self.edges["predecessor"] == predecessor].reset_index(drop=True)

    def predecessors_of(self, successor: int) -> pd.DataFrame:
        """The edges of one latent of B, most beyond chance first."""
        found = self.edges[self.edges["successor"] == successor]
        return found.sort_values("beyond_chance", ascending=False, kind="stable", ignore_index=True)


def trace(
    directions: tuple[Float32[np.ndarray, "La d"], Float32[np.ndarray, "Lb d"]],
    codes: tuple[SparseCodes, SparseCodes],
    is_valid: Bool[np.ndarray, " n"],
    *,
    rule: SuccessionRule = USUAL_RULE,
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
        is_related = overlap.is_related(cosine, rule, n_pairs=len(sizes[0]) * len(sizes[1]))
        parts.append(overlap.edges(is_related, cosine, predecessor_start=start))
    edges = pd.concat(parts, ignore_index=True)
    edges = edges.sort_values(
        ["predecessor", "beyond_chance"], ascending=[True, False], kind="stable", ignore_index=True
    )
    n_successors = np.bincount(edges["predecessor"], minlength=len(sizes[0]))
    n_predecessors = np.bincount(edges["successor"], minlength=len(sizes[1]))
    return Lineage(
        edges,
        _fates("fate", edges, ("predecessor", "successor"), (n_successors, n_predecessors), sizes[0]),
        _fates("origin", edges, ("successor", "predecessor"), (n_predecessors, n_successors), sizes[1]),
    )


def refine(
    directions: Float32[np.ndarray, "L d"],
    codes: SparseCodes,
    is_valid: Bool[np.ndarray, " n"],
    prefixes: tuple[int, ...],
    *,
    rule: SuccessionRule = USUAL_RULE,
) -> pd.DataFrame:
    """Return which latent of an earlier prefix each later latent of a nested SAE refines, if any.

    A later latent refines an earlier one when its index lies mostly inside the other's, beyond chance; of several it
    refines the one that it lies in most. Their directions need not agree: the later one adds what the earlier leaves.
    Columns: those of `Lineage.edges`, predecessor_prefix and successor_prefix (the prefix where each appears); by
    predecessor.
    """
    (members, _), n_clips = _thinned((codes, codes), is_valid)
    sizes = _sizes(members)
    parts = [_Overlap(np.zeros((0, 0), np.int64), sizes[:0], sizes[:0], n_clips).edges(*_NOTHING)]
    for n_earlier, end in pairwise(prefixes):
        for start in range(n_earlier, end, LATENTS_AT_ONCE):
            span = slice(start, min(start + LATENTS_AT_ONCE, end))
            shared = _shared(members, members[:, :n_earlier], span).T
            overlap = _Overlap(shared, sizes[:n_earlier], sizes[span], n_clips)
            is_related = overlap.is_refined(rule, n_pairs=n_earlier * (end - n_earlier))
            cosine = directions[:n_earlier] @ directions[span].T
            parts.append(overlap.edges(is_related, cosine, successor_start=start))
    edges = pd.concat(parts, ignore_index=True)
    # inside two that hold each other, it refines the smaller
    edges = edges.sort_values(["beyond_chance", "jaccard"], ascending=False, kind="stable")
    edges = edges.drop_duplicates("successor")
    for side in ("predecessor", "successor"):
        place = np.searchsorted(prefixes, edges[side].to_numpy(), side="right")
        edges[f"{side}_prefix"] = np.array(prefixes, dtype=np.int64)[place]
    return edges.sort_values(["predecessor", "successor"], ignore_index=True)


@dataclass(frozen=True)
class _Overlap:
    """Clips shared by some latents of A (predecessors) and some of B (successors), among `n_clips` in all."""

    shared: Int64[np.ndarray, "m c"]
    n_predecessor: Int64[np.ndarray, " m"]
    n_successor: Int64[np.ndarray, " c"]
    n_clips: int

    def beyond_chance(self) -> Float64[np.ndarray, "m c"]:
        """How far the smaller index lies inside the larger; see the module's first lines."""
        small = np.minimum(self.n_predecessor[:, None], self.n_successor)
        chance = np.maximum(self.n_predecessor[:, None], self.n_successor) / max(self.n_clips, 1)
        return _above(self.shared / np.maximum(small, 1), chance)

    def is_related(
        self, cosine: Float32[np.ndarray, "m c"], rule: SuccessionRule, *, n_pairs: int
    ) -> Bool[np.ndarray, "m c"]:
        """Which pairs the rule takes for related."""
        agree_much = cosine >= rule.min_cosine
        is_inside = self.beyond_chance() >= rule.min_beyond_chance
        candidates = (agree_much | (is_inside & (cosine >= rule.min_related_cosine))) & (self.shared > 0)
        # where both are always active chance would do the same, so the directions alone must tell
        always = np.minimum(self.n_predecessor[:, None], self.n_successor) == self.n_clips
        return (self._is_no_chance(candidates, rule, n_pairs)) | (candidates & always & agree_much)

    def is_refined(self, rule: SuccessionRule, *, n_pairs: int) -> Bool[np.ndarray, "m c"]:
        """Which successors lie mostly inside which predecessors that are no smaller."""
        predecessor_fraction = self.n_predecessor[:, None] / max(self.n_clips, 1)
        inside = _above(self.shared / np.maximum(self.n_successor, 1), predecessor_fraction)
        candidates = (inside >= rule.min_beyond_chance) & (self.n_successor <= self.n_predecessor[:, None])
        return self._is_no_chance(candidates & (self.shared > 0), rule, n_pairs)

    def _is_no_chance(self, candidates: np.ndarray, rule: SuccessionRule, n_pairs: int) -> np.ndarray:
        """Where so many shared clips would hardly come about by chance: the binomial tail of the smaller index's clips
        falling into the larger, times the number of pairs compared."""
        predecessor, successor = np.nonzero(candidates)
        sizes = np.stack([self.n_predecessor[predecessor], self.n_successor[successor]])
        small, chance = sizes.min(axis=0), sizes.max(axis=0) / max(self.n_clips, 1)
        shared = self.shared[predecessor, successor]
        tail = betainc(shared, small - shared + 1, chance)  # P(at least so many of the small one's clips)
        found = np.zeros(candidates.shape, dtype=bool)
        found[predecessor, successor] = tail * n_pairs <= rule.max_false_pairs
        return found

    def edges(
        self,
        is_related: np.ndarray,
        cosine: np.ndarray,
        *,
        predecessor_start: int = 0,
        successor_start: int = 0,
    ) -> pd.DataFrame:
        """The chosen pairs and what was measured of each; latents numbered from the given starts."""
        predecessor, successor = np.nonzero(is_related)
        n_shared, n_predecessor, n_successor = (
            self.shared[predecessor, successor],
            self.n_predecessor[predecessor],
            self.n_successor[successor],
        )
        return pd.DataFrame(
            {
                "predecessor": predecessor + predecessor_start,
                "successor": successor + successor_start,
                "cosine": cosine[predecessor, successor],
                "n_shared": n_shared,
                "jaccard": n_shared / np.maximum(n_predecessor + n_successor - n_shared, 1),
                "containment": n_shared / np.maximum(n_successor, 1),
                "kept": n_shared / np.maximum(n_predecessor, 1),
                "lift": n_shared * self.n_clips / np.maximum(n_predecessor * n_successor, 1),
                "beyond_chance": self.beyond_chance()[predecessor, successor],
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
    n_related: tuple[np.ndarray, np.ndarray],
    n_active: np.ndarray,
) -> pd.DataFrame:
    """What becomes of the latents at one end: one related latent that has no other is one-to-one."""
    mine, theirs = ends
    related = edges.groupby(mine)[theirs].first().reindex(range(len(n_active)))
    has_one = n_related[0] == 1
    is_mutual = np.zeros(len(n_active), dtype=bool)
    only = related[has_one].astype(np.int64)
    is_mutual[only.index] = n_related[1][only.to_numpy()] == 1
    is_predecessor = mine == "predecessor"
    several, shared = ("split", "merged") if is_predecessor else ("merged", "split")
    fate = np.select(
        [n_active == 0, n_related[0] == 0, has_one & is_mutual, n_related[0] > 1],
        ["silent", "no counterpart" if is_predecessor else "new", "one-to-one", several],
        default=shared,
    )
    count = "n_successors" if is_predecessor else "n_predecessors"
    return pd.DataFrame(
        {"latent": np.arange(len(n_active)), "n_active": n_active, name: fate, count: n_related[0]}
    )
