"""Which SAE, and so which encoder, detects which attribute value: one table, the linear probe beside."""

from itertools import groupby

import pandas as pd
import streamlit as st

from pages.figures.cells.cells import Cell, CellTable, cell_tables
from pages.parts.universality.choice import Compared
from pages.shared import links
from pages.shared.caching import WORKSPACE, cached
from pages.shared.exports import csv_button
from pages.shared.wording import (
    EVIDENCE,
    bounds,
    column_words,
    embeddings_words,
    latent_name,
    value_words,
)
from sae_core.analysis.universality import values_by_sae
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import Workspace, workspace_stamp

HELP = (
    "For each value the best latent of each SAE, chosen on selection speakers: its F1 and 95 % interval. Coloured "
    "where held-out speakers confirm the value, grey with a question mark where not. The linear probe reads the raw "
    "embedding: where it is high and the latent low, the encoder holds the value and no single latent does."
)
HEADS = {UNSEEN_SPEAKERS: "On unseen speakers", SEEN_SPEAKERS: "On seen speakers"}
NOTHING = "No attribute value has enough clips to be measured. Import with labels."
NO_PROBE = "The linear probe is not measured yet: run `python -m sae_core sweep` once."


@cached(keep=16, by={WORKSPACE: lambda workspace: workspace_stamp(workspace.path)})
def _values(workspace: Workspace, names: tuple[str, ...]) -> pd.DataFrame:
    return values_by_sae(workspace, names)


def draw_values(workspace: Workspace, compared: Compared) -> None:
    """The values measured on unseen speakers, then those of seen speakers; a cell opens its latent."""
    table = _values(workspace, tuple(view.name for view in compared.views))
    if table.empty:
        st.info(NOTHING, icon=":material/label_off:")
        return
    st.header("Which SAE detects which value", anchor=False, help=HELP)
    for evidence, head in HEADS.items():
        part = table[table["evidence"] == evidence]
        if part.empty:
            continue
        with st.container(border=True, key=f"values_{evidence.split()[0]}"):
            st.subheader(head, anchor=False, help=EVIDENCE[evidence])
            tables = [
                _of_attribute(compared, name, part[part["attribute"] == name])
                for name in workspace.corpus.attributes
                if (part["attribute"] == name).any()
            ]
            opened = cell_tables(tables, key=f"values_cells_{evidence.split()[0]}")
            if opened is not None:
                sae, latent = opened.rsplit("#", 1)
                links.open_latent(workspace.sae(sae), int(latent))
    with st.container(horizontal=True, vertical_alignment="center", key="values_footer"):
        caption = "Click a cell to open its latent."
        st.caption(caption if table["probe_f1"].notna().any() else f"{caption} {NO_PROBE}", width="stretch")
        csv_button(lambda: table, name="values-by-sae", key="values_csv")


def _of_attribute(compared: Compared, attribute: str, table: pd.DataFrame) -> CellTable:
    """A line for each value; a column for each SAE, and behind those of one encoder its probe."""
    lines = table.set_index(["value", "sae"])
    columns, heads = _columns_of(compared, has_probe=bool(table["probe_f1"].notna().any()))
    drawn = []
    for value in dict.fromkeys(table["value"]):
        cells = [_cell(compared, lines, str(value), sae, is_probe) for sae, is_probe in columns]
        drawn.append((value_words(attribute, str(value)), cells))
    return CellTable(column_words(attribute), "", heads, drawn, is_wide=True)


def _columns_of(compared: Compared, *, has_probe: bool) -> tuple[list[tuple[str, bool]], list[str]]:
    columns, heads = [], []
    views = sorted(compared.views, key=lambda view: view.embeddings.name != compared.view.embeddings.name)
    for embeddings, group in groupby(views, key=lambda view: view.embeddings.name):
        some = list(group)
        columns += [(view.name, False) for view in some]
        heads += [compared.words[view.name] for view in some]
        if has_probe:
            columns.append((some[0].name, True))
            heads.append(f"{embeddings_words(embeddings)}, probe")
    return columns, heads


def _cell(compared: Compared, lines: pd.DataFrame, value: str, sae: str, is_probe: bool) -> Cell:
    if (value, sae) not in lines.index:
        return Cell()
    line = lines.loc[(value, sae)]
    if is_probe:
        if pd.isna(line["probe_f1"]):
            return Cell()
        interval = bounds(line["probe_f1_low"], line["probe_f1_high"])
        return Cell(text=f"{line['probe_f1']:.2f}", detail=interval, help="Linear probe on the raw embedding")
    view = next(each for each in compared.views if each.name == sae)
    latent, is_confirmed = int(line["latent"]), bool(line["is_confirmed"])
    said = "confirmed on held-out speakers" if is_confirmed else "not confirmed"
    return Cell(
        text=f"{line['f1']:.2f}" + ("" if is_confirmed else " ?"),
        detail=bounds(line["f1_low"], line["f1_high"]),
        filled=float(line["f1"]) if is_confirmed else None,
        opens=f"{sae}#{latent}",
        href=links.latent_address(view, latent),
        help=f"{sae}, latent {latent_name(view, latent)}: {said}",
    )
