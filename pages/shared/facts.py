"""Short lists of facts: a name and what it is, one a line."""

import html
from collections.abc import Mapping, Sequence

import streamlit as st

from sae_core.corpus.summary import ImportSummary

_LINE = (
    '<div style="display:flex;gap:12px;padding:3px 0;font-size:0.88rem;border-bottom:1px solid rgba(128,132,149,0.16)">'
    '<span style="flex:0 0 34%;opacity:0.62">{name}</span>'
    '<span style="flex:1;min-width:0;overflow-wrap:anywhere">{value}</span></div>'
)


UNUSED = "found, not used: "


def understood(summary: ImportSummary, *others: str) -> dict[str, str]:
    """What an import understood, by what it is about; `others` are further notices, such as of a zip."""
    words = (line.partition(": ") for line in summary.lines())
    facts = {name[:1].upper() + name[1:]: fact for name, _, fact in words if name not in ("note", "warning")}
    return facts | noticed([*others, *summary.notices])


def noticed(notices: Sequence[str]) -> dict[str, str]:
    """Notices by what they are about: files that are not used, and the rest."""
    unused = [notice.removeprefix(UNUSED) for notice in notices if notice.startswith(UNUSED)]
    rest = [notice for notice in notices if not notice.startswith(UNUSED)]
    told = {"Found, not used": "; ".join(unused), "Notes": "; ".join(rest)}
    return {name: words for name, words in told.items() if words}


def fact_list(facts: Mapping[str, str]) -> None:
    """Draw names and values as plain text, whatever characters they hold."""
    lines = (_LINE.format(name=html.escape(name), value=html.escape(value)) for name, value in facts.items())
    st.html(f"<div>{''.join(lines)}</div>")
