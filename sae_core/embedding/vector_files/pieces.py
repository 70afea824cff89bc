"""What readers of vectors share: pieces of rows, ids from a file beside them, and how a file is refused."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sae_core.corpus.columns import ROLE_NAMES, key_of, shown
from sae_core.corpus.tables import RawTable, read_table_file
from sae_core.files.errors import CorpusError

Piece: TypeAlias = tuple[list[str], np.ndarray]
PIECE_BYTES = 16 * 1024 * 1024
MAX_VECTORS = 10_000_000
MAX_DIM = 16_384
MAX_IDS_BYTES = 1024**3
MAX_ID_CHARS = 1_000
TABLE_SUFFIXES = (".csv", ".tsv", ".psv", ".parquet", ".json", ".jsonl")
REMEDY = (
    "bring .npy, .npz, Parquet, CSV, Kaldi ark or scp, safetensors or HDF5; see docs/how-to/own-vectors.md"
)


def refuse(path: Path, what: str, *, remedy: str = REMEDY) -> CorpusError:
    """What to raise where a file of vectors cannot be used."""
    return CorpusError(what, where=path, remedy=remedy)


def check_kind(dtype: np.dtype, path: Path, *, name: str = "") -> None:
    """CorpusError where numbers are not float16, float32 or float64."""
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        kind = "objects, which would have to be unpickled" if dtype.hasobject else str(dtype)
        raise refuse(path, f"holds {kind}{f' in {name}' if name else ''}, not float16, float32 or float64")


def check_shape(shape: Sequence[int], path: Path) -> None:
    """CorpusError where n×d vectors are not n rows of 2 to `MAX_DIM` numbers, or are too many."""
    if len(shape) != 2:
        words = "×".join(map(str, shape)) or "a single number"
        raise refuse(path, f"holds an array of {words}, not of n vectors by d numbers")
    n, dim = shape
    if dim < 2 or dim > MAX_DIM:
        raise refuse(path, f"has vectors of {dim:,} numbers; from 2 to {MAX_DIM:,} can be used")
    if n > MAX_VECTORS:
        raise refuse(path, f"holds {n:,} vectors; at most {MAX_VECTORS:,} are read")
    if not n:
        raise refuse(path, "holds no vectors")


def rows_in_pieces(array: Any, ids: Sequence[str], path: Path, *, whose: str) -> Iterator[Piece]:
    """The rows of an array, or of anything that is cut like one, with their ids; `whose` ids they are, in words."""
    check_shape(array.shape, path)
    n, dim = array.shape
    if len(ids) != n:
        raise refuse(
            path,
            f"holds {n:,} vectors, and there are {len(ids):,} ids in {whose}",
            remedy="give as many ids as vectors, in the same order",
        )
    n_each = max(1, PIECE_BYTES // (8 * dim))
    for start in range(0, n, n_each):
        yield list(ids[start : start + n_each]), np.asarray(array[start : min(n, start + n_each)])


def one_by_one(vectors: Iterator[tuple[str, np.ndarray]], path: Path) -> Iterator[Piece]:
    """Vectors that come singly, gathered to pieces; CorpusError where one has another length than the first."""
    names: list[str] = []
    rows: list[np.ndarray] = []
    dim, n_bytes = None, 0
    for name, vector in vectors:
        flat = vector.reshape(-1) if 1 in vector.shape[:1] else vector
        if flat.ndim != 1:
            words = "×".join(map(str, vector.shape))
            raise refuse(path, f"holds an array of {words} under {name!r}, not one vector")
        dim = len(flat) if dim is None else dim
        if len(flat) != dim:
            raise ragged(path, name, len(flat), dim)
        names.append(name)
        rows.append(flat)
        n_bytes += flat.nbytes
        if n_bytes >= PIECE_BYTES:
            yield names, np.stack(rows)
            names, rows, n_bytes = [], [], 0
    if names:
        yield names, np.stack(rows)


def ragged(path: Path, name: str, n: int, dim: int) -> CorpusError:
    """What to raise where a vector has another length than those before it."""
    return refuse(
        path,
        f"has vectors of different lengths: {n:,} numbers under {name!r}, {dim:,} before it",
        remedy="bring vectors of one encoder",
    )


def read_ids(ids: str | Path | None, path: Path) -> tuple[list[str], str]:
    """The ids in a file, one a line or in a column of a table, and what the file is called."""
    if ids is None:
        raise refuse(
            path, "says nothing of which clip each vector is", remedy="name a file of ids with --ids FILE"
        )
    file = Path(ids)
    if not file.is_file():
        raise CorpusError("is no file of ids", where=file, remedy="check the path of --ids")
    if file.stat().st_size > MAX_IDS_BYTES:
        raise CorpusError("is too large for a file of ids", where=file, remedy="give one id a line")
    if file.suffix.lower() in TABLE_SUFFIXES:
        return ids_of_table(read_table_file(file), file), file.name
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError("is not UTF-8 text", where=file, remedy="give one id a line, in UTF-8") from error
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.strip() for line in lines], file.name


def ids_of_table(raw: RawTable, file: Path) -> list[str]:
    """The column of ids of a table: its only one, else the one whose name says so."""
    columns = [str(name) for name in raw.frame.columns]
    column = columns[0] if len(columns) == 1 else id_column(columns)
    if column is None:
        raise CorpusError(
            f"has no column of ids that is known by its name (it has {shown(columns, 12)})",
            where=file,
            remedy="call the column clip_id, or give a file with one id a line",
        )
    values = raw.frame[column].tolist()
    if not raw.has_header and len(columns) == 1:
        return [str(value) for value in values]
    return ["" if value is None else str(value).strip() for value in values]


def id_column(columns: Sequence[str]) -> str | None:
    """The column that is called as ids of clips or names of recordings are."""
    keys = {key_of(name): name for name in reversed(columns)}
    called = (*ROLE_NAMES["clip_id"], *ROLE_NAMES["audio_path"])
    return next((keys[key_of(name)] for name in called if key_of(name) in keys), None)


def as_ids(values: np.ndarray | Sequence[Any]) -> list[str]:
    """Ids as text, from arrays of text, bytes or whole numbers."""
    found = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in found]
