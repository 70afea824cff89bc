"""The erasure curve: the probe by latents removed, and the probe against verification, beside other ways to erase."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.erasure.choice import ORDER_WORDS, Removal, take_point
from pages.shared import charts
from pages.shared.announce import announce
from pages.shared.exports import csv_button
from pages.shared.trial_choice import describe_trials
from pages.shared.wording import counted, percent, plain, value_words
from sae_core.analysis.erasure import (
    EVERY_LATENT,
    LEACE,
    MEAN_DIFFERENCE,
    PROBE_DIRECTION,
    ErasureCurve,
)
from sae_core.analysis.trial_sets import TrialSet

REFERENCES = {
    LEACE: ("LEACE", "star"),
    MEAN_DIFFERENCE: ("mean difference projected away", "diamond"),
    PROBE_DIRECTION: ("probe's direction projected away", "square"),
    EVERY_LATENT: ("without any latent", "x"),
}
ORDERS = {"greedy": "greedy", "most telling": "most telling first", "random": "random latents"}
CHANCE = 0.5
GUIDE = "#8a90a5"
HEIGHT_PX = 400
HOVER = "%{customdata[2]}<br>probe %{y:.2f}%{customdata[3]}<br>EER %{customdata[4]}<br>%{customdata[5]}<extra></extra>"


def draw_finding(curve: ErasureCurve, order: Removal, trial_set: TrialSet) -> None:
    """The finding in one sentence, and on what it was measured."""
    with st.container(border=True, key="erasure_finding"):
        n = curve.fewest(order)
        lead = f"Fewest latents until the probe is at chance: {'never' if n is None else f'{n:,}'}."
        rest = curve.sentence(order).removeprefix("Never: ")
        said = f"**{lead}** {plain(rest[:1].upper() + rest[1:])}"
        st.markdown(said)
        announce(said, key="erasure")
        words = value_words(curve.attribute, curve.value)
        st.caption(
            f"Probe for {plain(words)}: fitted on training speakers, reported on "
            f"{counted(curve.n_speakers, 'unseen speaker')}; at chance where its 95 % interval reaches 0.50. Always "
            f"guessing the commoner side has that balanced accuracy too, though it is right on "
            f"{percent(curve.majority_rate)} of these clips (the majority rate). "
            f"Verification: {describe_trials(trial_set)}"
        )


def draw_figures(curve: ErasureCurve, order: Removal) -> None:
    """Both figures; a click on a point of an order looks at that step."""
    left, right = st.columns(2, gap="medium")
    words = value_words(curve.attribute, curve.value)
    with left.container(border=True, height="stretch"):
        st.header(
            "What is left",
            anchor=False,
            help=f"Balanced accuracy of a linear probe for {plain(words)} on unseen speakers, refitted at each step. "
            "The band is its 95 % interval, speakers resampled. Random latents are the null.",
        )
        charts.show_points(
            by_removed(curve, order),
            key="erasure_left",
            alt=f"Balanced accuracy of a probe for {words} by number of latents removed",
            on_pick=take_point,
        )
    with right.container(border=True, height="stretch"):
        st.header(
            "What it costs",
            anchor=False,
            help="The same points against the equal error rate of verification. Lower left is better: less is told of "
            "the value, and speakers are told apart as well as before.",
        )
        charts.show_points(
            against_eer(curve, order),
            key="erasure_cost",
            alt=f"Balanced accuracy of a probe for {words} against EER",
            on_pick=take_point,
        )
    csv_button(
        lambda: curve.points,
        name=f"erasure-{curve.attribute}-{curve.value}",
        key="erasure_csv",
        label="Every point as CSV",
    )


def by_removed(curve: ErasureCurve, order: str) -> go.Figure:
    """The probe over the number of latents removed: a line an order, a dashed level a way that removes no latents."""
    figure, last = go.Figure(), int(curve.points["n_latents"][curve.points["method"] == order].max())
    figure.add_traces(_band(_points(curve, order), colour=_colour(order)))
    for name in ORDERS:
        figure.add_trace(_line(_points(curve, name), name, x="n_latents", is_chosen=name == order))
    for name, (words, _) in REFERENCES.items():
        level = float(_points(curve, name)["balanced_accuracy"].iloc[0])
        figure.add_scatter(
            x=[0, last], y=[level, level], mode="lines", name=f"{words} {level:.2f}", hoverinfo="skip",
            line={"width": 1.6, "dash": "dash", "color": _colour(name)},
        )  # fmt: skip
    figure = _dressed(figure, x="latents removed")
    return figure.update_xaxes(range=[-0.3, last + 0.3])


def against_eer(curve: ErasureCurve, order: str) -> go.Figure:
    """The probe over the EER: a path an order, a mark a way that removes no latents one by one."""
    figure = go.Figure()
    for name in ORDERS:
        figure.add_trace(_line(_points(curve, name), name, x="eer", is_chosen=name == order))
    for name, (words, symbol) in REFERENCES.items():
        if name == EVERY_LATENT:
            continue  # verification is so much worse there that the others would lie on one another
        point = _points(curve, name)
        figure.add_scatter(
            x=100 * point["eer"], y=point["balanced_accuracy"], mode="markers", name=words, hovertemplate=HOVER,
            customdata=_custom(point, words), error_y=_error(point),
            marker={"size": 12, "symbol": symbol, "color": _colour(name)},
        )  # fmt: skip
    return _dressed(figure, x="EER, %")


def _points(curve: ErasureCurve, method: str) -> pd.DataFrame:
    return curve.points[curve.points["method"] == method].sort_values("n_latents")


def _colour(name: str) -> str:
    """One colour a method; orders first, so that they are the most distinct."""
    return charts.palette()[[*ORDERS, *REFERENCES].index(name)]


def _line(points: pd.DataFrame, name: str, *, x: str, is_chosen: bool) -> go.Scatter:
    return go.Scatter(
        x=points[x] if x == "n_latents" else 100 * points[x],
        y=points["balanced_accuracy"],
        customdata=_custom(points, name),
        mode="lines+markers",
        name=ORDERS[name],
        line={"width": 2.6 if is_chosen else 1.4, "color": _colour(name)},
        marker={"size": 9 if is_chosen else 5, "color": _colour(name)},
        hovertemplate=HOVER,
    )


def _band(points: pd.DataFrame, *, colour: str) -> list[go.Scatter]:
    low, high = (points[f"balanced_accuracy_{end}"].astype(float) for end in ("low", "high"))
    if low.isna().any():
        return []
    edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "showlegend": False}
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return [
        go.Scatter(x=points["n_latents"], y=low, **edge),
        go.Scatter(
            x=points["n_latents"],
            y=high,
            fill="tonexty",
            fillcolor=f"rgba({red},{green},{blue},0.14)",
            **edge,
        ),
    ]


def _custom(points: pd.DataFrame, name: str) -> list[list[object]]:
    return [
        [
            point.method,
            int(point.n_latents),
            escape(f"{ORDERS.get(name, name)}: {counted(int(point.n_latents), 'latent')} removed")
            if point.method in ORDERS
            else escape(name),
            _around(point.balanced_accuracy_low, point.balanced_accuracy_high),
            f"{100 * point.eer:.1f} % (95 %: {100 * point.eer_low:.1f}–{100 * point.eer_high:.1f})",
            "<b>click to look at it below</b>" if point.method in ORDER_WORDS else "",
        ]
        for point in points.itertuples()
    ]


def _around(low: object, high: object) -> str:
    return "" if pd.isna(low) else f" (95 %: {low:.2f}–{high:.2f})"


def _error(points: pd.DataFrame) -> dict[str, object] | None:
    low, high = (points[f"balanced_accuracy_{end}"].astype(float) for end in ("low", "high"))
    if not np.isfinite(low).all():
        return None
    value = points["balanced_accuracy"]
    return {"type": "data", "array": high - value, "arrayminus": value - low, "thickness": 1.1, "width": 3}


def _dressed(figure: go.Figure, *, x: str) -> go.Figure:
    figure = charts.dress(figure, height_px=HEIGHT_PX, x=x, y="balanced accuracy of the probe")
    figure.add_hline(y=CHANCE, line_dash="dot", line_width=1.5, line_color=GUIDE)
    figure.add_annotation(
        x=1, xref="paper", y=CHANCE, xanchor="right", yanchor="top", showarrow=False, font_size=11,
        text="chance: always guessing one side", font_color=charts.muted(),
    )  # fmt: skip
    return figure.update_layout(
        showlegend=True,
        margin_b=10,
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "traceorder": "normal"},
    )
