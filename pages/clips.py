"""Clips: find one, play it, see which latents are active on it and which clips have similar embeddings."""

import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.figures.ranking.latent_bars import active_latents
from pages.figures.ranking.ranking import ranking
from pages.parts.clips.guessed_facts import guessed_facts
from pages.parts.clips.measured_facts import measured_facts
from pages.shared import links, wording
from pages.shared.clip_finder import find_clip
from pages.shared.facts import fact_list
from pages.shared.heading import Heading
from pages.shared.map_choice import show_clip
from pages.shared.notes_panel import draw_clip_notes
from pages.shared.session import open_page, try_next
from sae_core.workspace.workspace import SaeView

N_NEAREST = 12
COMPARE_HELP = (
    "Take the similarity of this clip and another apart. The sign ⇄ on a clip below compares the two at once."
)


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Clips",
        "Any clip of the corpus with the latents that are active on it.",
        why="Check each latent's name against what you hear.",
    )
    row = find_clip(workspace)
    if row is None:
        return
    with st.container(key="clip_detail"):
        clip, latents = st.columns([2, 3], gap="medium")
        with clip.container(border=True, height="stretch", key="this_clip"):
            draw_clip(view, row)
        with latents.container(border=True, height="stretch", key="clip_latents"):
            draw_latents(view, row)
        draw_clip_notes(workspace, links.clip_id(view, row))
        draw_nearest(view, row)
    try_next(
        view,
        {
            "pages/latents.py": ("Find a latent by what it detects", ":material/hub:"),
            "pages/overview.py": ("Check the quality of this SAE", ":material/graphic_eq:"),
        },
    )


def draw_clip(view: SaeView, row: int) -> None:
    """The clip itself, to play, and all that is known of it."""
    card = clip_cards.clip_card(view, row)
    clip_list([card], key="chosen_clip", layout="wide")
    clip_cards.tell_silent([card])
    if st.button("Compare", icon=":material/join_inner:", key="compare_clip", help=COMPARE_HELP):
        links.open_match(view, row)
    st.page_link(
        "pages/probe.py",
        label="Latent timeline",
        icon=":material/mic:",
        query_params=links.query(view, {links.CLIP: links.clip_id(view, row)}),
    )
    show_clip(view, row)
    clip = view.workspace.corpus.table.iloc[row]
    names = ["speaker_id", *view.workspace.corpus.attributes, "split", "audio_path"]
    facts = {wording.column_words(name): wording.known_value(name, clip[name]) for name in names}
    fact_list({**facts, **guessed_facts(view.workspace, row), **measured_facts(view.workspace, row)})


def draw_latents(view: SaeView, row: int) -> None:
    """The latents active on this clip, strongest first, each a link."""
    bars = active_latents(view, row)
    opened = ranking(
        bars,
        key="active_latents",
        heading=Heading(
            "Active latents",
            f"{len(bars)} of {view.n_latents:,}, strongest first; click one to hear its other clips",
            "No latent is active on this clip.",
        ),
    )
    if opened is not None:
        links.open_latent(view, opened)


def draw_nearest(view: SaeView, row: int) -> None:
    """Clips with the most similar embeddings."""
    nearest = view.nearest_clips(row, n=N_NEAREST)
    cards = [
        clip_cards.clip_card(view, int(other), value=float(cosine), value_help=wording.TERMS["cosine"])
        for other, cosine in zip(nearest["row"], nearest["cosine"], strict=True)
    ]
    opened = clip_list(
        cards,
        key="nearest_clips",
        heading=Heading(
            "Nearest clips",
            "most similar embeddings, without the SAE; the bar is their cosine",
            "This clip has no embedding to compare.",
        ),
        shows_in="clip_detail",
        compare_with=links.clip_id(view, row),
    )
    if opened is not None:
        links.choose(links.CLIP, links.clip_id(view, opened))
        st.rerun()


main()
