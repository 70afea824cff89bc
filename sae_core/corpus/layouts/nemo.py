"""NeMo manifests that lie in the folder of recordings: JSON, one object a line."""

import json
from pathlib import Path

import pandas as pd

from sae_core.corpus import labels as label_file
from sae_core.corpus.folders import Glimpse, glimpse
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.values import genders_of, languages_of

LAYOUT = """One or more `*.json` or `*.jsonl` files in the folder, each line an object with `audio_filepath` (relative
to the folder, or absolute inside it) and, as far as known, `offset`, `duration`, `speaker` or `label`, `lang`,
`gender`. What several manifests repeat counts once. A single manifest elsewhere is given with --labels."""
EXPECTED = "a file *.json or *.jsonl whose lines are objects with audio_filepath"

SUFFIXES = (".json", ".jsonl")
LANGUAGE_NAMES = ("language", "lang", "target_lang", "source_lang")
PLACE = ("audio_path", "start_s", "duration_s", "audio_channel")
_LONGEST_LINE = 2**16


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    manifests = _manifests(seen)
    return f"{manifests[0]} is a manifest" if manifests else None


def _manifests(seen: Glimpse) -> list[str]:
    names = [name for name in seen.files if "/" not in name and name.lower().endswith(SUFFIXES)]
    return [name for name in names if _is_manifest(seen.folder / name)]


def _is_manifest(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            first = json.loads(stream.readline(_LONGEST_LINE))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "audio_filepath" in first


def read(folder: Path) -> Rows:
    """The rows of every manifest in the folder; CorpusError when there is none, or one is damaged."""
    seen = glimpse(folder)
    manifests = _manifests(seen)
    if not manifests:
        raise seen.misfit("a folder with NeMo manifests", EXPECTED)
    if len(manifests) == 1:
        rows = label_file.read(folder / manifests[0])
        return Rows(_describe(rows.table), rows.where, rows.unit)
    tables = []
    for name in manifests:
        table = label_file.read(folder / name).table
        table = table.set_index(f"{name}:" + table.index.astype("str"))
        tables.append(table.assign(**{SUBSET_COLUMN: Path(name).stem}))
    table = pd.concat(tables)
    is_again = table.duplicated([name for name in PLACE if name in table])
    return Rows(_describe(table[~is_again]), folder / ", ".join(manifests), "line")


def _describe(table: pd.DataFrame) -> pd.DataFrame:
    """The table with language and gender under the names and values that every corpus has here."""
    given = next((name for name in LANGUAGE_NAMES if name in table), None)
    if given is not None:
        table = table.drop(columns=given).join(languages_of(table[given].astype("str")))
    if "gender" in table:
        told = table["gender"].astype("str")
        table = table.assign(gender=genders_of(told).fillna(told))
    return table
