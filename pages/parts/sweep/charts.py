"""Figures of the sweep: quality over L for each k, and quality against explained variance; a click opens a latent."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from pages.shared.caching import cached
from pages.shared.charts import dress, palette
from pages.shared.wording import VARIANT_WORDS

Colours = tuple[str, ...]
"""Those of the theme, light or dark, by place."""
SYMBOLS = {
    "topk": "circle", "matryoshka": "diamond", "batchtopk": "triangle-up", "matryoshka-batchtopk": "star",
    "jumprelu": "cross",
}  # fmt: skip
HOVER = (
    "%{customdata[2]} · latent %{customdata[5]}<br>%{y:.2f}%{customdata[3]}<br>"
    "explained variance %{customdata[4]:.0%}<br><b>click to open the latent</b><extra></extra>"
)


@dataclass(frozen=True)
class Ceiling:
    """What a linear probe on the raw embedding reaches: its measure and the 95 % bounds."""

    value: float
    low: float | None
    high: float | None


def variant_words(variant: str, prefixes: str = "") -> str:
    """A variant as people say it, with the sizes of its Matryoshka groups where they are not the usual ones."""
    words = VARIANT_WORDS.get(variant, variant)
    return f"{words} {prefixes}" if prefixes else words


def _custom(part: pd.DataFrame) -> list[list[object]]:
    return [
        [
            line.sae,
            int(line.latent),
            f"L {line.n_latents:,}, k {line.k}",
            _bounds(line),
            line.explained_variance or 0.0,
            escape(line.name),
        ]
        for line in part.itertuples()
    ]


def _bounds(line: Any) -> str:
    over_speakers = "" if pd.isna(line.low) else f" (95 %: {line.low:.2f}–{line.high:.2f})"
    over_seeds = (
        f"<br>{line.n_seeds} seeds: {line.seed_low:.2f}–{line.seed_high:.2f}" if line.n_seeds > 1 else ""
    )
    return over_speakers + over_seeds


def _add_seeds(figure: go.Figure, part: pd.DataFrame, x: list[float], colour: str, column: int) -> None:
    """A broad bar from the lowest to the highest seed, behind the interval over speakers."""
    bars = part[["seed_low", "seed_high"]].to_numpy()
    for place, (low, high) in zip(x, bars, strict=True):
        if high > low:
            figure.add_scatter(
                x=[place, place], y=[low, high], mode="lines", line={"width": 7, "color": colour}, opacity=0.3,
                hoverinfo="skip", showlegend=False, row=1, col=column,
            )  # fmt: skip


def _error(part: pd.DataFrame) -> dict[str, object]:
    up, down = (part["high"] - part["value"]).clip(lower=0), (part["value"] - part["low"]).clip(lower=0)
    return {"type": "data", "array": up, "arrayminus": down, "thickness": 1.1, "width": 3}


def figures(points: pd.DataFrame, *, measure: str, ceiling: Ceiling | None) -> tuple[go.Figure, go.Figure]:
    """The lines and the trade-off, drawn once for everyone; not to be changed."""
    return _figures(points, measure, ceiling, palette())


@cached(keep=64)
def _figures(
    points: pd.DataFrame, measure: str, ceiling: Ceiling | None, colours: Colours
) -> tuple[go.Figure, go.Figure]:
    lines = lines_figure(points, measure=measure, ceiling=ceiling, colours=colours)
    trade_off = trade_off_figure(points, measure=measure, ceiling=ceiling, colours=colours)
    for figure in (lines, trade_off):
        figure.update_layout(clickmode="event+select", dragmode=False)
    return lines, trade_off


def lines_figure(
    points: pd.DataFrame, *, measure: str, ceiling: Ceiling | None, colours: Colours
) -> go.Figure:
    """A measure over L, one line for each k, a panel for each variant."""
    families = list(dict.fromkeys(zip(points["variant"], points["prefixes"], strict=True)))[::-1]
    figure = make_subplots(
        1,
        len(families),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[variant_words(*f) for f in families],
    )
    sizes = sorted(points["n_latents"].unique())
    ks = sorted(points["k"].unique())
    for column, (variant, prefixes) in enumerate(families, start=1):
        family = points[(points["variant"] == variant) & (points["prefixes"] == prefixes)]
        for place, k in enumerate(ks):
            part = family[family["k"] == k].sort_values("n_latents")
            shift = 0.07 * (place - (len(ks) - 1) / 2)  # so that intervals stand beside each other
            x = [sizes.index(size) + shift for size in part["n_latents"]]
            _add_seeds(figure, part, x, colours[place % len(colours)], column)
            figure.add_scatter(
                x=x, y=part["value"], customdata=_custom(part),
                mode="lines+markers", name=f"k {k}", legendgroup=str(k), showlegend=column == 1, error_y=_error(part),
                marker={"size": 10, "symbol": SYMBOLS.get(variant, "square"), "color": colours[place % len(colours)]},
                line={"width": 2, "color": colours[place % len(colours)]}, hovertemplate=HOVER, row=1, col=column,
            )  # fmt: skip
    figure = dress(figure, height_px=330)
    figure.update_layout(
        margin_t=62, legend={"orientation": "h", "y": 1.22, "x": 1, "xanchor": "right"}, showlegend=True
    )
    figure.update_xaxes(
        tickvals=list(range(len(sizes))), ticktext=[f"{n:,}" for n in sizes], title_text="latents L"
    )
    figure.update_xaxes(range=[-0.4, len(sizes) - 0.6])
    figure.update_yaxes(range=[-0.06, 1.06])
    figure.update_yaxes(title_text=measure, col=1)
    figure.update_annotations(font_size=13)
    return _with_ceiling(figure, ceiling)


def trade_off_figure(
    points: pd.DataFrame, *, measure: str, ceiling: Ceiling | None, colours: Colours
) -> go.Figure:
    """A measure against explained variance, one colour a variant, larger marks for more latents, k beside them."""
    figure = go.Figure()
    sizes = sorted(points["n_latents"].unique())
    families = list(dict.fromkeys(zip(points["variant"], points["prefixes"], strict=True)))[::-1]
    for place, (variant, prefixes) in enumerate(families):
        part = points[(points["variant"] == variant) & (points["prefixes"] == prefixes)]
        figure.add_scatter(
            x=part["explained_variance"], y=part["value"], customdata=_custom(part), mode="markers+text",
            name=variant_words(variant, prefixes), text=[str(k) for k in part["k"]], textposition="middle center",
            textfont={"size": 11, "color": ink_on(colours[place % len(colours)])}, error_y=_error(part),
            hovertemplate=HOVER,
            marker={
                "size": [17 + 6 * sizes.index(size) for size in part["n_latents"]],
                "color": colours[place % len(colours)], "symbol": SYMBOLS.get(variant, "square"),
            },
        )  # fmt: skip
    figure = dress(figure, height_px=330, x="explained variance, held-out speakers", y=measure)
    figure.update_layout(
        margin_t=62, legend={"orientation": "h", "y": 1.22, "x": 1, "xanchor": "right"}, showlegend=True
    )
    figure.update_xaxes(tickformat=".0%", showgrid=True)
    figure.update_yaxes(range=[-0.06, 1.06])
    return _with_ceiling(figure, ceiling)


def ink_on(colour: str) -> str:
    """Black or white, whichever contrasts more with a `#rrggbb` colour (relative luminance as in WCAG 2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def _with_ceiling(figure: go.Figure, ceiling: Ceiling | None) -> go.Figure:
    if ceiling is None:
        return figure
    if ceiling.low is not None and ceiling.high is not None:
        figure.add_hrect(
            y0=ceiling.low, y1=ceiling.high, line_width=0, fillcolor="#8a90a5", opacity=0.12, layer="below"
        )
    words = f"linear probe {ceiling.value:.2f}"
    figure.add_hline(y=ceiling.value, line_dash="dash", line_width=1.4, line_color="#8a90a5")
    figure.add_annotation(
        x=1, xref="x domain", y=ceiling.value, text=words, showarrow=False, xanchor="right",
        yanchor="bottom" if ceiling.value < 0.93 else "top", font_size=11,
    )  # fmt: skip
    return figure


def pick_latent(figure: go.Figure, *, key: str, alt: str) -> tuple[str, int] | None:
    """Draw a figure whose points stand for a latent of an SAE, and return the one that was just clicked, if any."""
    options = {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "svg", "filename": f"voxscope-{key}"},
    }
    event = st.plotly_chart(
        figure, key=key, config=options, alt=alt, on_select="rerun", selection_mode="points"
    )
    points = _points(event)
    if not points:
        return None
    custom = points[0].get("customdata")
    if not custom:
        return None
    return str(custom[0]), int(custom[1])


def _points(event: object) -> list[Mapping[str, Any]]:
    selection = event.get("selection") if isinstance(event, Mapping) else None
    return list(selection["points"]) if selection else []
