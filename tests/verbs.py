"""All verbs of the command line, found in its parser, and what came of one that was run."""

import argparse
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from sae_core.__main__ import build_parser, with_action
from sae_core.cli.console import run_verb
from sae_core.files.errors import MissingDependencyError, VoxScopeError

OWN_CODE = Path(__file__).parent.parent / "sae_core"


def verbs_of(
    parser: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The verbs below a parser with their parsers; an action of a verb is named after it, as in `notes export`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                if verb.get_default("verb") is None:
                    yield from verbs_of(verb, f"{prefix}{name} ")
                else:
                    yield f"{prefix}{name}", verb


VERBS = dict(verbs_of(build_parser()))


def fault_of(words: Sequence[str]) -> str:
    """What is wrong with how a verb ended; nothing where it did its work or said what is wrong, where, and the remedy.

    Of an option that was typed, its name says where. A ValueError is a mistake in the words typed only where `sae_core`
    raised it, and not a package underneath.
    """
    try:
        options = build_parser().parse_args(with_action(words))
        run_verb(options)
    except SystemExit as usage:
        return "" if usage.code in (0, 2) else f"exit {usage.code}"
    except VoxScopeError as error:
        lacks = [part for part in ("what", "where", "remedy") if not getattr(error, part)]
        if isinstance(error, MissingDependencyError) or "--" in (error.remedy or ""):
            lacks = [part for part in lacks if part != "where"]
        return f"the error lacks {', '.join(lacks)}: {error}" if lacks else ""
    except ValueError as error:
        raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        return "" if raised_in.is_relative_to(OWN_CODE) else traceback.format_exc()
    except Exception:
        return traceback.format_exc()
    return ""
