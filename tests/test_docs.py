"""What people read is true: every command, option, module, path and name it mentions exists, and what it shows runs."""

import argparse
import ast
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.test_house import REPOSITORY, _commands

DOCS = REPOSITORY / "docs"
PAGES_TO_READ = [
    *DOCS.rglob("*.md"),
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
READ = pytest.mark.parametrize("page", PAGES_TO_READ, ids=lambda page: str(page.relative_to(REPOSITORY)))
OF_OTHER_PROGRAMS = {
    "--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint",  # torchrun
    "--head", "--port", "--address", "--disable-usage-stats",  # ray
    "--build", "--build-arg", "--rm", "--service-ports",  # docker
    "--only", "--help", "--strict",
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    from sae_core.__main__ import build_parser

    return build_parser()


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> set[str]:
    own = {option for action in parser._actions for option in action.option_strings}
    return own.union(*map(_options, _below(parser).values()))


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _snippets(text: str) -> Iterator[str]:
    """Whatever stands in code: spans, and lines of blocks without their comments."""
    without = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", without)
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line.split(" #")[0].strip() for line in block.splitlines())


def _wrong_call(arguments: list[str]) -> str | None:
    """What is wrong with the arguments of a command, None if nothing is."""
    parser = _parser()
    words = list(arguments)
    while words and (choices := _below(parser)):
        if words[0] not in choices:
            return f"no verb {words[0]}" if words[0].isalpha() and words[0].islower() else None
        parser = choices[words.pop(0)]
    known = _options(parser)
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"no option {unknown[0]}" if unknown else None


def _calls(text: str) -> Iterator[list[str]]:
    """The arguments of every VoxScope command in a text, and of spans that begin with a verb and name options."""
    verbs = set(_below(_parser()))
    for snippet in _snippets(text):
        for found in re.finditer(r"(?:^|\s)(?:voxscope|(?:python )?-m sae_core)(?: (.*)|$)", snippet):
            yield _words(found[1] or "")
        words = _words(snippet)
        if words and words[0] in verbs and _is_call(words):
            yield words


def _is_call(words: list[str]) -> bool:
    """Whether words that begin with a verb are a command, and not a sentence or something else of that name."""
    return len(words) == 1 or words[1].startswith("--") or words[1] in _actions(words[0])


def _actions(verb: str) -> set[str]:
    return set(_below(_below(_parser())[verb]))


def _words(snippet: str) -> list[str]:
    try:
        return shlex.split(snippet)
    except ValueError:  # an apostrophe in prose
        return snippet.split()


@READ
def test_every_command_that_is_mentioned_exists(page: Path):
    text = page.read_text("utf-8")
    wrong = {" ".join(call): fault for call in _calls(text) if (fault := _wrong_call(call))}
    assert not wrong


@READ
def test_every_option_that_is_mentioned_exists(page: Path):
    benchmarks = "".join(path.read_text("utf-8") for path in (REPOSITORY / "benchmarks").glob("*.py"))
    known = _options(_parser()) | OF_OTHER_PROGRAMS | set(re.findall(r'"(--[a-z-]+)"', benchmarks))
    named = {
        word
        for snippet in _snippets(page.read_text("utf-8"))
        if snippet.startswith("--")
        for word in snippet.split()
    }
    assert not {word for word in named if word.startswith("--")} - known


def test_what_is_not_there_is_found():
    """The tests above, on texts that are wrong."""
    assert _wrong_call(["embed", "--workspace", "W", "--engin", "ray"]) == "no option --engin"
    assert _wrong_call(["embedd", "--workspace", "W"]) == "no verb embedd"
    assert _wrong_call(["demo", "close"]) == "no verb close"
    assert _wrong_call(["demo", "open", "--headless"]) is None
    text = "`voxscope train --latent 3`, `map --max-point 4`\n\n```sh\npython -m sae_core sirve # so\n```\n"
    faults = [_wrong_call(call) for call in _calls(text)]
    assert faults == ["no option --latent", "no option --max-point", "no verb sirve"]
    assert _missing_modules("`sae_core.sae.modell` and `sae_core.sae.model`") == {"sae_core.sae.modell"}
    paths = "`sae_core/nothing.py`, `docs/index.md`, `tests/**`, `pages/<page>.py`"
    assert _missing_paths(paths) == {"sae_core/nothing.py"}


def _missing_modules(text: str) -> set[str]:
    named = set(re.findall(r"`((?:sae_core|pages|benchmarks)(?:\.\w+)+)", text))
    return {name for name in named if not _resolves(name)}


def _resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module defines."""
    parts = name.split(".")
    for n_modules in range(len(parts), 0, -1):
        path = REPOSITORY.joinpath(*parts[:n_modules])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.exists():
            following = parts[n_modules:]
            return not following or following[0].strip("_") == "all" or _defines(file, following[0])
        if path.is_dir():
            return n_modules == len(parts)
    return False


def _defines(file: Path, name: str) -> bool:
    return (
        re.search(rf"^(?:class|def) {name}\b|^{name}\b.*=", file.read_text("utf-8"), re.MULTILINE) is not None
    )


def _missing_paths(text: str) -> set[str]:
    tops = "sae_core|pages|tests|docs|benchmarks|assets"
    named = set(re.findall(rf"`((?:{tops})/[\w./-]*)`", text))
    return {path for path in named if not (REPOSITORY / path).exists()}


@READ
def test_every_module_and_path_that_is_mentioned_exists(page: Path):
    text = page.read_text("utf-8")
    assert not _missing_modules(text)
    assert not _missing_paths(text)


@READ
def test_every_target_of_make_that_is_mentioned_exists(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {m[1] for s in _snippets(page.read_text("utf-8")) if (m := re.match(r"make ([a-z-]+)", s))}
    assert named <= targets


@READ
def test_every_link_leads_to_a_file(page: Path):
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", prose)
    inside = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert not [link for link in inside if not (page.parent / link).exists()]


@READ
def test_python_that_is_shown_can_be_read_and_names_what_is_there(page: Path):
    import sae_core

    for block in _blocks(page.read_text("utf-8"), "python"):
        used = {
            node.attr
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "vox"
        }
        assert used <= set(sae_core.__all__)


class _Settings(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags are for MkDocs."""


def _nav(part: object) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for member in part:
            yield from _nav(member)
    elif isinstance(part, dict):
        yield from _nav(list(part.values()))


def test_the_site_shows_every_page_once():
    settings = yaml.load((REPOSITORY / "mkdocs.yml").read_text("utf-8"), Loader=_Settings)
    shown = list(_nav(settings["nav"]))
    assert sorted(shown) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def _hooks() -> object:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_shows_every_verb_with_every_option():
    page = _hooks().on_page_markdown((DOCS / "reference" / "commands.md").read_text("utf-8"))
    parser = _parser()
    for command in _commands(parser):
        assert f"# `voxscope {command}`\n" in page
        _, *following = page.split(f"# `voxscope {command}`\n", maxsplit=1)
        section = following[0].split("\n#", maxsplit=1)[0]
        below = parser
        for word in command.split():
            below = _below(below)[word]
        for option in _options(below) - {"-h", "--help"}:
            assert re.search(rf"{option}\b", section), (command, option)


def test_formulas_become_mathml():
    page = _hooks().on_page_content('<p><span class="arithmatex">\\(a &lt; W_{dec}^{T}\\)</span></p>')
    assert page.startswith("<p><math")
    assert re.search(r"<mi>a</mi>\s*<mo>&#x0003C;</mo>\s*<msubsup>", page)
    assert "arithmatex" not in page


def _notebook() -> dict:
    return json.loads((DOCS / "quickstart.ipynb").read_text("utf-8"))


def test_the_notebook_is_kept_without_results_and_shown_on_the_site():
    code = [cell for cell in _notebook()["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    page = _hooks().on_page_markdown((DOCS / "quickstart.md").read_text("utf-8"))
    assert all("".join(cell["source"]) in page for cell in _notebook()["cells"])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the checkout, with the demo unpacked where the README and the notebook look for it."""
    from sae_core.demo.bundle import unpack_demo

    folder = tmp_path_factory.mktemp("elsewhere")
    unpack_demo(folder / "workspaces" / "demo")
    return folder


@pytest.mark.slow
def test_the_quick_start_of_the_readme_runs(elsewhere: Path):
    first = _blocks((REPOSITORY / "README.md").read_text("utf-8"), "python")[0]
    assert 15 <= len(first.strip().splitlines()) <= 30
    done = subprocess.run(
        [sys.executable, "-c", first],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    detects, *_, decided, split = done.stdout.splitlines()
    assert re.fullmatch(r"latent \d+: F1 0\.\d\d \(0\.\d\d to [01]\.\d\d\)", detects)
    assert decided.startswith("EER 0.")
    score, parts = map(float, split.split())
    assert score == pytest.approx(parts, abs=1e-9)


@pytest.mark.slow
def test_the_notebook_runs_and_draws(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.reads(json.dumps(_notebook()), as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(elsewhere)}}
    ).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [output for output in shown if "application/vnd.plotly.v1+json" in output.get("data", {})]
    tables = [output for output in shown if "text/html" in output.get("data", {})]
    assert len(figures) >= 4
    assert len(tables) >= 3


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_other_host(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(list(DOCS.rglob("*.md")))
    loaded = re.compile(
        r"<(?:script|img|link|iframe|source)\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]+", re.IGNORECASE
    )
    found = {page.name: hits for page in pages if (hits := loaded.findall(page.read_text("utf-8")))}
    assert not found
    assert "<math" in (tmp_path / "site" / "method.html").read_text("utf-8")
    assert "voxscope demo synthetic" in (tmp_path / "site" / "reference" / "commands.html").read_text("utf-8")
