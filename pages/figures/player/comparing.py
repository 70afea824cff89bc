"""Two clips picked anywhere in the app and compared: the first click keeps a clip, the second opens the Match page."""

from dataclasses import dataclass

import streamlit as st

from pages.shared import links

KEPT, ASKED = "clip kept to compare", "clips asked to compare"


@dataclass(frozen=True)
class Comparing:
    """What the sign ⇄ of a card does now. kept: the clip to compare with, or "". is_fixed: the page itself gives it."""

    kept: str
    is_fixed: bool


def comparing_with(fixed: str) -> Comparing:
    """The clip that a page compares all others with, or the one kept by an earlier click."""
    return Comparing(fixed or str(st.session_state.get(KEPT, "")), bool(fixed))


def take_click(clip: str, fixed: str) -> None:
    """Keep a clip whose ⇄ was clicked, let go of it when it is the one kept, or ask to compare it with that one."""
    kept = comparing_with(fixed)
    if kept.kept == clip and not kept.is_fixed:
        st.session_state.pop(KEPT)
    elif kept.kept:
        st.session_state.pop(KEPT, None)
        st.session_state[ASKED] = (kept.kept, clip)
    else:
        st.session_state[KEPT] = clip
        st.toast(
            "Kept. Now click ⇄ on another clip, on any page, to see why the two match.",
            icon=":material/join_inner:",
        )


def leave_if_asked() -> None:
    """Leave for the Match page where a click has just asked for it."""
    asked = st.session_state.pop(ASKED, None)
    if asked is not None:
        query = {**links.in_workspace(), links.FIRST: asked[0], links.SECOND: asked[1]}
        sae = links.chosen(links.SAE)
        st.switch_page("pages/match.py", query_params=query if sae is None else {links.SAE: sae, **query})
