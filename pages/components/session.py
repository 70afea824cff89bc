"""What every page of a visit shares: the one opened workspace, and the SAE that is looked through."""

import gc
import os
from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.components import links
from pages.components.wording import TERMS
from sae_core import ArtifactError, SaeView, Workspace, open_workspace

WORKSPACE_VARIABLE = "VOXSCOPE_WORKSPACE"
_WATCHED = (
    "workspace.json",
    "corpus.json",
    "clips.parquet",
    "embeddings/*/meta.json",
    "saes/*/meta.json",
    "saes/*/index.json",
)


def current_workspace() -> Workspace:
    """The server's workspace, opened once for everyone and again only when its files have been made anew."""
    path = os.environ.get(WORKSPACE_VARIABLE, "")
    if not path:
        raise ArtifactError(
            "no workspace was given to this server", remedy="run: python -m sae_core serve --workspace FOLDER"
        )
    return _open(path, _stamp(Path(path)))


@st.cache_resource(max_entries=1, show_spinner="Opening the workspace …")
def _open(path: str, stamp: tuple[tuple[str, int], ...]) -> Workspace:  # noqa: ARG001
    workspace = open_workspace(path)
    for name in workspace.sae_names()[:1]:
        _warm_up(workspace, name)
    # what was loaded so far lives as long as the server: looking through it after every click would cost 90 ms
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return workspace


def _warm_up(workspace: Workspace, sae: str) -> None:
    try:
        workspace.sae(sae).directions()
    except ArtifactError:
        return  # the page that needs it says so


def _stamp(path: Path) -> tuple[tuple[str, int], ...]:
    found = (file for pattern in _WATCHED for file in path.glob(pattern))
    return tuple(sorted((str(file.relative_to(path)), file.stat().st_mtime_ns) for file in found))


def choose_sae(workspace: Workspace) -> SaeView:
    """Let people choose an SAE and return it, opened; ArtifactError when there is none or it is stale."""
    names = workspace.sae_names()
    if not names:
        missing = next(stage for stage in reversed(workspace.stages()) if stage.command)
        raise ArtifactError(missing.detail, where=workspace.path, remedy=f"run: {missing.command}")
    wanted = links.chosen(links.SAE)
    st.session_state["sae_choice"] = wanted if wanted in names else names[0]
    name = st.selectbox(
        "Sparse autoencoder",
        names,
        key="sae_choice",
        help=TERMS["sae"],
        label_visibility="collapsed",
        on_change=_remember_sae,
    )
    links.choose(links.SAE, name)
    return workspace.sae(name)


def _remember_sae() -> None:
    links.choose(links.SAE, st.session_state["sae_choice"])


def _leave_automatic_pages() -> None:
    """Run again with app.py around the page, if Streamlit ran it alone.

    Seeing a folder named pages, a cold server takes its files for its old automatic navigation until `st.navigation` is
    called, which a visit that starts on a deep link never gets to.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def open_page(title: str, what: str, *, why: str) -> tuple[Workspace, SaeView]:
    """Draw the head of a page, what it shows and why it matters, and return the workspace and the chosen SAE."""
    _leave_automatic_pages()
    workspace = current_workspace()
    words, choice = st.columns([5, 2], vertical_alignment="top", gap="large")
    with words:
        st.title(title, anchor=False)
        st.markdown(f"{what} :gray[{why}]")
    with choice:
        st.caption(f"{workspace.name} · seen through", text_alignment="right")
        view = choose_sae(workspace)
    return workspace, view


def try_next(view: SaeView, pages: Mapping[str, tuple[str, str]]) -> None:
    """Close a page with where to go from here: page → (words, icon), through the same SAE."""
    with st.container(horizontal=True, vertical_alignment="center", key="try_next"):
        st.markdown("**Try next**")
        for page, (words, icon) in pages.items():
            st.page_link(page, label=words, icon=icon, query_params={links.SAE: view.name})
