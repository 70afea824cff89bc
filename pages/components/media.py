"""Files for the browser of one visitor: kept in Streamlit's media files of the session, named by their content."""

import streamlit as st
from streamlit import runtime


def media_url(content: bytes, mime: str, slot: str) -> str:
    """Register a file for this session and return its address; a later file in the same slot takes its place.

    No request can name anything that was not registered. Outside a running server there is no address.
    """
    if not content or not runtime.exists():
        return ""
    url = runtime.get_instance().media_file_mgr.add(content, mime, f"voxscope-{slot}")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{url}" if base else url
