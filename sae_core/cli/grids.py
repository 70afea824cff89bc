"""The verbs over several SAEs: sweep, lineage."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core.cli.console import Verbs, add_device, add_verb, add_workspace, numbers, say_next
from sae_core.files.progress import Bar

if TYPE_CHECKING:
    import pandas as pd

    from sae_core.workspace.workspace import Workspace

MAX_AT_ONCE = 4
N_PRINTED = 20
BEST_COLUMNS = (
    "attribute",
    "value",
    "evidence",
    "sae",
    "latent",
    "f1",
    "f1_low",
    "f1_high",
    "explained_variance",
)


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    _add_sweep(verbs)
    _add_lineage(verbs)


def _add_sweep(verbs: Verbs) -> None:
    parser = add_verb(verbs, "sweep", run_sweep, "train a grid of SAEs and compare what they tell")
    add_workspace(parser)
    parser.add_argument(
        "--variants",
        type=_words,
        default=("topk", "matryoshka"),
        metavar="A,B",
        help="default: topk,matryoshka",
    )
    parser.add_argument(
        "--latents",
        type=numbers,
        default=(64, 256, 1024, 2048),
        metavar="L,L,…",
        help="numbers of latents (default: 64,256,1024,2048)",
    )
    parser.add_argument(
        "--k",
        type=numbers,
        default=(4, 8, 16, 32),
        metavar="K,K,…",
        help="active latents a clip (default: 4,8,16,32)",
    )
    parser.add_argument("--seeds", type=numbers, default=(0,), metavar="S,S,…", help="default: one seed, 0")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the clips")
    parser.add_argument("--batch", type=int, metavar="B", help="clips a step, at most 4096 by default")
    parser.add_argument("--embedder", help="which embeddings to train on, when there are several")
    parser.add_argument(
        "--at-once", type=int, metavar="N", help="SAEs trained at once; by default one a core, at most four"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table of results there, too")
    add_device(parser)


def run_sweep(options: argparse.Namespace) -> None:
    """Run `sweep`."""
    from sae_core.build import sweep
    from sae_core.sae.training import TrainingConfig

    grid = sweep.SweepGrid(options.variants, options.latents, options.k, options.seeds)
    training = TrainingConfig(n_epochs=options.epochs, batch_size=options.batch, device=options.device)
    n_at_once = options.at_once or min(MAX_AT_ONCE, os.cpu_count() or 1)
    with Bar("sweep") as bar:
        report = sweep.run_sweep(
            options.workspace, grid, training, embedder=options.embedder, n_at_once=n_at_once, progress=bar
        )
    best = sweep.best_of_each(report.table)
    print("the SAE that was best on the selection clips, with its numbers on held-out clips:")
    print(_printed(best[list(BEST_COLUMNS)]))
    for failure in report.failures.itertuples():
        print(f"{failure.sae} could not be trained: {failure.reason}")
    write_csv(report.table, options.csv)
    say_next(f"serve --workspace {options.workspace}")


def _add_lineage(verbs: Verbs) -> None:
    parser = add_verb(verbs, "lineage", run_lineage, "trace which latents of one SAE become which of another")
    add_workspace(parser)
    parser.add_argument("sae", metavar="A", help="an SAE of the workspace")
    parser.add_argument(
        "other",
        nargs="?",
        metavar="B",
        help="the other; left out: how the prefixes of a nested A refine each other",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all pairs of related latents there")


def run_lineage(options: argparse.Namespace) -> None:
    """Run `lineage`."""
    from sae_core.analysis import movement
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(options.workspace)
    before = workspace.sae(options.sae)
    if options.other is None:
        edges = movement.refine_sae(before)
        n_later = before.n_latents - int(before.config["prefixes"][0])
        print(f"{len(edges):,} of {n_later:,} later latents refine an earlier one")
    else:
        found = movement.trace_saes(before, workspace.sae(options.other))
        edges = found.edges
        for name, table, column in (
            (options.sae, found.predecessors, "fate"),
            (options.other, found.successors, "origin"),
        ):
            counts = table[column].value_counts()
            print(f"{name}: " + ", ".join(f"{n:,} {fate}" for fate, n in counts.items()))
    strongest = edges.sort_values("beyond_chance", ascending=False, kind="stable").head(N_PRINTED)
    print(_printed(_named(workspace, strongest, options)))
    write_csv(edges, options.csv)


def _named(workspace: "Workspace", edges: "pd.DataFrame", options: argparse.Namespace) -> "pd.DataFrame":
    """Related latents with the names of the latents in place of their numbers."""
    views = {
        "predecessor": workspace.sae(options.sae),
        "successor": workspace.sae(options.other or options.sae),
    }
    return edges.assign(**{side: [view.name_of(int(n)) for n in edges[side]] for side, view in views.items()})


def _printed(table: "pd.DataFrame") -> str:
    return str(table.to_string(index=False, float_format=lambda number: f"{number:.2f}", na_rep="–"))


def write_csv(table: "pd.DataFrame", path: Path | None) -> None:
    """Write a table whole or not at all, and say so; nothing where no path is given."""
    from sae_core.files.artifacts import writing

    if path is not None:
        with writing(path) as temporary:
            table.to_csv(temporary, index=False)
        print(f"{len(table):,} lines in {path}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
