"""Tables of corpora with millions of lines: separated by tabs, no quotes, read column by column."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from sae_core.corpus.texts import decode, read_text
from sae_core.files.errors import CorpusError

REMEDY = "unpack the corpus again, take that file out, or import with --layout folder"
_HEAD_BYTES = 1024 * 1024
_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class TextTable:
    """table: the lines as text, null where empty. unread: (place, reason) of lines with another number of values."""

    table: pd.DataFrame
    unread: tuple[tuple[str, str], ...]


def read_text_table(
    path: Path, *, needed: Sequence[str], wanted: Sequence[str] = (), has_header: bool = True
) -> TextTable:
    """The `needed` columns of a table and those of `wanted` that it has, all as text.

    Without a header `needed` names all columns, in their order. Quotes are plain characters. CorpusError when the file
    cannot be read, or has other columns.
    """
    header = _first_line(path)
    if has_header:
        missing = [name for name in needed if name not in header]
        if missing:
            raise CorpusError(
                f"lacks the columns {', '.join(missing)}; its first line has {_shown(header)}",
                where=path,
                remedy=REMEDY,
            )
        columns = [*needed, *(name for name in wanted if name in header)]
    elif header and len(header) != len(needed):
        raise CorpusError(
            f"has {len(header)} columns, and {len(needed)} were expected ({', '.join(needed)}); "
            f"its first line has {_shown(header)}",
            where=path,
            remedy=REMEDY,
        )
    else:
        columns = list(needed)
    if not header:
        return TextTable(pd.DataFrame(columns=columns, dtype="str"), ())
    names = list(header) if has_header else columns
    found, unread = _read(path, names, columns, skips_first=has_header)
    return TextTable(found, unread)


def _read(
    path: Path, names: list[str], columns: list[str], *, skips_first: bool
) -> tuple[pd.DataFrame, tuple[tuple[str, str], ...]]:
    unread: list[tuple[str, str]] = []

    def pass_over(row: pa.csv.InvalidRow) -> str:
        unread.append(
            (f"{path.name} line {row.number}", f"has {row.actual_columns} values, not {row.expected_columns}")
        )
        return "skip"

    try:
        table = pa.csv.read_csv(
            _as_utf8(path),
            pa.csv.ReadOptions(
                column_names=names, skip_rows=int(skips_first), use_threads=False, block_size=_BLOCK_BYTES
            ),
            pa.csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=pass_over),
            pa.csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"cannot be read as a table ({error})", where=path, remedy=REMEDY) from error
    return table.to_pandas().astype("str"), tuple(unread)


def _as_utf8(path: Path) -> Path | io.BytesIO:
    """The file itself where its beginning is UTF-8, as it nearly always is; else its text, decoded, as UTF-8."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    found = decode(head[: head.rfind(b"\n") + 1])
    return path if found is not None and not found.encoding else io.BytesIO(read_text(path).text.encode())


def _first_line(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise CorpusError(f"cannot be read ({error.strerror})", where=path, remedy=REMEDY) from error
    found = decode(head if len(head) < _HEAD_BYTES else head[: head.rfind(b"\n") + 1])
    if found is None:
        raise CorpusError("cannot be read (it is no text)", where=path, remedy=REMEDY)
    line = found.lines[0] if found.lines else ""
    return [name.strip() for name in line.split("\t")] if line else []


def _shown(values: Sequence[str]) -> str:
    return ", ".join(repr(value[:40]) for value in values[:12]) if values else "nothing"
