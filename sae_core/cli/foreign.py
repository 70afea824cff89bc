"""The verbs that bring SAEs of other libraries in, and take ours out: import-sae, export-sae."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_next
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    parser = add_verb(
        verbs,
        "import-sae",
        run_import,
        "bring an SAE of SAELens, sparsify, dictionary_learning or OpenAI's into W",
    )
    parser.add_argument("place", type=Path, metavar="FOLDER|FILE", help="where its weights and settings are")
    add_workspace(parser)
    parser.add_argument(
        "--embedder", metavar="NAME", help="the embeddings it reads; by default those of its dimension"
    )
    parser.add_argument(
        "--name", metavar="NAME", help="what it is called; by default <embeddings>-imported-<settings>"
    )
    parser = add_verb(verbs, "export-sae", run_export, "write an SAE as SAELens or sparsify load it")
    parser.add_argument("name", metavar="NAME", help="the SAE, as info lists it")
    add_workspace(parser)
    parser.add_argument("--to", choices=("saelens", "sparsify"), required=True, help="whose layout")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="a folder that is not there yet"
    )


def run_import(options: argparse.Namespace) -> None:
    """Run `import-sae`."""
    from sae_core.build.foreign_saes import import_foreign

    with Bar("import-sae") as bar:
        folder = import_foreign(
            options.workspace, options.place, embedder=options.embedder, name=options.name, progress=bar
        )
    print(f"imported {folder}")
    say_next(f"index --workspace {options.workspace} --sae {folder.name}")


def run_export(options: argparse.Namespace) -> None:
    """Run `export-sae`."""
    from sae_core.build.foreign_saes import export_foreign

    folder = export_foreign(options.workspace, options.name, options.to, options.out)
    print(f"exported {options.name} to {folder}")
