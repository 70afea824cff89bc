"""What a steering changes besides the latents it steers: which other latents, and on which clips."""

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.figures.ranking.ranking import RankedBar, ranking
from pages.parts.movement import views
from pages.parts.movement.choice import MovementChoice
from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.wording import counted, latent_name
from sae_core.workspace.workspace import SaeView

N_LATENTS, N_CLIPS = 10, 6
HELP = (
    "Every clip is steered and encoded again. A latent changes on a clip where it stops or starts being active. The "
    "steered latents themselves are left out."
)


def draw_side_effects(choice: MovementChoice) -> None:
    """List the other latents and the clips that change most; a click opens them."""
    view, found = choice.stations[-1].view, views.side_effects_of(choice)
    with st.container(border=True, key="side_effects"):
        st.header("What else changes", anchor=False, help=HELP)
        n_changed = counted(len(found.latents), "other latent")
        st.markdown(f"**{n_changed}** stop or start being active, on {counted(len(found.clips), 'clip')}.")
        latents, clips = st.columns(2, gap="medium")
        with latents:
            _draw_latents(view, found.latents)
        with clips:
            _draw_clips(view, found.clips)


def _draw_latents(view: SaeView, table: pd.DataFrame) -> None:
    most = max(int((table["n_lost"] + table["n_gained"]).max()), 1) if len(table) else 1
    bars = [
        RankedBar(
            label=latent_name(view, int(line.latent)),
            detail=f"lost {line.n_lost:,} · gained {line.n_gained:,}",
            filled=(line.n_lost + line.n_gained) / most,
            value_text=counted(int(line.n_lost + line.n_gained), "clip"),
            help=f"Active on {line.n_before:,} clips before and on {line.n_after:,} after.",
            opens=int(line.latent),
            href=links.latent_address(view, int(line.latent)),
        )
        for line in table.head(N_LATENTS).itertuples()
    ]
    heading = Heading(
        "Latents that change most", "clips on which each changes", "No other latent changes.", 3
    )
    opened = ranking(bars, key="side_effect_latents", heading=heading)
    csv_button(lambda: table, name=f"{view.name}-steering-other-latents", key="side_effects_csv")
    if opened is not None:
        links.open_latent(view, opened)


def _draw_clips(view: SaeView, table: pd.DataFrame) -> None:
    cards = [
        clip_cards.clip_card(view, int(line.row), note=f"−{line.n_lost} +{line.n_gained}")
        for line in table.head(N_CLIPS).itertuples()
    ]
    heading = Heading(
        "Clips that change most", "latents that stop (−) and start (+) being active", "No clip changes.", 3
    )
    opened = clip_list(cards, key="side_effect_clips", heading=heading)
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)
