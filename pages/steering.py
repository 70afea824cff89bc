"""Steering: ablate, scale or clamp latents, and see what happens to the similarity of clips (arXiv 2502.00127)."""

from functools import partial

import streamlit as st

from pages.figures.steering_desk.steering_desk import steering_desk
from pages.parts.steering.choices import choose_figure, choose_latents, choose_settings, take_first_preset
from pages.parts.steering.effect import draw_effect
from pages.parts.steering.export import export_of, file_name
from pages.parts.steering.left import draw_left
from pages.parts.steering.listening import draw_listening
from pages.parts.steering.recipe import draw_recipe
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
        "How similar clips are once latents are ablated, scaled or clamped in their embeddings.",
        why="If a latent stands for a language, ablating it should make speakers of different languages more similar "
        "without changing speaker identity. Method: arXiv 2502.00127, with the "
        "reconstruction error kept.",
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
    draw_left(experiment, steering)
    draw_listening(experiment, steering.changes)
    draw_recipe(experiment, steering.changes)
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
        export = partial(export_of, experiment, steering.live, histograms.table)
        opened = steering_desk(steering, histograms, threshold=threshold)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(trial_choice.describe_trials(trial_set), width="stretch")
            csv_button(export, name=file_name(view, steering.live, "similarities"), key="similarities_csv")
    if opened is not None:
        links.open_latent(view, opened)


def draw_next(steering: SteeringState) -> None:
    """Where to go from here."""
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        st.markdown("**Try next**")
        st.page_link(
            "pages/verification.py",
            label="Verify speakers with the steered embeddings",
            icon=":material/verified_user:",
            query_params=steering.query(),
        )
        st.page_link(
            "pages/erasure.py",
            label="Erase a value latent by latent",
            icon=":material/ink_eraser:",
            query_params=links.query(steering.view),
        )


main()
