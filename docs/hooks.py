"""What the documentation site adds to its pages: every command from its parser, the notebook's cells, formulas."""

import argparse
import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
COMMANDS, NOTEBOOK = "<!-- every command -->", "<!-- the notebook -->"
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page's text with the commands and the notebook in their places; called by MkDocs."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n".join(describe_commands(_parser())))
    if NOTEBOOK in markdown:
        cells = json.loads((DOCS / "quickstart.ipynb").read_text("utf-8"))["cells"]
        markdown = markdown.replace(NOTEBOOK, "\n\n".join(show_cell(cell) for cell in cells))
    return markdown


def _parser() -> argparse.ArgumentParser:
    """The command line's parser, of the checkout that these pages belong to."""
    if str(DOCS.parent) not in sys.path:
        sys.path.insert(0, str(DOCS.parent))
    from sae_core.__main__ import build_parser

    return build_parser()


def on_page_content(content: str, **_: Any) -> str:
    """The page's HTML with formulas as MathML; called by MkDocs."""
    return FORMULA.sub(_as_mathml, content)


def _as_mathml(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    display = "block" if found["tag"] == "div" else "inline"
    return str(convert(html.unescape(found["latex"]).strip(), display=display))


def show_cell(cell: dict[str, Any]) -> str:
    """A cell of a notebook as Markdown."""
    text = "".join(cell["source"])
    return f"```python\n{text}\n```" if cell["cell_type"] == "code" else text


def describe_commands(parser: argparse.ArgumentParser, name: str = "voxscope") -> Iterator[str]:
    """Lines of Markdown that describe every verb below a parser: what it does, how it is called, its options."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from _describe(below, f"{name} {verb}")


def _describe(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    is_group = any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)
    yield from (
        "",
        f"## `{name}`" if name.count(" ") == 1 else f"### `{name}`",
        "",
        str(parser.description),
        "",
    )
    if is_group:
        yield from describe_commands(parser, name)
        return
    yield from ("| argument | what it is |", "|---|---|")
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            words = (action.help or "").replace("|", "\\|")
            yield f"| {_called(action)} | {words}{' (required)' if action.required and action.option_strings else ''} |"


def _called(action: argparse.Action) -> str:
    """An argument as one types it: `--latents L`, `[FOLDER]`."""
    value = "" if action.nargs == 0 else str(action.metavar or "")
    if not value and action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        plain = value or action.dest.upper()
        return f"`[{plain}]`" if action.nargs == "?" else f"`{plain}`"
    if not value and action.nargs != 0:
        value = action.dest.upper()
    return f"`{' '.join([', '.join(action.option_strings), value]).strip()}`".replace("|", "\\|")
