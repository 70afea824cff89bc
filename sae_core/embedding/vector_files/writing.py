"""Vectors written as the readers beside this file read them: piece by piece, all of the file or nothing."""

import contextlib
import csv
import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sae_core.embedding.vector_files.hdf5 import library_for
from sae_core.files.artifacts import writing
from sae_core.files.errors import ArtifactError

Add: TypeAlias = Callable[[Sequence[str], np.ndarray], None]
"""Takes the ids of some rows and the rows, f32[n, d]."""
SUFFIXES = (".npy", ".npz", ".parquet", ".csv", ".tsv", ".ark", ".safetensors", ".h5")
_MOST_IN_MEMORY = 4 * 1024**3


@contextlib.contextmanager
def writing_vectors(path: Path, dim: int) -> Iterator[Add]:
    """Yield a function that takes ids and rows; what it was given becomes `path` when the block ends well.

    The ending of the name says which format: .npy (ids in `<name>.ids.txt` beside it), .npz, .parquet, .csv, .tsv, .ark
    (Kaldi), .safetensors (one tensor an id) or .h5. Raises ArtifactError for another ending or where it cannot be
    written, MissingDependencyError where HDF5 is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ArtifactError(
            "has no ending of a format that can be written", where=path,
            remedy=f"end its name with one of {', '.join(SUFFIXES)}",
        )  # fmt: skip
    with writing(path) as temporary:
        if suffix == ".npy":
            with writing(path.with_suffix(".ids.txt")) as ids, _npy(temporary, dim, ids) as add:
                yield add
        else:
            with _WRITERS[suffix](temporary, dim) as add:
                yield add


@contextlib.contextmanager
def _npy(path: Path, dim: int, ids: Path) -> Iterator[Add]:
    n = 0
    with path.open("wb") as stream, ids.open("w", encoding="utf-8") as names:
        _npy_header(stream, 0, dim)

        def add(some: Sequence[str], rows: np.ndarray) -> None:
            nonlocal n
            n += len(rows)
            names.write("".join(f"{name}\n" for name in some))
            stream.write(np.ascontiguousarray(rows, np.float32).data)

        yield add
        stream.seek(0)
        _npy_header(stream, n, dim)


def _npy_header(stream: Any, n: int, dim: int) -> None:
    """The head of a .npy file; numpy leaves room for any number of rows, so it can be written again at the end."""
    described = {"descr": "<f4", "fortran_order": False, "shape": (n, dim)}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, described)
    stream.write(buffer.getvalue())


@contextlib.contextmanager
def _npz(path: Path, dim: int) -> Iterator[Add]:
    vectors, names = path.with_suffix(".vectors"), path.with_suffix(".names")
    try:
        with _npy(vectors, dim, names) as add:
            yield add
        ids = names.read_text("utf-8").split("\n")[:-1]
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(vectors, "vectors.npy")
            with archive.open("ids.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.array(ids, dtype=str), allow_pickle=False)
    finally:
        vectors.unlink(missing_ok=True)
        names.unlink(missing_ok=True)


@contextlib.contextmanager
def _parquet(path: Path, dim: int) -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.list_(pa.float32(), dim)
    schema = pa.schema([("clip_id", pa.string()), ("vector", kind)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:

        def add(ids: Sequence[str], rows: np.ndarray) -> None:
            flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
            vectors = pa.FixedSizeListArray.from_arrays(flat, dim)
            writer.write_table(pa.Table.from_arrays([pa.array(ids, pa.string()), vectors], schema=schema))

        yield add


@contextlib.contextmanager
def _delimited(path: Path, dim: int, mark: str) -> Iterator[Add]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, delimiter=mark, lineterminator="\n")
        lines.writerow(["clip_id", *(f"d{number}" for number in range(dim))])

        def add(ids: Sequence[str], rows: np.ndarray) -> None:
            texts = np.char.mod("%.9g", np.asarray(rows, np.float32)).tolist()
            lines.writerows([name, *numbers] for name, numbers in zip(ids, texts, strict=True))

        yield add


@contextlib.contextmanager
def _ark(path: Path, dim: int) -> Iterator[Add]:
    head = b"\0BFV \x04" + struct.pack("<i", dim)
    with path.open("wb") as stream:

        def add(ids: Sequence[str], rows: np.ndarray) -> None:
            odd = next((name for name in ids if not name or name.split() != [name]), None)
            if odd is not None:
                raise ArtifactError(
                    f"cannot hold the id {odd[:80]!r}: Kaldi's ids have no blanks", where=path,
                    remedy="choose another format, such as .parquet",
                )  # fmt: skip
            packed = np.ascontiguousarray(rows, "<f4")
            stream.writelines(
                name.encode() + b" " + head + row.tobytes() for name, row in zip(ids, packed, strict=True)
            )

        yield add


@contextlib.contextmanager
def _safetensors(path: Path, dim: int) -> Iterator[Add]:
    from safetensors.numpy import save

    found: dict[str, np.ndarray] = {}

    def add(ids: Sequence[str], rows: np.ndarray) -> None:
        if (len(found) + len(ids)) * dim * 4 > _MOST_IN_MEMORY:
            raise ArtifactError(
                "would be larger than fits in memory", where=path, remedy="choose .npy or .parquet"
            )
        found.update(zip(ids, np.array(rows, np.float32), strict=True))

    yield add
    path.write_bytes(save(found))


@contextlib.contextmanager
def _hdf5(path: Path, dim: int) -> Iterator[Add]:
    h5py = library_for(path)
    with h5py.File(path, "w") as file:
        vectors = file.create_dataset("vectors", (0, dim), "<f4", maxshape=(None, dim), chunks=(1024, dim))
        names = file.create_dataset("ids", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(1024,))

        def add(ids: Sequence[str], rows: np.ndarray) -> None:
            start = len(names)
            for dataset, values in ((vectors, rows), (names, list(ids))):
                dataset.resize(start + len(ids), axis=0)
                dataset[start:] = values

        yield add


_WRITERS: dict[str, Callable[[Path, int], contextlib.AbstractContextManager[Add]]] = {
    ".npz": _npz,
    ".parquet": _parquet,
    ".csv": lambda path, dim: _delimited(path, dim, ","),
    ".tsv": lambda path, dim: _delimited(path, dim, "\t"),
    ".ark": _ark,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
}
