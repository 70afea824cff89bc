"""The verb import-vectors: embeddings that people computed elsewhere."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace, say_failures, say_next
from sae_core.files.progress import Bar


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(
        verbs,
        "import-vectors",
        run_import_vectors,
        "take embeddings that were computed elsewhere from a file",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=".npy, .npz, Parquet, CSV, Kaldi ark or scp, safetensors or HDF5; known by its content",
    )
    add_workspace(parser)
    parser.add_argument(
        "--name",
        help="what the embeddings are called beside others of the same clips; by default as the file",
    )
    parser.add_argument(
        "--ids",
        metavar="FILE|KEY",
        help="whose the vectors are: a file with an id a line, a table, or the column, array or dataset of ids",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="of a new workspace: a table that describes each id"
    )
    parser.add_argument(
        "--audio-root",
        type=Path,
        metavar="FOLDER",
        help="of a new workspace: the folder of the recordings that the ids name; without it there is no sound",
    )


def run_import_vectors(options: argparse.Namespace) -> None:
    """Run `import-vectors`."""
    from sae_core.build.vectors import IDS_FILE, VectorChoices, import_vectors

    workspace: Path = options.workspace
    choices = VectorChoices(options.name, options.ids, options.labels, options.audio_root)
    with Bar("import-vectors") as bar:
        report = import_vectors(options.file, workspace, choices=choices, progress=bar)
    found = report.embeddings
    for line in report.summary.lines() if report.summary is not None else ():
        print(line)
    print(f"{len(found.valid_rows):,} of {len(found):,} clips have a vector of {found.dim} numbers")
    folder = workspace / "embeddings" / found.name
    say_failures(len(found.failures), folder / "failures.parquet")
    if report.n_repeated:
        print(f"{report.n_repeated:,} vectors stood in the file again under the same id and were left out")
    if len(report.ids):
        first = report.ids.iloc[0]
        print(
            f"{len(report.ids):,} ids have something to say of them, the first {first['id']!r}: {first['reason']}; "
            f"all in {folder / IDS_FILE}"
        )
    say_next(f"train --workspace {workspace} --embedder {found.name}")
