"""NumPy's .npz: one array of n×d numbers and one of n ids, told by their shapes."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sae_core.embedding.vector_files.pieces import (
    Piece,
    as_ids,
    check_kind,
    check_shape,
    read_ids,
    refuse,
    rows_in_pieces,
)

MAX_UNPACKED_BYTES = 4 * 1024**3
"""An .npz is unpacked in memory, array by array."""
_Header = tuple[tuple[int, ...], np.dtype]


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; `ids` may name the array of ids."""
    headers = _headers(path)
    tables = [name for name, (shape, _) in headers.items() if len(shape) == 2]
    if len(tables) != 1:
        raise refuse(
            path,
            f"holds {len(tables)} arrays of n×d ({_said(headers)})",
            remedy="keep one array of vectors in it, beside their ids",
        )
    shape, kind = headers[tables[0]]
    check_kind(kind, path, name=tables[0])
    check_shape(shape, path)
    with np.load(path, allow_pickle=False) as arrays:
        if ids is not None and str(ids) not in headers:
            names, whose = read_ids(ids, path)
        else:
            own = str(ids) if ids is not None else _ids_array(headers, shape[0], path)
            names, whose = as_ids(_as_column(arrays[own], own, path)), f"its array {own!r}"
        yield from rows_in_pieces(arrays[tables[0]], names, path, whose=whose)


def _headers(path: Path) -> dict[str, _Header]:
    """The shape and kind of each array, none of which is read; CorpusError where one would have to be unpickled."""
    found: dict[str, _Header] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename:
                raise refuse(path, f"is a zip with {entry.filename!r} in it, not an .npz of arrays")
            if entry.file_size > MAX_UNPACKED_BYTES:
                raise refuse(
                    path,
                    f"unpacks to {entry.file_size / 1024**3:.0f} GiB, and an .npz has to fit in memory",
                    remedy="save the vectors as .npy with a file of ids, which is read piece by piece",
                )
            with archive.open(entry) as stream:
                major, _ = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                )
                shape, _, kind = read(stream)
            if kind.hasobject:
                raise refuse(path, f"holds objects in {name!r}, which would have to be unpickled",
                             remedy="save ids as text: np.array(ids, dtype=str)")  # fmt: skip
            if entry.file_size < kind.itemsize * int(np.prod(shape, dtype=np.float64)):
                raise refuse(path, f"holds less of {name!r} than its header says")
            found[name] = (shape, kind)
    return found


def _ids_array(headers: dict[str, _Header], n: int, path: Path) -> str:
    """The name of the array of n ids: text before whole numbers."""
    columns = {name: kind.kind for name, (shape, kind) in headers.items() if tuple(shape) == (n,)}
    texts = [name for name, kind in columns.items() if kind in "US"]
    chosen = texts or [name for name, kind in columns.items() if kind in "iu"]
    if len(chosen) != 1:
        raise refuse(
            path,
            f"holds {len(chosen)} arrays that could be its {n:,} ids ({_said(headers)})",
            remedy="name the array, or a file of ids, with --ids",
        )
    return chosen[0]


def _as_column(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise refuse(path, f"holds no column of ids as {name!r}", remedy="name another array with --ids")
    return array


def _said(headers: dict[str, _Header]) -> str:
    words = [
        f"{name!r} {'×'.join(map(str, shape)) or 'single'} {kind}" for name, (shape, kind) in headers.items()
    ]
    return ", ".join(words[:8]) or "it is empty"
