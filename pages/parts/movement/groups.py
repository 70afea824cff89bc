"""A movement by groups of clips, language × gender where labelled: counts or fractions; a cell opens its clips."""

from urllib.parse import quote

import pandas as pd
import streamlit as st

from pages.figures.cells.cells import Cell, CellTable, cell_tables
from pages.parts.movement import choice
from pages.shared.renamed import read_renamed
from pages.shared.tables import UNKNOWN, csv_bytes
from pages.shared.wording import counted, plain, value_words
from sae_core.measures.movement import MOVES
from sae_core.workspace.workspace import Workspace

COUNTS, OF_INDEX, OF_GROUP = "Counts", "% of active set", "% of group"
RENAMED = {"Share of the index": OF_INDEX, "Share of the group": OF_GROUP}
SUFFIX = {OF_INDEX: "index", OF_GROUP: "group"}
MOVE_WORDS = {"stay": "Kept", "leave": "Lost", "enter": "Gained"}
FRACTION_HELP = (
    "**% of active set**: of the group's clips in the first active set, how many are kept or lost; of those "
    "in the last one, how many are gained. **% of group**: of all clips of the group. Small: the 95 % "
    "interval over speakers."
)
MAX_LINES = 10


def group_attributes(workspace: Workspace) -> tuple[str, ...]:
    """Language and gender, or the first two attributes."""
    attributes = workspace.corpus.attributes
    pair = [name for name in ("language", "gender") if name in attributes]
    return tuple(pair if len(pair) == 2 else attributes[:2])


def draw_groups(table: pd.DataFrame, attributes: tuple[str, ...], picked: str, file_name: str) -> None:
    """Draw the table; a click on a cell picks its clips."""
    read_renamed("shown", RENAMED)
    with st.container(horizontal=True, vertical_alignment="center", key="group_choice"):
        st.header(plain(" × ".join(name.capitalize() for name in attributes)), anchor=False, width="stretch")
        shown = st.segmented_control(
            "Shown", [COUNTS, OF_INDEX, OF_GROUP], default=COUNTS, required=True, key="shown", bind="query-params",
            persist_state="session", label_visibility="collapsed", help=FRACTION_HELP,
        )  # fmt: skip
    tables = [_table(table, attributes, move, str(shown or COUNTS), picked) for move in MOVES]
    cell_tables(tables, key="movement_groups", on_open=choice.pick, shows_in="movement_clips")
    with st.container(horizontal=True, vertical_alignment="center"):
        hidden = _lines(table, attributes)[MAX_LINES:]
        more = f" {counted(len(hidden), 'smaller line')} in the CSV only." if hidden else ""
        st.caption(
            f"Click a cell to hear its clips. A dot: none of the group's clips. Empty: no such clips at all.{more}",
            width="stretch",
        )
        st.download_button(
            "CSV", data=lambda: csv_bytes(table), file_name=file_name, mime="text/csv", icon=":material/download:",
            type="tertiary", on_click="ignore", key="movement_csv",
        )  # fmt: skip


def _lines(table: pd.DataFrame, attributes: tuple[str, ...]) -> list[str]:
    """The values of the first attribute, those with the most moving clips first."""
    moving = table[[f"n_{move}" for move in MOVES]].sum(axis=1)
    return list(moving.groupby(table[attributes[0]]).sum().sort_values(ascending=False, kind="stable").index)


def _table(table: pd.DataFrame, attributes: tuple[str, ...], move: str, shown: str, picked: str) -> CellTable:
    columns = sorted(table[attributes[1]].unique()) if len(attributes) > 1 else [""]
    by_group = {tuple(line[name] for name in attributes): line for _, line in table.iterrows()}
    most = float(table[f"n_{move}"].max()) or 1.0

    def cell(first: str, second: str) -> Cell:
        key = (first, second) if len(attributes) > 1 else (first,)
        return _cell(by_group.get(key), key, move, (shown, picked), most)

    return CellTable(
        title=MOVE_WORDS[move],
        corner=attributes[0],
        columns=[_value_words(attributes[-1], str(name)) for name in columns]
        if len(attributes) > 1
        else ["clips"],
        lines=[
            (_value_words(attributes[0], str(first)), [cell(first, second) for second in columns])
            for first in _lines(table, attributes)[:MAX_LINES]
        ],
    )


def _value_words(attribute: str, value: str) -> str:
    return "unknown" if value in UNKNOWN else value_words(attribute, value)


def _cell(line: pd.Series | None, key: tuple[str, ...], move: str, how: tuple[str, str], most: float) -> Cell:
    shown, picked = how
    if line is None:
        return Cell()
    n = int(line[f"n_{move}"])
    picks = ":".join(["cell", move, *(quote(value, safe="") for value in key)])
    opens = picks if n else None
    about = f"{n:,} of {int(line['n_group']):,} clips of the group"
    if shown == COUNTS:
        return Cell(f"{n:,}" if n else "·", "", n / most, opens, is_marked=picks == picked, help=about)
    name = f"{move}_of_{SUFFIX[shown]}"
    if pd.isna(line[name]):
        return Cell(help=about)
    share, low, high = (line[f"{name}{part}"] for part in ("", "_low", "_high"))
    bounds = "one speaker" if pd.isna(low) else f"{100 * low:.0f}–{100 * high:.0f}"
    return Cell(f"{100 * share:.0f} %", bounds, float(share), opens, is_marked=picks == picked, help=about)
