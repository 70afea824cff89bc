"""Latents near a latent: by direction, and by the clips on which both are active."""

import pandas as pd
import streamlit as st

from pages.figures.ranking.ranking import RankedBar, ranking
from pages.shared import links, wording
from pages.shared.heading import Heading
from sae_core.workspace.workspace import SaeView

N_NEAR = 8
NEAR_BY_DIRECTION = Heading("Similar decoder direction", "cosine", "No other latent is similar.", 3)
NEAR_BY_COMPANY = Heading("Co-activating", "Jaccard", "No other latent is active on its clips.", 3)


def draw_near(view: SaeView, latent: int) -> None:
    """Latents with a similar decoder direction, and those that are active on the same clips."""
    by_direction, by_company = st.columns(2, gap="medium")
    with by_direction.container(border=True, height="stretch"):
        draw_near_latents(view, view.similar_latents(latent, n=N_NEAR), "cosine", NEAR_BY_DIRECTION)
    with by_company.container(border=True, height="stretch"):
        draw_near_latents(view, view.coactive_latents(latent, n=N_NEAR), "jaccard", NEAR_BY_COMPANY)


def draw_near_latents(view: SaeView, near: pd.DataFrame, measure: str, heading: Heading) -> None:
    """A ranked list of latents; a click on one opens it here."""
    bars = [
        RankedBar(
            label=wording.latent_name(view, int(other)),
            filled=float(value),
            value_text=f"{value:.2f}",
            help=wording.TERMS[measure],
            opens=int(other),
            href=links.latent_address(view, int(other)),
        )
        for other, value in zip(near["latent"], near[measure], strict=True)
    ]
    opened = ranking(bars, key=f"near_by_{measure}", heading=heading, shows_in="latent_detail")
    if opened is not None:
        links.choose(links.LATENT, opened)
        st.rerun()
