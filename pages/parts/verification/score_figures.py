"""Figures of calibrated scores and of identification: Tippett, reliability, CMC, open set."""

import pandas as pd
import plotly.graph_objects as go

from pages.shared.charts import dress, palette

GUIDE = "#8a90a5"
HEIGHT_PX = 360
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}


def _colour(place: int) -> str:
    colours = palette()
    return colours[place % len(colours)]


def tippett_figure(tables: dict[str, pd.DataFrame]) -> go.Figure:
    """Fractions of targets and of non-targets at or above each LLR; one colour a way to score, non-targets dashed."""
    figure = go.Figure()
    for place, (name, table) in enumerate(tables.items()):
        for column, dash in (("targets_above", "solid"), ("nontargets_above", "dash")):
            figure.add_scatter(
                x=table["llr"], y=100 * table[column], name=name, legendgroup=name, mode="lines",
                showlegend=dash == "solid", line={"width": 2.2, "dash": dash, "color": _colour(place)},
                hovertemplate=f"{'targets' if dash == 'solid' else 'non-targets'}: %{{y:.1f}} % at or above %{{x:.1f}}"
                f"<extra>{name}</extra>",
            )  # fmt: skip
    figure.add_vline(x=0, line_dash="dot", line_width=1.5, line_color=GUIDE)
    figure = dress(figure, height_px=HEIGHT_PX, x="LLR (natural logarithm)", y="% of trials at or above")
    figure.update_yaxes(range=[-2, 102], showgrid=True)
    return figure.update_layout(showlegend=True, legend=_LEGEND)


def reliability_figure(tables: dict[str, pd.DataFrame]) -> go.Figure:
    """Observed fraction of targets over the posterior that LLRs give."""
    figure = go.Figure()
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "width": 1.5, "color": GUIDE})
    for place, (name, table) in enumerate(tables.items()):
        error = None
        if "observed_low" in table:
            up, down = table["observed_high"] - table["observed"], table["observed"] - table["observed_low"]
            error = {"type": "data", "array": up, "arrayminus": down, "thickness": 1.1, "width": 3}
        figure.add_scatter(
            x=table["posterior"], y=table["observed"], name=name, mode="lines+markers", error_y=error,
            customdata=table[["n_targets", "n_nontargets"]].to_numpy(),
            line={"width": 1.6, "color": _colour(place)}, marker={"size": 8, "color": _colour(place)},
            hovertemplate="said %{x:.2f}, observed %{y:.2f}<br>%{customdata[0]:,} targets, %{customdata[1]:,} "
            f"non-targets<extra>{name}</extra>",
        )  # fmt: skip
    figure = dress(
        figure, height_px=HEIGHT_PX, x="probability of one speaker, by the LLR", y="fraction of targets"
    )
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.03, 1.03], showgrid=True)
    return figure.update_layout(showlegend=True, legend=_LEGEND)


def cmc_figure(cmc: pd.DataFrame) -> go.Figure:
    """Cumulative match characteristic: how often the speaker is among the first so many, with its interval."""
    figure = go.Figure()
    error = {
        "type": "data", "array": 100 * (cmc["high"] - cmc["rate"]), "arrayminus": 100 * (cmc["rate"] - cmc["low"]),
        "thickness": 1.1, "width": 3,
    }  # fmt: skip
    figure.add_scatter(
        x=cmc["rank"], y=100 * cmc["rate"], mode="lines+markers", error_y=error, line={"width": 2},
        hovertemplate="among the first %{x}: %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    figure = dress(figure, height_px=HEIGHT_PX, x="rank", y="% of clips whose speaker is among so many first")
    return figure.update_yaxes(showgrid=True)


def open_set_figure(table: pd.DataFrame) -> go.Figure:
    """Known speakers missed or misnamed over unknown ones that are given a name, as the threshold falls."""
    figure = go.Figure()
    figure.add_scatter(
        x=100 * table["false_positive"], y=100 * table["false_negative"], mode="lines", line={"width": 2},
        customdata=table["threshold"],
        hovertemplate="threshold %{customdata:.3f}<br>unknown named: %{x:.1f} %<br>known missed: %{y:.1f} %"
        "<extra></extra>",
    )  # fmt: skip
    figure = dress(
        figure, height_px=HEIGHT_PX, x="% of unknown speakers' clips given a name", y="% of known ones missed"
    )
    return figure.update_yaxes(showgrid=True)
