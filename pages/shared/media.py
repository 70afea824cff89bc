"""Files for the browser of one visitor: kept in Streamlit's media files of the session, named by their content."""

import os

import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

DOT_SOUNDS = "/dot-sounds"
"""Below it a map finds the sounds of its dots, see `dot_sounds`."""


def media_url(content: bytes, mime: str, slot: str) -> str:
    """Register a file for this session and return its address; a later file in the same slot takes its place.

    No request can name anything that was not registered, and the server of `pages.serving.server` answers only while
    the visit lasts. Outside a running server there is no address.
    """
    if not content or not runtime.exists():
        return ""
    return in_app(runtime.get_instance().media_file_mgr.add(content, mime, f"voxscope-{slot}"))


def lasts(session: str) -> bool:
    """Whether a visit goes on; always outside a running server."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)


def is_left_over(name: str) -> bool:
    """Whether a media file (`<id>.<ending>`) is held only by visits that have ended.

    Streamlit keeps a visit for two minutes after its end, in case that it is taken up again, and with it the files;
    it then forgets both no sooner than the next visit ends. It offers no other way to ask who holds a file.
    """
    if not runtime.exists():
        return False
    file_id = os.path.splitext(name)[0]  # as Streamlit finds it
    visits = list(runtime.get_instance().media_file_mgr._files_by_session_and_coord.items())
    holders = [visit for visit, files in visits if file_id in list(files.values())]
    return bool(holders) and not any(map(lasts, holders))


def in_app(path: str) -> str:
    """The address of a path of this server, below the base that its options may name."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{path}" if base else path


def take_over(upload: UploadedFile) -> bytes:
    """Return the bytes of an upload and let Streamlit drop its own copy, which it would hold until the visit ends."""
    content = upload.getvalue()
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
    return content
