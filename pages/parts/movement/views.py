"""What the Movement page draws, worked out once for everyone: movements, their groups, how an index splits."""

import pandas as pd
import streamlit as st

from pages.parts.movement.choice import MovementChoice
from sae_core.analysis.movement import IndexChoice, Splitting, follow_clips, split_index
from sae_core.measures.movement import Movement, tabulate_moves

Key = tuple[object, ...]


def movement_of(choice: MovementChoice) -> Movement:
    """How the clips move through the stations."""
    return _movement(_key(choice), choice)


def groups_of(choice: MovementChoice, attributes: tuple[str, ...]) -> pd.DataFrame:
    """The movement by groups, with shares and intervals; shared, so not to be changed."""
    return _groups((*_key(choice), attributes), attributes, choice)


def splitting_of(choice: MovementChoice) -> tuple[Splitting, Splitting | None]:
    """What the first station's latent becomes in the last SAE, and what refines the last one's within a nested SAE."""
    return _splitting(_key(choice), choice)


def facts_of(station: IndexChoice) -> dict[str, object]:
    """How well the station's latent tells its value, on held-out clips at the threshold chosen for it."""
    statistics = station.view.statistics
    return statistics.of(station.latent, statistics.value_row(station.attribute, station.value))


def _key(choice: MovementChoice) -> Key:
    stations = [
        (
            station.view.fingerprint,
            station.latent,
            station.threshold,
            station.attribute,
            station.value,
            station.steering,
        )
        for station in choice.stations
    ]
    return (*stations, choice.split)


@st.cache_resource(max_entries=64, show_spinner=False)
def _movement(key: Key, _choice: MovementChoice) -> Movement:  # noqa: ARG001
    return follow_clips(_choice.stations, split=_choice.split)


@st.cache_resource(max_entries=64, show_spinner=False)
def _groups(key: Key, attributes: tuple[str, ...], _choice: MovementChoice) -> pd.DataFrame:  # noqa: ARG001
    return tabulate_moves(_choice.stations[0].view.workspace.corpus, movement_of(_choice), attributes)


@st.cache_resource(max_entries=64, show_spinner=False)
def _splitting(key: Key, _choice: MovementChoice) -> tuple[Splitting, Splitting | None]:  # noqa: ARG001
    first, last = _choice.stations[0], _choice.stations[-1]
    is_nested = bool(last.view.config.get("prefixes"))
    within = split_index(last, last.view, split=_choice.split) if is_nested else None
    return split_index(first, last.view, split=_choice.split), within
