"""Clips of a value that its best latent misses because a narrower latent took them, to hear."""

import numpy as np
import streamlit as st

from pages.figures.player.clip_cards import clip_card, tell_silent
from pages.figures.player.player import clip_list
from pages.shared import links
from pages.shared.caching import cached
from pages.shared.heading import Heading
from pages.shared.wording import counted, latent_name, latent_words, percent, plain, value_words
from sae_core.analysis.groups import absorption_of
from sae_core.measures.absorption import Absorption
from sae_core.workspace.workspace import SaeView

N_CLIPS = 6
HELP = (
    "A clip of the value that its best latent misses is absorbed when another latent, active on fewer clips, adds most "
    "along the difference between clips with the value and without (arXiv 2409.14507)."
)
CLIPS = Heading("Absorbed clips", "surest first", level=3)


@cached(keep=64)
def _absorption(view: SaeView, attribute: str, value: str) -> Absorption:
    return absorption_of(view, attribute, value)


def draw_absorbed(view: SaeView, attribute: str, value: str) -> None:
    """How many clips of a value are absorbed, by which latents, and some of them."""
    found = _absorption(view, attribute, value)
    words, best = plain(value_words(attribute, value)), view.statistics.predominant(attribute, value)
    with st.container(border=True, key="absorbed"):
        st.header("Absorbed by narrower latents", anchor=False, help=HELP)
        said = f"**{len(found.clips):,} of {counted(found.n_positive, 'clip')}** of {words} ({percent(found.rate)})"
        said += f"; {latent_words(view, best)}, the best latent, misses {found.n_missed:,} in all."
        takers = [
            f"[{latent_words(view, int(latent))}]({links.latent_address(view, int(latent))}) ({n:,})"
            for latent, n in found.by_latent().head(N_CLIPS).itertuples(index=False)
        ]
        st.markdown(said + (f" Taken by {', '.join(takers)}." if takers else ""))
        if len(found.clips):
            _draw_clips(view, found)


def _draw_clips(view: SaeView, found: Absorption) -> None:
    order = np.argsort(-found.clips["fraction"].to_numpy(), kind="stable")[:N_CLIPS]
    cards = [
        clip_card(
            view,
            int(line.row),
            value=float(line.fraction),
            value_help="fraction of what all latents add along the value",
            note=f"taken by {latent_name(view, int(line.latent))}",
        )
        for line in found.clips.iloc[order].itertuples()
    ]
    opened = clip_list(cards, key="absorbed_clips", heading=CLIPS)
    tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)
