"""A recipe applied to a file of embeddings, piece by piece: neither side has to fit in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sae_core.embedding.embeddings import OWN_VECTORS, Embeddings
from sae_core.embedding.vector_files import read_vectors
from sae_core.embedding.vector_files.pieces import PIECE_BYTES, Piece
from sae_core.embedding.vector_files.writing import writing_vectors
from sae_core.files.artifacts import read_table
from sae_core.files.contents import text
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.recipes import Recipe, read_recipe


@dataclass(frozen=True)
class SteeredFile:
    """What became of a file: n embeddings of dim numbers are in `path`, n_empty of them zeros, since there was no
    usable vector."""

    path: Path
    n: int
    dim: int
    n_empty: int


def steer_file(
    recipe: Recipe | Path,
    source: Path,
    out: Path,
    *,
    ids: str | Path | None = None,
    encoder: str | None = None,
    progress: Progress = ignore,
) -> SteeredFile:
    """Apply a recipe to every embedding of a file and write them, of norm 1, under the same ids.

    source: a file of any format that `read_vectors` reads, or the folder of a workspace's embeddings. ids: see there.
    encoder: who made the embeddings; a folder says so itself. out: see `writing_vectors`.
    Raises ArtifactError where they are by another encoder, of another dimension, or lie elsewhere than those of the
    recipe's encoder; where nobody says who made them, the last is all that can be told. Nothing is written then.
    """
    made = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    if encoder is not None:
        made.check_encoder(encoder)
    if out.exists() and out.resolve() == source.resolve():
        raise ArtifactError(
            "is the file that is read", where=out, remedy="choose another name for the output"
        )
    pieces = _workspace_pieces(made, source) if source.is_dir() else read_vectors(source, ids)
    first = next(pieces, None)
    if first is None:
        raise CorpusError("holds no vectors", where=source, remedy="check the file")
    made.check_dim(first[1].shape[1])
    if encoder is None and not source.is_dir():
        made.check_space(first[1])
    n = n_empty = 0
    with writing_vectors(out, made.dim) as add:
        for names, rows in _with(first, pieces):
            steered = made.apply(rows)
            add(names, steered)
            n, n_empty = n + len(rows), n_empty + int((~steered.any(axis=1)).sum())
            progress(n, 0, "steering")
    return SteeredFile(out, n, made.dim, n_empty)


def _with(first: Piece, others: Iterator[Piece]) -> Iterator[Piece]:
    yield first
    yield from others


def _workspace_pieces(recipe: Recipe, folder: Path) -> Iterator[Piece]:
    """The embeddings of a workspace with the ids of their clips, once they are known to be by the recipe's encoder."""
    remedy = "name a file of vectors, or a folder such as W/embeddings/ge2e"
    found = Embeddings.load(folder, remedy=remedy)
    recipe.check_encoder(found.name if found.embedder == OWN_VECTORS else found.embedder, found.revision)
    clips = folder.resolve().parent.parent / "clips.parquet"
    ids = read_table(clips, columns={"clip_id": text()}, remedy=remedy)["clip_id"].tolist()
    if len(ids) != len(found):
        raise ArtifactError(f"has {len(found):,} rows for {len(ids):,} clips", where=folder, remedy=remedy)
    n_each = max(1, PIECE_BYTES // (8 * found.dim))
    for start in range(0, len(ids), n_each):
        yield ids[start : start + n_each], np.asarray(found.vectors[start : start + n_each])
