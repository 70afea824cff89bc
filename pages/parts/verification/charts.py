"""Figures of verification: DET curves on probit axes, and error rates by group."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.shared.charts import dress
from sae_core.analysis.verification_forms import OTHER_ENCODER

# error rates that a DET plot marks, and where they stand: normal deviates
DET_TICKS = {"0.1 %": -3.0902, "0.5 %": -2.5758, "2 %": -2.0537, "5 %": -1.6449, "10 %": -1.2816, "20 %": -0.8416,
             "40 %": -0.2533}  # fmt: skip
# seen on light and on dark
GUIDE = "#8a90a5"
FORM_GAP = 0.2
DET_RANGE = (-3.3, 0.0)


def det_figure(curves: dict[str, tuple[np.ndarray, np.ndarray]], eers: dict[str, float]) -> go.Figure:
    """DET curves, given as normal deviates of FAR and FRR, on probit axes; they cross the dotted line at the EER."""
    figure = go.Figure()
    low, high = DET_RANGE
    figure.add_shape(
        type="line", x0=low, y0=low, x1=high, y1=high, line={"dash": "dot", "width": 1, "color": GUIDE}
    )
    for name, (far, frr) in curves.items():
        figure.add_scatter(
            x=far, y=frr, name=f"{name} {100 * eers[name]:.1f} %", mode="lines",
            line={"width": 2.2, "dash": "dash" if name.startswith(OTHER_ENCODER) else "solid"},
            hovertemplate=f"{name}<extra></extra>",
        )  # fmt: skip
    figure = dress(figure, height_px=430, x="false acceptance rate", y="false rejection rate")
    ticks = {
        "tickvals": list(DET_TICKS.values()),
        "ticktext": list(DET_TICKS),
        "range": DET_RANGE,
        "showgrid": True,
    }
    figure.update_xaxes(**ticks, zeroline=False, tickangle=0)
    figure.update_yaxes(**ticks)
    return figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": "EER: "}
    )


def group_figure(groups: pd.DataFrame, *, column: str, forms: list[str], overall: float) -> go.Figure:
    """An error rate by group, one mark per representation with its interval; hollow where speakers are too few."""
    figure, labels = go.Figure(), list(dict.fromkeys(groups["label"]))
    shown = [form for form in forms if (groups["form"] == form).any()]
    for form in forms:
        # a form that is not shown leaves an empty trace, so that the others keep their colours
        part = groups[groups["form"] == form]
        place = shown.index(form) - (len(shown) - 1) / 2 if form in shown else 0.0
        y = [labels.index(label) + FORM_GAP * place for label in part["label"]]
        figure.add_trace(_marks(part, column, y=y, name=form))
    line = {"line_dash": "dot", "line_width": 1.5, "line_color": GUIDE}
    figure.add_vline(
        x=100 * overall,
        **line,
        annotation_text=f"all, embedding: {100 * overall:.1f} %",
        annotation_font_size=11,
    )
    figure = dress(figure, height_px=90 + (24 + 6 * len(shown)) * len(labels), x="% of trials in the group")
    highest = float(
        np.nanmax(100 * groups[[column, f"{column}_high"]].astype(float).to_numpy(), initial=100 * overall)
    )
    figure.update_xaxes(range=[-0.04 * highest, 1.04 * highest], showgrid=True, zeroline=False)
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.8], showgrid=False
    )
    return figure.update_layout(showlegend=len(shown) > 1, legend={"orientation": "h", "y": 1.1})


def _marks(part: pd.DataFrame, column: str, *, y: list[float], name: str) -> go.Scatter:
    rates = 100 * part[column].astype(float)
    low, high = (100 * part[f"{column}_{bound}"].astype(float) for bound in ("low", "high"))
    error = {"type": "data", "array": high - rates, "arrayminus": rates - low, "thickness": 1.4, "width": 3}
    symbols = ["circle-open" if is_few else "circle" for is_few in part["is_few"]]
    return go.Scatter(
        x=rates,
        y=y,
        name=name,
        showlegend=len(part) > 0,
        mode="markers",
        error_x=error,
        marker={"size": 9, "symbol": symbols, "line": {"width": 2}},
        text=part["label"],
        hovertemplate="%{text}: %{x:.2f} %<extra>" + name + "</extra>",
    )
