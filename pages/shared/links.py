"""Addresses that open exactly one view: the URL carries workspace, SAE, latent and clip, and by their
widgets the filters.

Choices live in the URL. They are kept for the session too, so that they survive a change of page.
"""

from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import urlencode

import streamlit as st

from sae_core.workspace.workspace import SaeView

SAE, LATENT, CLIP = "sae", "latent", "clip"
WORKSPACE = "workspace"
FIRST, SECOND = "a", "b"
LOOK, ACROSS_SAES, VALUES_BY_SAE, GROUPS = "look", "Latents across SAEs", "Values by SAE", "Groups of latents"
"""What the page Universality shows, as its address says it."""
EARLIER_WORDS = {
    "evidence": {
        "new voices": "unseen speakers", "unseen speakers": "unseen speakers",
        "same voices": "seen speakers", "seen speakers": "seen speakers",
    }
}  # fmt: skip
"""What addresses of earlier versions say → the option that is meant; today's say it with a capital, as the control
shows it."""


def modernise() -> None:
    """Say in today's words what an address of an earlier version says."""
    for name, words in EARLIER_WORDS.items():
        if (said := st.query_params.get(name)) in words:
            st.query_params[name] = words[said].capitalize()
            st.session_state.setdefault(name, words[said])


def asked_in_vain(asked: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What an address asked of the widgets that carry its names, and none of them offers: name → values.

    Streamlit passes over a value that a widget does not have, and takes it out of the address without a word.
    """
    found = {}
    for name, values in asked.items():
        if name in st.session_state:
            state = st.session_state[name]
            said = {_as_said(value) for value in (state if isinstance(state, list | tuple) else [state])}
            found[name] = [value for value in values if value and _as_said(value) not in said]
    return {name: values for name, values in found.items() if values}


def _as_said(value: object) -> str:
    words = str(value).strip().lower()
    try:
        return f"{float(words):g}"
    except ValueError:
        return words


def chosen(name: str) -> str | None:
    """What the URL says of `name`, else what was last chosen in this session."""
    value = st.query_params.get(name) or st.session_state.get(f"choice of {name}")
    return None if value is None else str(value)


def choose(name: str, value: object) -> None:
    """Remember a choice and show it in the URL."""
    st.session_state[f"choice of {name}"] = str(value)
    if st.query_params.get(name) != str(value):
        st.query_params[name] = str(value)


def forget(name: str) -> None:
    """Take a choice back: neither session nor URL says it any more."""
    st.session_state.pop(f"choice of {name}", None)
    if name in st.query_params:
        del st.query_params[name]


def in_workspace() -> dict[str, str]:
    """What an address says of the workspace: its name, where the server has several."""
    name = st.session_state.get(f"choice of {WORKSPACE}")
    return {} if name is None else {WORKSPACE: str(name)}


def query(view: SaeView, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an address says to open a page with this SAE: workspace, SAE, and whatever more."""
    return {**in_workspace(), SAE: view.name, **(more or {})}


def latent_address(view: SaeView, latent: int) -> str:
    """The address of one latent of an SAE, relative to the app."""
    return f"latents?{urlencode(query(view, {LATENT: str(latent)}))}"


def clip_address(view: SaeView, row: int) -> str:
    """The address of one clip as an SAE takes it apart, relative to the app."""
    return f"clips?{urlencode(query(view, {CLIP: clip_id(view, row)}))}"


def clip_id(view: SaeView, row: int) -> str:
    """What a clip is called in addresses and files."""
    return str(view.workspace.corpus.table["clip_id"].iloc[row])


def open_latent(view: SaeView, latent: int) -> NoReturn:
    """Leave for the Latents page at one latent."""
    st.switch_page("pages/latents.py", query_params=query(view, {LATENT: str(latent)}))


def open_clip(view: SaeView, row: int) -> NoReturn:
    """Leave for the Clips page at one clip."""
    st.switch_page("pages/clips.py", query_params=query(view, {CLIP: clip_id(view, row)}))


def open_match(view: SaeView, row: int) -> NoReturn:
    """Leave for the Match page with one clip chosen and the other still to choose."""
    forget(SECOND)
    st.switch_page("pages/match.py", query_params=query(view, {FIRST: clip_id(view, row)}))
