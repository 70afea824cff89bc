"""Attribute values guessed for clips by latents that were named on another corpus, and what these latents are.

Guesses are kept apart from the labels that people gave: no statistic of a workspace counts them, and no latent is named
by them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_json, read_table, write_json, write_table
from sae_core.files.contents import numbers, text, whole_numbers
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version

NAMED_FILE = "named_latents.json"
TABLE_FILE, META_FILE = "guesses.parquet", "guesses.json"
MAX_NAMED = 1000
_KINDS = {
    "row": whole_numbers(),
    "clip_id": text(),
    "attribute": text(),
    "value": text(),
    "activation": numbers(),
    "threshold": numbers(),
}


@dataclass(frozen=True)
class NamedLatent:
    """A latent that detects one attribute value on speakers it never met.

    embedder, revision: whose embeddings its SAE reads. sae: its SAE's name where it was named, latent: its number.
    threshold: the clip has the value where its activation is above. precision, recall, f1 and its bounds (95 %,
    speakers resampled), base_rate: on held-out clips of the corpus it was named on, by n_speakers speakers.
    """

    attribute: str
    value: str
    embedder: str
    revision: str
    sae: str
    latent: int
    threshold: float
    precision: float
    recall: float
    f1: float
    f1_low: float | None
    f1_high: float | None
    base_rate: float
    n_speakers: int

    @classmethod
    def from_json(cls, raw: Any, *, where: Path) -> "NamedLatent":
        """The latent in a JSON object; ArtifactError naming `where` for what cannot be."""
        kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(("latent", "n_speakers"), int)
        kinds |= dict.fromkeys(("attribute", "value", "embedder", "revision", "sae"), str)
        kinds |= dict.fromkeys(("f1_low", "f1_high"), (int, float, type(None)))
        names = [field.name for field in fields(cls)]
        is_whole = isinstance(raw, dict) and set(raw) == set(names)
        if not is_whole or not all(isinstance(raw[name], kinds.get(name, (int, float))) for name in names):
            raise ArtifactError(
                "holds no named latents", where=where, remedy="check out the repository again"
            )
        return cls(**raw)


def write_named(folder: Path, latents: Sequence[NamedLatent]) -> None:
    """Keep named latents beside the SAEs they belong to."""
    raw = {"format_version": FORMAT_VERSION, "latents": [asdict(latent) for latent in latents]}
    write_json(folder / NAMED_FILE, raw)


def read_named(folder: Path) -> tuple[NamedLatent, ...]:
    """The named latents of a folder of SAEs; ArtifactError when they are missing or damaged."""
    where = folder / NAMED_FILE
    raw = read_json(where, remedy="check out the whole repository, or run: python -m sae_core demo build")
    check_version(raw.get("format_version"), where=where)
    found = raw.get("latents")
    if not isinstance(found, list) or len(found) > MAX_NAMED:
        raise ArtifactError("holds no named latents", where=where, remedy="check out the repository again")
    return tuple(NamedLatent.from_json(item, where=where) for item in found)


@dataclass(frozen=True)
class Guesses:
    """What was guessed of the clips of a workspace.

    table: one line for each clip and attribute with a guess: row, clip_id, attribute, value, activation, threshold.
    named: the latents that guessed. n_clips: clips that were looked at.
    """

    table: pd.DataFrame
    named: tuple[NamedLatent, ...]
    n_clips: int

    def of_clip(self, row: int) -> dict[str, str]:
        """Attribute → value guessed of one clip."""
        found = self.table[self.table["row"] == row]
        return dict(zip(found["attribute"].astype(str), found["value"].astype(str), strict=True))

    def rows_of(self, attribute: str, value: str) -> Int64[np.ndarray, " m"]:
        """Clips guessed to have a value, highest activation first."""
        is_it = (self.table["attribute"] == attribute) & (self.table["value"] == value)
        found = self.table[is_it].sort_values("activation", ascending=False, kind="stable")
        return found["row"].to_numpy(dtype=np.int64)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One line for each named value: attribute, value, n_clips and fraction guessed, and the f1, f1_low, f1_high,
        precision, recall and n_speakers it had where its latent was named. Languages come first, then other attributes;
        within an attribute most clips first."""
        lines = []
        for latent in self.named:
            n_clips = len(self.rows_of(latent.attribute, latent.value))
            known = asdict(latent)
            kept = (
                "attribute",
                "value",
                "f1",
                "f1_low",
                "f1_high",
                "precision",
                "recall",
                "n_speakers",
                "embedder",
            )
            line = {name: known[name] for name in kept}
            lines.append({**line, "n_clips": n_clips, "fraction": n_clips / max(1, self.n_clips)})
        lines.sort(key=lambda line: (line["attribute"] != "language", line["attribute"], -line["n_clips"]))
        return pd.DataFrame(lines)

    def save(self, path: Path, *, parents: dict[str, str]) -> None:
        """Write guesses.parquet and, last, guesses.json into a workspace folder."""
        write_table(path / TABLE_FILE, self.table[list(_KINDS)])
        mark = fingerprint(*self.table.to_csv(index=False).encode().splitlines(), parents)
        settings = {"named": [asdict(latent) for latent in self.named], "n_clips": self.n_clips}
        ArtifactMeta("guesses", mark, parents, settings).write(path / META_FILE, files=(TABLE_FILE,))

    @classmethod
    def load(cls, path: Path, *, audio_fingerprint: str) -> "Guesses | None":
        """The guesses of a workspace folder; None where there are none, or of other clips than it holds now.

        Raises ArtifactError when they are damaged.
        """
        if not (path / META_FILE).exists():
            return None
        remedy = f"run: python -m sae_core guess --workspace {path}"
        meta = ArtifactMeta.read(path / META_FILE, kind="guesses", remedy=remedy)
        if meta.parents.get("audio") != audio_fingerprint:
            return None
        meta.check_files(path, remedy=remedy)
        table = read_table(path / TABLE_FILE, columns=_KINDS, remedy=remedy)
        raw, n_clips = meta.settings.get("named"), meta.settings.get("n_clips")
        if not isinstance(raw, list) or not isinstance(n_clips, int):
            raise ArtifactError("holds no named latents", where=path / META_FILE, remedy=remedy)
        named = tuple(NamedLatent.from_json(item, where=path / META_FILE) for item in raw)
        return cls(table, named, n_clips)
