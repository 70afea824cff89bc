"""The table of the corpus: clips and speakers by language, gender and kind."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared.tables import UNKNOWN
from pages.shared.wording import value_words
from sae_core.measures.profiles import CorpusSummary


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
