"""The verb report."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace, attribute_value
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(
        verbs, "report", run_report, "write what was found as one HTML file with sounds, for anyone to open"
    )
    add_workspace(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to, such as report.html"
    )
    parser.add_argument("--sae", metavar="NAME", help="the SAE; by default the one that pages open with")
    parser.add_argument("--latent", type=int, metavar="N", help="only this latent")
    parser.add_argument(
        "--erase",
        metavar="ATTRIBUTE=VALUE",
        help="with a chapter on erasing this value, such as gender=female",
    )
    parser.add_argument(
        "--max-mb", type=float, default=12.0, metavar="MB", help="all sounds inside together (default: 12)"
    )


def run_report(options: argparse.Namespace) -> None:
    """Run `report`."""
    from sae_core.api import open_sae
    from sae_core.report.document import ReportSettings, write_report

    if options.max_mb < 0:
        raise ValueError(f"--max-mb must be at least 0, not {options.max_mb:g}")
    erased = None if options.erase is None else attribute_value(options.erase, option="--erase")
    settings = ReportSettings(options.latent, erased, int(1_000_000 * options.max_mb))
    with Bar("report") as bar:
        report = write_report(open_sae(options.workspace, options.sae), options.out, settings, progress=bar)
    size_mb = options.out.stat().st_size / 1e6
    print(
        f"{options.out}: {size_mb:.1f} MB with {report.n_sounds} sounds; it opens without a server or network"
    )
    if report.n_left_out:
        print(f"{report.n_left_out} more clips are named without sound; raise --max-mb to have them")
