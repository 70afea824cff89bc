"""Drawing in SVG: a frame with axes in the units of the data, and marks in it. Colours come from the style of the page.

Every picture is about as wide as a telephone, so that its letters keep their size; wider screens show several beside
each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat, TypeAlias

from sae_core.report.markup import Child, Markup, element, markup

WIDTH, HEIGHT = 360.0, 240.0
MAX_LETTERS = 26
Ends: TypeAlias = tuple[float, float]
Ticks: TypeAlias = Mapping[float, str] | Mapping[int, str]
"""What to mark on an axis: a value and what it is called."""


@dataclass(frozen=True)
class Frame:
    """The part of a picture that data fill. x, y: what its edges stand for. Margins are in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: float = HEIGHT
    left: float = 46.0
    right: float = 12.0
    top: float = 12.0
    bottom: float = 40.0

    def across(self, x: SupportsFloat) -> float:
        """Where a value of x stands, in pixels from the left."""
        low, high = self.x
        return self.left + (float(x) - low) / (high - low) * (WIDTH - self.left - self.right)

    def down(self, y: SupportsFloat) -> float:
        """Where a value of y stands, in pixels from the top."""
        low, high = self.y
        return (
            self.height
            - self.bottom
            - (float(y) - low) / (high - low) * (self.height - self.top - self.bottom)
        )

    def axes(self, x_ticks: Ticks, y_ticks: Ticks, *, x: str, y: str = "") -> Markup:
        """Lines of the grid, what they stand for, and the names of both axes."""
        middle_x, middle_y = sum(map(self.across, self.x)) / 2, sum(map(self.down, self.y)) / 2
        floor = self.height - self.bottom
        return markup(
            [
                mark("line", "grid", x1=self.left, x2=WIDTH - self.right, y1=self.down(at), y2=self.down(at))
                for at in y_ticks
            ],
            [letters(words, self.left - 6, self.down(at) + 4, anchor="end") for at, words in y_ticks.items()],
            [letters(words, self.across(at), floor + 16, anchor="middle") for at, words in x_ticks.items()],
            letters(x, middle_x, self.height - 6, anchor="middle", kind="axis"),
            element(
                "text", y, class_="axis", text_anchor="middle", transform=f"rotate(-90 12 {middle_y:.1f})",
                x=12, y=middle_y,
            ) if y else None,
        )  # fmt: skip

    def line(
        self,
        xs: Iterable[SupportsFloat],
        ys: Iterable[SupportsFloat],
        *,
        colour: int,
        is_dashed: bool = False,
    ) -> Markup:
        """A line through points."""
        points = [f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in zip(xs, ys, strict=True)]
        kind = f"line c{colour}{' dashed' if is_dashed else ''}"
        return element("polyline", points=" ".join(points), class_=kind)

    def dot(
        self, x: SupportsFloat, y: SupportsFloat, *, colour: int, ends: tuple[float, float] | None = None
    ) -> Markup:
        """A dot, with the bounds of its interval where there are any."""
        at = self.across(x)
        whisker = None
        if ends is not None:
            whisker = mark(
                "line", f"whisker c{colour}", x1=at, x2=at, y1=self.down(ends[0]), y2=self.down(ends[1])
            )
        return markup(whisker, mark("circle", f"dot c{colour}", cx=at, cy=self.down(y), r=3.5))

    def level(self, y: SupportsFloat, words: str) -> Markup:
        """A dotted line across at some height, with words above its left end."""
        at = self.down(y)
        return markup(
            mark("line", "level", x1=self.left, x2=WIDTH - self.right, y1=at, y2=at),
            letters(words, self.left + 4, at - 4),
        )


def mark(name: str, kind: str, **places: SupportsFloat) -> Markup:
    """One shape without words."""
    return element(name, class_=kind, **places)


def letters(
    words: Child, x: SupportsFloat, y: SupportsFloat, *, anchor: str = "start", kind: str = ""
) -> Markup:
    """Words at a place; anchor: which end of them stands there."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=kind or None)


def short(words: str, most: int = MAX_LETTERS) -> str:
    """Words that fit a picture."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def picture(*inner: Child, alt: str, height: SupportsFloat = HEIGHT) -> Markup:
    """A picture with what it shows in words, for those who do not see it."""
    return element(
        "svg",
        element("title", alt),
        inner,
        viewBox=f"0 0 {WIDTH:g} {float(height):g}",
        role="img",
        aria_label=alt,
    )


def legend(names: Sequence[str]) -> Markup:
    """What each colour stands for, in the order of the colours."""
    items = [
        element("li", element("span", class_=f"swatch c{place}", aria_hidden="true"), name)
        for place, name in enumerate(names)
    ]
    return element("ul", items, class_="legend")


def figure(pictures: Sequence[Child], caption: Child, *, names: Sequence[str] = ()) -> Markup:
    """Pictures beside each other with their legend and what is to be seen."""
    return element(
        "figure",
        element("div", [element("div", each) for each in pictures], class_="pictures"),
        legend(names) if len(names) > 1 else None,
        element("figcaption", caption),
    )
