"""A table of which one row is chosen; a click on another row chooses that."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared.announce import mark_row

Selection = tuple[tuple[int, ...], tuple[int, ...]]


def row_table(
    table: pd.DataFrame,
    *,
    key: str,
    chosen: int | None,
    on_choice: Callable[[int], None],
    height_px: int,
    column_config: Mapping[str, Any],
) -> None:
    """Draw a table with one row chosen, or none; a click calls `on_choice` with the number of its row.

    Arrow keys go from row to row, as `pages/serving/front.js` has it.

    A browser tells with every act which rows its table shows as chosen, also while it has not yet heard of a new order
    or of another choice. What it told the last time is therefore no click.
    """
    told = f"{key} told"
    st.session_state[told] = _selection(key)
    rows = [] if chosen is None else [chosen]
    st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    def take() -> None:
        selection = _selection(key)
        if selection is None or selection == st.session_state[told]:
            return
        clicked = [row for row in (*selection[1], *selection[0]) if row < len(table)]
        if clicked:
            on_choice(clicked[0])

    st.dataframe(
        table,
        key=key,
        height=height_px,
        hide_index=True,
        on_select=take,
        selection_mode=["single-row", "single-cell"],
        placeholder="",
        column_config=column_config,
    )
    mark_row(key, chosen)


def _selection(key: str) -> Selection | None:
    """The chosen rows, and the rows of the chosen cells, as the browser told them last; None before it told any."""
    state = st.session_state.get(key)
    if state is None:
        return None
    return tuple(state["selection"]["rows"]), tuple(row for row, _ in state["selection"]["cells"])
