"""Short lists of facts: a name and what it is, one a line."""

import html
from collections.abc import Mapping

import streamlit as st

_LINE = (
    '<div style="display:flex;gap:12px;padding:3px 0;font-size:0.88rem;border-bottom:1px solid rgba(128,132,149,0.16)">'
    '<span style="flex:0 0 34%;opacity:0.62">{name}</span>'
    '<span style="flex:1;min-width:0;overflow-wrap:anywhere">{value}</span></div>'
)


def fact_list(facts: Mapping[str, str]) -> None:
    """Draw names and values as plain text, whatever characters they hold."""
    lines = (_LINE.format(name=html.escape(name), value=html.escape(value)) for name, value in facts.items())
    st.html(f"<div>{''.join(lines)}</div>")
