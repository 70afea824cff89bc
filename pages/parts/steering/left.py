"""What is left of attribute values after the steering on screen, and what else it costs."""

import streamlit as st

from pages.shared import trial_choice
from pages.shared.choices import choose_one
from pages.shared.leftover import draw_leftover
from pages.shared.steering_state import ERASED, SteeringState
from pages.shared.trial_choice import as_value
from pages.shared.wording import column_words, value_words
from sae_core.analysis.steering_experiment import SteeringExperiment

NONE = "none"


def draw_left(experiment: SteeringExperiment, steering: SteeringState) -> None:
    """A table of attribute values before and after, once somebody asks for it."""
    view, values = experiment.view, trial_choice.erasable(experiment.view)
    if not steering.changes or not values:
        return
    with st.container(border=True, key="steering_left"):
        st.header(
            "What is left",
            anchor=False,
            help="A latent that is off takes away what it added, not what others say of the same value. Probes fitted "
            "anew on the steered embeddings show what can still be read from them on unseen speakers.",
        )
        options = {
            f"{name}={value}": f"{column_words(name)}: {value_words(name, value)}" for name, value in values
        }
        meant = choose_one(
            ERASED, {NONE: "nothing in particular", **options}, usual=NONE, label="Meant to erase", width=270,
            help="Comes first, and a small network looks for it too. Other values that get clearly worse are hurt.",
        )  # fmt: skip
        if not experiment.keeps_error or experiment.steered is not None:
            st.caption("Here every clip is steered, and the reconstruction error kept.")
        draw_leftover(view, experiment.trial_set, steering.changes, as_value(meant), has_cost=True)
