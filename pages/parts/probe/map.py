"""Where a probed sound lies on the map of the clips: the whole map, and what surrounds it."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from pages.figures.player import clip_cards
from pages.figures.point_map import stored_map
from pages.parts.probe.choice import Probe
from pages.shared import charts, wording
from pages.shared.problems import say_remedy
from sae_core.analysis.probe import MapPosition, place_on_map
from sae_core.files.errors import ArtifactError
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView

N_WHOLE, N_AROUND, N_NAMED = 1_500, 900, 6
SMALLEST_REACH, REACH = 0.12, 1.35
SCATTERED = 0.15
PLAIN = "rgba(128,132,149,0.35)"
OWN_COLOUR, NEAR_COLOUR = "#d9730d", "rgba(128,132,149,0.95)"


def draw_place(view: SaeView, probe: Probe) -> None:
    """The figure, with how the place was found; what to run where there is no map."""
    st.header("Its position on the map", anchor=False)
    try:
        found = stored_map.opened(view, "clips")
        position = place_on_map(view, probe.found, found)
    except (ArtifactError, ValueError) as error:
        st.info("There is no map to place it on.", icon=":material/location_off:")
        say_remedy(error.remedy if isinstance(error, ArtifactError) else "lay out more clips")
        return
    st.caption(_method(position))
    charts.show(_figure(view, found, position), key="probe_place", alt="Where the sound lies among the clips")


def _method(position: MapPosition) -> str:
    if position.is_own:
        return (
            "The diamond is this clip's own position; rings mark its nearest clips. Right: what surrounds it."
        )
    n = wording.counted(len(position.rows), "nearest clip")
    doubt = (
        " **These lie far apart on the map, so the position means little.**"
        if position.spread > SCATTERED
        else ""
    )
    return (
        f"The map was not laid out again: the diamond is the mean position of its {n} (rings), weighted by "
        f"1 / (1 − cosine).{doubt} Right: what surrounds it."
    )


def _figure(view: SaeView, found: PointMap, position: MapPosition) -> go.Figure:
    figure = make_subplots(1, 2, horizontal_spacing=0.03)
    whole = found.places[:N_WHOLE]
    figure.add_trace(_dots(whole, PLAIN, size=3), row=1, col=1)
    _add_surroundings(figure, view, found, position)
    near = np.asarray(found.xy[position.rows])
    names = [clip_cards.clip_labels(view.workspace, int(row)) for row in position.rows]
    ids = view.workspace.corpus.table["clip_id"].iloc[position.rows].astype(str)
    texts = ["<br>".join((clip_id, ", ".join(labels))) for clip_id, labels in zip(ids, names, strict=True)]
    for column in (1, 2):
        rings = _dots(near, NEAR_COLOUR, size=9, texts=texts)
        rings.marker.update(symbol="circle-open", line={"width": 1.6})
        figure.add_trace(rings, row=1, col=column)
        own = _dots(np.array([[position.x, position.y]]), OWN_COLOUR, size=13, texts=["the sound you probe"])
        own.marker.update(symbol="diamond", line={"width": 1.5, "color": "white"})
        figure.add_trace(own, row=1, col=column)
    charts.dress(figure, height_px=340)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": -0.02, "x": 0.52, "itemclick": False}
    )
    figure.update_xaxes(showticklabels=False, zeroline=False, ticks="")
    figure.update_yaxes(showticklabels=False, showgrid=False, ticks="")
    _frame(figure, position, near)
    return figure


def _frame(figure: go.Figure, position: MapPosition, near: np.ndarray) -> None:
    """The whole map at the left, at the right what lies round the place."""
    reach = _reach(position, near)
    figure.update_xaxes(range=[-1.06, 1.06], row=1, col=1)
    figure.update_yaxes(range=[-1.06, 1.06], row=1, col=1)
    figure.update_xaxes(range=[position.x - reach, position.x + reach], row=1, col=2)
    figure.update_yaxes(range=[position.y - reach, position.y + reach], row=1, col=2)
    figure.add_shape(
        type="rect",
        x0=position.x - reach,
        x1=position.x + reach,
        y0=position.y - reach,
        y1=position.y + reach,
        line={"width": 1, "color": NEAR_COLOUR, "dash": "dot"},
        row=1,
        col=1,
    )


def _reach(position: MapPosition, near: np.ndarray) -> float:
    farthest = float(np.abs(near - [position.x, position.y]).max(initial=0.0))
    return min(2.1, max(SMALLEST_REACH, REACH * farthest))


def _add_surroundings(figure: go.Figure, view: SaeView, found: PointMap, position: MapPosition) -> None:
    """The dots round the place, coloured by the corpus's first attribute; values that are rare here share a grey."""
    near = np.asarray(found.xy[position.rows])
    reach = _reach(position, near)
    is_around = (np.abs(found.places - [position.x, position.y]) <= reach).all(axis=1)
    rows = found.rows[is_around][:N_AROUND]
    groups = _coloured(view, rows)
    for name in [*[name for name in dict.fromkeys(groups.value_counts().index) if name], ""]:
        members = rows[(groups == name).to_numpy()]
        if not len(members):
            continue
        ids = view.workspace.corpus.table["clip_id"].iloc[members].astype(str).tolist()
        dots = _dots(np.asarray(found.xy[members]), None if name else PLAIN, size=6, texts=ids)
        dots.update(name=name or "other", showlegend=bool(name))
        figure.add_trace(dots, row=1, col=2)


def _coloured(view: SaeView, rows: np.ndarray) -> pd.Series:
    """The value of the first attribute for each row, as words; "" for unknown ones and for those rare here."""
    corpus = view.workspace.corpus
    if not corpus.attributes:
        return pd.Series([""] * len(rows))
    attribute = corpus.attributes[0]
    codes, values = corpus.coded(attribute)
    words = [*(wording.value_words(attribute, str(value)) for value in values), ""]
    named = pd.Series([words[code] for code in codes[rows]], dtype="object")
    common = named[named != ""].value_counts().head(N_NAMED).index
    return named.where(named.isin(common), "")


def _dots(places: np.ndarray, colour: str | None, *, size: int, texts: list[str] | None = None) -> go.Scatter:
    return go.Scatter(
        x=places[:, 0],
        y=places[:, 1],
        mode="markers",
        marker={"size": size, "color": colour} if colour else {"size": size},
        text=texts,
        hovertemplate="%{text}<extra></extra>" if texts else None,
        hoverinfo=None if texts else "skip",
        showlegend=False,
    )
