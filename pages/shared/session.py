"""What every page of a visit shares: the opened workspace, which others there are, the SAE that is looked through."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from pages.shared import links
from pages.shared.choices import choose_one
from pages.shared.person import current_person, need
from pages.shared.views_menu import PAGE, views_menu
from pages.shared.wording import TERMS, sae_words
from sae_core.files.errors import ArtifactError
from sae_core.workspace.people import EVERYWHERE
from sae_core.workspace.places import Places
from sae_core.workspace.workspace import SaeView, Workspace, open_workspace, workspace_stamp

MAX_OPENED = 4
"""Workspaces kept open for everyone; the one not looked at for longest is let go."""
NO_SOUND = (
    ":material/volume_off: No clip can be played: this workspace was made of vectors, without recordings."
)
_ENTERED, _SWITCH = "workspace entered", "workspace_choice"


def current_workspace() -> Workspace:
    """The workspace that the URL names, else the server's own; opened once for everyone and again only when its files
    have been made anew."""
    path = Places.from_environment().workspace(_name_asked_for())
    need("read", path.name)
    opened = _shelf.opened(path)
    if opened is not None:
        return opened
    with st.spinner("Opening the workspace …"):
        return _shelf.open(path)


def open_first() -> None:
    """Open the workspace that the server begins with, before anyone asks; whatever `current_workspace` raises."""
    _shelf.open(Places.from_environment().workspace(None))


def enter_workspace() -> str | None:
    """Before a page is drawn: take note of the workspace it is to show, and return its name.

    What was chosen in another workspace is forgotten; latents and clips of one mean nothing in the other.
    """
    _leave_automatic_pages()
    links.modernise()
    names = _names()
    wanted = links.chosen(links.WORKSPACE)
    entered = wanted if wanted is not None else next(iter(names), None)
    before = st.session_state.get(_ENTERED)
    if before is not None and before != entered:
        for key in [key for key in st.session_state if key != _SWITCH]:
            del st.session_state[key]
    st.session_state[_ENTERED] = entered
    if entered is not None and _offers_switch(names):
        links.choose(links.WORKSPACE, entered)
    return entered


def _name_asked_for() -> str | None:
    """The workspace that the address names, None for the first; what somebody may not open is not there for them."""
    asked = links.chosen(links.WORKSPACE)
    if current_person().may("read", EVERYWHERE):
        return asked  # as on a server of one machine: the folder of workspaces need not be looked through
    names = _names()
    if asked is not None and asked not in names:
        raise ArtifactError(
            f"there is no workspace named {asked!r} that you may open",
            remedy=f"choose one of: {', '.join(names) or 'none yet'}",
        )
    return asked if asked is not None else next(iter(names), None)


def _names() -> list[str]:
    """The workspaces that whoever looks may open, the server's own first."""
    person = current_person()
    return [name for name in Places.from_environment().workspaces() if person.may("read", name)]


def newly_asked(page: str) -> dict[str, list[str]]:
    """What the address asks for where a page is opened; nothing while one stays on it, because choices made there
    reach the address a moment later."""
    is_new = st.session_state.get(PAGE) != page
    st.session_state[PAGE] = page
    return {name: st.query_params.get_all(name) for name in st.query_params} if is_new else {}


def _offers_switch(names: list[str]) -> bool:
    """Whether there is another workspace to go to."""
    wanted = links.chosen(links.WORKSPACE)
    return len(names) > 1 or (wanted is not None and wanted not in names)


def _draw_switch(names: list[str]) -> None:
    entered = st.session_state.get(_ENTERED)
    st.session_state[_SWITCH] = entered if entered in names else None
    st.selectbox(
        "Workspace",
        names,
        key=_SWITCH,
        on_change=_switch,
        placeholder="choose one",
        help="Everything on these pages is about one workspace: the clips of one corpus and what was made of them.",
    )


def _switch() -> None:
    """Enter the chosen workspace with a clean address: the rest of it belongs to the one that is left."""
    name = st.session_state[_SWITCH]
    if name is not None:
        st.query_params.from_dict({links.WORKSPACE: name})


class _Shelf:
    """Opened workspaces, the latest used last; opening one keeps nobody from the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opening: dict[Path, threading.Lock] = {}
        self._opened: OrderedDict[Path, tuple[object, Workspace]] = OrderedDict()

    def opened(self, path: Path) -> Workspace | None:
        """The workspace, if it is open and nothing in it was made anew since."""
        stamp = workspace_stamp(path)
        with self._lock:
            kept = self._opened.get(path)
            if kept is None or kept[0] != stamp:
                return None
            self._opened.move_to_end(path)
            return kept[1]

    def open(self, path: Path) -> Workspace:
        """The workspace, opened unless it is and nothing in it was made anew."""
        with self._lock:
            opening = self._opening.setdefault(path, threading.Lock())
        with opening:
            kept = self.opened(path)
            if kept is not None:
                return kept
            stamp = workspace_stamp(path)
            workspace = _open(path)
            with self._lock:
                self._opened[path] = stamp, workspace
                self._opened.move_to_end(path)
                while len(self._opened) > MAX_OPENED:
                    self._opened.popitem(last=False)
        return workspace


_shelf = _Shelf()


def _open(path: Path) -> Workspace:
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


def choose_sae(workspace: Workspace) -> SaeView:
    """Let people choose an SAE and return it, opened; ArtifactError when there is none or it is stale."""
    names = workspace.sae_names()
    if not names:
        missing = next(part for part in reversed(workspace.parts()) if part.command)
        raise ArtifactError(missing.detail, where=workspace.path, remedy=f"run: {missing.command}")
    options = {name: sae_words(workspace, name) for name in names}
    return workspace.sae(
        choose_one(links.SAE, options, usual=names[0], noun="the SAE", label="SAE", help=TERMS["sae"])
    )


def _leave_automatic_pages() -> None:
    """Run again with app.py around the page, if Streamlit ran it alone.

    Seeing a folder named pages, a cold server takes its files for its old automatic navigation until `st.navigation` is
    called, which a visit that starts on a deep link never gets to.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def draw_head(title: str, what: str, *, why: str) -> DeltaGenerator:
    """Draw the head of a page, with the workspace to switch where there are several, and return the place beside it."""
    _leave_automatic_pages()
    names = _names()
    has_switch = _offers_switch(names)
    words, choice = st.columns([1, 1] if has_switch else [5, 2], vertical_alignment="top", gap="medium")
    with words:
        st.title(title, anchor=False)
        st.markdown(f"{what} :gray[{why}]")
    place = choice.container(horizontal=True, vertical_alignment="bottom", key="head_choices")
    if has_switch:
        with place:
            _draw_switch(names)
    return place


def open_page(title: str, what: str, *, why: str) -> tuple[Workspace, SaeView]:
    """Draw the head of a page, what it shows and why it matters, and return the workspace and the chosen SAE."""
    place = draw_head(title, what, why=why)
    workspace = current_workspace()
    if not workspace.corpus.has_sound:
        st.caption(NO_SOUND)
    with place:
        view = choose_sae(workspace)
        with st.container(width="content"):
            views_menu(workspace)
        return workspace, view


def try_next(view: SaeView, pages: Mapping[str, tuple[str, str]]) -> None:
    """Close a page with where to go from here: page → (words, icon), through the same SAE."""
    with st.container(horizontal=True, vertical_alignment="center", key="try_next"):
        st.markdown("**Try next**")
        for page, (words, icon) in pages.items():
            st.page_link(page, label=words, icon=icon, query_params=links.query(view))
