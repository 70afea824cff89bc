"""How trouble is shown: calmly, with what happened, where and what to do; each error once, where it happened."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import streamlit as st

from pages.shared import links, session
from pages.shared.wording import plain
from sae_core.files.errors import StaleArtifactError, VoxScopeError

_log = logging.getLogger("voxscope")
_SHOWN = "problems shown"
_PAGE = "page"
_COMMAND = re.compile(r"run: (?P<command>.+?)(?:,? (?P<rest>then .+|\(.+))?", re.DOTALL)


@contextmanager
def shown(place: str = _PAGE) -> Iterator[None]:
    """Turn an error inside the block into a panel; anything unforeseen is logged in full and told in one sentence.

    place: names the block, once a page. An error that another block of this page shows already is not told again.
    """
    told: dict[str, tuple[str, str | None]] = st.session_state.setdefault(_SHOWN, {})
    if place == _PAGE:
        told.clear()
    told.pop(place, None)
    try:
        yield
    except VoxScopeError as error:
        is_told = (error.what, error.where) in told.values()
        if not is_told:
            told[place] = error.what, error.where
            _show_known(error, place)
    except Exception:
        _log.exception("a page failed")
        with st.container(border=True, key=f"problem {place}"):
            st.header(":material/error: Something went wrong here", anchor=False)
            st.markdown(
                "The details are in the server's log. Reload the page, or go back and try another view."
            )


def part_of_page(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A fragment that redraws alone, its errors shown in its place; it returns nothing then."""

    @wraps(draw)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with shown(draw.__qualname__):
            return draw(*args, **kwargs)
        return None

    return st.fragment(guarded)


def say_remedy(remedy: str | None, *, after: str = "reload the page") -> None:
    """What to do: a command stands in a block to copy, anything else in plain words; nothing where there is none."""
    if not remedy:
        return
    found = _COMMAND.fullmatch(remedy)
    if found is None:
        st.markdown(f"**What to do:** {plain(remedy.rstrip('.'))}.")
        return
    st.markdown(f"Run this, then {after}:")
    st.code(found["command"], language="bash", wrap_lines=True)
    if found["rest"]:
        st.caption(plain(found["rest"].rstrip(".")[:1].upper() + found["rest"].rstrip(".")[1:]) + ".")


def sentence(error: VoxScopeError) -> str:
    """What happened and where, as one sentence for a place that reads Markdown."""
    what = error.what.rstrip(".")
    if not error.where:
        return f"{plain(what[:1].upper() + what[1:])}."
    return f"**{plain(error.where)}** {plain(what)}."


def _show_known(error: VoxScopeError, place: str) -> None:
    is_stale = isinstance(error, StaleArtifactError)
    with st.container(border=True, key=f"problem {place}"):
        title = "This is out of date" if is_stale else "Not available in this workspace"
        st.header(f":material/{'update' if is_stale else 'report'}: {title}", anchor=False)
        st.markdown(sentence(error))
        say_remedy(error.remedy)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Try again", icon=":material/refresh:", key=f"try again {place}"):
                st.rerun()
            if (error.remedy or "").startswith(("run: python -m sae_core", "run: voxscope")):
                st.page_link(
                    "pages/build.py",
                    label="Or do it here, on the Build page",
                    icon=":material/construction:",
                    query_params=links.in_workspace(),
                )
    if place == _PAGE:
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
            st.markdown(f"{sign} **{plain(part.name)}** · {plain(part.detail)}")
            if part.command:
                st.code(part.command, language="bash", wrap_lines=True)
