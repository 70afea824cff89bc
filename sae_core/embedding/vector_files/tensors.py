"""Safetensors: one tensor of n×d with ids in a file beside it, or one vector an id."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sae_core.embedding.vector_files.pieces import (
    MAX_VECTORS,
    Piece,
    check_shape,
    one_by_one,
    read_ids,
    refuse,
    rows_in_pieces,
)
from sae_core.files.artifacts import MAX_SAFETENSORS_HEADER_BYTES

_KINDS = ("F16", "F32", "F64")
# a vector an id needs some hundred bytes of header each
_MAX_HEADER_BYTES = 64 * MAX_SAFETENSORS_HEADER_BYTES


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; the file is mapped into memory."""
    from safetensors import safe_open

    with path.open("rb") as stream:
        if int.from_bytes(stream.read(8), "little") > _MAX_HEADER_BYTES:
            raise refuse(path, "has a header larger than any file of vectors needs")
    with safe_open(str(path), framework="np") as file:
        names = list(file.keys())
        if len(names) > MAX_VECTORS:
            raise refuse(path, f"holds {len(names):,} vectors; at most {MAX_VECTORS:,} are read")
        shapes = {name: file.get_slice(name) for name in names}
        odd = next((name for name in names if shapes[name].get_dtype() not in _KINDS), None)
        if odd is not None:
            raise refuse(path, f"holds {shapes[odd].get_dtype()} in {odd!r}, not float16, float32 or float64")
        tables = [name for name in names if len(shapes[name].get_shape()) == 2]
        if len(names) == 1 and tables:
            yield from _table(_Cut(shapes[names[0]]), ids, path)
            return
        yield from one_by_one(((name, file.get_tensor(name)) for name in _all_short(shapes, path)), path)


def _all_short(shapes: dict, path: Path) -> list[str]:
    """The names, once every tensor is known to be one vector."""
    for name, tensor in shapes.items():
        shape = tensor.get_shape()
        if len(shape) != 1:
            words = "×".join(map(str, shape)) or "a single number"
            raise refuse(path, f"holds an array of {words} under {name!r}, where every id has one vector")
        check_shape([1, *shape], path)
    return list(shapes)


def _table(tensor: "_Cut", ids: str | Path | None, path: Path) -> Iterator[Piece]:
    check_shape(tensor.shape, path)
    names, whose = read_ids(ids, path)
    yield from rows_in_pieces(tensor, names, path, whose=whose)


class _Cut:
    """A tensor of a file, cut by rows as an array is."""

    def __init__(self, tensor: object) -> None:
        self._tensor = tensor
        self.shape = tuple(tensor.get_shape())  # type: ignore[attr-defined]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.asarray(self._tensor[rows])  # type: ignore[index]
