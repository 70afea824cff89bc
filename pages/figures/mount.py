"""How a figure's own JavaScript and CSS and the shared ones become one component of Streamlit.

A component takes one text of JavaScript. The files here are modules that import from each other; joined, each stands
in a function of its own, so that none can see or overwrite a name that another has not exported.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

_IMPORT = re.compile(r'^import \{([\w\s,]*)\} from "(\.[^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (default )?((?:async )?function|class|const) (\w+)", re.MULTILINE)
_NOT_UNDERSTOOD = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_SHARED_STYLE = Path(__file__).parent / "frame.css"

OPENED = "opened"
"""The event of a click that leads elsewhere: its value comes back from drawing the figure."""


class Figure:
    """A component that draws data into one element."""

    def __init__(self, name: str, host: str, *, css: str, js: str) -> None:
        self._draw = st.components.v2.component(
            f"voxscope_{name}", html=f'<div class="voxscope {host}">\n</div>', css=css, js=js
        )

    def __call__(
        self, data: Mapping[str, Any], *, key: str, on: Mapping[str, Callable[[Any], None]] | None = None
    ) -> Any:
        """Draw `data` and return what the visitor has just opened in it, None for nothing.

        on: what to do with the value of each other event, before the page runs again.
        """
        acts = {OPENED: _stay, **(on or {})}
        callbacks: dict[str, Any] = {
            f"on_{event}_change": partial(_tell, key, event, act) for event, act in acts.items()
        }
        return self._draw(key=key, data=dict(data), **callbacks).get(OPENED)


def mount(file: str, *, host: str) -> Figure:
    """The figure whose JavaScript and CSS stand beside `file`, a Python file, under its name.

    host: the class of the element that it draws into.
    """
    own = Path(file)
    css = _SHARED_STYLE.read_text("utf-8") + own.with_suffix(".css").read_text("utf-8")
    return Figure(own.stem, host, css=css, js=joined(own.with_suffix(".js")))


def joined(entry: Path) -> str:
    """One module of JavaScript from `entry` and all that it imports, with the default export of `entry`.

    Understood are `import { a, b } from "./file.js";` and `export` before a function, class or const; ValueError for
    anything else, for a name that is not exported, and for modules that import each other in a circle.
    """
    places: dict[Path, str] = {}
    parts: list[str] = []
    exported = _join(entry.resolve(), places, parts, ())
    if "default" not in exported:
        raise ValueError(f"{entry} has no default export")
    return "\n".join([*parts, f"export default {places[entry.resolve()]}.default;\n"])


def _join(module: Path, places: dict[Path, str], parts: list[str], above: tuple[Path, ...]) -> set[str]:
    """Append a module behind all that it imports, unless it stands there, and return the names that it exports."""
    if module in above:
        raise ValueError(f"{module} imports itself by way of {', '.join(path.name for path in above)}")
    text = module.read_text("utf-8")
    exports = {"default" if is_default else name: name for is_default, _, name in _EXPORT.findall(text)}
    if module in places:
        return set(exports)

    def bound(found: re.Match[str]) -> str:
        target = (module.parent / found[2]).resolve()
        names = [name.strip() for name in found[1].split(",") if name.strip()]
        missing = set(names) - _join(target, places, parts, (*above, module))
        if missing:
            raise ValueError(f"{target.name} does not export {', '.join(sorted(missing))} to {module.name}")
        return f"const {{ {', '.join(names)} }} = {places[target]};"

    body = _EXPORT.sub(r"\2 \3", _IMPORT.sub(bound, text))
    strange = _NOT_UNDERSTOOD.search(body)
    if strange:
        raise ValueError(f"{module.name} has a line that cannot be joined: {strange[0]}")
    places[module] = f"module{len(places)}"
    given = ", ".join(f"{public}: {name}" for public, name in exports.items())
    parts.append(f"const {places[module]} = (() => {{\n{body}return {{ {given} }};\n}})();")
    return set(exports)


def _tell(key: str, event: str, act: Callable[[Any], None]) -> None:
    value = (st.session_state.get(key) or {}).get(event)
    if value is not None:
        act(value)


def _stay(_: object) -> None:
    """The page reads the click itself, once it runs."""
