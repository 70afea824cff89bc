"""The verbs of the command line, one file a family; a new family is a file and a line in `FAMILIES`."""

from sae_core.cli import (
    backup,
    build,
    demo,
    foreign,
    grids,
    guess,
    maps,
    measure,
    notes,
    people,
    report,
    serve,
    steering,
    steps,
    trust,
    vectors,
    verification,
)

FAMILIES = (
    steps,
    vectors,
    build,
    grids,
    foreign,
    maps,
    guess,
    verification,
    steering,
    serve,
    people,
    measure,
    notes,
    backup,
    report,
    trust,
    demo,
)
USUAL_ACTION = {"demo": "open"}
"""Verb → the action that is meant where none is named: `demo` alone is `demo open`."""
