"""Saved views: a menu at the head of each page that names the view on screen and lists the latest ones."""

from pathlib import Path

import streamlit as st

from pages.shared import links
from pages.shared.notes_panel import AUTHOR, tell_broken
from pages.shared.person import current_person, may, need
from pages.shared.wording import plain
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.note_entries import MAX_AUTHOR_CHARS, clean_author
from sae_core.workspace.saved_views import MAX_VIEW_NAME_CHARS, SavedView
from sae_core.workspace.workspace import Workspace

PAGE = "page opened"
REFUSED, SAVED = "refused view", "view just saved"
N_LISTED = 8
SCRIPTS = Path(__file__).parent.parent
NAME_HELP = (
    "The page as it stands, with its latent or clip, filters and choices; everyone here finds it in the list."
)


@st.fragment
def views_menu(workspace: Workspace) -> None:
    """Draw the menu; what is in it is drawn, and the file looked into, once it is opened."""
    menu = st.popover("Views", icon=":material/bookmarks:", key="views_menu", on_change="rerun")
    if not menu.open:
        return
    with menu:
        if may("annotate", workspace.path.name):
            _draw_form(workspace)
        try:
            views = workspace.saved_views.views()
        except VoxScopeError as error:
            tell_broken(error)
            return
        for view in views[:N_LISTED]:
            view_link(view)
        if len(views) > N_LISTED:
            st.page_link(
                "pages/notes.py", label=f"All {len(views):,} views", query_params=links.in_workspace()
            )
        if not views:
            st.caption("No view is saved yet.")


def _draw_form(workspace: Workspace) -> None:
    st.text_input(
        "Name this view",
        key="view_name",
        max_chars=MAX_VIEW_NAME_CHARS,
        placeholder="what it shows",
        help=NAME_HELP,
    )
    if not author():
        st.text_input(
            "Your name", key="view_author", max_chars=MAX_AUTHOR_CHARS, placeholder="stands beside it"
        )
    st.button("Save view", key="view_save", on_click=_save, args=(workspace,))
    if refused := st.session_state.pop(REFUSED, None):
        st.warning(plain(refused), icon=":material/error:")
    if saved := st.session_state.pop(SAVED, None):
        st.caption(f":green[:material/check:] Saved as “{plain(saved)}”.")


def author() -> str:
    """Whose name stands beside what is written now; nothing while nobody has given one."""
    return current_person().name or str(st.session_state.get(AUTHOR, ""))


def _save(workspace: Workspace) -> None:
    try:
        need("annotate", workspace.path.name)
        if not author():
            st.session_state[AUTHOR] = clean_author(st.session_state.get("view_author", ""))
        query = {name: st.query_params.get_all(name) for name in st.query_params}
        page = str(st.session_state.get(PAGE) or "")
        made = workspace.saved_views.save(st.session_state["view_name"], page, query, author=author())
    except (VoxScopeError, ValueError) as error:
        st.session_state[REFUSED] = str(error)
        return
    st.session_state[SAVED], st.session_state["view_name"] = made.name, ""


def view_link(view: SavedView, *, label: str | None = None) -> None:
    """A link that opens a view in this workspace; in grey where this VoxScope has no such page."""
    script = script_of(view)
    if script is None:
        st.caption(f"{plain(view.name)}: this VoxScope has no page “{plain(view.page)}”.")
        return
    query = [*links.in_workspace().items(), *view.query]
    st.page_link(script, label=label or plain(view.name), icon=":material/bookmark:", query_params=query)


def script_of(view: SavedView) -> str | None:
    """The page of a view; None where this app has none of that name."""
    return script_named(view.page)


def script_named(page: str) -> str | None:
    """The script of the page that addresses call so; None where there is none."""
    name = f"{page or 'overview'}.py"
    return f"pages/{name}" if name in {file.name for file in SCRIPTS.glob("[a-z]*.py")} else None


def page_words(view: SavedView) -> str:
    """What the page of a view is called."""
    return view.page.replace("_", " ").capitalize() or "Overview"
