"""The container's files: what they start exists, and nobody in it is root."""

import re
import shlex
from pathlib import Path

from pages.serving.sign_in import HEALTH
from tests.verbs import VERBS

REPOSITORY = Path(__file__).parent.parent
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")


def listed(instruction):
    """The words of the last instruction of this name, written as a list."""
    found = re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return shlex.split(found[-1].strip("[]").replace(",", " "))


def test_it_starts_with_a_verb_and_options_that_are_known():
    from sae_core.files.product import APP_PACKAGE

    assert listed("ENTRYPOINT") == [APP_PACKAGE]
    verb, *options = listed("CMD")
    found = VERBS[verb].parse_args(options)
    assert (str(found.workspaces), found.host) == ("/data/workspaces", "0.0.0.0")


def test_what_the_docs_run_in_it_is_known_too():
    text = (REPOSITORY / "docs" / "how-to" / "container.md").read_text("utf-8").replace("\\\n", " ")
    commands = re.findall(r"run --rm(?: --service-ports)? app ([^#\n]+)", text)
    assert len(commands) == 3
    for command in commands:
        words = command.split()
        verb = next(
            verb
            for verb in sorted(VERBS, key=len, reverse=True)
            if words[: len(verb.split())] == verb.split()
        )
        VERBS[verb].parse_args(words[len(verb.split()) :])


def test_nobody_in_it_is_root_and_its_health_is_asked_where_no_sign_in_is():
    assert int(re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)[-1]) > 0
    assert f"http://127.0.0.1:8501{HEALTH}" in DOCKERFILE


def test_the_extras_it_installs_are_ours():
    import tomllib

    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    (named,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert set(named.split(",")) <= set(extras)
