"""How much SAEs share: the fraction of latents with a counterpart over the threshold, and a matrix of all pairs."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.figures.cells.cells import Cell, CellTable, cell_tables
from pages.parts.universality.choice import WITH, Compared
from pages.shared import links
from pages.shared.announce import announce
from pages.shared.charts import dress, show
from pages.shared.wording import counted, percent
from sae_core.analysis.universality import FALSE_MATCH_RATE, match_saes, matched_fractions

CURVE_HELP = (
    "Each latent is matched with the one of the other SAE whose activations correlate most with its own. Dotted is the "
    "same after the speakers of one SAE were shuffled: what chance alone reaches, the false-match rate."
)
MATRIX_HELP = (
    "Of the latents of the SAE at the left, how many have a match in the one above that is beyond chance; below, how "
    "many when each latent may be the match of one other only (Hungarian method, arXiv 2505.20254)."
)


def draw_headline(compared: Compared, table: pd.DataFrame) -> None:
    """In one sentence, how many latents the other SAEs have, too; table: as `latents_elsewhere` returns it."""
    n, n_others = len(table), len(compared.others)
    in_all, alone = int(table["is_universal"].sum()), int((table["n_found"] == 0).sum())
    thresholds = [threshold_in(compared, other.name) for other in compared.others]
    low, high = min(thresholds), max(thresholds)
    where = {1: "the other SAE", 2: "both other SAEs"}.get(n_others, f"all {n_others} other SAEs")
    said = f"**{in_all:,} of {n:,}** active latents ({percent(in_all / max(n, 1))}) are found in {where}"
    if n_others > 1:
        said += f", {n - in_all - alone:,} in {'one' if n_others == 2 else 'some'} of them"
    said += f", **{alone:,}** here only."
    with st.container(border=True, key="universality_headline"):
        st.markdown(said)
        reach = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
        n_clips = match_saes(compared.view, compared.others[0], clips=compared.clips).n_clips
        st.caption(
            f"Found means: its best match correlates with it at least {reach}, which by chance "
            f"{percent(FALSE_MATCH_RATE)} of latents reach. Over {counted(n_clips, 'clip')} of "
            f"{'unseen speakers' if compared.clips == 'unseen speakers' else 'all speakers'}."
        )
    announce(said, key="universality")


def threshold_in(compared: Compared, other: str) -> float:
    """The correlation from which a latent counts as found in another of the SAEs."""
    view = next(each for each in compared.others if each.name == other)
    return match_saes(compared.view, view, clips=compared.clips).threshold_at(FALSE_MATCH_RATE)


def draw_fractions(compared: Compared) -> None:
    """The curve and the matrix side by side."""
    left, right = st.columns([3, 2], gap="medium")
    with left.container(border=True, height="stretch"):
        st.header("Latents with a counterpart", anchor=False, help=CURVE_HELP)
        show(
            curve_figure(compared), key="universality_curve", alt="Latents with a counterpart by correlation"
        )
        st.caption(
            "Solid: best match. Dashed: one-to-one. Dotted: best match by chance. Mark: where a latent counts as found."
        )
    with right.container(border=True, height="stretch"):
        st.header("Each SAE in each", anchor=False, help=MATRIX_HELP)
        draw_matrix(compared)


def curve_figure(compared: Compared) -> go.Figure:
    """The fraction of latents whose match reaches a correlation, in each other SAE, beside chance."""
    colours = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
    figure = go.Figure()
    for place, other in enumerate(compared.others):
        found = match_saes(compared.view, other, clips=compared.clips)
        table, words = found.fractions(), compared.words[other.name]
        colour = colours[place % len(colours)]
        lines = (("best_of_one", "solid"), ("partners_of_one", "dash"), ("null_best_of_one", "dot"))
        kinds = {
            "best_of_one": "best match",
            "partners_of_one": "one-to-one",
            "null_best_of_one": "by chance",
        }
        for column, dash in lines:
            figure.add_scatter(
                x=table["threshold"].to_numpy(), y=table[column].to_numpy(), mode="lines", name=words,
                line={"color": colour, "dash": dash, "width": 2.2 if dash == "solid" else 1.4},
                showlegend=dash == "solid",
                hovertemplate=f"{words}, {kinds[column]}<br>%{{y:.1%}} reach %{{x:.2f}}<extra></extra>",
            )  # fmt: skip
        threshold = found.threshold_at(FALSE_MATCH_RATE)
        reached = float(found.fractions((threshold,))["best_of_one"].iloc[0])
        figure.add_scatter(
            x=[threshold], y=[reached], mode="markers", marker={"color": colour, "size": 9}, showlegend=False,
            hovertemplate=f"{words}: %{{y:.1%}} are found (at least %{{x:.2f}})<extra></extra>",
        )  # fmt: skip
    dress(figure, height_px=300, x="correlation of activations, at least", y="fraction of active latents")
    figure.update_layout(
        showlegend=True,
        margin_t=34,
        legend={"orientation": "h", "y": 1.12, "x": 1, "xanchor": "right", "yanchor": "bottom"},
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


def draw_matrix(compared: Compared) -> None:
    """Every SAE in every other; a click on a cell opens the page for the SAE at the left."""
    table = matched_fractions(compared.views, clips=compared.clips).set_index(["sae", "other"])
    names = [view.name for view in compared.views]

    def cell(one: str, other: str) -> Cell:
        if one == other:
            return Cell()
        line = table.loc[(one, other)]
        return Cell(
            text=percent(line["fraction"]),
            detail=f"1:1 {percent(line['one_to_one'])}",
            filled=float(line["fraction"]),
            opens=None if one == compared.view.name else one,
            help=f"{percent(line['fraction'])} of {compared.words[one]} in {compared.words[other]}, "
            f"correlation at least {line['threshold']:.2f}",
        )

    heads, labels = _matrix_words(compared)
    lines = [(label, [cell(one, other) for other in names]) for label, one in zip(labels, names, strict=True)]
    is_long = heads != labels
    opened = cell_tables(
        [CellTable("", "of ↓ in →", heads, lines, is_wide=is_long)], key="universality_matrix"
    )
    st.caption("Click a cell to look from the SAE at its left.")
    if opened is not None:
        look_from(compared, opened)


def _matrix_words(compared: Compared) -> tuple[list[str], list[str]]:
    """Heads and line labels: SAEs whose names are long go by numbers at the head, which their lines explain."""
    words = [compared.words[view.name] for view in compared.views]
    if len({view.embeddings.name for view in compared.views}) == len(words):
        return words, words
    numbers = [str(place) for place in range(1, len(words) + 1)]
    return numbers, [f"{number}  {name}" for number, name in zip(numbers, words, strict=True)]


def look_from(compared: Compared, name: str) -> None:
    """Open the page for another of the SAEs, the rest beside it."""
    links.forget(links.LATENT)
    links.choose(links.SAE, name)
    links.choose(WITH, ",".join(view.name for view in compared.views if view.name != name))
    st.rerun()
