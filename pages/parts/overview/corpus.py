"""The table of the corpus: clips and speakers by language, gender and kind."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.data_checks import first_look_words
from pages.shared.facts import fact_list, understood
from pages.shared.tables import UNKNOWN
from pages.shared.wording import plain, value_words
from sae_core.build.plan import summary_of
from sae_core.measures.profiles import CorpusSummary
from sae_core.workspace.workspace import SaeView


def corpus_grid(summary: CorpusSummary) -> pd.DataFrame:
    """Clips and speakers by language, with a column of clips for each gender × kind that occurs."""
    table = summary.table.copy()
    names = [name for name in ("language", "gender", "kind") if name in table]
    if not names:
        return pd.DataFrame()
    first, rest = names[0], names[1:]
    table[first] = [
        "unknown" if value in UNKNOWN else value_words(first, str(value)) for value in table[first]
    ]
    parts = (
        table[rest]
        .astype(str)
        .agg(lambda row: " · ".join(part for part in row if part not in UNKNOWN), axis=1)
    )
    table["group"] = parts.replace("", "unknown") if rest else "clips"
    grid = table.pivot_table(index=first, columns="group", values="n_clips", aggfunc="sum")
    totals = table.groupby(first)[["n_clips", "n_speakers"]].sum()
    grid.insert(0, "Speakers", totals["n_speakers"])
    grid.insert(0, "Clips", totals["n_clips"])
    return grid.sort_values("Clips", ascending=False).reset_index(names=first.capitalize())


def corpus_columns(grid: pd.DataFrame) -> dict[str, Any]:
    """Narrow number columns for every group of clips."""
    first, *groups = grid.columns
    narrow = {
        name: st.column_config.NumberColumn(
            name, format="localized", width=70 if name in {"Clips", "Speakers"} else 120
        )
        for name in groups
    }
    return {first: st.column_config.TextColumn(first, pinned=True, width="small"), **narrow}


def tell_quality(view: SaeView) -> None:
    """What was seen of the sound of the clips, and how their folder was read."""
    workspace = view.workspace
    summary = summary_of(workspace.path)
    for warning in () if summary is None else summary.warnings:
        st.caption(f":orange[:material/rule:] {plain(warning[:1].upper() + warning[1:])}.")
    with st.container(horizontal=True, vertical_alignment="center", key="corpus_quality"):
        if words := first_look_words(workspace.path):
            st.caption(words, width="content")
        st.page_link(
            "pages/data_check.py",
            label="Data check: compare copies, labels and speakers",
            icon=":material/rule:",
            query_params=links.query(view),
        )
        if summary is not None:
            with st.popover("How it was read", icon=":material/fact_check:", type="tertiary"):
                fact_list(understood(summary))
