"""Data check: what looks wrong with the clips of a workspace, to hear, decide and take away."""

import streamlit as st

from pages.parts.data_check.decision import draw_finding
from pages.parts.data_check.findings import choose_kind, draw_table
from pages.shared.data_checks import checked
from pages.shared.session import open_page, try_next
from pages.shared.wording import counted
from sae_core.analysis.data_check import MAX_CHECKED


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Data check",
        "Copies, wrong names, wrong labels and odd clips, suspected from the embeddings.",
        why="A latent can only be as right as the labels it is judged by. Listen, then decide.",
    )
    found = checked(view)
    kind = choose_kind(found)
    if kind is None:
        st.success(
            "Nothing stands out: no copies, no contradicted labels, no outliers.", icon=":material/verified:"
        )
    else:
        chosen = draw_table(workspace, found, kind)
        if chosen is not None:
            draw_finding(view, chosen)
    n_decided = int((found["decision"] != "").sum())
    n_clips = len(workspace.corpus)
    st.caption(
        f"{counted(len(found), 'finding')} in {counted(min(n_clips, MAX_CHECKED), 'clip')}"
        f"{f' drawn from {n_clips:,}' if n_clips > MAX_CHECKED else ''}, {n_decided:,} decided. Decisions are "
        "notes; the next import or build of this workspace applies them."
    )
    try_next(
        view,
        {
            "pages/build.py": ("Build again with the decisions", ":material/construction:"),
            "pages/notes.py": ("All notes", ":material/edit_note:"),
            "pages/map.py": ("See outliers on the map", ":material/scatter_plot:"),
        },
    )


main()
