"""NeMo manifests that lie in the folder of recordings: JSON, one object a line."""

import json
from pathlib import Path

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.names import NameIndex
from sae_core.corpus.reading import combine_tables
from sae_core.corpus.rows import Rows

LAYOUT = """One or more `*.json` or `*.jsonl` files in the folder, each line an object with `audio_filepath` (relative
to the folder, or absolute inside it) and, as far as known, `offset`, `duration`, `speaker` or `label`, `lang`,
`gender`. What several manifests repeat counts once. A single manifest elsewhere is given with --labels."""
EXPECTED = "a file *.json or *.jsonl whose lines are objects with audio_filepath"

SUFFIXES = (".json", ".jsonl")
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
    return combine_tables(folder, manifests, NameIndex(list_recordings(folder).names))
