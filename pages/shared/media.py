"""Files for the browser of one visitor: kept in Streamlit's media files of the session, named by their content."""

import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

DOT_SOUNDS = "/dot-sounds"
"""Below it a map finds the sounds of its dots, see `dot_sounds`."""


def media_url(content: bytes, mime: str, slot: str) -> str:
    """Register a file for this session and return its address; a later file in the same slot takes its place.

    No request can name anything that was not registered. Outside a running server there is no address.
    """
    if not content or not runtime.exists():
        return ""
    return in_app(runtime.get_instance().media_file_mgr.add(content, mime, f"voxscope-{slot}"))


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
