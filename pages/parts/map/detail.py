"""Beside the map: the clip or latent whose dot is open, to hear and to follow."""

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.figures.ranking.latent_bars import active_latents
from pages.figures.ranking.ranking import ranking
from pages.shared import links, wording
from pages.shared.heading import Heading
from pages.shared.map_choice import BY_LATENT, colour_by
from sae_core.workspace.workspace import SaeView

N_LATENTS = 10
N_PILLS = 4
N_STRONGEST = 3
NO_DOT = Heading(empty="Click a dot to hear it and to see its latents.")


def draw_no_dot() -> None:
    """What stands there while nothing is open; its empty list has the player ready for the first click."""
    clip_list([], key="map_dot", layout="wide", heading=NO_DOT)


def draw_clip(view: SaeView, row: int, *, is_placed: bool) -> None:
    """One clip to play, what is known of it, and its latents."""
    card = clip_cards.clip_card(view, row)
    opened = clip_list([card], key="map_dot", layout="wide")
    clip_cards.tell_silent([card])
    if opened is not None:
        links.open_clip(view, opened)
    if not is_placed:
        st.caption(":orange[:material/location_off: This clip is not on this map.]")
    latents, _ = view.codes.active(row)
    bars = active_latents(view, row, most=N_LATENTS)
    heading = Heading(
        "Active latents", f"{len(bars)} of {len(latents)}, strongest first", "No latent is active on it."
    )
    latent = ranking(bars, key="map_dot_latents", heading=heading)
    if latent is not None:
        links.open_latent(view, latent)
    offer_colours(view, [int(latent) for latent in latents[:N_PILLS]])
    st.page_link(
        "pages/clips.py",
        label="Open in Clips",
        icon=":material/library_music:",
        query_params=links.query(view, {links.CLIP: links.clip_id(view, row)}),
    )


def offer_colours(view: SaeView, latents: list[int]) -> None:
    """Buttons that colour the map by a latent's activation."""
    if not latents:
        return
    st.session_state["map_colour_latent"] = None
    st.pills(
        "Colour the map by",
        latents,
        format_func=lambda latent: wording.latent_words(view, latent),
        key="map_colour_latent",
        on_change=lambda: colour_by(BY_LATENT, latent=st.session_state["map_colour_latent"]),
    )


def draw_latent(view: SaeView, latent: int) -> None:
    """One latent: what it detects, how often it is active, and its strongest clips."""
    facts = view.latents.iloc[latent]
    st.header(wording.latent_words(view, latent), anchor=False)
    warned = "" if pd.isna(facts["warning"]) else wording.plain(str(facts["warning"]))
    warning = f"  \n:orange[:material/warning: {warned}]" if warned else ""
    measured = wording.plain(wording.measured(view, latent))
    st.caption(
        f"Active on {wording.percent(float(facts['firing_rate']), 1)} of clips, "
        f"{wording.counted(int(facts['n_speakers']), 'speaker')}. {measured}{warning}"
    )
    strongest = view.examples(latent, n=N_STRONGEST).strongest
    top = float(facts["max_activation"])
    cards = [
        clip_cards.clip_card(view, int(row), value=float(activation), top=top, value_help="activation")
        for row, activation in zip(strongest.rows, strongest.activations, strict=True)
    ]
    opened = clip_list(
        cards, key="map_dot", heading=Heading("Strongest clips", "", "It is active on no clip.", 3)
    )
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)
    st.page_link(
        "pages/latents.py",
        label="Open in Latents",
        icon=":material/hub:",
        query_params=links.query(view, {links.LATENT: str(latent)}),
    )
