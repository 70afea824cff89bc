"""Figures with one look in light and dark; colours and fonts come from the theme."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import streamlit.elements.plotly_chart

MANY_LINES = 9
_LINK = re.compile(r"<(?=/?a\b)", re.IGNORECASE)
MUTED = {"light": "#5f6476", "dark": "#a9aebf"}
"""Ink of ticks, titles and annotations: at least 4.5:1 on the ground of either theme, which Streamlit's own is not."""


def muted() -> str:
    """That ink in the visitor's theme."""
    return MUTED[st.context.theme.type or "light"]


def palette() -> tuple[str, ...]:
    """The colours of the visitor's theme, by place."""
    colours = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
    return tuple(map(str, colours))


def _options(key: str) -> dict[str, Any]:
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "svg", "filename": f"voxscope-{key}"},
    }


def show(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure in the theme's colours; its one button saves it as a picture."""
    st.plotly_chart(without_links(figure), key=key, config=_options(key), alt=alt)


def show_points(figure: go.Figure, *, key: str, alt: str, on_pick: Callable[[Sequence[Any]], None]) -> None:
    """The same for a figure whose points can be clicked; `on_pick` is called with the point's customdata, if any."""

    def take() -> None:
        selection = st.session_state[key]["selection"] if st.session_state.get(key) else {}
        points = selection.get("points") or []
        if points and points[0].get("customdata"):
            on_pick(points[0]["customdata"])

    figure = without_links(figure).update_layout(clickmode="event+select", dragmode=False)
    st.plotly_chart(figure, key=key, config=_options(key), alt=alt, on_select=take, selection_mode="points")


def without_links(figure: go.Figure) -> go.Figure:
    """The figure with every `<a` in its texts taken literally: Plotly would make links of what others wrote."""
    parts = figure.to_dict()
    inert = _inert(parts)
    return figure if inert is parts else go.Figure(inert, skip_invalid=True)


def _inert(value: Any) -> Any:
    """The same value where nothing in it begins a link, else a copy in which it does not."""
    if isinstance(value, str):
        return _LINK.sub("&lt;", value) if _LINK.search(value) else value
    if isinstance(value, dict):
        found = {key: _inert(inner) for key, inner in value.items()}
        return found if any(found[key] is not inner for key, inner in value.items()) else value
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        items = [_inert(inner) for inner in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def dress(figure: go.Figure, *, height_px: int, x: str = "", y: str = "") -> go.Figure:
    """The figure in the look that all share."""
    figure.update_layout(
        template="streamlit",
        height=height_px,
        margin={"l": 4, "r": 4, "t": 20, "b": 4},
        bargap=0.06,
        showlegend=False,
        hoverlabel={"namelength": 0},
    )
    ink = muted()
    figure.update_layout(font_color=ink, legend_font_color=ink).update_annotations(font_color=ink)
    look = {"automargin": True, "fixedrange": True, "tickfont_color": ink, "title_font_color": ink}
    figure.update_xaxes(title_text=x, title_standoff=6, showgrid=False, **look)
    figure.update_yaxes(title_text=y, title_standoff=6, zeroline=False, **look)
    return figure


def activation_figure(histogram: pd.DataFrame, *, threshold: float) -> go.Figure:
    """Clips by activation, with the threshold above which it predicts its value."""
    low, high = histogram["low"].to_numpy(), histogram["high"].to_numpy()
    figure = go.Figure(
        go.Bar(
            x=(low + high) / 2,
            y=histogram["n"].to_numpy(),
            width=high - low,
            customdata=histogram[["low", "high"]].to_numpy(),
            hovertemplate="%{y} clips at %{customdata[0]:.2f}–%{customdata[1]:.2f}<extra></extra>",
        )
    )
    if threshold > 0:
        figure.add_vline(x=threshold, line_dash="dot", line_width=1.5)
        figure.add_annotation(
            x=threshold,
            y=1,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            text=f"threshold {threshold:.2f}",
        )
    return dress(figure, height_px=190, x="activation", y="clips")


def grid_figure(shares: pd.DataFrame, *, counts: pd.DataFrame) -> go.Figure:
    """Firing rate by two attributes as a heat map: `shares` and `counts` are tables of the same rows and columns."""
    text = shares.map(lambda share: "" if pd.isna(share) else f"{100 * share:.0f}")
    figure = go.Figure(
        go.Heatmap(
            z=100 * shares.to_numpy(),
            x=shares.columns.tolist(),
            y=shares.index.tolist(),
            text=text.to_numpy(),
            customdata=counts.to_numpy(),
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}: active on %{z:.1f} % of %{customdata:,} clips<extra></extra>",
            xgap=2,
            ygap=2,
            zmin=0,
            showscale=False,
            hoverongaps=False,
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(side="top")
    line_px = 26 if len(shares) <= MANY_LINES else 19
    figure = dress(figure, height_px=max(120, 34 + line_px * len(shares)))
    return figure.update_yaxes(showgrid=False, ticklen=0).update_xaxes(ticklen=0)
