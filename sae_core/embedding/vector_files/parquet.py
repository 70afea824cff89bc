"""Parquet: a column of ids and a column of lists, or columns of numbers, read batch by batch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sae_core.corpus.columns import shown
from sae_core.embedding.vector_files.pieces import (
    MAX_DIM,
    MAX_VECTORS,
    PIECE_BYTES,
    Piece,
    as_ids,
    id_column,
    ragged,
    read_ids,
    refuse,
)

_BATCH_ROWS = 4096


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; `ids` may name the column of ids. A missing vector is a row of NaN, to be listed."""
    waiting, dim = list[list[str]](), 0  # batches without any vector, until it is known how long vectors are
    for names, rows in _batches(path, ids):
        if rows is None and not dim:
            waiting.append(names)
            continue
        dim = dim if rows is None else rows.shape[1]
        for before in waiting:
            yield before, np.full((len(before), dim), np.nan)
        waiting = []
        yield names, np.full((len(names), dim), np.nan) if rows is None else rows
    if waiting:
        raise refuse(path, "holds no vectors")


def _batches(path: Path, ids: str | Path | None) -> Iterator[tuple[list[str], np.ndarray | None]]:
    """Ids and vectors batch by batch; None for a batch in which all vectors are missing."""
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows > MAX_VECTORS:
            raise refuse(path, f"holds {file.metadata.num_rows:,} rows; at most {MAX_VECTORS:,} are read")
        schema = file.schema_arrow
        is_beside = ids is not None and str(ids) not in schema.names and Path(ids).is_file()
        column = None if is_beside else _ids_column(schema, ids, path)
        columns = _vector_columns(schema, column, path)
        beside = read_ids(ids, path)[0] if is_beside else []
        if is_beside and len(beside) != file.metadata.num_rows:
            raise refuse(
                path,
                f"holds {file.metadata.num_rows:,} rows, and there are {len(beside):,} ids",
                remedy="give as many ids as rows, in the same order",
            )
        wanted = [*([] if column is None else [column]), *columns]
        n_done = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            n = len(batch)
            names = beside[n_done : n_done + n] if column is None else _texts(batch.column(column))
            n_done += n
            yield names, _rows(batch, columns, names, path)


def _ids_column(schema: pa.Schema, ids: str | Path | None, path: Path) -> str:
    if ids is not None and str(ids) not in schema.names:
        raise refuse(
            path, f"has no column {str(ids)!r} (it has {shown(schema.names, 12)})", remedy="check --ids"
        )
    plain = [field.name for field in schema if _may_be_ids(field.type)]
    texts = [name for name in plain if not pa.types.is_integer(schema.field(name).type)]
    found = str(ids) if ids is not None else id_column(plain) or (texts[0] if len(texts) == 1 else None)
    if found is None:
        raise refuse(
            path,
            f"has no column of ids that is known by its name (it has {shown(schema.names, 12)})",
            remedy="name the column with --ids COLUMN",
        )
    return found


def _may_be_ids(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return bool(is_text or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and pa.types.is_floating(kind.value_type))


def _vector_columns(schema: pa.Schema, ids: str | None, path: Path) -> list[str]:
    """The one column of lists, else the columns of numbers."""
    lists = [field.name for field in schema if _is_list(field.type)]
    if len(lists) > 1:
        raise refuse(path, f"has {len(lists)} columns of lists ({shown(lists)})", remedy="keep one of them")
    numbers = [field.name for field in schema if pa.types.is_floating(field.type) and field.name != ids]
    if not lists and not 2 <= len(numbers) <= MAX_DIM:
        raise refuse(path, f"has no column of lists of numbers (it has {shown(schema.names, 12)})")
    return lists or numbers


def _texts(column: pa.Array) -> list[str]:
    return ["" if value is None else as_ids([value])[0] for value in column.to_pylist()]


def _rows(batch: pa.RecordBatch, columns: list[str], names: list[str], path: Path) -> np.ndarray | None:
    """The vectors of a batch, NaN where one is missing; None where all are."""
    if len(columns) > 1 or not _is_list(batch.schema.field(columns[0]).type):
        return np.column_stack([_numbers(batch.column(name)) for name in columns])
    column = batch.column(columns[0])
    lengths = column.value_lengths().to_numpy(zero_copy_only=False) if len(column) else np.zeros(0)
    known = np.flatnonzero(
        ~np.isnan(lengths.astype(np.float64)) & column.is_valid().to_numpy(zero_copy_only=False)
    )
    if not len(known):
        return None
    dim = int(lengths[known[0]])
    odd = known[lengths[known] != dim]
    if len(odd):
        raise ragged(path, names[odd[0]], int(lengths[odd[0]]), dim)
    if dim * len(column) * 8 > 64 * PIECE_BYTES:
        raise refuse(path, f"has vectors of {dim:,} numbers; at most {MAX_DIM:,} can be used")
    values = _numbers(column.drop_null().flatten())
    rows = np.full((len(column), dim), np.nan, values.dtype)
    rows[known] = values.reshape(len(known), dim)
    return rows


def _numbers(column: pa.Array) -> np.ndarray:
    """Numbers, NaN where there is none."""
    return np.asarray(column.to_numpy(zero_copy_only=False))
