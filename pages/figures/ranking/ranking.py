"""Ranked lists of named bars: what is active, what is near, who it is active on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pages.figures.mount import mount
from pages.shared.heading import Heading

_draw = mount(__file__, host="ranking")


@dataclass(frozen=True)
class RankedBar:
    """One named bar.

    filled: how far, 0 to 1. marker: where a tick stands on it, 0 to 1. tone: "" or "below" (greyed).
    opens, href: what clicking the name opens in place, and its address; neither makes the name plain text.
    """

    label: str
    filled: float
    value_text: str
    detail: str = ""
    marker: float | None = None
    tone: str = ""
    help: str = ""
    opens: int | None = None
    href: str = ""


def ranking(bars: Sequence[RankedBar], *, key: str, heading: Heading, shows_in: str = "") -> int | None:
    """Draw `bars` in their order and return what the bar whose name was just clicked opens, if any.

    shows_in: key of the container on this page that a click changes; it is scrolled into view.
    """
    data = {"bars": [asdict(bar) for bar in bars], **asdict(heading), "shows_in": shows_in}
    opened = _draw(data, key=key)
    return None if opened is None else int(opened)
