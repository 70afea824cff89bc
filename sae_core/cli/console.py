"""What every verb shares: how it is declared, how it shows progress, what it says at the end."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from sae_core.files.errors import VoxScopeError

COMMAND = "voxscope"
MODULE_COMMAND = "python -m sae_core"
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def as_called(text: str) -> str:
    """The text with commands as this process was started: `voxscope …` where that was typed."""
    return text.replace(MODULE_COMMAND, COMMAND) if Path(sys.argv[0]).name == COMMAND else text


def add_verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], None], help_text: str
) -> argparse.ArgumentParser:
    """Declare one verb and what runs it."""
    parser = verbs.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    parser.set_defaults(verb=run)
    return parser


def add_workspace(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Declare --workspace."""
    parser.add_argument("--workspace", type=Path, required=required, metavar="W", help="the workspace folder")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare --device."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps, …; by default the GPU when there is one")


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of an option like `64,256`; ValueError for anything else."""
    return tuple(int(part) for part in text.split(","))


def attribute_value(text: str, *, option: str) -> tuple[str, str]:
    """The attribute and the value of an option like `language=es`; ValueError for anything else."""
    attribute, is_there, value = text.partition("=")
    if not is_there:
        raise ValueError(f"{option} is ATTRIBUTE=VALUE, such as language=es, not {text!r}")
    return attribute, value


def run_verb(options: argparse.Namespace) -> None:
    """Run the verb of parsed options; what the system refuses is a VoxScopeError too, with the place that it was."""
    verb: Callable[[argparse.Namespace], None] = options.verb
    try:
        verb(options)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VoxScopeError(
            f"this was refused by the system ({error.strerror or error})",
            where=error.filename,
            remedy="check that the place is there, may be read and written, and has a name of usual length",
        ) from error


def say_failures(n_failures: int, table: Path) -> None:
    """Say where failures are listed, if there are any."""
    if n_failures:
        print(f"{n_failures:,} could not be used; each with its reason in {table}")


def say_next(verb: str) -> None:
    """End with the command that comes next."""
    print(as_called(f"next: {MODULE_COMMAND} {verb}"))
