"""JSON as tables: an object a line, one list of objects, or one object of records by their id."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sae_core.corpus.texts import Text
from sae_core.files.errors import CorpusError

REMEDY = "write one object a line, each with the path of a recording"
MAX_DAMAGED = 0.5
_KEY = "id"
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


class _Number(str):
    """A number as it was written: `1.10` is not `1.1`, and 5,000 digits are no error."""

    __slots__ = ()


@dataclass(frozen=True)
class JsonTable:
    """values: column → text or null a record. numbers: of each record in the file, in `unit`s. texts, numeric: columns
    that hold strings only, and numbers only. left_out: column → why. unread: (place, reason) of lines left out."""

    values: dict[str, list[str | None]]
    numbers: list[int]
    unit: str
    texts: frozenset[str]
    numeric: frozenset[str]
    left_out: dict[str, str] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()


def read_json_table(text: Text, path: Path) -> JsonTable:
    """The records of a JSON text as columns; CorpusError where there are none, or most of it is damaged."""
    lines = [(number, line) for number, line in enumerate(text.lines, start=1) if line.strip()]
    parsed = [(number, load_json(line)) for number, line in lines] if lines[0][1].lstrip()[:1] == "{" else []
    good = [(number, record) for number, record in parsed if isinstance(record, dict)]
    damaged = [number for number, record in parsed if not isinstance(record, dict)]
    if (
        good
        and not (len(good) == 1 and _inner_records(good[0][1]))
        and len(damaged) <= MAX_DAMAGED * len(parsed)
    ):
        unread = tuple((f"{path.name} line {number}", "is no JSON object") for number in damaged)
        return _as_columns([record for _, record in good], [number for number, _ in good], "line", unread)
    whole = load_json(text.text)
    records = _inner_records(whole)
    if records is None and isinstance(whole, dict):
        records = [whole]
    if records is None:
        raise _refuse(path, damaged)
    return _as_columns(records, list(range(1, len(records) + 1)), "record", ())


def _refuse(path: Path, damaged: list[int]) -> CorpusError:
    named = f" (lines {', '.join(map(str, damaged[:5]))})" if damaged else ""
    return CorpusError(f"holds text that is no JSON object{named}", where=path, remedy=REMEDY)


def load_json(text: str) -> Any:
    """What a JSON text says, numbers as they are written; None where it is none, or nested without end."""
    try:
        found = json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=lambda _: None)
        return _encodable(found) if _HALF.search(text) else found
    except (ValueError, RecursionError):
        return None


def _encodable(found: Any) -> Any:
    """The same with a question mark for every half of a character (a lone surrogate), which no file can hold."""
    if isinstance(found, dict):
        return {_encodable(key): _encodable(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_encodable(value) for value in found]
    if isinstance(found, str) and not isinstance(found, _Number):
        return found.encode("utf-8", "replace").decode("utf-8")
    return found


def _inner_records(whole: Any) -> list[dict[str, Any]] | None:
    """The records of a list, of a list inside an object, or of an object of records, whose keys become `id`."""
    if isinstance(whole, list):
        records = [record for record in whole if isinstance(record, dict)]
        return records if records and len(records) == len(whole) else None
    if not isinstance(whole, dict):
        return None
    for value in whole.values():
        if isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
            return value
    if len(whole) > 1 and all(isinstance(record, dict) for record in whole.values()):
        return [{_KEY: key, **record} for key, record in whole.items()]
    return None


def _as_columns(
    records: list[dict[str, Any]], numbers: list[int], unit: str, unread: tuple[tuple[str, str], ...]
) -> JsonTable:
    values: dict[str, list[str | None]] = {}
    kinds: dict[str, set[str]] = {}
    for place, record in enumerate(records):
        for name, value in _flat(record):
            if value is None:
                values.setdefault(name, [None] * len(records))
                continue
            values.setdefault(name, [None] * len(records))[place] = _text(value)
            kinds.setdefault(name, set()).add(_kind(value))
    left_out = {
        name: f"holds {'lists' if 'list' in found else 'records inside records'}"
        for name, found in kinds.items()
        if found & {"list", "record"}
    }
    kept = {name: column for name, column in values.items() if name not in left_out}
    texts = frozenset(name for name in kept if kinds.get(name, {"text"}) != {"number"})
    return JsonTable(kept, numbers, unit, texts, frozenset(kept) - texts, left_out, unread)


def _flat(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """The fields of a record, those of records inside it as `outer.inner`."""
    flat: list[tuple[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, dict) and value:
            flat += [(f"{name}.{inner}", part) for inner, part in value.items()]
        else:
            flat.append((str(name), value))
    return flat


def _kind(value: Any) -> str:
    if isinstance(value, _Number):
        return "number"
    return "list" if isinstance(value, list) else "record" if isinstance(value, dict) else "text"


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str) else None
