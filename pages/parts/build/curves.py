"""How the autoencoders of a build learn, while they do."""

from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from pages.shared import charts
from pages.shared.wording import TERMS
from sae_core.sae.curves import training_curves

MAX_LINES = 24


def draw_curves(path: Path) -> None:
    """Explained variance of each autoencoder, step by step; nothing before the first report."""
    curves = training_curves(path)
    if curves.empty:
        st.caption("Once the autoencoders are trained, their curves appear here, while they learn.")
        return
    measure = "fvu_train" if curves["fvu_held_out"].isna().all() else "fvu_held_out"
    names = list(dict.fromkeys(curves["sae"]))
    # those still at it are what people watch for
    unfinished = [name for name in names if not curves.loc[curves["sae"] == name, "is_finished"].all()]
    shown = [*unfinished, *(name for name in names if name not in unfinished)][:MAX_LINES]
    figure = go.Figure()
    for name in sorted(shown):
        curve = curves[curves["sae"] == name]
        figure.add_scatter(
            x=curve["step"].to_numpy(),
            y=1 - curve[measure].astype(float).to_numpy(),
            name=name,
            mode="lines",
            line={"width": 2, "dash": "dot" if name in unfinished else "solid"},
            hovertemplate=f"{name}: %{{y:.1%}} after %{{x:,}} steps<extra></extra>",
        )
    figure = charts.dress(figure, height_px=300, x="steps", y="explained variance")
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(showlegend=len(shown) <= charts.MANY_LINES, legend={"orientation": "h", "y": -0.25})
    kept_aside = " on held-out speakers" if measure == "fvu_held_out" else ""
    st.markdown(f"**Training curves** · explained variance{kept_aside}", help=TERMS["explained variance"])
    charts.show(
        figure, key="build_curves", alt=f"Explained variance of {len(shown)} autoencoders over training steps"
    )
    st.caption(f"{len(names) - len(unfinished)} of {len(names)} SAEs that were started are trained.")
