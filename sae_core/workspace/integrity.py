"""Every file of a workspace against the digest that was kept of it when it was written."""

from dataclasses import dataclass
from pathlib import Path

from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.workspace.workspace import Workspace

METAS = {
    "acoustics.json": ("acoustics", "measure --rebuild"),
    "lineage.json": ("lineage", "build"),
    "guesses.json": ("guesses", "guess"),
    "embeddings/*/meta.json": ("embeddings", "embed"),
    "embeddings/*/probes.json": ("probes", "sweep"),
    "embeddings/*/map_*.json": ("map", "map --rebuild"),
    "saes/*/meta.json": ("sae", "train"),
    "saes/*/index.json": ("index", "index --rebuild"),
    "saes/*/stability.json": ("stability", "trust"),
    "saes/*/groups.json": ("groups", "trust"),
    "saes/*/map_*.json": ("map", "map --sae all --rebuild"),
}
"""Where each kind of derived artifact says what it is → the kind, and the command that makes it again."""


@dataclass(frozen=True)
class VerifiedPart:
    """One part of a workspace: how many files were compared, and what was wrong with the first that differs."""

    name: str
    n_files: int
    fault: VoxScopeError | None


def verify_workspace(workspace: Workspace) -> list[VerifiedPart]:
    """Compare every file whose digest is known; reads all of them, so a large workspace takes a while."""
    return [
        _verify(workspace.path, meta, kind, command)
        for pattern, (kind, command) in METAS.items()
        for meta in sorted(workspace.path.glob(pattern))
    ]


def _verify(folder: Path, path: Path, kind: str, command: str) -> VerifiedPart:
    verb, _, options = command.partition(" ")
    remedy = f"run: python -m sae_core {verb} --workspace {folder} {options}".rstrip()
    name, n_files = str(path.relative_to(folder).with_suffix("")), 0
    try:
        meta = ArtifactMeta.read(path, kind=kind, remedy=remedy)
        n_files = len(meta.files)
        meta.check_files(path.parent, remedy=remedy, whole=True)
    except ArtifactError as error:
        return VerifiedPart(name, n_files, error)
    return VerifiedPart(name, n_files, None)
