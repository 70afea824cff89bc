"""HTML and SVG, made of nested elements: text is escaped unless it is markup already, so nothing can be forgotten."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import SupportsFloat, TypeAlias

_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_EMPTY = frozenset({"meta", "br", "hr", "rect", "line", "path", "circle"})


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"


def markup(*children: Child) -> Markup:
    """The children one after another: markup as it is, anything else escaped; nothing for None."""
    return Markup("".join(_written(child) for child in children))


def _written(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if child is None:
        return ""
    if isinstance(child, str | int):
        return _safe(str(child))
    return "".join(_written(inner) for inner in child)


def _safe(text: str) -> str:
    """Text as it stands in HTML; a sign that cannot be shown, or that is half of one, becomes �."""
    return escape(_NOT_SHOWN.sub("\ufffd", text), quote=True)


def element(tag: str, *children: Child, **attributes: str | SupportsFloat | None) -> Markup:
    """One element. Attributes: `class_` is class, `aria_label` is aria-label; False and None are left out, True is an
    attribute without a value, a number is written short."""
    held = "".join(
        _attribute(name, value)
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _EMPTY:
        return Markup(f"<{tag}{held}/>")
    return Markup(f"<{tag}{held}>{markup(*children)}</{tag}>")


def _attribute(name: str, value: str | SupportsFloat) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    written = value if isinstance(value, str) else f"{float(value):.2f}".rstrip("0").rstrip(".")
    return f' {name}="{_safe(written)}"'


def said(text: object) -> Markup:
    """What people wrote (a name, a value, a label), kept apart from the text around it whatever way it is read."""
    return element("bdi", str(text))


def table(
    heads: Sequence[Child], rows: Iterable[Sequence[Child]], *, caption: str, n_words: int = 1
) -> Markup:
    """A table that scrolls by itself where it is wider than the screen; the first `n_words` columns hold words, the
    others numbers. An empty one says "none"."""
    lines = [
        element("tr", [_cell(place, cell, n_words) for place, cell in enumerate(row)]) for row in rows
    ] or [element("tr", element("td", "none", colspan=len(heads)))]
    head = [
        element("th", cell, scope="col", class_=None if place < n_words else "number")
        for place, cell in enumerate(heads)
    ]
    inner = (
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", lines),
    )
    return element(
        "div", element("table", inner), class_="wide", tabindex="0", role="region", aria_label=caption
    )


def _cell(place: int, cell: Child, n_words: int) -> Markup:
    if place == 0:
        return element("th", cell, scope="row")
    return element("td", cell, class_=None if place < n_words else "number")


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and what they are, as a list of definitions."""
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in pairs])


def paragraphs(*texts: Child) -> Markup:
    """A paragraph for each text that says something."""
    return markup(element("p", text) for text in texts if text)
