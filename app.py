"""VoxScope's app: which pages there are, how they are framed, and the one place where errors become words."""

from pathlib import Path

import streamlit as st

from pages.shared import choices, problems, session, story_bar, visitor

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="VoxScope", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), size="large")
    page = st.navigation(
        {
            "": [
                st.Page("pages/overview.py", title="Overview", icon=":material/graphic_eq:", default=True),
                st.Page("pages/latents.py", title="Latents", icon=":material/hub:"),
                st.Page("pages/clips.py", title="Clips", icon=":material/library_music:"),
                st.Page("pages/map.py", title="Map", icon=":material/scatter_plot:"),
                st.Page("pages/match.py", title="Match", icon=":material/join_inner:"),
                st.Page("pages/probe.py", title="Probe", icon=":material/mic:"),
            ],
            "Compare SAEs": [
                st.Page("pages/sweep.py", title="Sweep", icon=":material/grid_view:"),
                st.Page("pages/movement.py", title="Movement", icon=":material/moving:"),
                st.Page("pages/universality.py", title="Universality", icon=":material/public:"),
            ],
            "Steer and verify": [
                st.Page("pages/steering.py", title="Steering", icon=":material/tune:"),
                st.Page("pages/erasure.py", title="Erasure", icon=":material/ink_eraser:"),
                st.Page("pages/verification.py", title="Verification", icon=":material/verified_user:"),
            ],
            "Workspace": [
                st.Page("pages/build.py", title="Build", icon=":material/construction:"),
                st.Page("pages/data_check.py", title="Data check", icon=":material/fact_check:"),
                st.Page("pages/notes.py", title="Notes", icon=":material/edit_note:"),
            ],
        },
        position="top",
    )
    st.set_page_config(page_title=f"{page.title} · VoxScope")
    asked = session.newly_asked(page.url_path)
    with problems.shown():
        workspace = session.enter_workspace()
        visitor.draw_visitor(workspace)
        story_bar.story_bar(workspace)
        page.run()
        choices.tell_passed_over(asked)


main()
