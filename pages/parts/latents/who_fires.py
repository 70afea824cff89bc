"""On which clips a latent is active: how strongly, which attribute values are over-represented, in which groups."""

import pandas as pd
import streamlit as st

from pages.figures.ranking.ranking import RankedBar, ranking
from pages.shared import charts, wording
from pages.shared.heading import Heading
from sae_core.workspace.workspace import SaeView

N_SHARES = 9


def draw_activations(view: SaeView, latent: int) -> None:
    """The distribution of its activations where it is active."""
    st.subheader("Activation distribution", anchor=False, help=wording.TERMS["activation"])
    figure = charts.activation_figure(view.histogram(latent), threshold=view.threshold_of(latent))
    charts.show(figure, key="activation_figure", alt="Histogram of activations")


def draw_who(view: SaeView, latent: int) -> None:
    """Whose clips these are, and in which language × gender they are found, where clips have two attributes."""
    pair = grid_attributes(view)
    left, right = st.columns([6, 5], gap="medium") if pair else (st.container(), None)
    with left.container(border=True, height="stretch"):
        shares = view.shares(latent)
        excess = shares["share"] - shares["base_rate"]
        shares = shares.loc[excess.sort_values(ascending=False, kind="stable").index].head(N_SHARES)
        ranking(
            [share_bar(share) for _, share in shares.iterrows()],
            key="shares",
            heading=Heading(
                "Activating groups",
                "bar: fraction of its clips; tick: fraction of all clips; × the ratio (lift)",
                level=3,
            ),
        )
    if pair and right is not None:
        with right.container(border=True, height="stretch"):
            draw_grid(view, latent, pair)


def share_bar(share: pd.Series) -> RankedBar:
    """One attribute value: its fraction of the latent's clips, against all clips."""
    return RankedBar(
        label=wording.value_words(share["attribute"], share["value"]),
        detail=share["attribute"],
        filled=share["share"],
        marker=share["base_rate"],
        value_text=f"×{share['lift']:.1f}",
        tone="" if share["lift"] >= 1 else "below",
        help=f"{share['n']:,} clips: {wording.percent(share['share'], 1)} of its clips, "
        f"{wording.percent(share['base_rate'], 1)} of all. {wording.TERMS['lift']}",
    )


def grid_attributes(view: SaeView) -> tuple[str, str] | None:
    """Language and gender where there are such, else the first two attributes; None where there are not two."""
    attributes = view.workspace.corpus.attributes
    if "language" in attributes and "gender" in attributes:
        return "language", "gender"
    return (attributes[0], attributes[1]) if len(attributes) > 1 else None


def draw_grid(view: SaeView, latent: int, pair: tuple[str, str]) -> None:
    """Firing rate by two attributes."""
    st.subheader(
        wording.plain(f"{pair[0].capitalize()} × {pair[1]}"),
        anchor=False,
        help="Percentage of each group's clips on which it is active.",
    )
    cells = view.cross_counts(latent, pair)
    cells[pair[0]] = [wording.value_words(pair[0], value) for value in cells[pair[0]]]
    shares = cells.pivot_table(index=pair[0], columns=pair[1], values="firing_rate", sort=False)
    counts = cells.pivot_table(index=pair[0], columns=pair[1], values="n_all", sort=False).reindex_like(
        shares
    )
    charts.show(
        charts.grid_figure(shares, counts=counts),
        key="grid_figure",
        alt=f"Firing rate by {pair[0]} and {pair[1]}",
    )
