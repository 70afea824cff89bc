"""Who is trained on, selected with and held out, so that unseen speakers carry each language and gender."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sae_core.corpus.clips import SPLITS

FEWEST_FOR_UNSEEN_SPEAKERS = 6
FEWEST_FOR_SIX_UNSEEN = 8
OUTSIDE_FRACTION = 0.22

Change = tuple[tuple[int, int], ...]  # (person, new split) of those who move


@dataclass(frozen=True, order=True)
class Trait:
    """What several people share and is balanced over the splits.

    name: such as ``language=es``.
    weight: how much a misfit counts.
    is_reported: figures are given for it, so that it wants the whole people of `quota`; else shares of people will do.
    """

    name: str
    weight: float
    is_reported: bool = True

    def wanted(self, total: float) -> tuple[float, float, float]:
        """How much of the total of this trait each split should have."""
        outside = float(quota(round(total))[1]) if self.is_reported else total * OUTSIDE_FRACTION
        return total - 2 * outside, outside, outside


@dataclass(frozen=True)
class Person:
    """One unit of the split: who, and how much of each trait to be balanced; 1 where it is simply there."""

    name: str
    traits: Mapping[Trait, float]


def quota(n_people: int) -> tuple[int, int, int]:
    """How many of `n_people` with one trait go to train, selection and held-out.

    Six or more give at least two to selection and two to held-out, as figures on unseen speakers need; eight or more
    at least three to each, so that an interval over them means something. Of four or five one goes to each for variety;
    fewer are all trained on.
    """
    if n_people < 4:
        outside = 0
    elif n_people < FEWEST_FOR_UNSEEN_SPEAKERS:
        outside = 1
    else:
        least = 3 if n_people >= FEWEST_FOR_SIX_UNSEEN else 2
        outside = max(least, round(OUTSIDE_FRACTION * n_people))
    return n_people - 2 * outside, outside, outside


def split_people(people: Iterable[Person]) -> dict[str, str]:
    """Person → split, by descent from everyone in train: the best single move, or the best exchange where none helps.

    The misfit is Σ over traits of weight · Σ over splits (amount − wanted)² / total amount. The outcome depends
    on the set of people only, not on their order.
    """
    ordered = sorted(people, key=lambda person: person.name)
    traits = sorted({trait for person in ordered for trait in person.traits})
    has = np.array([[person.traits.get(trait, 0.0) for trait in traits] for person in ordered])
    totals = has.sum(axis=0)
    wanted = np.array(
        [trait.wanted(total) for trait, total in zip(traits, totals, strict=True)]
    ).T  # [splits, traits]
    weights = np.array([trait.weight for trait in traits]) / totals
    chosen = np.zeros(len(ordered), dtype=int)
    while any(_improve(changes(chosen), chosen, has, wanted, weights) for changes in (_moves, _exchanges)):
        pass
    return {person.name: SPLITS[split] for person, split in zip(ordered, chosen, strict=True)}


def _misfit(counts: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> float:
    return float((((counts - wanted) ** 2).sum(axis=0) * weights).sum())


def _improve(
    changes: Iterable[Change],
    chosen: Int[np.ndarray, " p"],
    has: Float[np.ndarray, "p t"],
    wanted: Float[np.ndarray, "s t"],
    weights: Float[np.ndarray, " t"],
) -> bool:
    """Make the best of `changes` in place; False where none lowers the misfit."""
    counts = np.stack([has[chosen == split].sum(axis=0) for split in range(len(SPLITS))])
    least, best = _misfit(counts, wanted, weights), None
    for change in changes:
        moved = counts.copy()
        for person, split in change:
            moved[chosen[person]] -= has[person]
            moved[split] += has[person]
        misfit = _misfit(moved, wanted, weights)
        if misfit < least - 1e-9:
            least, best = misfit, change
    for person, split in best or ():
        chosen[person] = split
    return best is not None


def _moves(chosen: np.ndarray) -> Iterable[Change]:
    """Every person to every other split."""
    for person, now in enumerate(chosen):
        for split in range(len(SPLITS)):
            if split != now:
                yield ((person, split),)


def _exchanges(chosen: np.ndarray) -> Iterable[Change]:
    """Every two people of different splits in each other's place."""
    for a in range(len(chosen)):
        for b in range(a + 1, len(chosen)):
            if chosen[a] != chosen[b]:
                yield ((a, int(chosen[b])), (b, int(chosen[a])))
