"""CSV and TSV: a column of ids and d columns of numbers, read block by block."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from sae_core.corpus.columns import shown
from sae_core.embedding.vector_files.pieces import (
    MAX_DIM,
    PIECE_BYTES,
    Piece,
    id_column,
    read_ids,
    refuse,
)

_DELIMITERS = ("\t", ",", ";", "|", " ")
_MAX_LINE_BYTES = PIECE_BYTES // 4


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:
    """See `read_vectors`; `ids` may name the column of ids. Columns of other text are passed over."""
    delimiter, header, first = _head(path)
    names = header or [f"column {number}" for number in range(1, len(first) + 1)]
    is_beside = ids is not None and str(ids) not in names and Path(ids).is_file()
    column = None if is_beside else _ids_column(names, first, ids, path)
    numbers = [name for name, value in zip(names, first, strict=True) if name != column and _is_number(value)]
    if not 2 <= len(numbers) <= MAX_DIM:
        raise refuse(path, f"has {len(numbers):,} columns of numbers; from 2 to {MAX_DIM:,} can be used")
    beside = read_ids(ids, path)[0] if is_beside else []
    types = {name: pa.float64() for name in numbers} | ({column: pa.string()} if column is not None else {})
    reader = pyarrow.csv.open_csv(
        path,
        pyarrow.csv.ReadOptions(
            column_names=names, skip_rows=1 if header else 0, block_size=_MAX_LINE_BYTES, use_threads=False
        ),
        pyarrow.csv.ParseOptions(delimiter=delimiter),
        pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=False
        ),
    )
    n_done = 0
    for batch in reader:
        rows = np.column_stack([batch.column(name).to_numpy(zero_copy_only=False) for name in numbers])
        own = beside[n_done : n_done + len(rows)] if column is None else batch.column(column).to_pylist()
        if len(own) != len(rows):
            raise refuse(
                path, f"holds more rows than the {len(beside):,} ids", remedy="give as many ids as rows"
            )
        n_done += len(rows)
        yield [str(name).strip() for name in own], rows
    if column is None and n_done != len(beside):
        raise refuse(
            path,
            f"holds {n_done:,} rows, and there are {len(beside):,} ids",
            remedy="give as many ids as rows",
        )


def _head(path: Path) -> tuple[str, list[str] | None, list[str]]:
    """What stands between cells, the names of columns where the first line holds some, and the first row."""
    with path.open("rb") as stream:
        lines = [stream.readline(_MAX_LINE_BYTES) for _ in range(2)]
    if any(len(line) >= _MAX_LINE_BYTES for line in lines):
        raise refuse(path, "has lines too long to be rows of numbers")
    texts = [line.decode("utf-8-sig").rstrip("\r\n") for line in lines]
    delimiter = next((mark for mark in _DELIMITERS if mark in texts[0]), None)
    if delimiter is None:
        raise refuse(path, "is no table of an id and numbers a line")
    first, second = (next(csv.reader([text], delimiter=delimiter), []) for text in texts)
    has_header = sum(map(_is_number, first)) < 2 and sum(map(_is_number, second)) >= 2
    if has_header and len(set(first)) < len(first):
        raise refuse(path, "has two columns of one name", remedy="give every column a name of its own")
    if has_header and len(first) != len(second):
        raise refuse(path, f"names {len(first):,} columns, and its first row has {len(second):,}",
                     remedy="give every row as many numbers as there are columns")  # fmt: skip
    return delimiter, (first if has_header else None), (second if has_header else first)


def _ids_column(names: list[str], first: list[str], ids: str | Path | None, path: Path) -> str:
    if ids is not None:
        if str(ids) in names:
            return str(ids)
        raise refuse(path, f"has no column {str(ids)!r} (it has {shown(names, 12)})", remedy="check --ids")
    texts = [name for name, value in zip(names, first, strict=True) if not _is_number(value)]
    found = id_column(names) or (texts[0] if len(texts) == 1 else None)
    if found is None:
        raise refuse(
            path,
            f"has no column of ids that is known by its name (it has {shown(names, 12)})",
            remedy="name the column with --ids COLUMN",
        )
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
