"""Lines with delimiters as tables: which delimiter, whether quotes are quotes, whether there is a header."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sae_core.corpus.columns import is_role_name
from sae_core.files.errors import CorpusError

REMEDY = "put values that hold a delimiter or a line break in quotes, or give a Parquet or JSON-lines file"
DELIMITERS = "\t;|,"
BLANKS = " "
MOST_BLANKS = 2
"""Blanks inside the last value of an aligned table."""
MAX_RAGGED = 0.5
_N_SAMPLED = 200
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[;,\t]*\s*', re.IGNORECASE)
_QUOTED = re.compile(r'\s*"(?:[^"]|"")*"\s*')
_AUDIO_NAME = re.compile(r".*\.(wav|flac|mp3|ogg|opus|m4a|aac|wma|webm|amr|aiff?|sph|au|mp4|3gp|caf)", re.I)

Record = list[str]


@dataclass(frozen=True)
class Grid:
    """header: a name a column, `column 1` … where the file has none. records: the values of each row that has one a
    column. numbers: the line of each. unread: (place, reason) of rows left out. notices: what there is to say."""

    header: list[str]
    records: list[Record]
    numbers: list[int]
    has_header: bool
    unread: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()


def read_delimited(lines: list[str], path: Path, *, is_recording: Callable[[str], bool]) -> Grid:
    """The rows of a text; `is_recording` says whether a value names one, as no header does.

    CorpusError where it is empty, its quotes do not close, or most rows have another number of values.
    """
    if not any(line.strip() for line in lines):
        raise CorpusError("is empty", where=path, remedy="give a table with a row for each recording")
    lines, delimiter = _take_mark(lines)
    delimiter = delimiter or find_delimiter(lines, is_recording)
    rows = list(_split(lines, delimiter, path))
    first = [_name(value) for value in rows[0][1]]
    has_header = not _is_data(first, is_recording)
    width = _width(rows, len(first)) if not has_header else len(first)
    header = first if has_header else [f"column {number + 1}" for number in range(width)]
    body = rows[1:] if has_header else rows
    if (
        has_header
        and body
        and _width(body, width) == width + 1
        and not any(row[-1].strip() for _, row in body)
    ):
        header = [*header, ""]  # every row ends with a delimiter
    elif has_header and body and _width(body, width) == width + 1:
        header = ["", *header]  # names of rows come without a name of their own
    return _fit(header, body, path, has_header=has_header, is_aligned=delimiter == BLANKS)


def _take_mark(lines: list[str]) -> tuple[list[str], str]:
    """The lines with a blank one for a line `sep=;`, which spreadsheets write before a table, and its delimiter."""
    first = next(number for number, line in enumerate(lines) if line.strip())
    found = _SEPARATOR.fullmatch(lines[first])
    if found is None or not any(line.strip() for line in lines[first + 1 :]):
        return lines, ""
    return ["" if number == first else line for number, line in enumerate(lines)], found[1]


def _fit(
    header: list[str], rows: list[tuple[int, Record]], path: Path, *, has_header: bool, is_aligned: bool
) -> Grid:
    """The rows with a value a column; closing empty ones do not count.

    is_aligned: columns stand below each other with blanks between: blanks in the last value, and a last value that is
    missing, are no fault of a few rows.
    """
    width = len(header)
    records, numbers, ragged = [], [], []
    for number, written in rows:
        is_mended = is_aligned and has_header and len(written) >= width - 1
        row = [*written[: width - 1], " ".join(written[width - 1 :])] if is_mended else written
        n_closing = len(row) - width
        if not any(value.strip() for value in row):
            continue
        if n_closing > 0 and not any(value.strip() for value in row[width:]):
            n_closing = 0
        if n_closing == 0:
            records.append(row[:width])
            numbers.append(number)
        else:
            ragged.append((number, len(row)))
    if len(ragged) > MAX_RAGGED * len(rows):
        named = ", ".join(str(number) for number, _ in ragged[:5])
        more = f" and {len(ragged) - 5} more" if len(ragged) > 5 else ""
        raise CorpusError(
            f"has not {width} values, as its first line has (lines {named}{more})", where=path, remedy=REMEDY
        )
    unread = tuple((f"{path.name} line {number}", f"has {n} values, not {width}") for number, n in ragged)
    return Grid(header, records, numbers, has_header, unread)


def _name(value: str) -> str:
    return " ".join(value.strip().lstrip("#").split())


def _is_data(first: Record, is_recording: Callable[[str], bool]) -> bool:
    """Whether a first row holds values and no names: one of them is a recording, or is called as one."""
    return any(
        (is_recording(value) and not is_role_name(value)) or _AUDIO_NAME.fullmatch(value) is not None
        for value in first
        if value
    )


def _width(rows: list[tuple[int, Record]], usual: int) -> int:
    return Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else usual


def find_delimiter(lines: list[str], is_recording: Callable[[str], bool]) -> str:
    """The delimiter that gives most lines one number of values; blanks where no other does, nothing where none does."""
    sample = [line for line in lines if line.strip()][:_N_SAMPLED]
    fits = {mark: _consistency(sample, mark) for mark in DELIMITERS if mark in sample[0]}
    if fits:
        named = {mark: _n_named(sample[:20], mark, is_recording) for mark in fits} if len(fits) > 1 else {}
        return max(fits, key=lambda mark: (named.get(mark, 0), fits[mark]))
    if any(is_recording(line.strip()) for line in sample[:20]):
        return ""
    widths = [len(line.split()) for line in sample]
    n_most = Counter(widths).most_common(1)[0]
    if n_most[0] > 1 and n_most[1] > 0.5 * len(sample):
        return BLANKS
    # aligned columns, the last of which holds blanks in some rows and nothing in others
    n_near = sum(-1 <= width - widths[0] <= MOST_BLANKS for width in widths)
    return BLANKS if widths[0] > MOST_BLANKS and n_near > 0.8 * len(sample) else ""


def _n_named(sample: list[str], mark: str, is_recording: Callable[[str], bool]) -> int:
    """How many of some lines hold a value that names a recording, split at a delimiter."""
    return sum(any(is_recording(value.strip(' "')) for value in line.split(mark)) for line in sample)


def _consistency(sample: list[str], mark: str) -> tuple[float, int]:
    """The fraction of lines with the most usual number of values, and that number."""
    try:
        widths = [len(row) for row in csv.reader(sample, delimiter=mark) if row]
    except csv.Error:
        widths = [line.count(mark) + 1 for line in sample]
    width, n = Counter(widths).most_common(1)[0]
    return round(n / len(widths), 2) if width > 1 else 0.0, width


def _split(lines: list[str], delimiter: str, path: Path) -> Iterator[tuple[int, Record]]:
    """(line, values) of every row that is not blank."""
    shown = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if delimiter in ("", BLANKS):
        yield from ((number, line.split() if delimiter else [line.strip()]) for number, line in shown)
        return
    plain = [(number, line.split(delimiter)) for number, line in shown]
    if not any('"' in line for _, line in shown):
        yield from plain
        return
    is_even = len({len(row) for _, row in plain}) == 1
    if delimiter in "\t|" and is_even:
        yield from _unquote(plain)
        return
    try:
        yield from _quoted(lines, delimiter)
    except csv.Error as error:
        if not is_even:
            raise CorpusError(
                f"is not readable as CSV at line {error.args[-1]} ({error.args[0]})",
                where=path,
                remedy=REMEDY,
            ) from error
        yield from _unquote(plain)


def _quoted(lines: list[str], delimiter: str) -> list[tuple[int, Record]]:
    """Rows whose quotes are quotes; csv.Error, with the line, where they do not close."""
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            if any(value.strip() for value in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise csv.Error(str(error), reader.line_num) from error
    return rows


def _unquote(rows: list[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """Rows split at every delimiter, without the quotes of columns in which every quote that opens also closes."""
    width = len(rows[0][1])
    for column in range(width):
        opened = [row[column] for _, row in rows if row[column].lstrip()[:1] == '"']
        if opened and all(_QUOTED.fullmatch(value) for value in opened):
            for _, row in rows:
                if row[column].lstrip()[:1] == '"':
                    row[column] = row[column].strip()[1:-1].replace('""', '"')
    return rows
