"""How figures are put together: modules joined without clashes, and styles that something wears."""

import re
from pathlib import Path

import pytest

from pages.figures.mount import joined

FIGURES = Path(__file__).parent.parent.parent / "pages" / "figures"
ENTRIES = [path for path in sorted(FIGURES.glob("*/*.js")) if path.stem == path.parent.name]
# written by Streamlit's theme or by Python, not by a figure's own script
CLASSES_FROM_DATA = {"grid", "fill", "rows", "wide", "below", "stay", "leave", "enter", "in", "marked"}


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, "utf-8")
    return folder / "entry.js"


def test_each_module_stands_once_and_behind_what_it_imports(tmp_path):
    entry = write(
        tmp_path,
        base="const secret = 1;\nexport const base = () => secret;\n",
        left='import { base } from "./base.js";\nconst secret = 2;\nexport const left = () => base() + secret;\n',
        entry='import { base } from "./base.js";\nimport { left } from "./left.js";\n'
        "const secret = 3;\nexport default function draw() {\n  return base() + left() + secret;\n}\n",
    )
    text = joined(entry)
    assert text.count("const secret = 1;") == text.count("const secret = 2;") == 1
    assert text.index("secret = 1") < text.index("secret = 2") < text.index("secret = 3")
    assert "import" not in text
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default module2.default;"]


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"entry": "const draw = 1;\n"}, "no default export"),
        (
            {"entry": 'import { gone } from "./base.js";\nexport default function f() {}\n', "base": ""},
            "gone",
        ),
        ({"entry": 'import { a as b } from "./base.js";\n', "base": "export const a = 1;\n"}, "a as b"),
        ({"entry": 'import * as all from "./base.js";\n', "base": ""}, "cannot be joined"),
        ({"entry": "export let count = 0;\n"}, "cannot be joined"),
        ({"entry": "const a = 1;\nexport { a };\n"}, "cannot be joined"),
        (
            {
                "entry": 'import { a } from "./base.js";\nexport const b = 1;\n',
                "base": 'import { b } from "./entry.js";\nexport const a = 1;\n',
            },
            "imports itself",
        ),
    ],
)
def test_what_would_not_survive_joining_is_refused(tmp_path, modules, words):
    with pytest.raises(ValueError, match=words):
        joined(write(tmp_path, **modules))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_a_style_without_wearer_is_dead(entry):
    """Every class that a figure's style sheet names is a word of its scripts."""
    style = re.sub(r"/\*.*?\*/", "", entry.with_suffix(".css").read_text("utf-8"), flags=re.DOTALL)
    selectors = re.sub(r"\{[^{}]*\}", "", style)
    worn = set(re.findall(r"[\w-]+", joined(entry))) | CLASSES_FROM_DATA
    assert not {name for name in re.findall(r"\.([a-z][\w-]*)", selectors) if name not in worn}


def test_every_figure_is_mounted_by_the_python_beside_it():
    assert ENTRIES
    for entry in ENTRIES:
        source = entry.with_suffix(".py").read_text("utf-8")
        host = re.search(r'mount\(__file__, host="([\w-]+)"\)', source)
        assert host and f'querySelector(".{host[1]}")' in entry.read_text("utf-8"), entry.stem
