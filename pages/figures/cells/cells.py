"""Tables of coloured cells that open something when clicked: a grid of SAEs, groups of clips."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pages.figures.mount import OPENED, mount

_draw = mount(__file__, host="cells")


@dataclass(frozen=True)
class Cell:
    """One cell: `text` large, `detail` small under it, coloured by `filled` from 0 to 1 (no colour for None).

    opens: what a click on it asks for; None makes it plain. href: its address, where it leads to another page.
    is_marked: whether it stands out. help: shown when the pointer rests on it.
    """

    text: str = ""
    detail: str = ""
    filled: float | None = None
    opens: str | None = None
    href: str = ""
    is_marked: bool = False
    help: str = ""


@dataclass(frozen=True)
class CellTable:
    """Lines of cells under column heads. corner: what the line labels stand for. is_wide: whether it takes the whole
    width of the page, with room for labels of several words."""

    title: str
    corner: str
    columns: Sequence[str]
    lines: Sequence[tuple[str, Sequence[Cell]]]
    is_wide: bool = False


def cell_tables(
    tables: Sequence[CellTable], *, key: str, on_open: Callable[[str], None] | None = None, shows_in: str = ""
) -> str | None:
    """Draw tables side by side and return what the cell that was just clicked opens, if any.

    on_open: called with the same before the page runs again. shows_in: key of the container on this page that a click
    changes; it is scrolled into view.
    """
    drawn = [
        {
            "title": table.title,
            "corner": table.corner,
            "columns": list(table.columns),
            "is_wide": table.is_wide,
            "lines": [
                {"label": label, "cells": [asdict(cell) for cell in cells]} for label, cells in table.lines
            ],
        }
        for table in tables
    ]
    on = {} if on_open is None else {OPENED: on_open}
    opened = _draw({"tables": drawn, "shows_in": shows_in}, key=key, on=on)
    return None if opened is None else str(opened)
