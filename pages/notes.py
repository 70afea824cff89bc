"""Notes: everything people have written in this workspace, to search, to open, to take away and to bring in."""

import streamlit as st

from pages.parts.notes.table import draw_table
from pages.parts.notes.views import draw_views
from pages.shared.notes_panel import tell_broken
from pages.shared.person import need
from pages.shared.session import open_page, try_next
from pages.shared.wording import counted, plain
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.note_entries import MAX_NOTES_BYTES, notes_from_json, notes_to_json
from sae_core.workspace.workspace import Workspace


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Notes",
        "Labels, stars, tags and comments about latents and clips, and saved views, by everyone.",
        why="Several people can work on one workspace at once.",
    )
    try:
        found = workspace.notes.subjects()
    except VoxScopeError as error:
        tell_broken(error)
        return
    if found:
        draw_table(view, found)
    else:
        st.info(
            "No notes yet. Open a latent or a clip and give it a label.",
            icon=":material/edit_note:",
        )
    draw_exchange(workspace)
    draw_views(workspace)
    try_next(
        view,
        {
            "pages/latents.py": ("Label a latent", ":material/hub:"),
            "pages/clips.py": ("Write about a clip", ":material/library_music:"),
        },
    )


def draw_exchange(workspace: Workspace) -> None:
    """Take all notes away as JSON, or bring in those of others."""
    with st.container(horizontal=True, vertical_alignment="center", key="notes_exchange"):
        st.download_button(
            "Export", icon=":material/download:", key="notes_export", mime="application/json", on_click="ignore",
            data=lambda: notes_to_json(workspace.notes.entries(), workspace=workspace.name).encode("utf-8"),
            file_name="voxscope-notes.json",
        )  # fmt: skip
        with st.popover("Import", icon=":material/upload_file:"):
            file = st.file_uploader(
                "Notes exported from VoxScope", type=["json"], key="notes_file",
                max_upload_size=MAX_NOTES_BYTES // 2**20,
                help="They are added to those that are here; nothing that is here is changed, and what is here "
                "already is not added twice.",
            )  # fmt: skip
            if file is not None and st.button("Add these notes", key="notes_import"):
                add_notes(workspace, file.getvalue(), name=file.name)


def add_notes(workspace: Workspace, content: bytes, *, name: str) -> None:
    """Add an export to the notes, and say how many of its entries were new."""
    try:
        need("annotate", workspace.path.name)
        report = workspace.notes.merge(notes_from_json(content, where=name))
    except VoxScopeError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.success(f"Added {counted(report.n_new, 'new note')}; {report.n_known:,} were here already.")


main()
