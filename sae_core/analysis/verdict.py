"""Can one latent be trusted? Whether other seeds and other encoders have it, too, and whether it is enough for its
value. That held-out speakers confirm a value stands in the latents table itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sae_core.analysis.universality import FALSE_MATCH_RATE, counterparts, match_saes, open_saes
from sae_core.measures.groups import latents_needed
from sae_core.workspace.workspace import SaeView

MAX_PRODUCTS = 300_000_000
"""Of products of active slots, so many are made at once without asking: under a second."""
ENOUGH_WITHIN = 0.02
"""A latent is enough for a value when its F1 is not lower by more than this than that of the best group."""


@dataclass(frozen=True)
class SeedsWith:
    """How a latent comes back in other seeds.

    cosine, correlation: the means of its best decoder cosines and of its best correlations of activations there.
    n_found: seeds in which it is found. n_seeds: seeds that were looked at.
    """

    cosine: float
    correlation: float
    n_found: int
    n_seeds: int


@dataclass(frozen=True)
class Counterpart:
    """A latent's best match in another SAE. latent: -1 where none correlates above 0. threshold: the correlation that
    chance reaches for 1 % of latents."""

    sae: str
    latent: int
    correlation: float
    threshold: float

    @property
    def is_found(self) -> bool:
        """Whether the match is beyond chance."""
        return self.latent >= 0 and self.correlation >= self.threshold


@dataclass(frozen=True)
class OneOrGroup:
    """A latent beside the groups of the value that it detects best, F1 on the same clips.

    n_latents: of the smallest group within 0.02 of the best one. is_enough: whether the latent alone comes so near.
    """

    attribute: str
    value: str
    f1: float
    n_latents: int
    group_f1: float
    group_low: float
    group_high: float

    @property
    def is_enough(self) -> bool:
        """Whether no group does clearly better than the latent alone."""
        return self.f1 >= self.group_f1 - ENOUGH_WITHIN


def seeds_with(view: SaeView, latent: int) -> SeedsWith | None:
    """How a latent comes back in SAEs that differ in the seed; None where that was not measured."""
    found = view.stability()
    if found is None:
        return None
    row = found.table.iloc[latent]
    return SeedsWith(
        float(row["cosine"]), float(row["correlation"]), int(row["n_found"]), int(row["n_seeds"])
    )


def other_encoders(view: SaeView) -> list[SaeView]:
    """Of each other encoder the SAE most like this one, as far as it can be opened; looked for once."""

    def find() -> list[SaeView]:
        workspace = view.workspace
        others = open_saes(workspace, counterparts(workspace, view.name))
        return [other for other in others if other.embeddings.name != view.embeddings.name]

    return view.kept("other encoders", find)


def is_quick_to_match(view: SaeView, others: Sequence[SaeView]) -> bool:
    """Whether matching an SAE with these takes under a second, more or less."""
    return sum(2 * len(view.codes) * view.codes.k * other.codes.k for other in others) <= MAX_PRODUCTS


def counterparts_of(view: SaeView, latent: int, others: Sequence[SaeView]) -> list[Counterpart]:
    """The best match of a latent in each of these SAEs, by its activations on clips of unseen speakers."""
    lines = []
    for other in others:
        found = match_saes(view, other)
        best, correlation = found.one[["best", "correlation"]].iloc[latent]
        threshold = found.threshold_at(FALSE_MATCH_RATE)
        lines.append(Counterpart(other.name, int(best), float(correlation), threshold))
    return lines


def one_or_group(view: SaeView, latent: int) -> OneOrGroup | None:
    """A latent beside the groups of its best value on unseen speakers; None where it has no such value, or no groups
    are kept."""
    facts, groups = view.latents.iloc[latent], view.groups()
    if groups is None or pd.isna(facts["best_f1"]):
        return None
    attribute, value = str(facts["best_attribute"]), str(facts["best_value"])
    table = groups.table
    table = table[(table["attribute"] == attribute) & (table["value"] == value)].set_index("n_latents")
    if table.empty:
        return None
    needed = latents_needed(table["f1"], within=ENOUGH_WITHIN)
    reached = (float(table[name][needed]) for name in ("f1", "f1_low", "f1_high"))
    return OneOrGroup(attribute, value, float(facts["best_f1"]), needed, *reached)
