"""The verbs of notes: export, import."""

import argparse
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    words = "take away or bring in what people wrote about latents and clips"
    parser = verbs.add_parser("notes", help=words, description=words[0].upper() + words[1:] + ".")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = add_verb(actions, "export", run_export, "write all notes as JSON")
    add_workspace(export)
    export.add_argument("--file", type=Path, metavar="FILE", help="where to (default: notes.json, here)")
    bring = add_verb(actions, "import", run_import, "add exported notes; nothing that is there is changed")
    bring.add_argument("file", type=Path, metavar="FILE", help="what `notes export` wrote")
    add_workspace(bring)


def run_export(options: argparse.Namespace) -> None:
    """Run `notes export`."""
    from sae_core.files.artifacts import writing
    from sae_core.workspace.note_entries import notes_to_json
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(options.workspace)
    entries, file = workspace.notes.entries(), options.file or Path("notes.json")
    with writing(file) as temporary:
        temporary.write_text(notes_to_json(entries, workspace=workspace.name), "utf-8")
    print(f"{len(entries):,} entries in {file}")


def run_import(options: argparse.Namespace) -> None:
    """Run `notes import`."""
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.note_entries import MAX_NOTES_BYTES, notes_from_json
    from sae_core.workspace.workspace import Workspace

    try:
        with options.file.open("rb") as stream:
            content = stream.read(MAX_NOTES_BYTES + 1)
    except OSError as error:
        raise ArtifactError(
            f"cannot be read ({error.strerror})",
            where=options.file,
            remedy="name a file that `notes export` wrote",
        ) from error
    report = Workspace(options.workspace).notes.merge(notes_from_json(content, where=options.file))
    print(f"{report.n_new:,} entries added, {report.n_known:,} were there already")
