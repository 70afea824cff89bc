"""The table of a sweep: one line per SAE, for one attribute value, with its export."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.sweep.grid import DEAD_HELP
from pages.shared.caching import WORKSPACE, cached
from pages.shared.tables import csv_bytes
from pages.shared.wording import TERMS, latent_name
from sae_core.build.sweep import tabulate_saes
from sae_core.workspace.workspace import Workspace, workspace_stamp

MEASURE_WORDS = {"f1": "F1", "precision": "Precision", "recall": "Recall", "auroc": "AUROC"}
SHOWN = [
    "sae",
    "name",
    "measure",
    "interval",
    "explained_variance",
    "l0",
    "dead_fraction",
    "n_latents",
    "k",
    "seed",
    "evidence",
]


@cached(keep=128, by={WORKSPACE: lambda workspace: workspace_stamp(workspace.path)})
def of_value(workspace: Workspace, embedder: str, attribute: str, value: str) -> pd.DataFrame:
    """How well the best latent of every SAE on one embedder detects one value; shared, so not to be changed."""
    table = tabulate_saes(workspace, attribute=attribute, value=value)
    return table[table["embedder"] == embedder].reset_index(drop=True)


def higher_elsewhere(table: pd.DataFrame, best: pd.Series, measure: str) -> str:
    """Why the SAE named best may not show the highest number of the grid; nothing where it does."""
    highest = table.loc[table[measure].astype(float).idxmax()]
    if float(highest[measure]) <= float(best[measure]):
        return ""
    reached = f"{highest['sae']} reaches {float(highest[measure]):.2f}"
    return f" {reached} on these clips, but choosing the SAE by them would overstate it."


def named(workspace: Workspace, table: pd.DataFrame) -> pd.DataFrame:
    """The same lines with the name of each latent in its SAE."""
    pairs = zip(table["sae"], table["latent"], strict=True)
    return table.assign(name=[latent_name(workspace.sae(sae), int(latent)) for sae, latent in pairs])


def draw_table(table: pd.DataFrame, chosen: tuple[str, str], measure: str) -> None:
    """The numbers behind the figures, best on the selection clips first, and their download."""
    shown = table.sort_values("selection_f1", ascending=False, kind="stable").rename(
        columns={measure: "measure"}
    )
    low, high = table[f"{measure}_low"], table[f"{measure}_high"]
    shown["interval"] = [
        "" if pd.isna(low[row]) or low[row] >= high[row] else f"{low[row]:.2f}–{high[row]:.2f}"
        for row in shown.index
    ]
    for name in ("explained_variance", "dead_fraction"):
        shown[name] = 100 * shown[name].astype(float)
    with st.expander("Table", icon=":material/table:", key="sweep_numbers"):
        st.dataframe(shown[SHOWN], hide_index=True, key="sweep_table", column_config=_columns(measure))
        st.download_button(
            "CSV",
            data=lambda: csv_bytes(table),
            file_name=f"voxscope-sweep-{chosen[0]}-{chosen[1]}.csv",
            mime="text/csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key="sweep_csv",
        )


def _columns(measure: str) -> dict[str, Any]:
    column = st.column_config
    return {
        "sae": column.TextColumn("SAE", pinned=True),
        "name": column.TextColumn("Latent"),
        "measure": column.NumberColumn(MEASURE_WORDS[measure], format="%.3f"),
        "interval": column.TextColumn("95 %", help=TERMS["interval"]),
        "explained_variance": column.NumberColumn(
            "Explained, held-out", format="%.1f %%", help=TERMS["explained variance"]
        ),
        "l0": column.NumberColumn("L0, held-out", format="%.1f", help=TERMS["l0"]),
        "dead_fraction": column.NumberColumn("Dead, held-out", format="%.1f %%", help=DEAD_HELP),
        "n_latents": column.NumberColumn("L", format="localized"),
        "k": column.NumberColumn("k"),
        "seed": column.NumberColumn("Seed"),
        "evidence": column.TextColumn("Evaluated on"),
    }
