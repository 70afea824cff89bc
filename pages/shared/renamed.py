"""Addresses that were sent before an option was renamed: they go on opening what they meant."""

from collections.abc import Mapping

import streamlit as st


def read_renamed(key: str, options: Mapping[str, object]) -> None:
    """Before the widget with this key is first drawn: where the address says the former name of an option, choose it.

    options: former name → the option as the widget knows it.
    """
    wanted = st.query_params.get(key)
    if wanted is not None and wanted in options and key not in st.session_state:
        st.session_state[key] = options[wanted]
