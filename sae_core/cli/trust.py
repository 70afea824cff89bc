"""The verb trust."""

import argparse

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_next
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(verbs, "trust", run_trust, "measure which latents can be trusted: stability, groups")
    add_workspace(parser)
    parser.add_argument(
        "--sae", action="append", metavar="NAME", help="only this SAE (may be given more than once)"
    )


def run_trust(options: argparse.Namespace) -> None:
    """Run `trust`."""
    from sae_core.build.groups import store_groups
    from sae_core.build.stability import store_stability
    from sae_core.workspace.workspace import Workspace

    with Bar("trust") as bar:
        stable = store_stability(options.workspace, options.sae, progress=bar)
        grouped = store_groups(options.workspace, options.sae, progress=bar)
    workspace = Workspace(options.workspace)
    for name in stable:
        found = workspace.sae(name).stability()
        if found is not None:
            peers = f"{len(found.peers)} other seed{'s' * (len(found.peers) > 1)}"
            print(f"{name}: PW-MCC {found.pw_mcc:.2f} with {peers}")
    print(f"groups of latents: {', '.join(grouped) or 'no SAE is indexed'}")
    say_next(f"serve --workspace {options.workspace}")
