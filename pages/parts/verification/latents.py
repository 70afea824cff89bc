"""Speaker-identity latents and nuisance latents: verification with each latent ablated."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.renamed import read_renamed
from pages.shared.wording import counted, latent_name
from sae_core.analysis.trial_sets import TrialSet
from sae_core.workspace.workspace import SaeView

TABLE = "identity_table"
TABLE_HEIGHT_PX = 390
ORDERS = {
    "EER rises most without it": ("eer_change", False),
    "EER falls most without it": ("eer_change", True),
    "highest between-speaker fraction": ("speaker_fraction", False),
    "lowest between-speaker fraction": ("speaker_fraction", True),
}
RENAMED = {
    "errors rise most without it": "EER rises most without it",
    "errors fall most without it": "EER falls most without it",
    "most decided by the speaker": "highest between-speaker fraction",
    "least decided by the speaker": "lowest between-speaker fraction",
}


def draw_latents(view: SaeView, ranked: pd.DataFrame, trial_set: TrialSet) -> None:
    """A table of latents; a click on a row opens that latent."""
    with st.container(border=True, key="identity"):
        st.header("Speaker-identity latents", anchor=False)
        st.markdown(
            "Each latent is ablated alone and the same trials are scored again. If the EER **rises**, the latent "
            "carries "
            "speaker identity; if it **falls**, nuisance such as channel or wording. "
            f"{_significant(ranked)}"
        )
        read_renamed("identity_order", RENAMED)
        order = st.selectbox("Order", list(ORDERS), key="identity_order", bind="query-params", width=260)
        column, is_ascending = ORDERS[str(order)]
        table = ranked.sort_values(column, ascending=is_ascending, kind="stable")
        latents = [int(latent) for latent in table["latent"]]
        opened = _draw_table(view, table, latents)
        st.caption(
            f"{len(table):,} of {view.n_latents:,} latents: those active on any of the {len(trial_set.pool_rows):,} "
            "clips of "
            f"{counted(trial_set.n_speakers, 'speaker')} · click a row to open it. Intervals are given for the 12 "
            "largest "
            "rises and falls only; as those were picked on these trials, they are somewhat overstated."
        )
        csv_button(lambda: table, name=f"{view.name}-speaker-identity-latents", key="identity_csv")
    if opened is not None:
        links.open_latent(view, opened)


def _significant(ranked: pd.DataFrame) -> str:
    """How many of the changes with an interval differ from none."""
    known = ranked[ranked["low"].notna()]
    if known.empty:
        return "Too few speakers take part for intervals, so nothing is claimed."
    rise, fall = int((known["low"] > 0).sum()), int((known["high"] < 0).sum())
    if not rise + fall:
        return "**No single latent changes the EER clearly**: every interval includes 0."
    return f"Beyond their 95 % intervals, **{rise}** make it rise and **{fall}** make it fall."


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
            help="EER with this latent ablated minus EER of the embedding, in points.",
        ),
        "interval": text(
            "95 %", width=120, help="Of that difference on the same trials, speakers resampled 200 times."
        ),
        "speaker_fraction": st.column_config.ProgressColumn(
            "Between-speaker fraction",
            format="%.2f",
            min_value=0,
            max_value=1,
            help="Fraction of the variance of its activation that lies between speakers (intraclass correlation, "
            "ICC): 1 means that it depends on the speaker alone.",
        ),
        "ratio": text(
            "Within/between", help="Variance of its activation within speakers over that between speakers."
        ),
        "n_active": number(
            "Clips", format="localized", help="Clips of these speakers on which it is active."
        ),
    }


def _interval(low: object, high: object) -> str:
    return "" if pd.isna(low) else f"{100 * low:+.2f} … {100 * high:+.2f}".replace("-", "−")  # type: ignore[operator]


def _ratio(value: float) -> str:
    return "no between-speaker variance" if not np.isfinite(value) else f"{value:.2f}"
