"""The bar of a story: what the step says, and the way to the next and the one before, above the page that it shows."""

from pathlib import Path

import streamlit as st

from pages.shared import links
from pages.shared.announce import announce
from pages.shared.person import need
from pages.shared.views_menu import script_named
from pages.shared.wording import plain
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.places import Places
from sae_core.workspace.stories import Step, Story, story_of
from sae_core.workspace.workspace import Workspace

STEP, LAST = "step", "story step"


def story_bar(workspace: str | None) -> None:
    """Draw the bar where the address names a step; nothing elsewhere."""
    asked = st.query_params.get(STEP)
    if asked is None:
        return
    story = _story(Places.from_environment().workspace(workspace))
    if story is None:
        return
    number = min(max(int(asked), 1), len(story.steps)) if asked.isdecimal() and len(asked) < 6 else 1
    st.session_state[LAST] = number
    step = story.steps[number - 1]
    announce(f"Step {number} of {len(story.steps)}: {step.title}", key="story")
    with st.container(border=True, key="story"):
        words, ways = st.columns([5, 2], vertical_alignment="center", gap="medium")
        with words:
            st.markdown(
                f"**{plain(step.title)}** :gray[{number} of {len(story.steps)} · {plain(story.title)}]"
            )
            for paragraph in step.text.split("\n\n"):
                st.markdown(_emphasised(paragraph))
        with ways, st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            if step.presenter:
                with st.popover("Presenter", icon=":material/speaker_notes:", key="story_presenter"):
                    st.markdown(_emphasised(step.presenter))
            if number > 1:
                with st.container(width="content", key="story_back"):
                    _way(story, number - 1, "Back", ":material/arrow_back:")
            if number < len(story.steps):
                with st.container(width="content", key="story_next"):
                    _way(story, number + 1, "Next", ":material/arrow_forward:")
            _leave()


def story_link(workspace: Workspace) -> None:
    """The way into the story, or back to where this visit left it; nothing within it."""
    if STEP in st.query_params:
        return
    story = _story(workspace.path)
    if story is not None:
        number = min(int(st.session_state.get(LAST, 1)), len(story.steps))
        words = "Take the tour" if number == 1 else f"Resume the tour at step {number}"
        _way(story, number, words, ":material/tour:")


def _story(workspace: Path) -> Story | None:
    """The story of a workspace; None, with a warning, where it cannot be read."""
    need("read", workspace.name)
    try:
        return story_of(workspace)
    except VoxScopeError as error:
        st.warning(plain(str(error)), icon=":material/menu_book:")
        return None


def _way(story: Story, number: int, words: str, icon: str) -> None:
    step = story.steps[number - 1]
    script = script_named(step.page)
    if script is None:
        st.caption(f"Step {number}: this VoxScope has no page “{plain(step.page)}”.")
        return
    st.page_link(script, label=words, icon=icon, query_params=_query(step, number))


def _query(step: Step, number: int) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in step.query if name != STEP]
    return [*links.in_workspace().items(), *kept, (STEP, str(number))]


def _leave() -> None:
    def leave() -> None:
        st.query_params.pop(STEP, None)

    st.button("End", icon=":material/close:", type="tertiary", key="story_end", on_click=leave)


def _emphasised(text: str) -> str:
    """What somebody wrote, as text, with nothing but its **strong** words kept."""
    return plain(text).replace("\\*\\*", "**")
