"""One point of the curve: the latents that are off there, to hear and to open, what it costs, and where to take it."""

import pandas as pd
import streamlit as st

from pages.figures.player.clip_cards import latent_card, tell_silent
from pages.figures.player.player import clip_list
from pages.parts.erasure.choice import ORDER_WORDS, Removal
from pages.shared import links
from pages.shared.caching import cached
from pages.shared.heading import Heading
from pages.shared.leftover import draw_cost, draw_leftover
from pages.shared.problems import part_of_page
from pages.shared.steering_state import ERASED, steering_query
from pages.shared.wording import counted, plain, value_words, with_interval
from sae_core.analysis.erasure import Cost, ErasureCurve, measure_cost, steered_vectors
from sae_core.analysis.trial_sets import TrialSet
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

N_CARDS = 12


@cached(keep=64, spinner="Verifying with the steered embeddings …")
def _cost(view: SaeView, trial_set: TrialSet, changes: tuple[Change, ...]) -> Cost:
    return measure_cost(trial_set, steered_vectors(view, changes)[trial_set.rows])


@part_of_page
def draw_point(view: SaeView, trial_set: TrialSet, curve: ErasureCurve, at: tuple[Removal, int]) -> None:
    """Draw the point `at`: order of removal, and how many latents are off."""
    order, n_latents = at
    changes = tuple(curve.changes(order, n_latents))
    points = curve.points[curve.points["method"] == order].set_index("n_latents")
    words = plain(value_words(curve.attribute, curve.value))
    with st.container(border=True, key="erasure_point"):
        title, link = st.columns([5, 2], vertical_alignment="center")
        title.header(f"{counted(n_latents, 'latent')} off, {ORDER_WORDS[order]}", anchor=False)
        if not changes:
            st.markdown("Nothing is removed here. Choose a later step.")
            return
        with link:
            st.page_link(
                "pages/steering.py",
                label="Open as a steering",
                icon=":material/tune:",
                query_params={**steering_query(view, changes), ERASED: f"{curve.attribute}={curve.value}"},
            )
        first, here = points.loc[0], points.loc[n_latents]
        st.markdown(
            f"The probe for **{words}** goes from **{_reached(first)}** to **{_reached(here)}**; verification pays:"
        )
        draw_cost(_cost(view, trial_set, changes), has_intervals=trial_set.has_intervals)
        st.subheader("What else was hurt", anchor=False)
        draw_leftover(view, trial_set, changes, (curve.attribute, curve.value), has_cost=False)
    _draw_latents(view, [change.latent for change in changes])


def _reached(point: pd.Series) -> str:
    return with_interval(
        point["balanced_accuracy"], point["balanced_accuracy_low"], point["balanced_accuracy_high"]
    )


def _draw_latents(view: SaeView, latents: list[int]) -> None:
    """The latents that are off, the first removed first; each plays its strongest clip and opens."""
    cards = [latent_card(view, latent, shows_f1=True) for latent in latents[:N_CARDS]]
    more = f"; the first {N_CARDS} of {len(latents)}" if len(latents) > N_CARDS else ""
    opened = clip_list(
        cards,
        key="erased_latents",
        heading=Heading(
            "Latents removed", f"in this order{more}; each plays its strongest clip, the title opens it"
        ),
    )
    tell_silent(cards)
    if opened is not None:
        links.open_latent(view, opened)
