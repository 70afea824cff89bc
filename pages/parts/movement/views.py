"""What the Movement page draws, worked out once for everyone: movements, their groups, how an active set splits."""

from dataclasses import replace

import pandas as pd

from pages.parts.movement.choice import MovementChoice
from pages.shared.caching import cached
from sae_core.analysis.movement import (
    ActiveSet,
    Detection,
    SideEffects,
    Splitting,
    follow_clips,
    measure_detection,
    side_effects,
    split_active_set,
)
from sae_core.measures.movement import Movement, tabulate_moves

Stations = tuple[ActiveSet, ...]


def movement_of(choice: MovementChoice) -> Movement:
    """How the clips move through the stations."""
    return _movement(choice.stations, choice.split)


def groups_of(choice: MovementChoice, attributes: tuple[str, ...]) -> pd.DataFrame:
    """The movement by groups, with fractions and intervals; shared, so not to be changed."""
    return _groups(choice.stations, choice.split, attributes)


def splitting_of(choice: MovementChoice) -> tuple[Splitting, Splitting | None]:
    """The successors of the first latent in the last SAE, and the refinements of the last one in a Matryoshka SAE."""
    return _splitting(choice.stations, choice.split)


def side_effects_of(choice: MovementChoice) -> SideEffects:
    """What the steering of the last station changes in other latents."""
    return _side_effects(choice.stations, choice.split)


def is_tuned(station: ActiveSet) -> bool:
    """Whether the threshold is the one tuned for the value, at which the stored statistics are measured."""
    statistics = station.view.statistics
    tuned = statistics.measures["threshold"][
        station.latent, statistics.value_row(station.attribute, station.value)
    ]
    return float(tuned) == station.threshold


def detection_of(station: ActiveSet) -> Detection:
    """How well the active set detects its value on evaluated clips, at its own threshold and before any steering."""
    return _detection(replace(station, steering=(), steered_codes=None))


def is_confirmed(station: ActiveSet) -> bool:
    """Whether held-out speakers confirm that the station's latent detects its value."""
    table = station.view.predominant_latents()
    ours = (table["attribute"] == station.attribute) & (table["value"] == station.value)
    return bool((ours & (table["latent"] == station.latent) & table["is_confirmed"]).any())


@cached(keep=64)
def _detection(station: ActiveSet) -> Detection:
    return measure_detection(station)


@cached(keep=16)
def _side_effects(stations: Stations, split: str | None) -> SideEffects:
    return side_effects(stations[0], stations[-1], split=split)


@cached(keep=64)
def _movement(stations: Stations, split: str | None) -> Movement:
    return follow_clips(stations, split=split)


@cached(keep=64)
def _groups(stations: Stations, split: str | None, attributes: tuple[str, ...]) -> pd.DataFrame:
    return tabulate_moves(stations[0].view.workspace.corpus, _movement(stations, split), attributes)


@cached(keep=64)
def _splitting(stations: Stations, split: str | None) -> tuple[Splitting, Splitting | None]:
    first, last = stations[0], stations[-1]
    is_matryoshka = bool(last.view.config.get("prefixes"))
    within = split_active_set(last, last.view, split=split) if is_matryoshka else None
    return split_active_set(first, last.view, split=split), within
