"""What a page says to people who do not see it: results that change are read out, see `pages/serving/front.js`."""

import html
import re

import streamlit as st

_MARKDOWN = re.compile(r":[a-z-]+\[|[*_`\\\]]|\((?:latents|clips)\?[^)]*\)|:material/\w+:|\u2060")


def announce(words: str, *, key: str) -> None:
    """Have `words`, plain or Markdown, read out once they are others than before. key: names the result on its page."""
    said = html.escape(" ".join(_MARKDOWN.sub("", words).split()))
    st.html(f'<span data-said="{html.escape(key)}" hidden>{said}</span>')


def mark_row(table: str, row: int | None) -> None:
    """Name the chosen row of a table, by the table's key, so that it is brought into sight; None for none."""
    st.html(
        f'<span data-row-of="{html.escape(table)}" data-row="{"" if row is None else row}" hidden></span>'
    )


def step_key(which: str, table: str) -> str:
    """The key of a button that goes to the `next` or `previous` row of a table: in a table sorted in the browser, the
    one on screen."""
    return f"step_{which}_of_{table}"
