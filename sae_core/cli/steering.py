"""The verbs of steering: steering export, steering erase, steer."""

import argparse
from pathlib import Path
from time import monotonic

from sae_core.cli.console import MODULE_COMMAND, Verbs, add_verb, add_workspace, as_called, attribute_value
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    words = "take a steering of latents away from a workspace"
    parser = verbs.add_parser("steering", help=words, description=words[0].upper() + words[1:] + ".")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_export(actions)
    _add_erase(actions)
    _add_steer(verbs)


def _add_export(actions: Verbs) -> None:
    export = add_verb(actions, "export", run_export, "write a steering as a recipe that `steer` applies")
    add_workspace(export)
    export.add_argument("--sae", metavar="NAME", help="the SAE; by default the one that pages open with")
    chosen = export.add_mutually_exclusive_group(required=True)
    chosen.add_argument(
        "--latents", metavar="CHANGES", help="12,40x0.5,7=3 ablates #12, scales #40 by 0.5 and sets #7 to 3"
    )
    chosen.add_argument(
        "--value", metavar="ATTRIBUTE=VALUE", help="ablate the latents that detect it on unseen speakers"
    )
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the recipe goes")
    export.add_argument("--onnx", type=Path, metavar="FILE", help="write it as an ONNX network, too")


def _add_erase(actions: Verbs) -> None:
    erase = add_verb(
        actions,
        "erase",
        run_erase,
        "remove the latents of a value one by one: what a probe still tells, what EER pays",
    )
    add_workspace(erase)
    erase.add_argument("--sae", metavar="NAME", help="the SAE; by default the one that pages open with")
    erase.add_argument(
        "--value", metavar="ATTRIBUTE=VALUE", required=True, help="what to erase, such as gender=female"
    )
    erase.add_argument(
        "--steps", type=int, default=16, metavar="N", help="how many latents at most (default: 16)"
    )
    erase.add_argument("--csv", type=Path, metavar="FILE", help="write every point of the curve")


def _add_steer(verbs: Verbs) -> None:
    parser = add_verb(verbs, "steer", run_steer, "apply a recipe to embeddings")
    parser.add_argument(
        "source",
        type=Path,
        metavar="IN",
        help="a file that import-vectors reads, or the folder W/embeddings/NAME",
    )
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="ends in .npy, .npz, .parquet, .csv, .tsv, .ark, .safetensors or .h5",
    )
    parser.add_argument(
        "--recipe", type=Path, required=True, metavar="FOLDER", help="what `steering export` wrote"
    )
    parser.add_argument("--ids", metavar="FILE|KEY", help="whose the vectors are, as for import-vectors")
    parser.add_argument(
        "--encoder", metavar="NAME", help="who made the embeddings, where the file does not say"
    )


def run_export(options: argparse.Namespace) -> None:
    """Run `steering export`."""
    from sae_core.analysis.recipes import ablation_of, make_recipe, read_changes
    from sae_core.analysis.trial_sets import draw_trials, usual_among
    from sae_core.api import open_sae
    from sae_core.files.errors import CorpusError
    from sae_core.measures.recipe_network import write_network
    from sae_core.measures.recipes import save_recipe

    view = open_sae(options.workspace, options.sae)
    by_value = options.latents is None
    changes = (
        ablation_of(view, attribute_value(options.value, option="--value"))
        if by_value
        else read_changes(options.latents)
    )
    try:
        trial_set = draw_trials(view, among=usual_among(view.workspace.corpus))
    except CorpusError as error:
        trial_set = None
        print(f"its effect on verification is not measured: {error.what}")
    recipe = make_recipe(view, changes, trial_set=trial_set)
    save_recipe(recipe, options.out)
    print(f"exported {len(changes)} changed latents of {view.name} to {options.out}")
    if recipe.effect:
        before, after = recipe.effect["eer_before"][0], recipe.effect["eer_after"][0]
        _, low, high = recipe.effect["eer_change"]
        print(f"EER on unseen speakers {before:.1%} → {after:.1%} (change {low:+.1%} to {high:+.1%})")
    if options.onnx is not None:
        print(f"exported {write_network(recipe, options.onnx)}")
    print(as_called(f"next: {MODULE_COMMAND} steer IN OUT --recipe {options.out}"))


def run_erase(options: argparse.Namespace) -> None:
    """Run `steering erase`."""
    from sae_core.analysis.erasure import erasure_curve
    from sae_core.analysis.trial_sets import draw_trials, usual_among
    from sae_core.api import open_sae
    from sae_core.files.artifacts import writing

    if options.steps < 1:
        raise ValueError(f"--steps must be at least 1, not {options.steps}")
    view, value = open_sae(options.workspace, options.sae), attribute_value(options.value, option="--value")
    trial_set = draw_trials(view, among=usual_among(view.workspace.corpus))
    with Bar("steering erase") as bar:
        curve = erasure_curve(view, value, trial_set, n_steps=options.steps, progress=bar)
    last = curve.points.groupby("method", sort=False).tail(1)
    print(f"{'removed':<18} {'latents':>7}  {'probe':>5}  {'EER':>6}   ({curve.n_speakers} unseen speakers)")
    for point in last.itertuples():
        print(
            f"{point.method:<18} {point.n_latents or '–':>7}  {point.balanced_accuracy:>5.2f}  {point.eer:>6.1%}"
        )
    print(curve.sentence())
    if options.csv is not None:
        with writing(options.csv) as temporary:
            curve.points.to_csv(temporary, index=False)
        print(f"every point in {options.csv}")


def run_steer(options: argparse.Namespace) -> None:
    """Run `steer`."""
    from sae_core.build.steered_files import steer_file

    began = monotonic()
    with Bar("steer") as bar:
        made = steer_file(
            options.recipe,
            options.source,
            options.out,
            ids=options.ids,
            encoder=options.encoder,
            progress=bar,
        )
    print(f"{made.n:,} embeddings of {made.dim} numbers in {made.path} ({monotonic() - began:.1f} s)")
    if made.n_empty:
        print(f"{made.n_empty:,} of them are zeros: there was no usable vector")
