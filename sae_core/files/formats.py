"""Which format versions of stored files are read, and what was called otherwise in earlier ones.

Version 2 says "unseen speakers" and "seen speakers" where version 1 said "new voices" and "same voices", `fraction`
for `share`, `std` for `spread`, and `predecessor` and `successor` for `parent` and `child`. Readers translate by the
name of the file, so the rest of VoxScope knows one vocabulary; what is written is always of the newest version.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sae_core.files.errors import ArtifactError

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)

_EVIDENCE = {"new voices": "unseen speakers", "same voices": "seen speakers"}
_LATENTS = {"top_speaker_share": "top_speaker_fraction", "top_source_share": "top_source_fraction"}
_COLUMNS: dict[str, dict[str, str]] = {
    "latents.parquet": _LATENTS,
    "training.parquet": {"dead_share": "dead_fraction"},
    "acoustics.parquet": {"f0_spread_semitones": "f0_range_semitones"},
    "lineage.parquet": {"parent": "predecessor", "child": "successor"},
    "attribute_values.parquet": {},
    "probes.parquet": {},
}
_KEYS = {
    "dead_share": "dead_fraction",
    "share_above_1_percent": "fraction_above_1_percent",
    "share_above_10_percent": "fraction_above_10_percent",
    "warmup_share": "warmup_fraction",
    "decay_share": "decay_fraction",
    "n_kin": "n_related",
}
_JSON_FILES = ("metrics.json",)


def check_version(found: object, *, where: str | Path, remedy: str | None = None) -> None:
    """Raise ArtifactError where a file is of a format version that is not read here."""
    if type(found) is not int or found not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise ArtifactError(
            f"has format version {repr(found)[:40]}, this VoxScope reads {readable}",
            where=where,
            remedy=remedy or "update VoxScope",
        )


def modern_table(file: str, table: pd.DataFrame) -> pd.DataFrame:
    """A stored table under the names of the newest version; `file` is the name of its file, others pass unchanged."""
    if file not in _COLUMNS:
        return table
    names = {
        old: new for old, new in _COLUMNS[file].items() if old in table.columns and new not in table.columns
    }
    if file == "latents.parquet":
        names |= {
            name: f"seen_{name.removeprefix('same_')}" for name in table.columns if name.startswith("same_")
        }
    table = table.rename(columns=names) if names else table
    if "evidence" in table.columns and table["evidence"].isin(_EVIDENCE).any():
        table = table.assign(evidence=table["evidence"].replace(_EVIDENCE))
    return table


def modern_json(file: str, value: dict[str, Any]) -> dict[str, Any]:
    """The content of a stored JSON file under the names of the newest version; only of files that had others."""
    return modern_settings(value) if file in _JSON_FILES else value


def modern_settings(value: Mapping[str, Any]) -> dict[str, Any]:
    """Settings kept beside an artifact under the names of the newest version, also those inside others."""
    return {
        _KEYS.get(key, key): modern_settings(inner)
        if isinstance(inner, Mapping)
        else FORMAT_VERSION
        if key == "format_version" and inner in READABLE_VERSIONS
        else inner
        for key, inner in value.items()
    }
