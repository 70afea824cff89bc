"""The verbs of people: add, remove, list: who may sign in to a server that is shared."""

import argparse
import getpass
import sys
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, say_next
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.people import EVERYWHERE, MAX_PASSWORD, PEOPLE_FILE, ROLES, People


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    words = "say who may sign in to a server that is shared, and what they may do there"
    parser = verbs.add_parser("people", help=words, description=words[0].upper() + words[1:] + ".")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = add_verb(actions, "add", run_add, "add somebody, or give somebody another password or role")
    add.add_argument("name", metavar="NAME", help="what the person signs in as; it stands beside notes")
    add.add_argument(
        "--role",
        choices=ROLES,
        help="read: look and listen; annotate: also write notes; build: everything (default read)",
    )
    add.add_argument(
        "--workspace", metavar="NAME", help="the role holds in this workspace alone (default: in all)"
    )
    add.add_argument("--keep-password", action="store_true", help="change the role alone")
    remove = add_verb(actions, "remove", run_remove, "take somebody off the list")
    remove.add_argument("name", metavar="NAME", help="who may no longer sign in")
    listed = add_verb(actions, "list", run_list, "show everybody with their roles")
    for action in (add, remove, listed):
        action.add_argument(
            "--file",
            type=Path,
            default=Path(PEOPLE_FILE),
            metavar="FILE",
            help=f"the list (default {PEOPLE_FILE}, here)",
        )


def run_add(options: argparse.Namespace) -> None:
    """Run `people add`."""
    people = People.load(options.file) if options.file.exists() else People({})
    is_new = options.name not in people.listed()
    roles = {options.workspace or EVERYWHERE: options.role or ROLES[0]} if is_new or options.role else {}
    password = None if options.keep_password else _ask_password(options.name)
    try:
        people.with_person(options.name, password, roles).save(options.file)
    except ValueError as error:
        raise VoxScopeError(
            str(error), where=options.file, remedy="see: python -m sae_core people add --help"
        ) from error
    print(f"{options.name} is in {options.file}; a server that runs has to be started again")
    say_next(f"serve --host 0.0.0.0 --people {options.file}")


def run_remove(options: argparse.Namespace) -> None:
    """Run `people remove`."""
    try:
        People.load(options.file).without(options.name).save(options.file)
    except ValueError as error:
        raise VoxScopeError(
            str(error), where=options.file, remedy="see: python -m sae_core people list"
        ) from error
    print(f"{options.name} is no longer in {options.file}; a server that runs has to be started again")


def run_list(options: argparse.Namespace) -> None:
    """Run `people list`."""
    for name, roles in People.load(options.file).listed().items():
        held = ", ".join(
            role if place == EVERYWHERE else f"{role} in {place}" for place, role in sorted(roles.items())
        )
        print(f"{name}: {held}")


def _ask_password(name: str) -> str:
    """A password typed twice at a terminal, or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(MAX_PASSWORD + 2).rstrip("\n")
    password = getpass.getpass(f"Password for {name}: ")
    if password != getpass.getpass("Once more: "):
        raise VoxScopeError("the two passwords differ", remedy="run it again")
    return password
