"""The figure of a map: dots to look at, click, draw round and isolate; a million of them, drawn by the graphics card.

Places, colours and names are binary files of the session, fetched by their content's name: a change of colour moves one
byte a dot, and nothing is sent twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pages.figures.mount import mount
from pages.shared.media import media_url

_BINARY, _TEXT = "application/octet-stream", "text/plain"
_draw = mount(__file__, host="point-map")


@dataclass(frozen=True)
class DotFiles:
    """What the dots are, in bytes.

    places: u16 x and y by turns. sizes: u8, or empty. names: UTF-8, a line a dot (name, tab, what is known), or empty.
    """

    places: bytes
    sizes: bytes = b""
    names: bytes = b""


@dataclass(frozen=True)
class LegendEntry:
    """Dots that share a colour: `key` for addresses, `label` for people, codes low…high, how many, and how coloured."""

    key: str
    label: str
    role: str
    low: int
    high: int
    n: int


@dataclass(frozen=True)
class Legend:
    """What colours mean. codes: u8 a dot. noun: what a dot is, in the plural."""

    title: str
    entries: Sequence[LegendEntry]
    codes: bytes
    help: str = ""
    noun: str = "clips"


@dataclass(frozen=True)
class MapState:
    """What is chosen on a map.

    map_id: changes with the dots. colour_id: changes with the colours. chosen: the dot that is open, and its sound's
    address (or ""). sounds: where the sound of every dot lies, by its number; "" where none does. area: corners of the
    drawn polygon. only: keys of the isolated groups. only_change: counts what the page, not the visitor, isolated.
    """

    map_id: str
    colour_id: str
    chosen: tuple[int, str] | None = None
    sounds: str = ""
    area: Sequence[Sequence[float]] = ()
    only: Sequence[str] = ()
    only_change: int = 0


@dataclass(frozen=True)
class MapEvents:
    """What to do when a visitor clicks a dot (number), draws an area (corners) or isolates groups (keys)."""

    on_dot: Callable[[int], None]
    on_area: Callable[[list[list[float]]], None]
    on_only: Callable[[list[str]], None]


def point_map(dots: DotFiles, legend: Legend, state: MapState, events: MapEvents, *, key: str) -> None:
    """Draw a map; events are passed on before the page runs again."""
    data: dict[str, Any] = {
        "map": state.map_id,
        "places_url": media_url(dots.places, _BINARY, f"{key}-places"),
        "sizes_url": media_url(dots.sizes, _BINARY, f"{key}-sizes"),
        "names_url": media_url(dots.names, _TEXT, f"{key}-names"),
        "codes_url": media_url(legend.codes, _BINARY, f"{key}-codes"),
        "groups": [asdict(entry) for entry in legend.entries],
        "legend": legend.title,
        "legend_help": legend.help,
        "noun": legend.noun,
        "label": f"Map of {legend.noun}, coloured by {legend.title.lower()}",
        "file_name": state.map_id,
        "chosen": None if state.chosen is None else {"point": state.chosen[0], "url": state.chosen[1]},
        "sounds": state.sounds,
        "area": [list(corner) for corner in state.area],
        "area_token": state.map_id,
        "only": list(state.only),
        "only_token": f"{state.map_id} {state.colour_id} {state.only_change}",
    }
    on = {"picked": lambda point: events.on_dot(int(point)), "area": events.on_area, "only": events.on_only}
    _draw(data, key=key, on=on)
