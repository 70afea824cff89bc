"""Steering: turn latents down, up or off, and see and hear what happens to the likeness of voices."""

import streamlit as st

from pages.figures.steering_desk.steering_desk import steering_desk
from pages.parts.steering.choices import choose_figure, choose_latents, choose_settings, take_first_preset
from pages.parts.steering.effect import draw_effect
from pages.parts.steering.listening import draw_listening
from pages.shared import links, trial_choice
from pages.shared.exports import csv_button
from pages.shared.problems import part_of_page
from pages.shared.session import open_page
from pages.shared.steering_state import SteeringState
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.workspace.workspace import SaeView


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Steering",
        "Turn a latent down, up or off in every clip, and see how alike voices then are.",
        why="If a latent stands for a language, switching it off should bring speakers of it nearer to others, "
        "and leave who is who alone.",
    )
    take_first_preset(view)
    choose_latents(view)
    with st.container(horizontal=True, vertical_alignment="bottom", key="steering_settings"):
        among = trial_choice.choose_among(view)
        steered, point, keeps_error = choose_settings(view)
    trial_set = trial_choice.drawn_trials(view, among)
    draw_desk(view, trial_set, (steered, keeps_error), point)
    steering = SteeringState.of(view)
    steering.end_drag()
    experiment = trial_choice.steering_experiment(view, trial_set, (steering.latents, steered, keeps_error))
    draw_effect(experiment, steering.changes, point)
    draw_listening(experiment, steering.changes)
    draw_next(steering)


@part_of_page
def draw_desk(
    view: SaeView, trial_set: TrialSet, settings: tuple[AttributeValue | None, bool], point: str
) -> None:
    """Sliders and similarities: redrawn alone at every step of a drag, the whole page when it is released."""
    steering = SteeringState.of(view)
    if steering.take_release():
        st.rerun()
    with st.container(border=True, key="desk"):
        is_relative, only_touched = choose_figure()
        latents = tuple(change.latent for change in steering.live)
        experiment = trial_choice.steering_experiment(view, trial_set, (latents, *settings))
        histograms = experiment.histograms(steering.live, is_relative=is_relative, only_touched=only_touched)
        threshold = None if is_relative else trial_set.threshold(point)
        opened = steering_desk(steering, histograms, threshold=threshold)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(trial_choice.describe_trials(trial_set), width="stretch")
            csv_button(histograms.table, name=f"{view.name}-similarities", key="similarities_csv")
    if opened is not None:
        links.open_latent(view, opened)


def draw_next(steering: SteeringState) -> None:
    """Where to go from here."""
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        st.markdown("**Try next**")
        st.page_link(
            "pages/verification.py",
            label="Compare the steered voices with the others",
            icon=":material/verified_user:",
            query_params=steering.query(),
        )


main()
