"""The verbs of the demo: open, build, synthetic."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_next
from sae_core.cli.serve import add_server, serve
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    parser = verbs.add_parser(
        "demo",
        help="the demo of real voices: open (also without an action), build, synthetic",
        description="The demo of real voices; without an action it is opened.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    opened = add_verb(actions, "open", run_demo_open, "open the demo of real voices in the browser")
    add_workspace(opened, required=False)
    add_server(opened)
    build = add_verb(actions, "build", run_demo_build, "make the demo again from Debian's packages")
    build.add_argument(
        "--cache", type=Path, default=Path("workspaces/demo-cache"), help="where packages are kept"
    )
    build.add_argument(
        "--out", type=Path, help="where the bundle goes (in a checkout, by default assets/demo)"
    )
    synthetic = add_verb(
        actions, "synthetic", run_demo_synthetic, "make a workspace of planted truth, of any size"
    )
    add_workspace(synthetic)
    synthetic.add_argument(
        "--clips", type=int, default=10_000, metavar="N", help="how many clips (default 10000)"
    )
    synthetic.add_argument("--speakers", type=int, metavar="N", help="default: a speaker for every 20 clips")
    synthetic.add_argument("--audio", action="store_true", help="write a short sound for every clip, too")
    synthetic.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of everything random (default 0)"
    )


def run_demo_open(options: argparse.Namespace) -> None:
    """Run `demo open`."""
    from sae_core.demo.bundle import unpack_demo

    with Bar("demo") as bar:
        workspace = unpack_demo(options.workspace, progress=bar)
    serve(workspace, options)


def run_demo_build(options: argparse.Namespace) -> None:
    """Run `demo build`."""
    from sae_core.demo.bundle import build_demo

    with Bar("demo") as bar:
        folder = build_demo(cache=options.cache, out=options.out, progress=bar)
    print(f"the demo is in {folder}")
    say_next("demo open")


def run_demo_synthetic(options: argparse.Namespace) -> None:
    """Run `demo synthetic`."""
    from sae_core.demo.planted import write_synthetic_workspace

    with Bar("synthetic") as bar:
        write_synthetic_workspace(
            options.workspace,
            n_clips=options.clips,
            n_speakers=options.speakers,
            seed=options.seed,
            with_audio=options.audio,
            progress=bar,
        )
    print(f"{options.clips:,} planted clips in {options.workspace}")
    say_next(f"train --workspace {options.workspace}")
