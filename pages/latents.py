"""Latents: find one in the table, see on which clips it is active, and listen to it."""

import pandas as pd
import streamlit as st

from pages.figures.player.examples import N_CLIPS, playable_examples
from pages.parts.latents.acoustics import draw_hint, draw_sound
from pages.parts.latents.finder import TABLE, find_latents, step_latent
from pages.parts.latents.near import draw_near
from pages.parts.latents.verdict import draw_verdict
from pages.parts.latents.who_fires import draw_activations, draw_who
from pages.shared import wording
from pages.shared.announce import announce, step_key
from pages.shared.map_choice import show_latent
from pages.shared.notes_panel import draw_latent_notes
from pages.shared.reports import report_button
from pages.shared.session import open_page, try_next
from pages.shared.steering_state import steer_link
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

STEPS = (
    ("previous", "Previous", ":material/arrow_back:", -1),
    ("next", "Next", ":material/arrow_forward:", 1),
    ("random", "Random", ":material/casino:", None),
)
NEVER_ACTIVE = (
    "This latent is active on no clip of this workspace, so there is nothing to hear. Choose another latent, "
    "or an SAE with fewer of them."
)


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Latents",
        "All latents of this SAE, with the attribute that each detects best.",
        why="Listen before you name one.",
    )
    latent = find_latents(view)
    if latent is None:
        return
    with st.container(key="latent_detail"):
        draw_heading(view, latent)
        announce(f"Latent {wording.latent_name(view, latent)} is open.", key="latent")
        draw_hint(view, latent)
        verdict = st.container(border=True, key="latent_verdict")
        draw_latent_notes(view, latent)
        draw_facts(view, latent)
        if view.latents["n_active"].iloc[latent] == 0:
            st.info(NEVER_ACTIVE, icon=":material/volume_off:")
        else:
            draw_who(view, latent)
            draw_clips(view, latent)
            draw_sound(view, latent)
        draw_near(view, latent)
        report_button(view, latent=latent, key="latent_report")
        with verdict:  # last, because the first match of two SAEs takes a second
            draw_verdict(view, latent)
    try_next(
        view,
        {
            "pages/clips.py": ("Inspect one of its clips", ":material/library_music:"),
            "pages/overview.py": ("Check the quality of this SAE", ":material/graphic_eq:"),
        },
    )


def draw_heading(view: SaeView, latent: int) -> None:
    """Its number and name, and the way to the next, the one before, or any."""
    named = [wording.plain(f"“{label}”")] if (label := view.label_of(latent)) else []
    name = " :gray[·] ".join([*named, *filter(None, [wording.short_meaning(view, latent)])])
    with st.container(horizontal=True, vertical_alignment="center", key="latent_heading"):
        st.header(f"Latent #{latent}" + (f" :gray[·] {name}" if name else ""), anchor=False, width="stretch")
        for key, words, icon, by in STEPS:
            st.button(
                words,
                icon=icon,
                key=step_key(key, TABLE) if by else f"latent_{key}",
                on_click=step_latent,
                args=(latent, by),
            )
        steer_link(view, latent)
        show_latent(view, latent)


def draw_facts(view: SaeView, latent: int) -> None:
    """How often it is active, and what it detects: on unseen and on seen speakers, kept apart."""
    facts = view.latents.iloc[latent]
    words, picture = st.columns([6, 5], gap="medium")
    with words.container(border=True, height="stretch"):
        first, second, third, fourth = st.columns(4)
        first.metric("Active on", wording.percent(facts["firing_rate"], 1), help=wording.TERMS["firing rate"])
        second.metric(
            "Speakers", f"{facts['n_speakers']:,}", help="Different speakers among its active clips."
        )
        third.metric("Max activation", f"{facts['max_activation']:.2f}", help=wording.TERMS["activation"])
        fourth.metric(
            "Mean when active", f"{facts['mean_activation']:.2f}", help="Mean activation where it is active."
        )
        draw_evidence(facts)
    with picture.container(border=True, height="stretch"):
        draw_activations(view, latent)


def draw_evidence(facts: pd.Series) -> None:
    """One line for each kind of evidence, and a warning where it is tied to one speaker or one source."""
    signs = {
        "best_": (":green-badge[unseen speakers]", UNSEEN_SPEAKERS),
        "seen_": (":gray-badge[seen speakers]", SEEN_SPEAKERS),
    }
    for prefix, (sign, evidence) in signs.items():
        if not facts[f"{prefix}f1"] > 0:
            continue
        numbers = " · ".join(
            f"{words} {wording.with_interval(*(facts[f'{prefix}{name}{part}'] for part in ('', '_low', '_high')))}"
            for words, name in (("F1", "f1"), ("precision", "precision"), ("recall", "recall"))
        )
        measured = f":small[{wording.detected_in_words(facts, prefix)}]  \n:small[:gray[{numbers}]]"
        st.markdown(
            f"{sign} **{wording.plain(wording.best_value(facts, prefix))}**  \n{measured}",
            help=wording.EVIDENCE[evidence],
        )
    if not pd.isna(facts["warning"]):
        st.markdown(f":orange-badge[:material/warning: {wording.plain(str(facts['warning']))}]")


def draw_clips(view: SaeView, latent: int) -> None:
    """Four groups of clips to listen to."""
    top = float(view.latents["max_activation"].iloc[latent])
    playable_examples(view, view.examples(latent, n=N_CLIPS), top=top)


main()
