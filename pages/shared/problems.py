"""How trouble is shown: calmly, with what happened, where, and what to run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import streamlit as st

from pages.shared import links, session
from sae_core.files.errors import StaleArtifactError, VoxScopeError

_log = logging.getLogger("voxscope")


@contextmanager
def shown() -> Iterator[None]:
    """Turn an error inside the block into a panel; anything unforeseen is logged in full and told in one sentence."""
    try:
        yield
    except VoxScopeError as error:
        _show_known(error)
    except Exception:
        _log.exception("a page failed")
        with st.container(border=True, key="problem"):
            st.subheader(":material/error: Something went wrong here", anchor=False)
            st.markdown(
                "The details are in the server's log. Reload the page, or go back and try another view."
            )


def part_of_page(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A fragment that redraws alone, its errors shown in its place; it returns nothing then."""

    @wraps(draw)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with shown():
            return draw(*args, **kwargs)
        return None

    return st.fragment(guarded)


def _show_known(error: VoxScopeError) -> None:
    is_stale = isinstance(error, StaleArtifactError)
    with st.container(border=True, key="problem"):
        title = "This is out of date" if is_stale else "Something is missing here"
        st.subheader(f":material/{'update' if is_stale else 'report'}: {title}", anchor=False)
        sentence = error.what[:1].upper() + error.what[1:]
        st.markdown(f"{sentence}." if not error.where else f"`{error.where}` {error.what}.")
        if error.remedy:
            command = error.remedy.removeprefix("run: ")
            st.markdown("What to do:" if command == error.remedy else "Run this, then reload the page:")
            st.code(command, language="bash", wrap_lines=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Try again", icon=":material/refresh:")
            if (error.remedy or "").startswith("run: python -m sae_core"):
                st.page_link(
                    "pages/build.py",
                    label="Or do it here, on the Build page",
                    icon=":material/construction:",
                    query_params=links.in_workspace(),
                )
    _show_parts()


def _show_parts() -> None:
    """What the workspace holds and what it lacks, where it can be opened at all."""
    try:
        parts = session.current_workspace().parts()
    except VoxScopeError:
        return
    with st.expander("What this workspace holds"):
        signs = {"ready": ":green-badge[ready]", "stale": ":orange-badge[out of date]"}
        for part in parts:
            sign = signs.get(part.state, f":red-badge[{part.state}]")
            st.markdown(f"{sign} **{part.name}** · {part.detail}")
            if part.command:
                st.code(part.command, language="bash", wrap_lines=True)
