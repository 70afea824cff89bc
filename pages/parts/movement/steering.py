"""A movement through a steering: the same latent's active set before it and after it."""

import streamlit as st

from pages.shared.caching import cached
from pages.shared.steering_state import SteeringState, steering_query
from pages.shared.wording import latent_words
from sae_core.analysis.movement import ActiveSet, steer_active_set
from sae_core.measures.steering import Change


def steered_station(station: ActiveSet) -> ActiveSet:
    """The active set after what the page Steering changes; by default the latent itself is ablated."""
    view = station.view
    changes = SteeringState.of(view).changes or (Change(station.latent, "ablate"),)
    words = ", ".join(f"{latent_words(view, change.latent)} {_done_to(change)}" for change in changes)
    st.page_link(
        "pages/steering.py",
        label=words,
        icon=":material/tune:",
        query_params=steering_query(view, changes),
        help="What is changed in every clip before it is encoded again. Choose other latents on the page Steering.",
    )
    return _steered(station, changes)


def _done_to(change: Change) -> str:
    return {"ablate": "ablated", "scale": f"× {change.amount:g}", "set": f"set to {change.amount:g}"}[
        change.mode
    ]


@cached(keep=8, spinner="Encoding every steered clip …")
def _steered(station: ActiveSet, changes: tuple[Change, ...]) -> ActiveSet:
    return steer_active_set(station, changes)
