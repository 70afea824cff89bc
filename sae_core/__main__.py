"""The command line: voxscope VERB, or python -m sae_core VERB. Each verb may be killed at any moment and run again."""

import argparse
import os
import sys
from collections.abc import Sequence

from sae_core import __version__
from sae_core.cli import FAMILIES, USUAL_ACTION
from sae_core.cli.console import MODULE_COMMAND, as_called, run_verb
from sae_core.files.errors import VoxScopeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 1 nothing could be done, 2 wrong usage, 130 interrupted."""
    options = build_parser().parse_args(with_action(sys.argv[1:] if arguments is None else arguments))
    try:
        run_verb(options)
    except VoxScopeError as error:
        print(as_called(f"voxscope: {error}"), file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"voxscope: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # whoever read the output, such as `head`, has closed it; the interpreter must not try to flush it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("\nvoxscope: stopped; run the same command again to go on where it was", file=sys.stderr)
        return 130
    return 0


def with_action(arguments: Sequence[str]) -> list[str]:
    """The arguments with the usual action after a verb that is given none; asked for help, a verb lists its actions."""
    verb, *following = arguments or [""]
    names_one = bool(following) and (not following[0].startswith("-") or following[0] in ("-h", "--help"))
    if verb in USUAL_ACTION and not names_one:
        return [verb, USUAL_ACTION[verb], *following]
    return list(arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb; tests read it to check that each is documented."""
    parser = argparse.ArgumentParser(prog=as_called(MODULE_COMMAND), description=__doc__)
    parser.add_argument("--version", action="version", version=f"voxscope {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for family in FAMILIES:
        family.add_verbs(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
