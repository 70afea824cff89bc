"""How an active set splits: the successors of its latent, and what sets their parts of it apart."""

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
    "A successor is active on more of the same clips than chance explains (given how often each is active) and has a "
    "similar decoder direction. Successors may overlap."
)


def draw_splitting(choice: MovementChoice, splitting: Splitting, within: Splitting | None) -> None:
    """List the successors in the last SAE, and refinements within it where it is a Matryoshka SAE."""
    first, last = choice.stations[0], choice.stations[-1]
    st.header("Feature splitting", anchor=False, help=HELP)
    columns = st.columns(2 if within is not None else 1, gap="medium")
    with columns[0].container(border=True, height="stretch"):
        words = Heading(
            f"{latent_name(first.view, first.latent)} of {first.view.name} in {last.view.name}",
            "bar: fraction of its active set on which the successor is active",
            f"#{first.latent} has no successor in {last.view.name}: its clips scatter, or no latent there has a "
            "similar direction.",
        )
        _draw_successors(last.view, splitting, words, key="successors")
    if within is not None:
        with columns[1].container(border=True, height="stretch"):
            words = Heading(
                f"Refinements within {last.view.name}",
                f"latents of later Matryoshka groups, active mostly where #{last.latent} is",
                f"No later latent is active mostly where #{last.latent} is.",
            )
            _draw_successors(last.view, within, words, key="refinements")


def _draw_successors(view: SaeView, splitting: Splitting, heading: Heading, *, key: str) -> None:
    bars = [
        RankedBar(
            label=latent_name(view, int(successor.successor)),
            detail=_apart_words(splitting.apart, int(successor.successor)),
            filled=float(successor.share),
            value_text=percent(float(successor.share)),
            help=f"{int(successor.n):,} clips of the active set · overlap beyond chance "
            f"{successor.beyond_chance:.2f} · lift ×{successor.lift:.1f} · cosine {successor.cosine:.2f}. "
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
    return f"speaker {value}" if attribute == "speaker_id" else value_words(attribute, value)


def _apart_words(apart: pd.DataFrame, successor: int) -> str:
    ours = apart[apart["part"] == successor].head(2)
    return ", ".join(f"{_words(line.attribute, line.value)} ×{line.lift:.1f}" for line in ours.itertuples())


def _apart_help(apart: pd.DataFrame, successor: int) -> str:
    ours = apart[apart["part"] == successor]
    if ours.empty:
        return "Nothing sets its clips apart from the whole active set."
    return "More often than in the whole active set: " + ", ".join(
        f"{_words(line.attribute, line.value)} {percent(line.share)} against {percent(line.share_of_whole)}"
        for line in ours.itertuples()
    )


def _table(apart: pd.DataFrame) -> pd.DataFrame:
    intervals = [
        "" if pd.isna(line.share_low) else f"{100 * line.share_low:.0f}–{100 * line.share_high:.0f} %"
        for line in apart.itertuples()
    ]
    return pd.DataFrame(
        {
            "latent": apart["part"],
            "value": [_with_attribute(line.attribute, line.value) for line in apart.itertuples()],
            "share": 100 * apart["share"],
            "whole": 100 * apart["share_of_whole"],
            "lift": apart["lift"],
            "interval": intervals,
        }
    )


def _with_attribute(attribute: str, value: str) -> str:
    return f"{column_words(attribute)}: {value_words(attribute, value)}"


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    in_part = "Fraction of the latent's part of the active set."
    return {
        "latent": number("Latent", format="#%d", width=55),
        "value": text("Attribute value", width=150),
        "share": number("In part", format="%.0f %%", width=60, help=in_part),
        "whole": number("In all", format="%.0f %%", width=55, help="Fraction of the whole active set."),
        "lift": number("Lift", format="×%.1f", width=55, help="The first fraction over the second."),
        "interval": text("95 %", width=80, help="Of the fraction in the part, speakers resampled."),
    }
