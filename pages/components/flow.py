"""Flow diagrams: how many go from where to where; a click on a flow picks it, a click on a name opens it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_mount_flow = st.components.v2.component(
    "voxscope_flow",
    html='<div class="flow">\n</div>',
    css=(_HERE / "flow.css").read_text("utf-8"),
    js=(_HERE / "flow.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class FlowNode:
    """A place in one column.

    tone: "in" for the index itself, "kin" for a place that stands out, else "". href: where its name leads, opened in
    place on a plain click.
    """

    name: str
    column: int
    label: str
    tone: str = ""
    href: str = ""
    help: str = ""


@dataclass(frozen=True)
class FlowLink:
    """A flow of `n` between the named places of two neighbouring columns. tone: stay, leave, enter or "".

    picks: what a click on it asks for. help: shown when the pointer rests on it.
    """

    source: str
    target: str
    n: int
    tone: str
    picks: str
    help: str
    is_picked: bool = False


def flow_diagram(
    titles: Sequence[str],
    nodes: Sequence[FlowNode],
    links: Sequence[FlowLink],
    *,
    key: str,
    shows_in: str = "",
) -> tuple[str | None, str | None]:
    """Draw columns of places under their titles and the flows between them, and return what the flow that was just
    clicked picks, and the name of the place that was just clicked, if any.

    shows_in: key of the container on this page that a click changes; it is scrolled into view.
    """
    data = {
        "titles": list(titles),
        "nodes": [asdict(node) for node in nodes],
        "links": [asdict(link) for link in links],
        "file_name": f"voxscope-{key}.svg",
        "shows_in": shows_in,
    }
    clicked = _mount_flow(key=key, data=data, on_picked_change=_stay, on_opened_change=_stay)
    picked, opened = (clicked.get(name) for name in ("picked", "opened"))
    return None if picked is None else str(picked), None if opened is None else str(opened)


def _stay() -> None:
    """The page reads the click itself, once it runs."""
