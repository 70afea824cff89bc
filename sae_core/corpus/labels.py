"""Label files: CSV (comma, semicolon or tab), Parquet, or JSON lines as in NeMo manifests, told apart by content."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sae_core.corpus.rows import Rows
from sae_core.files.errors import CorpusError

LAYOUT = """A CSV, Parquet or JSON-lines file with a column `audio_path` (or `audio_filepath`, `path`, `file`), relative
to the folder of recordings or to the label file. Understood besides: `clip_id`; `start_s` or `offset`; `duration_s` or
`duration`; `speaker_id`, `speaker` or `label`; `split`; `audio_channel`. Every further column describes clips: one of
text becomes an attribute, numbers stay in the clips table."""

ALIASES = {
    "audio_path": ("audio_path", "audio_filepath", "path", "file"),
    "clip_id": ("clip_id",),
    "start_s": ("start_s", "offset"),
    "duration_s": ("duration_s", "duration"),
    "audio_channel": ("audio_channel",),
    "speaker_id": ("speaker_id", "speaker", "label"),
    "split": ("split",),
}
TEXT_COLUMNS = ("audio_path", "clip_id", "speaker_id", "split")
REMEDY = "give a CSV, Parquet or JSON-lines file with a column audio_path (or audio_filepath)"
# A number as people write it; 007 is a name, and so is one with more digits than a float holds.
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,14})?(\.\d+)?(?<=\d)\.?([eE][+-]?\d+)?")


def read(path: Path) -> Rows:
    """The rows of a label file under the names of `ROW_COLUMNS`, labels stripped of blanks and null where empty.

    CorpusError when it cannot be read as one of the three kinds, or names no recordings.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise CorpusError(
            f"cannot be read ({error.strerror})", where=path, remedy="check the path of --labels"
        ) from error
    if head[:4] == b"PAR1":
        rows = Rows(_read_parquet(path), path)
    elif head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        rows = Rows(_read_json_lines(path), path, "line")
    else:
        rows = Rows(_read_csv(path), path, "line")
    table = _rename(rows.table, path)
    tidy = {name: _tidy(table[name], is_text=name in TEXT_COLUMNS) for name in table.columns}
    return Rows(pd.DataFrame(tidy, index=table.index), path, rows.unit)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"is not a readable Parquet table ({error})", where=path, remedy=REMEDY) from error
    return table.set_index(pd.RangeIndex(1, len(table) + 1))


def _read_json_lines(path: Path) -> pd.DataFrame:
    records, numbers, damaged = [], [], []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
            numbers.append(number)
        else:
            damaged.append(number)
    if damaged:
        raise Rows(pd.DataFrame(), path, "line").refuse(
            "holds text that is no JSON object", damaged, "write one object a line"
        )
    return pd.DataFrame.from_records(records, index=numbers)


def _read_csv(path: Path) -> pd.DataFrame:
    lines = _lines(path)
    delimiter = max("\t;,", key=lines[0].count) if lines else ","
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    records, numbers, ragged = [], [], []
    try:
        header = [name.strip() for name in next(reader, [])]
        for record in reader:
            if record and len(record) != len(header):
                ragged.append(reader.line_num)
            elif record:
                records.append(record)
                numbers.append(reader.line_num)
    except csv.Error as error:
        raise CorpusError(
            f"is not readable as CSV at line {reader.line_num} ({error})", where=path, remedy=REMEDY
        ) from error
    if ragged:
        raise Rows(pd.DataFrame(), path, "line").refuse(
            f"has not {len(header)} values, as its first line has", ragged, "put values with commas in quotes"
        )
    table = pd.DataFrame(records, columns=header, index=numbers, dtype="object")
    table = table.loc[:, [name != "" for name in header]]  # pandas writes its index without a name
    return table.apply(_numbers_of) if len(table) else table


def _numbers_of(column: pd.Series) -> pd.Series:
    """The column as numbers where every value in it is one, else as it is."""
    texts = column.str.strip()
    known = texts[texts != ""]
    if not len(known) or not all(_NUMBER.fullmatch(text) for text in known):
        return column
    return pd.to_numeric(texts.where(texts != "", None))


def _lines(path: Path) -> list[str]:
    """The lines of a text file with their ends, which may be part of a value in quotes."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(stream)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"is not UTF-8 text (byte {error.start})", where=path, remedy="save it as UTF-8, or " + REMEDY
        ) from error


def _rename(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with the first column that plays each role under that role's name; CorpusError without recordings."""
    table = table.set_axis([str(name).strip() for name in table.columns], axis="columns")
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise CorpusError(
            f"has more than one column {repeated[0]!r}", where=path, remedy="rename one of them"
        )
    by_name = {name.lower(): name for name in reversed(table.columns)}
    roles = {
        by_name[alias]: role
        for role, aliases in ALIASES.items()
        for alias in [next((alias for alias in aliases if alias in by_name), None)]
        if alias is not None
    }
    if "audio_path" not in roles.values():
        has = f"it has {', '.join(map(repr, table.columns[:12]))}" if len(table.columns) else "it is empty"
        raise CorpusError(f"has no column that names the recordings ({has})", where=path, remedy=REMEDY)
    renamed = table.rename(columns=roles)
    clash = renamed.columns[renamed.columns.duplicated()]
    if len(clash):
        raise CorpusError(f"has more than one column {clash[0]!r}", where=path, remedy="rename one of them")
    return renamed


def _tidy(column: pd.Series, *, is_text: bool) -> pd.Series:
    """Numbers as they are, anything else as text: stripped, null where empty, `true` and `false` in lower case."""
    if not is_text and pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column
    texts = pd.Series([_text(value) for value in column], index=column.index, dtype="str")
    known = texts.dropna()
    if is_text or not len(known):
        return texts
    if known.str.lower().isin(["true", "false"]).all():
        return texts.str.lower()
    return texts


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps is read as floats
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value).strip().encode("utf-8", "backslashreplace").decode() or None
