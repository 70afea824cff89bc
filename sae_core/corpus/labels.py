"""Tables of labels become rows: every column gets its role, its values one spelling; what is left out is named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sae_core.corpus.columns import CHANNEL_WORDS, DECIMAL_COMMA, MS_NAMES, Roles, find_roles, key_of, shown
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import ROW_COLUMNS, SUBSET_COLUMN, Rows, TableHead
from sae_core.corpus.tables import REMEDY, RawTable, read_table_file
from sae_core.corpus.values import clean_text, genders_of, known, languages_of
from sae_core.files.errors import CorpusError

LAYOUT = """A CSV (comma, semicolon, tab or bar), Parquet or JSON table with a column of paths, known by its name
(`audio_path`, `file_name`, `path`, `wav` …) or by its values. docs/columns.md lists the names that are understood for
speakers, languages, genders, ages, starts, durations, channels and splits. Every further column describes clips: one of
text becomes an attribute, numbers stay in the clips table."""

N_HEAD, MAX_SHOWN = 5, 80
"""Rows of a table, and characters of a cell, that are shown to people."""
MAX_COLUMNS = 200
"""So many further columns are kept; of a table with more, the first."""
# A number as people write it; 007 is a name, and so is one with more digits than a float holds.
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,14})?(\.\d+)?(?<=\d)\.?([eE][+-]?\d{1,3})?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_TIMES = ("start_s", "duration_s", "end_s")


@dataclass(frozen=True)
class Choices:
    """What people say of a table: role → the column that plays it, None where none does."""

    columns: Mapping[str, str | None] = field(default_factory=dict)


NO_CHOICES = Choices()


def read(path: Path, index: NameIndex | None = None, *, choices: Choices = NO_CHOICES) -> Rows:
    """The rows of a table under the names of `ROW_COLUMNS`, null where nothing is known; `index` are the recordings
    that are there.

    CorpusError when it cannot be read as a table, or names no recordings.
    """
    return rows_of(read_table_file(path, index), path, index=index, choices=choices)


def rows_of(
    raw: RawTable, path: Path, *, index: NameIndex | None = None, choices: Choices = NO_CHOICES
) -> Rows:
    """The rows of a table that was read from `path`; CorpusError when it names no recordings."""
    roles = choose_roles(raw, path, index, choices)
    if "audio_path" not in roles.columns:
        columns = list(raw.frame.columns)
        has = f"it has {shown(columns, 12)}" if columns else "it is empty"
        raise CorpusError(f"has no column that names the recordings ({has})", where=path, remedy=REMEDY)
    table, plain = _described(raw, roles)
    others = [name for name in table.columns if name not in ROW_COLUMNS]
    dropped = others[MAX_COLUMNS:]
    notices = [*raw.notices, *(f"{path.name}: {notice}" for notice in roles.notices)]
    if dropped:
        notices.append(
            f"{path.name} has {len(raw.frame.columns):,} columns; the first {MAX_COLUMNS} are kept"
        )
    sources = {
        role: f"column {column!r}" + ("" if raw.has_header else f" of {path.name}, which has no header")
        for role, column in roles.columns.items()
    }
    return Rows(
        table.drop(columns=dropped),
        path,
        raw.unit,
        raw.unread,
        sources=sources,
        left_out=raw.left_out,
        plain=frozenset(plain),
        notices=tuple(notices),
        head=_head(raw, roles, path),
    )


def _head(raw: RawTable, roles: Roles, path: Path) -> TableHead:
    rows = raw.frame.head(N_HEAD).astype("object")
    columns = {
        str(name): tuple("" if pd.isna(value) else str(value)[:MAX_SHOWN] for value in rows[name])
        for name in rows
    }
    return TableHead(path.name, columns, roles.by_column)


def choose_roles(raw: RawTable, path: Path, index: NameIndex | None, choices: Choices) -> Roles:
    """The role of each column, as people say, else as names and values do; CorpusError where one is not there."""
    for role, column in choices.columns.items():
        if column is not None and column not in raw.frame.columns:
            raise CorpusError(
                f"has no column {column!r} to take for {role}",
                where=path,
                remedy=f"choose among {shown(list(raw.frame.columns), 12)}",
            )
    asked = {role: column for role, column in choices.columns.items() if column is not None}
    free = raw.frame.drop(columns=list(asked.values()))
    found = find_roles(free, index)
    kept = {role: column for role, column in found.columns.items() if role not in choices.columns}
    notices = () if "speaker_id" in choices.columns else found.notices
    if not raw.has_header:
        kept |= {
            role: column for role, column in _by_values(free, kept).items() if role not in choices.columns
        }
    return Roles(kept | asked, notices)


def _by_values(frame: pd.DataFrame, found: Mapping[str, str]) -> dict[str, str]:
    """The roles of columns without names: a speaker is part of the path, a gender or language is one in every row."""
    from sae_core.corpus.languages import is_language
    from sae_core.corpus.names import plain_path
    from sae_core.corpus.values import gender_of

    roles: dict[str, str] = {}
    path = found.get("audio_path")
    if path is None:
        return roles
    parts = [set(re.split(r"[/_\-.]", plain_path(str(value)))) for value in frame[path]]
    for name in frame.columns:
        values = known(frame[name])
        distinct = values.dropna().unique()
        if name == path or not len(distinct):
            continue
        is_part = [value in part for value, part in zip(values, parts, strict=True)]
        if "gender" not in roles and all(gender_of(value) for value in distinct):
            roles["gender"] = str(name)
        elif "language" not in roles and all(is_language(value) for value in distinct):
            roles["language"] = str(name)
        elif "speaker_id" not in roles and sum(is_part) > 0.9 * len(is_part):
            roles["speaker_id"] = str(name)
        elif "transcript" not in roles and len(distinct) > 0.5 * len(values):
            roles["transcript"] = str(name)
    return roles


def _described(raw: RawTable, roles: Roles) -> tuple[pd.DataFrame, list[str]]:
    """The table under its roles' names, and the columns that are no attributes."""
    role_of, frame = roles.by_column, raw.frame
    reserved = {*ROW_COLUMNS, "end_s", SUBSET_COLUMN, *role_of.values()}
    columns: dict[str, pd.Series] = {}
    plain: list[str] = []
    for name in map(str, frame.columns):
        role = role_of.get(name)
        if role in _TIMES:
            columns[role] = _seconds(frame[name], is_ms=MS_NAMES.search(key_of(name)) is not None)
        elif role == "audio_channel":
            columns[role] = _channels(frame[name])
        elif role == "language":
            columns |= {str(tag): values for tag, values in languages_of(frame[name]).items()}
        elif role == "gender":
            columns[role] = genders_of(frame[name])
        elif role == "audio_path":
            columns[role] = _paths(frame[name])
        elif role in ("clip_id", "speaker_id", "split"):
            columns[role] = known(frame[name])
        else:
            own = _free(role if role in ("age", "accent") else name, columns, reserved)
            columns[own] = _value(frame[name], raw, name)
            plain += [own] if role == "transcript" else []
    table = pd.DataFrame(columns, index=frame.index)
    if "end_s" in table:
        table = _with_durations(table)
    return table, plain


def _free(name: str, columns: Mapping[str, pd.Series], reserved: set[str]) -> str:
    """A name for a column that is no other's: one called as a role that another column plays gets an underscore."""
    clean = clean_text(name)[:100] or "column"
    if clean == SUBSET_COLUMN and clean not in columns:
        return clean
    while (clean in columns or clean in reserved) and clean not in ("age", "accent"):
        clean += "_"
    return clean


def _paths(column: pd.Series) -> pd.Series:
    texts = {
        value: str(value).encode("utf-8", "replace").decode().strip() for value in column.dropna().unique()
    }
    return column.map({value: text or None for value, text in texts.items()}).astype("str")


def _value(column: pd.Series, raw: RawTable, name: str) -> pd.Series:
    """A column that describes clips: numbers where the file or every value of it says so, else text."""
    texts = known(column)
    values = texts.dropna()
    is_number = name in raw.numbers or (name not in raw.typed and _are_numbers(values))
    if is_number and len(values):
        return pd.to_numeric(texts, errors="coerce")
    if len(values) and values.str.lower().isin(["true", "false"]).all():
        return texts.str.lower()
    return texts


def _are_numbers(values: pd.Series) -> bool:
    """Whether every text is a number, and none an id: `1.1` beside `1.10` are ids, `0.50` beside `1.25` numbers."""
    distinct = [str(value) for value in values.unique()]
    if not all(_NUMBER.fullmatch(text) for text in distinct):
        return False
    decimals = [text.partition(".")[2] for text in distinct if "." in text and "e" not in text.lower()]
    has_zero = any(part.endswith("0") and part != "0" for part in decimals)
    return not has_zero or len({len(part) for part in decimals}) == 1


def _seconds(column: pd.Series, *, is_ms: bool) -> pd.Series:
    """Times in seconds; what is no number stays as it is, to be named."""
    texts = known(column)
    seconds = {text: _second(text, is_ms=is_ms) for text in texts.dropna().unique()}
    values = texts.astype("object").map(seconds)
    return values.astype("float64") if all(isinstance(value, float) for value in seconds.values()) else values


def _second(text: str, *, is_ms: bool) -> float | str:
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, rest = clock.groups()
        return 3600.0 * int(hours or 0) + 60 * int(minutes) + float(rest.replace(",", "."))
    text = DECIMAL_COMMA.sub(r"\1.\2", text)
    try:
        value = float(text[:400])
    except ValueError:
        return text[:40]
    return value / 1000 if is_ms else value


def _channels(column: pd.Series) -> pd.Series:
    texts = known(column)
    return texts.map({text: CHANNEL_WORDS.get(text.casefold(), text) for text in texts.dropna().unique()})


def _with_durations(table: pd.DataFrame) -> pd.DataFrame:
    """The table with durations for ends, where it has none; a row whose end is no number keeps it, to be named."""
    start = pd.to_numeric(table["start_s"], errors="coerce") if "start_s" in table else 0.0
    ends = pd.to_numeric(table["end_s"], errors="coerce")
    durations = (ends - start).astype("object").where(ends.notna() | table["end_s"].isna(), table["end_s"])
    given = table["duration_s"] if "duration_s" in table else pd.Series(None, table.index, dtype="object")
    return table.drop(columns="end_s").assign(
        duration_s=given.astype("object").where(given.notna(), durations)
    )
