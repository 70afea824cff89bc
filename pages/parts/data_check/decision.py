"""One finding: its clips to play side by side, and what is to be done about it."""

import pandas as pd
import streamlit as st

from pages.figures.player.clip_cards import clip_card, tell_silent
from pages.figures.player.player import clip_list
from pages.parts.data_check.findings import say_what_was_decided
from pages.shared import links
from pages.shared.heading import Heading
from pages.shared.notes_panel import AUTHOR, NO_NAME, ask_author
from pages.shared.person import current_person, need
from pages.shared.wording import plain
from sae_core.analysis.data_check import CAN_MERGE, KEEP, LEAVE_OUT, MERGE, SOUND_KINDS, decide
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import SaeView

ABOUT_A_CLIP = (
    "exact copy",
    "near copy",
    "leak between splits",
    "speaker label",
    "attribute label",
    "outlier",
    *SOUND_KINDS,
)
REFUSED = "refused decision"


def draw_finding(view: SaeView, finding: pd.Series) -> None:
    """The clips of a finding and its decision."""
    rows = [int(finding[side]) for side in ("row", "other_row") if finding[side] >= 0]
    with st.container(border=True, key="finding_detail"):
        st.markdown(f"**{plain(str(finding['words']))}**")
        cards = [clip_card(view, row) for row in rows]
        opened = clip_list(
            cards, key="finding_clips", heading=Heading("Listen to both" if len(cards) > 1 else "Listen")
        )
        tell_silent(cards)
        _draw_decision(view, finding)
    if opened is not None:
        links.open_clip(view, opened)


def _draw_decision(view: SaeView, finding: pd.Series) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="finding_decision"):
        ask_author(view.workspace)
        if finding["kind"] in ABOUT_A_CLIP:
            _button(view, finding, LEAVE_OUT, "Leave the clip out", ":material/playlist_remove:")
        if finding["kind"] in CAN_MERGE and finding["subject"] and finding["counterpart"]:
            _button(view, finding, MERGE, "One speaker: merge", ":material/merge:")
        _button(view, finding, KEEP, "Keep as it is", ":material/check:")
        st.caption(say_what_was_decided(finding))
    refused = st.session_state.pop(REFUSED, None)
    if refused:
        st.warning(plain(refused), icon=":material/error:")


def _button(view: SaeView, finding: pd.Series, decision: str, label: str, icon: str) -> None:
    st.button(label, icon=icon, key=f"decide_{decision}", on_click=_take, args=(view, finding, decision))


def _take(view: SaeView, finding: pd.Series, decision: str) -> None:
    """Keep the decision; what is refused, and why, shows below the buttons."""
    author = current_person().name or st.session_state.get(AUTHOR)
    try:
        need("annotate", view.workspace.path.name)
        if not author:
            raise ValueError(NO_NAME)
        decide(view.workspace, finding.to_dict(), decision, author=str(author))
    except (VoxScopeError, ValueError) as error:
        st.session_state[REFUSED] = str(error)
