"""How an index splits: the latents that its latent becomes, and what tells their parts of it apart."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.figures.ranking.ranking import RankedBar, ranking
from pages.parts.movement.choice import MovementChoice
from pages.shared import links
from pages.shared.heading import Heading
from pages.shared.wording import column_words, latent_name, percent, value_words
from sae_core.analysis.movement import Splitting
from sae_core.workspace.workspace import SaeView

HELP = (
    "Related latents are active on more common clips than chance explains (measured against how often each is active) "
    "and add much the same to the embedding. A successor may hold clips that another successor holds too."
)


def draw_splitting(choice: MovementChoice, splitting: Splitting, within: Splitting | None) -> None:
    """List the successors in the last SAE, and those within the first one where it is nested."""
    first, last = choice.stations[0], choice.stations[-1]
    st.subheader("How it splits", anchor=False, help=HELP)
    columns = st.columns(2 if within is not None else 1, gap="medium")
    with columns[0].container(border=True, height="stretch"):
        words = Heading(
            f"{latent_name(first.view, first.latent)} of {first.view.name} in {last.view.name}",
            "bar: share of its index that the successor holds",
            f"No latent of {last.view.name} descends from #{first.latent}: its clips scatter, or no latent there has a "
            "like direction.",
        )
        _draw_successors(last.view, splitting, words, key="successors")
    if within is not None:
        with columns[1].container(border=True, height="stretch"):
            words = Heading(
                f"Refined within {last.view.name}",
                f"later-prefix latents that fire mostly inside #{last.latent}",
                f"No later latent fires mostly inside #{last.latent}.",
            )
            _draw_successors(last.view, within, words, key="refinements")


def _draw_successors(view: SaeView, splitting: Splitting, heading: Heading, *, key: str) -> None:
    bars = [
        RankedBar(
            label=latent_name(view, int(successor.successor)),
            detail=_apart_words(splitting.apart, int(successor.successor)),
            filled=float(successor.share),
            value_text=percent(float(successor.share)),
            help=f"{int(successor.n):,} clips of the index · overlap beyond chance {successor.beyond_chance:.2f} · "
            f"lift ×{successor.lift:.1f} · cosine {successor.cosine:.2f}. "
            f"{_apart_help(splitting.apart, int(successor.successor))}",
            opens=int(successor.successor),
            href=links.latent_address(view, int(successor.successor)),
        )
        for successor in splitting.successors.itertuples()
    ]
    opened = ranking(bars, key=key, heading=heading)
    if opened is not None:
        links.open_latent(view, opened)
    if len(splitting.apart):
        st.dataframe(_table(splitting.apart), hide_index=True, key=f"{key}_apart", column_config=_columns())


def _words(attribute: str, value: str) -> str:
    return f"voice {value}" if attribute == "speaker_id" else value_words(attribute, value)


def _apart_words(apart: pd.DataFrame, successor: int) -> str:
    ours = apart[apart["part"] == successor].head(2)
    return ", ".join(f"{_words(line.attribute, line.value)} ×{line.lift:.1f}" for line in ours.itertuples())


def _apart_help(apart: pd.DataFrame, successor: int) -> str:
    ours = apart[apart["part"] == successor]
    if ours.empty:
        return "Nothing sets its part apart from the whole index."
    return "More often than in the whole index: " + ", ".join(
        f"{_words(line.attribute, line.value)} {percent(line.share)} against {percent(line.share_of_whole)}"
        for line in ours.itertuples()
    )


def _table(apart: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame(
        {"latent": apart["part"], "what": [column_words(name) for name in apart["attribute"]]}
    )
    shown["value"] = [_words(line.attribute, line.value) for line in apart.itertuples()]
    shown["share"], shown["whole"], shown["lift"] = (
        100 * apart["share"],
        100 * apart["share_of_whole"],
        apart["lift"],
    )
    shown["interval"] = [
        "" if pd.isna(line.share_low) else f"{100 * line.share_low:.0f}–{100 * line.share_high:.0f} %"
        for line in apart.itertuples()
    ]
    return shown[["latent", "what", "value", "share", "interval", "whole", "lift"]]


def _columns() -> dict[str, Any]:
    column = st.column_config
    return {
        "latent": column.NumberColumn("Successor", format="#%d", width=60),
        "what": column.TextColumn("What", width=80),
        "value": column.TextColumn("Value"),
        "share": column.NumberColumn(
            "Here", format="%.0f %%", width=65, help="Share of the successor's part of the index."
        ),
        "interval": column.TextColumn("95 %", width=85, help="Speakers resampled."),
        "whole": column.NumberColumn("Index", format="%.0f %%", width=65, help="Share of the whole index."),
        "lift": column.NumberColumn("Lift", format="×%.1f", width=60),
    }
