"""The verb guess."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_device, add_verb, add_workspace, say_next
from sae_core.cli.grids import write_csv
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(
        verbs,
        "guess",
        run_guess,
        "guess language, gender and kind of sound of clips by latents named on the demo",
    )
    add_workspace(parser)
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the guesses here, too: one line a clip and attribute"
    )
    add_device(parser)


def run_guess(options: argparse.Namespace) -> None:
    """Run `guess`."""
    from sae_core.build.guessing import guess_workspace

    with Bar("guess") as bar:
        guesses = guess_workspace(options.workspace, device=options.device, progress=bar)
    for _, line in guesses.summary.iterrows():
        bounds = "" if line["f1_low"] is None else f" ({line['f1_low']:.2f}–{line['f1_high']:.2f})"
        print(
            f"{line['attribute']} {line['value']}: {line['n_clips']:,} of {guesses.n_clips:,} clips, guessed; "
            f"F1 {line['f1']:.2f}{bounds} on unseen speakers of the demo"
        )
    write_csv(guesses.table, options.csv)
    say_next(f"serve --workspace {options.workspace}")
