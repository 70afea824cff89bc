"""The grid of SAEs as a heat map, L × k for each variant; a cell opens the best latent of its SAE."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from pages.figures.cells.cells import Cell, CellTable, cell_tables
from pages.parts.sweep.charts import variant_words
from pages.shared import links
from pages.shared.renamed import read_renamed
from pages.shared.wording import TERMS, latent_name, percent
from sae_core.workspace.workspace import Workspace

QUALITY, EXPLAINED, ACTIVE, DEAD = "quality", "explained_variance", "l0", "dead_fraction"
STABLE = "stability"
DEAD_HELP = (
    "Fraction of latents that are active on no held-out clip. On all clips it is lower, as on Overview."
)
STABLE_HELP = (
    "Mean cosine of its decoder directions with those of other seeds, one-to-one (PW-MCC, arXiv 2505.20254)."
)
HELP = {
    EXPLAINED: TERMS["explained variance"],
    ACTIVE: TERMS["l0"],
    DEAD: DEAD_HELP,
    STABLE: STABLE_HELP,
}


ON = {
    QUALITY: "On evaluated clips, with 95 % intervals over speakers.",
    EXPLAINED: "On held-out clips.",
    ACTIVE: "On held-out clips.",
    DEAD: "On held-out clips: of the latents, those active on none of them.",
    STABLE: "With SAEs that differ in the seed alone.",
}


def draw_grid(workspace: Workspace, points: pd.DataFrame, measure_words: str) -> None:
    """Draw the heat map of the measure, or of what each SAE is like."""
    words = {QUALITY: measure_words, EXPLAINED: "Explained variance", ACTIVE: "L0", DEAD: "Dead fraction"}
    if _has_stability(workspace, points):
        words[STABLE] = "Stability"
    read_renamed("cells", {"Dead share": DEAD})
    with st.container(horizontal=True, vertical_alignment="center", key="grid_choice"):
        st.header("Grid", anchor=False, width="stretch")
        shown = st.segmented_control(
            "Shown in the cells", list(words), default=QUALITY, required=True, format_func=words.__getitem__,
            key="cells", bind="query-params", persist_state="session", label_visibility="collapsed",
            help=_help(words),
        )  # fmt: skip
    families = list(dict.fromkeys(zip(points["variant"], points["prefixes"], strict=True)))[::-1]
    opened = cell_tables(
        [_table(workspace, points, family, str(shown or QUALITY)) for family in families], key="grid_cells"
    )
    if opened is not None:
        sae, latent = opened.rsplit("#", 1)
        links.open_latent(workspace.sae(sae), int(latent))
    st.caption(f"{ON[str(shown or QUALITY)]} Click a cell to open the best latent of that SAE.")


def _help(words: dict[str, str]) -> str:
    return "\n\n".join(f"**{words[name]}**: {text}" for name, text in HELP.items() if name in words)


def _has_stability(workspace: Workspace, points: pd.DataFrame) -> bool:
    """Whether SAEs of several seeds were compared; without several there is nothing to look for."""
    names = points.loc[points["n_seeds"] > 1, "sae"]
    return any(workspace.sae(name).stability() is not None for name in names)


def _table(workspace: Workspace, points: pd.DataFrame, family: tuple[str, str], shown: str) -> CellTable:
    sizes, ks = sorted(points["n_latents"].unique()), sorted(points["k"].unique())
    highest = float(points[ACTIVE].astype(float).max()) or 1.0
    ours = points[(points["variant"] == family[0]) & (points["prefixes"] == family[1])]
    by_place = {(line.n_latents, line.k): line for line in ours.itertuples()}
    return CellTable(
        title=variant_words(*family),
        corner="L \\ k",
        columns=[f"k {k}" for k in ks],
        lines=[
            (f"{size:,}", [_cell(workspace, by_place.get((size, k)), shown, highest) for k in ks])
            for size in sizes
        ],
    )


def _cell(workspace: Workspace, line: Any, shown: str, highest: float) -> Cell:
    if line is None:
        return Cell()
    texts: dict[str, Callable[[], tuple[str, str, float]]] = {
        QUALITY: lambda: (f"{line.value:.2f}", _interval(line.low, line.high), line.value),
        EXPLAINED: lambda: (percent(line.explained_variance), "", line.explained_variance),
        ACTIVE: lambda: (f"{line.l0:.1f}", "", line.l0 / highest),
        DEAD: lambda: (percent(line.dead_fraction), "", line.dead_fraction),
        STABLE: lambda: _stability(workspace, line.sae),
    }
    text, detail, share = texts[shown]()
    if line.n_seeds > 1 and shown == QUALITY:
        detail += f" · {line.n_seeds} seeds {line.seed_low:.2f}–{line.seed_high:.2f}"
    view = workspace.sae(line.sae)
    return Cell(
        text=text,
        detail=detail,
        filled=float(share),
        opens=f"{line.sae}#{line.latent}",
        href=links.latent_address(view, int(line.latent)),
        help=f"{line.sae}, latent {latent_name(view, int(line.latent))}",
    )


def _stability(workspace: Workspace, name: str) -> tuple[str, str, float]:
    found = workspace.sae(name).stability()
    if found is None:
        return "–", "", 0.0
    return f"{found.pw_mcc:.2f}", f"{len(found.peers) + 1} seeds", found.pw_mcc


def _interval(low: float, high: float) -> str:
    return "" if pd.isna(low) or low >= high else f"{low:.2f}–{high:.2f}"
