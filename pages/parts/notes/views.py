"""The saved views of a workspace in a table; the chosen one is opened, renamed or removed below it."""

import pandas as pd
import streamlit as st

from pages.shared.notes_panel import AUTHOR, tell_broken
from pages.shared.person import may, need
from pages.shared.row_table import row_table
from pages.shared.views_menu import author, page_words, view_link
from pages.shared.wording import plain
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.note_entries import MAX_AUTHOR_CHARS, clean_author
from sae_core.workspace.saved_views import MAX_VIEW_NAME_CHARS, SavedView
from sae_core.workspace.workspace import Workspace

CHOSEN, REFUSED = "view chosen", "refused change of a view"
TABLE_HEIGHT_PX, ROW_PX = 300, 35
NO_VIEWS = "No view is saved yet. **Views** at the head of each page saves what the page shows."


def draw_views(workspace: Workspace) -> None:
    """Draw the table and what can be done with the chosen view."""
    st.header("Saved views", anchor=False)
    try:
        views = workspace.saved_views.views()
    except VoxScopeError as error:
        tell_broken(error)
        return
    if not views:
        st.caption(NO_VIEWS)
        return
    uids = [view.uid for view in views]
    chosen = uids.index(st.session_state[CHOSEN]) if st.session_state.get(CHOSEN) in uids else 0
    row_table(
        pd.DataFrame([_line(view) for view in views]),
        key="views_table",
        chosen=chosen,
        on_choice=lambda row: st.session_state.update({CHOSEN: uids[row]}),
        height_px=min(TABLE_HEIGHT_PX, ROW_PX * (len(views) + 1) + 2),
        column_config={
            "name": st.column_config.TextColumn("View", pinned=True, width=320),
            "page": st.column_config.TextColumn("Page", width=110),
            "by": st.column_config.TextColumn("Saved by", width=150),
            "at": st.column_config.TextColumn("When", width=150),
        },
    )
    _draw_chosen(workspace, views[chosen])


def _line(view: SavedView) -> dict[str, str]:
    at = f"{view.saved_at[:10]} {view.saved_at[11:16]} UTC"
    return {"name": view.name, "page": page_words(view), "by": view.author, "at": at}


def _draw_chosen(workspace: Workspace, view: SavedView) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="view_chosen"):
        view_link(view, label=f"Open “{plain(view.name)}”")
        if not may("annotate", workspace.path.name):
            return
        if not author():
            st.text_input("Your name", key="views_author", max_chars=MAX_AUTHOR_CHARS, width=150)
        key = f"view_rename {view.uid}"
        st.session_state[key] = view.name
        st.text_input(
            "Name", key=key, max_chars=MAX_VIEW_NAME_CHARS, width=260,
            on_change=lambda: _change(workspace, view, st.session_state[key]),
        )  # fmt: skip
        # closed again once another view is chosen, so that nobody removes that one by a second click
        with st.popover("Remove", icon=":material/delete:", key=f"view_remove_asked {view.uid}"):
            st.markdown(f"“{plain(view.name)}” leaves the list of everyone.")
            st.button("Remove this view", key="view_remove", on_click=_change, args=(workspace, view, None))
    if refused := st.session_state.pop(REFUSED, None):
        st.warning(plain(refused), icon=":material/error:")


def _change(workspace: Workspace, view: SavedView, name: str | None) -> None:
    """Rename a view, or remove it where there is no name."""
    try:
        need("annotate", workspace.path.name)
        if not author():
            st.session_state[AUTHOR] = clean_author(st.session_state.get("views_author", ""))
        if name is None:
            workspace.saved_views.remove(view.uid, author=author())
        else:
            workspace.saved_views.rename(view.uid, name, author=author())
    except (VoxScopeError, ValueError) as error:
        st.session_state[REFUSED] = str(error)
