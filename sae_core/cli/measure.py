"""The verb measure, and the end of import."""

import argparse
from pathlib import Path
from time import monotonic

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_failures, say_next
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(
        verbs, "measure", run_measure, "measure pitch, noise, bandwidth, loudness and rate of every clip"
    )
    add_workspace(parser)
    parser.add_argument(
        "--processes", type=int, metavar="N", help="how many clips at once; by default one a core"
    )
    parser.add_argument("--rebuild", action="store_true", help="do finished work again")


def run_measure(options: argparse.Namespace) -> None:
    """Run `measure`."""
    if options.processes is not None and options.processes < 1:
        raise ValueError(f"--processes must be at least 1, not {options.processes}")
    measure(options.workspace, n_processes=options.processes, rebuild=options.rebuild)
    say_next(f"embed --workspace {options.workspace}")


def measure(workspace: Path, *, n_processes: int | None = None, rebuild: bool = False) -> None:
    """Measure a workspace's clips under a bar and say what came of it."""
    from sae_core.corpus.acoustics import measure_workspace
    from sae_core.corpus.clips import Corpus

    began = monotonic()
    with Bar("measure") as bar:
        found = measure_workspace(workspace, n_processes=n_processes, rebuild=rebuild, progress=bar)
    n_measured = len(found.table) - len(found.failures)
    print(f"{n_measured:,} of {len(found.table):,} clips measured ({monotonic() - began:.1f} s)")
    for warning in found.warnings(Corpus.load(workspace)):
        print(f"warning: {warning}")
    say_failures(len(found.failures), workspace / "acoustics_failures.parquet")
