"""The verb map."""

import argparse

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_next
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(verbs, "map", run_map, "lay out clips and decoder directions in the plane, once")
    add_workspace(parser)
    parser.add_argument(
        "--sae",
        action="append",
        default=[],
        metavar="NAME",
        help="this SAE (may be given more than once), or all; by default the workspace's own",
    )
    parser.add_argument(
        "--neighbors",
        type=int,
        default=60,
        metavar="N",
        help="fewer show detail, more the whole (default 60)",
    )
    parser.add_argument(
        "--min-dist", type=float, default=0.6, metavar="D", help="how close dots may lie (default 0.6)"
    )
    parser.add_argument(
        "--max-points", type=int, metavar="N", help="place at most N clips, drawn by the seed (default all)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the layout (default 0)")
    parser.add_argument("--rebuild", action="store_true", help="do finished work again")


def run_map(options: argparse.Namespace) -> None:
    """Run `map`."""
    from sae_core.build.workspace_maps import map_workspace
    from sae_core.files.errors import ArtifactError
    from sae_core.measures.maps import MapSettings

    settings = MapSettings(
        n_neighbors=options.neighbors,
        min_dist=options.min_dist,
        seed=options.seed,
        max_points=options.max_points,
    )
    with Bar("map") as bar:
        report = map_workspace(
            options.workspace, saes=options.sae, settings=settings, rebuild=options.rebuild, progress=bar
        )
    for word, names in (("made", report.made), ("kept", report.kept)):
        if names:
            print(f"{word} {', '.join(names)}")
    for name, reason in report.failures:
        print(f"could not be made: {name}: {reason}")
    if not report.made and not report.kept:
        raise ArtifactError("no map could be made", where=options.workspace, remedy=report.failures[0][1])
    say_next(f"serve --workspace {options.workspace}")
