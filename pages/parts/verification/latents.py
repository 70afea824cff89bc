"""Which latents carry identity and which carry nuisance: verification without each of them."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.wording import latent_name
from sae_core.analysis.trial_sets import TrialSet
from sae_core.workspace.workspace import SaeView

TABLE = "identity_table"
TABLE_HEIGHT_PX = 390
ORDERS = {
    "errors rise most without it": ("eer_change", False),
    "errors fall most without it": ("eer_change", True),
    "most decided by the voice": ("speaker_fraction", False),
    "least decided by the voice": ("speaker_fraction", True),
}


def draw_latents(view: SaeView, ranked: pd.DataFrame, trial_set: TrialSet) -> None:
    """A table of latents; a click on a row opens that latent."""
    with st.container(border=True, key="identity"):
        st.subheader("Which latents carry the voice?", anchor=False)
        st.markdown(
            "Each latent is switched off alone and the same trials are scored again. Where errors **rise**, it carries "
            "identity; where they **fall**, it carries nuisance, such as the line or the sentence. "
            ":gray[A latent that the voice decides is steady within a speaker and differs between them.]"
        )
        order = st.selectbox("Order", list(ORDERS), key="identity_order", bind="query-params", width=260)
        column, is_ascending = ORDERS[str(order)]
        table = ranked.sort_values(column, ascending=is_ascending, kind="stable")
        latents = [int(latent) for latent in table["latent"]]
        opened = _draw_table(view, table, latents)
        st.caption(
            f"{len(table):,} of {view.n_latents:,} latents, those active among {len(trial_set.pool_rows):,} clips of "
            f"{trial_set.n_speakers:,} voices · click a row to open it. The first and last were picked as extremes on "
            "these very trials, so they look a little more extreme than they are; only they have intervals."
        )
        csv_button(lambda: table, name=f"{view.name}-identity", key="identity_csv")
    if opened is not None:
        links.open_latent(view, opened)


def _draw_table(view: SaeView, table: pd.DataFrame, latents: list[int]) -> int | None:
    shown = pd.DataFrame(
        {
            "name": [latent_name(view, latent) for latent in latents],
            "eer_change": 100 * table["eer_change"].to_numpy(),
            "interval": [_interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)],
            "speaker_fraction": table["speaker_fraction"].to_numpy(),
            "ratio": [_ratio(float(value)) for value in table["within_between"]],
            "n_active": table["n_active"].to_numpy(),
        }
    )
    event = st.dataframe(
        shown,
        key=TABLE,
        height=TABLE_HEIGHT_PX,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        placeholder="",
        column_config=_columns(),
    )
    selection = event["selection"]
    rows = [*(row for row, _ in selection["cells"]), *selection["rows"]]
    return latents[rows[0]] if rows and rows[0] < len(latents) else None


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "name": text("Latent", pinned=True, width="medium"),
        "eer_change": number(
            "EER without it",
            format="%+.2f pts",
            help="EER with this latent ablated less EER as it is, in points.",
        ),
        "interval": text(
            "95 %", help="Of that difference, on the same trials, speakers drawn anew 200 times."
        ),
        "speaker_fraction": st.column_config.ProgressColumn(
            "Decided by the voice",
            format="%.2f",
            min_value=0,
            max_value=1,
            help="Share of its variance that lies between speakers (intraclass correlation): 1 means the speaker "
            "alone decides its activation.",
        ),
        "ratio": text(
            "Within : between", help="Variance of its activation within speakers over that between them."
        ),
        "n_active": number(
            "Clips", format="localized", help="Clips of these trials' voices on which it is active."
        ),
    }


def _interval(low: object, high: object) -> str:
    return "" if pd.isna(low) else f"{100 * low:+.2f} … {100 * high:+.2f}".replace("-", "−")  # type: ignore[operator]


def _ratio(value: float) -> str:
    return "only within" if not np.isfinite(value) else f"{value:.2f}"
