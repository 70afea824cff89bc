"""Tables of any kind as text: CSV in its dialects, Parquet, JSON; what each column means is decided elsewhere.

Everything is text until its role is known, so that ids keep every character. A row or column that cannot be read is
left out and named; the whole is refused only where nothing sensible is left.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sae_core.corpus.delimited import read_delimited
from sae_core.corpus.json_tables import read_json_table
from sae_core.corpus.names import NameIndex
from sae_core.corpus.texts import read_text
from sae_core.files.errors import CorpusError

REMEDY = "give a CSV, Parquet or JSON-lines file with a column that names the recordings, such as audio_path"
MAX_NAME_LENGTH = 100
_PARQUET, _ZIP, _OLE = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class RawTable:
    """A table as it was found.

    frame: text or null, a column by name; the index counts lines or rows of the file. unit: what it counts.
    has_header: whether the file names its columns. typed: columns of text that the file itself calls text, and
    numbers: those that it calls numbers; others may be either. left_out: column → why it is not in `frame`.
    unread: (place, reason) of rows that are not. notices: what else there is to say.
    """

    frame: pd.DataFrame
    unit: str = "line"
    has_header: bool = True
    typed: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    left_out: dict[str, str] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()


def read_table_file(path: Path, index: NameIndex | None = None) -> RawTable:
    """The table in a file, its kind told by its content; `index` of recordings is evidence where there is a doubt.

    CorpusError where it is no table.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise CorpusError(
            f"cannot be read ({error.strerror})", where=path, remedy="check the path of --labels"
        ) from error
    if head[:4] == _PARQUET:
        return _read_parquet(path)
    if head[:4] in (_ZIP, _OLE):
        raise CorpusError("is a spreadsheet or an archive", where=path, remedy="save its table as CSV")
    text = read_text(path, names=index.names if index is not None else (), remedy=REMEDY)
    notices = text.notice(path.name)
    if text.text.lstrip()[:1] in ("{", "["):
        columns = read_json_table(text, path)
        frame = pd.DataFrame(columns.values, index=columns.numbers, dtype="object")
        return RawTable(
            frame,
            columns.unit,
            True,
            columns.texts,
            columns.numeric,
            columns.left_out,
            columns.unread,
            notices,
        )
    grid = read_delimited(text.lines, path, is_recording=_is_in(index))
    frame = pd.DataFrame(grid.records, columns=_distinct(grid.header), index=grid.numbers, dtype="object")
    frame = frame.loc[:, [name != "" for name in grid.header]]  # pandas writes its index without a name
    return RawTable(frame, "line", grid.has_header, unread=grid.unread, notices=(*notices, *grid.notices))


def _is_in(index: NameIndex | None) -> Callable[[str], bool]:
    return (lambda text: index.find(text) is not None) if index is not None else (lambda _: False)


def _distinct(header: Iterable[str]) -> list[str]:
    """Names of columns, one that comes again with its number."""
    seen: dict[str, int] = {}
    names = []
    for name in header:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 or not name else f"{name} {seen[name]}")
    return names


def _read_parquet(path: Path) -> RawTable:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            left_out = {name: why for name in schema.names if (why := _why_not(schema.field(name).type))}
            table = file.read(columns=[name for name in schema.names if name not in left_out])
            nested = {
                name for name in table.column_names if pa.types.is_struct(table.schema.field(name).type)
            }
            table = table.flatten() if nested else table
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise CorpusError(f"is not a readable Parquet table ({error})", where=path, remedy=REMEDY) from error
    columns: dict[str, list[str | None]] = {}
    numbers: set[str] = set()
    typed: set[str] = set()
    for name, column in zip(_distinct(table.column_names), table.columns, strict=True):
        why = "" if pa.types.is_primitive(column.type) or _is_text(column.type) else _why_not(column.type)
        if why or pa.types.is_struct(column.type):
            left_out[name] = why or "holds records inside records"
            continue
        (numbers if _is_number(column.type) else typed).add(name)
        columns[name] = _as_text(column)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(1, len(table) + 1), dtype="object")
    return RawTable(frame, "row", True, frozenset(typed), frozenset(numbers), left_out)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _why_not(kind: pa.DataType) -> str:
    """Why a column of this type is left out; empty where it is not."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "holds bytes; sounds inside a table are not unpacked, save them as files beside it"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return "holds lists"
    if pa.types.is_fixed_size_list(kind) or pa.types.is_union(kind):
        return "holds lists"
    return ""


def _as_text(column: pa.ChunkedArray) -> list[str | None]:
    """A column as people would write it: whole numbers with gaps without a point, `true` and `false`."""
    if pa.types.is_floating(column.type):
        return [
            None if value is None or math.isnan(value) else _number(value) for value in column.to_pylist()
        ]
    if pa.types.is_boolean(column.type):
        return [None if value is None else str(value).lower() for value in column.to_pylist()]
    return [None if value is None else str(value) for value in column.to_pylist()]


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
