"""Universality: which latents other SAEs have, too, which encoder detects which value, and whether one latent is
enough."""

import streamlit as st

from pages.parts.universality.choice import Compared, choose_clips, choose_look, choose_others
from pages.parts.universality.fractions import draw_fractions, draw_headline
from pages.parts.universality.groups import draw_groups
from pages.parts.universality.latents import draw_latents, found_elsewhere
from pages.parts.universality.values import draw_values
from pages.shared import links
from pages.shared.session import open_page, try_next
from sae_core.workspace.workspace import Workspace

ONE_SAE = (
    "There is only one SAE here, so there is nothing to compare it with. Train it with other seeds "
    "(`python -m sae_core sweep --workspace {path} --seeds 0,1,2`), or embed the clips with another encoder."
)
NONE_CHOSEN = "Choose at least one other SAE to compare with."


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Universality",
        "Which latents of this SAE other SAEs have, too, and which SAE detects which attribute value.",
        why="A latent that other encoders and other seeds find again is no accident of one training.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="universality_choices"):
        look = choose_look()
        others = () if look == links.GROUPS else choose_others(workspace, view)
        clips = choose_clips() if look == links.ACROSS_SAES else "unseen speakers"
    compared = Compared(view, others, clips)
    if look == links.GROUPS:
        draw_groups(view)
    elif look == links.ACROSS_SAES:
        draw_across(workspace, compared)
    else:
        draw_values(workspace, compared)
    try_next(
        view,
        {
            "pages/latents.py": ("Browse latents", ":material/hub:"),
            "pages/sweep.py": ("Compare the whole grid", ":material/grid_view:"),
        },
    )


def draw_across(workspace: Workspace, compared: Compared) -> None:
    """How much the SAEs share, and which latents that is."""
    if not compared.others:
        is_alone = len(workspace.sae_names()) < 2
        st.info(
            ONE_SAE.format(path=workspace.path) if is_alone else NONE_CHOSEN, icon=":material/join_inner:"
        )
        return
    table = found_elsewhere(compared.view, compared.others, compared.clips)
    draw_headline(compared, table)
    draw_fractions(compared)
    with st.container(border=True, key="universality_latents"):
        draw_latents(compared, table)


main()
