"""HDF5: a dataset of n×d and one of n ids, told by their shapes, or one vector an id; other files are not followed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sae_core.embedding.vector_files.pieces import (
    MAX_VECTORS,
    PIECE_BYTES,
    Piece,
    as_ids,
    check_kind,
    check_shape,
    one_by_one,
    read_ids,
    refuse,
    rows_in_pieces,
)
from sae_core.files.errors import MissingDependencyError

_MAX_DEPTH = 16
_MAX_CHUNK_BYTES = 16 * PIECE_BYTES


def library_for(path: Path) -> Any:
    """The package h5py; MissingDependencyError naming the file that is read or written where it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "is an HDF5 file, for which the package h5py is not installed", where=path,
            remedy="install the extra: pip install voxscope[vectors]",
        ) from error  # fmt: skip
    return h5py


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; `ids` may name the dataset of ids."""
    h5py = library_for(path)
    with h5py.File(path, "r") as file:
        found = dict(_datasets(file, h5py, path))
        tables = [name for name, dataset in found.items() if dataset.ndim == 2]
        if len(tables) == 1:
            dataset = found[tables[0]]
            check_kind(dataset.dtype, path, name=tables[0])
            check_shape(dataset.shape, path)
            names, whose = _ids(found, ids, dataset.shape[0], path)
            yield from rows_in_pieces(dataset, names, path, whose=whose)
            return
        if tables or not found:
            raise refuse(
                path,
                f"holds {len(tables)} datasets of n×d ({_said(found)})",
                remedy="keep one, beside its ids",
            )
        yield from one_by_one(_vectors(found, path), path)


def _datasets(group: Any, h5py: Any, path: Path, *, depth: int = 0, n: int = 0) -> Iterator[tuple[str, Any]]:
    """Every dataset that lies in this very file, by its name from the top."""
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise refuse(path, f"has a link to elsewhere, {name!r}, and those are not followed",
                         remedy="copy the vectors into one file")  # fmt: skip
        member = group[name]
        n += 1
        if n > MAX_VECTORS or depth > _MAX_DEPTH:
            raise refuse(path, "holds more groups or datasets than are read")
        if isinstance(member, h5py.Group):
            yield from _datasets(member, h5py, path, depth=depth + 1, n=n)
        elif isinstance(member, h5py.Dataset):
            if member.is_virtual or member.external:
                raise refuse(path, f"keeps {name!r} in other files, and those are not opened",
                             remedy="copy the vectors into one file")  # fmt: skip
            if (
                member.chunks
                and np.prod(member.chunks, dtype=np.float64) * member.dtype.itemsize > _MAX_CHUNK_BYTES
            ):
                raise refuse(path, f"keeps {name!r} in chunks too large to unpack")
            yield member.name.lstrip("/"), member


def _ids(found: dict[str, Any], ids: str | Path | None, n: int, path: Path) -> tuple[list[str], str]:
    """The ids, from the dataset that is named, a file, or the one dataset of n texts."""
    name = str(ids).lstrip("/") if ids is not None else None
    if name is not None and name not in found:
        return read_ids(ids, path)
    if name is None:
        columns = [key for key, dataset in found.items() if dataset.shape == (n,)]
        texts = [key for key in columns if found[key].dtype.kind in "SO"]
        chosen = texts or [key for key in columns if found[key].dtype.kind in "iu"]
        if len(chosen) != 1:
            raise refuse(
                path,
                f"holds {len(chosen)} datasets that could be its {n:,} ids ({_said(found)})",
                remedy="name the dataset, or a file of ids, with --ids",
            )
        name = chosen[0]
    dataset = found[name]
    if dataset.shape != (n,) or dataset.dtype.kind not in "SOiu":
        raise refuse(
            path, f"holds no column of {n:,} ids as {name!r}", remedy="name another dataset with --ids"
        )
    if dataset.dtype.kind in "iu":
        return as_ids(dataset[:]), f"its dataset {name!r}"
    return as_ids(dataset.asstr()[:]), f"its dataset {name!r}"


def _vectors(found: dict[str, Any], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name, dataset in found.items():
        check_kind(dataset.dtype, path, name=name)
        check_shape([1, *dataset.shape], path)
        yield name, dataset[:]


def _said(found: dict[str, Any]) -> str:
    words = [f"{name!r} {'×'.join(map(str, dataset.shape)) or 'single'}" for name, dataset in found.items()]
    return ", ".join(words[:8]) or "it is empty"
