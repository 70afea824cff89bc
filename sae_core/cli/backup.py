"""The verbs backup and restore."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    words = "write what people made into one zip: notes, decisions, saved views, kept recordings"
    parser = add_verb(verbs, "backup", run_backup, words)
    add_workspace(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to, such as backup.zip"
    )
    parser.add_argument("--replace", action="store_true", help="write over a file that is there")
    parser = add_verb(verbs, "restore", run_restore, "add what a backup holds and is not there yet")
    parser.add_argument("file", type=Path, metavar="FILE", help="what `backup` wrote")
    add_workspace(parser)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="have what the backup holds and nothing else; what is there is kept aside",
    )


def run_backup(options: argparse.Namespace) -> None:
    """Run `backup`."""
    from sae_core.workspace.backup import write_backup
    from sae_core.workspace.workspace import Workspace

    report = write_backup(Workspace(options.workspace), options.out, replace=options.replace)
    print(
        f"{options.out}: {report.n_notes:,} entries of notes, {report.n_views:,} of saved views, "
        f"{report.n_probes:,} kept recordings"
    )


def run_restore(options: argparse.Namespace) -> None:
    """Run `restore`."""
    from sae_core.workspace.backup import restore_backup
    from sae_core.workspace.workspace import Workspace

    report = restore_backup(Workspace(options.workspace), options.file, replace=options.replace)
    print(
        f"added {report.n_notes:,} entries of notes, {report.n_views:,} of saved views, "
        f"{report.n_probes:,} kept recordings"
    )
    if report.n_left_out:
        print(f"{report.n_left_out:,} kept recordings were left out: a workspace holds no more")
    if report.is_of_other_clips:
        print("it was made of other clips: notes on clips that are not here show on the page Notes only")
    for place in report.aside:
        print(f"what was there before: {place}")
