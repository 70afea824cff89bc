"""The table of clips with its filters, and which of them is chosen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from pages.shared import links, tables
from pages.shared.announce import announce
from pages.shared.choices import nearest, tell_unknown
from pages.shared.problems import part_of_page
from pages.shared.row_table import row_table
from pages.shared.wording import column_words, plain, value_words
from sae_core.workspace.workspace import Workspace

TABLE, PICKED = "clips_table", "clip_picked"
TABLE_HEIGHT_PX = 250
MAX_SHOWN = 20_000
N_FILTERS = 4


@part_of_page
def find_clip(workspace: Workspace) -> int:
    """Draw filters and table and return the row of the chosen clip; a change of filters redraws nothing else."""
    if st.session_state.pop(PICKED, False):
        st.rerun()
    table = tables.clip_rows(workspace)
    with st.container(horizontal=True, vertical_alignment="bottom", key="clip_filters"):
        text = st.text_input(
            "Search",
            key="find",
            bind="query-params",
            placeholder="any column, label …",
            icon=":material/search:",
            live=True,
            width=230,
        )
        keep = tables.search_clips(workspace, text or "")
        for name in workspace.corpus.attributes[:N_FILTERS]:
            if chosen := _choose_values(name, workspace.corpus.values_of(name)):
                keep &= np.any([workspace.corpus.has_value(name, value) for value in chosen], axis=0)
        if chosen := _choose_values("split", sorted(table["split"].unique())):
            keep &= table["split"].isin(chosen)
        if st.toggle(
            "Starred", key="starred", bind="query-params", help="Only those that somebody gave a star."
        ):
            notes = tables.notes_of_clips(workspace)
            keep &= table["clip_id"].isin([clip for clip, written in notes.items() if written.is_starred])
    found = np.flatnonzero(keep)
    row = _chosen_clip(table, int(found[0]) if len(found) else 0)
    if len(found):
        shown = table.iloc[found[:MAX_SHOWN]]
        _draw_table(tables.with_notes(shown, shown["clip_id"], workspace.notes.of_clips), row)
    else:
        st.info("No clip passes. Clear the search or one of the filters.", icon=":material/filter_alt_off:")
    more = f"; the first {MAX_SHOWN:,} are listed" if len(found) > MAX_SHOWN else ""
    st.caption(f"{len(found):,} of {len(table):,} clips{more} · click a row to open it")
    announce(
        f"{len(found):,} of {len(table):,} clips listed, {table['clip_id'].iloc[row]} is open.", key="clips"
    )
    return row


def _choose_values(name: str, values: Sequence[str]) -> list[str]:
    return st.multiselect(
        plain(column_words(name)),
        values,
        format_func=lambda value: value_words(name, value),
        key=f"is_{name}",
        bind="query-params",
        placeholder="any",
        width=170,
    )


def _chosen_clip(table: pd.DataFrame, first: int) -> int:
    """The clip that the URL names, else the first that was found."""
    wanted = links.chosen(links.CLIP)
    named = table.index[table["clip_id"] == wanted] if wanted is not None else []
    row = int(named[0]) if len(named) else first
    clip_id = str(table["clip_id"].iloc[row])
    if wanted is None or len(named):
        links.choose(links.CLIP, clip_id)
    else:
        near = nearest(wanted, table["clip_id"])
        tell_unknown(links.CLIP, wanted, noun="the clip", shown=clip_id, near=near, on_choice=_choose)
    return row


def _draw_table(found: pd.DataFrame, row: int) -> None:
    rows = found.index.tolist()
    shown = [name for name in found if name not in (*tables.NOTED, "note_words")]
    headings = {
        "clip_id": st.column_config.TextColumn("Clip", width="medium", pinned=True),
        "duration_s": st.column_config.NumberColumn("Length", format="%.1f s", width="small"),
        "split": st.column_config.TextColumn(
            "Split", help="Which clips the SAE was trained on (train), and which were held out."
        ),
    }
    row_table(
        tables.in_words(found)[["clip_id", *tables.noted(found), *shown[1:]]],
        key=TABLE,
        chosen=rows.index(row) if row in found.index else None,
        on_choice=lambda place: _choose(found["clip_id"].iloc[place]),
        height_px=TABLE_HEIGHT_PX,
        column_config={
            **{name: st.column_config.Column(column_words(name)) for name in (*shown, *tables.NOTED)},
            **headings,
        },
    )


def _choose(clip_id: str) -> None:
    links.choose(links.CLIP, clip_id)
    st.session_state[PICKED] = True
