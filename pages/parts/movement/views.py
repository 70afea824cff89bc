"""What the Movement page draws, worked out once for everyone: movements, their groups, how an index splits."""

import pandas as pd

from pages.parts.movement.choice import MovementChoice
from pages.shared.caching import cached
from sae_core.analysis.movement import IndexChoice, Splitting, follow_clips, split_index
from sae_core.measures.movement import Movement, tabulate_moves

Stations = tuple[IndexChoice, ...]


def movement_of(choice: MovementChoice) -> Movement:
    """How the clips move through the stations."""
    return _movement(choice.stations, choice.split)


def groups_of(choice: MovementChoice, attributes: tuple[str, ...]) -> pd.DataFrame:
    """The movement by groups, with shares and intervals; shared, so not to be changed."""
    return _groups(choice.stations, choice.split, attributes)


def splitting_of(choice: MovementChoice) -> tuple[Splitting, Splitting | None]:
    """What the first station's latent becomes in the last SAE, and what refines the last one's within a nested SAE."""
    return _splitting(choice.stations, choice.split)


def facts_of(station: IndexChoice) -> dict[str, object]:
    """How well the station's latent tells its value, on held-out clips at the threshold chosen for it."""
    statistics = station.view.statistics
    return statistics.of(station.latent, statistics.value_row(station.attribute, station.value))


@cached(keep=64)
def _movement(stations: Stations, split: str | None) -> Movement:
    return follow_clips(stations, split=split)


@cached(keep=64)
def _groups(stations: Stations, split: str | None, attributes: tuple[str, ...]) -> pd.DataFrame:
    return tabulate_moves(stations[0].view.workspace.corpus, _movement(stations, split), attributes)


@cached(keep=64)
def _splitting(stations: Stations, split: str | None) -> tuple[Splitting, Splitting | None]:
    first, last = stations[0], stations[-1]
    is_nested = bool(last.view.config.get("prefixes"))
    within = split_index(last, last.view, split=split) if is_nested else None
    return split_index(first, last.view, split=split), within
