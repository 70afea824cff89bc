"""Flow diagrams: how many go from where to where; a click on a flow picks it, a click on a name opens it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pages.figures.mount import mount

_draw = mount(__file__, host="flow")


@dataclass(frozen=True)
class FlowNode:
    """A place in one column.

    tone: "in" for the set itself, "marked" for a place that stands out, else "". href: where its name leads, opened in
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
    places: tuple[Sequence[FlowNode], Sequence[FlowLink]],
    *,
    key: str,
    on_pick: Callable[[str], None],
    shows_in: str = "",
) -> str | None:
    """Draw columns of places under their titles and the flows between them, and return the name of the place that was
    just clicked, if any.

    places: the places, and the flows between them. on_pick: called with what a clicked flow picks, before the page runs
    again. shows_in: key of the container on this page that a click changes; it is scrolled into view.
    """
    nodes, links = places
    data = {
        "titles": list(titles),
        "nodes": [asdict(node) for node in nodes],
        "links": [asdict(link) for link in links],
        "file_name": f"voxscope-{key}.svg",
        "shows_in": shows_in,
    }
    opened = _draw(data, key=key, on={"picked": on_pick})
    return None if opened is None else str(opened)
