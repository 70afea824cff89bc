"""NumPy's .npy: one array of n×d, mapped into memory, with its ids in a file beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sae_core.embedding.vector_files.pieces import Piece, check_kind, check_shape, read_ids, rows_in_pieces


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; nothing but the header is read before shape and ids are known to fit."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    check_kind(array.dtype, path)
    check_shape(array.shape, path)
    names, whose = read_ids(ids, path)
    yield from rows_in_pieces(array, names, path, whose=whose)
