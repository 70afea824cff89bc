"""Embeddings of a corpus: one unit vector a clip, memory-mapped, with the clips that have none set apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int

from sae_core.corpus.clips import Corpus
from sae_core.files.artifacts import (
    ArtifactMeta,
    fingerprint,
    read_array,
    read_table,
    rows_to_check,
    write_array,
    write_table,
)
from sae_core.files.contents import key_fault, text, whole_numbers
from sae_core.files.errors import ArtifactError, StaleArtifactError

MARKS_FILE = "clip_marks.parquet"
FAILURE_COLUMNS = ("row", "clip_id", "reason")
OWN_VECTORS = "own vectors"
"""What embeddings that people brought in a file say of their embedder."""
_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Embeddings:
    """Unit-norm embeddings of every clip, row by row.

    vectors: f32[n, d], each row of norm 1; a clip that could not be embedded has a row of zeros.
    failures: the rows without a vector, with `FAILURE_COLUMNS`.
    name: what they are called in their workspace, by default as the embedder. embedder: who made them, one of
    `EMBEDDERS` or what people called their own. revision: what identifies its weights. sample_rate_hz: what it heard.
    fingerprint: of vectors, embedder and revision.
    """

    vectors: Float32[np.ndarray, "n d"]
    failures: pd.DataFrame
    embedder: str
    revision: str
    sample_rate_hz: int
    fingerprint: str
    name: str

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """d, the length of one vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def is_valid(self) -> Bool[np.ndarray, " n"]:
        """True where a clip has a vector."""
        mask = np.ones(len(self.vectors), dtype=bool)
        mask[self.failures["row"].to_numpy(dtype=np.int64)] = False
        return mask

    @cached_property
    def valid_rows(self) -> Int[np.ndarray, " m"]:
        """Rows with a vector, ascending."""
        return np.flatnonzero(self.is_valid)

    @classmethod
    def make(
        cls,
        vectors: np.ndarray,
        failures: pd.DataFrame | None = None,
        *,
        embedder: str,
        revision: str,
        sample_rate_hz: int,
    ) -> "Embeddings":
        """Return embeddings of these vectors, scaled to norm 1, called as their embedder.

        Raises ValueError when a row that is no failure is zero or not finite.
        """
        if failures is None:
            failures = pd.DataFrame(
                {
                    "row": pd.Series(dtype="int64"),
                    "clip_id": pd.Series(dtype="str"),
                    "reason": pd.Series(dtype="str"),
                }
            )
        failed = failures["row"].to_numpy(dtype=np.int64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        good = np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)
        good[failed] = True
        if not good.all():
            raise ValueError(f"row {int(np.argmin(good))} has no finite, non-zero vector and is no failure")
        unit = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
        unit[failed] = 0
        mark = fingerprint(unit, embedder, revision)
        kept = failures[list(FAILURE_COLUMNS)]
        return cls(unit, kept, embedder, revision, sample_rate_hz, mark, embedder)

    def save(self, folder: Path, *, parents: dict[str, str], clip_marks: Sequence[str] | None = None) -> None:
        """Write vectors.npy, failures.parquet and, last, meta.json into `folder`.

        clip_marks: what each clip was (see `clips.clip_marks`), kept beside them so that vectors can be taken over when
        other clips were added or replaced.
        """
        files = ["vectors.npy", "failures.parquet"]
        if clip_marks is not None:
            write_table(folder / MARKS_FILE, pd.DataFrame({"clip_mark": list(clip_marks)}))
            files.append(MARKS_FILE)
        write_array(folder / "vectors.npy", np.asarray(self.vectors))
        write_table(folder / "failures.parquet", self.failures)
        settings = {
            "embedder": self.embedder,
            "revision": self.revision,
            "sample_rate_hz": self.sample_rate_hz,
        }
        ArtifactMeta("embeddings", self.fingerprint, parents, settings).write(
            folder / "meta.json", files=files
        )

    @classmethod
    def load(cls, folder: Path, *, remedy: str) -> "Embeddings":
        """Return the embeddings in `folder`, memory-mapped; ArtifactError when missing or damaged."""
        meta = ArtifactMeta.read(folder / "meta.json", kind="embeddings", remedy=remedy)
        meta.check_files(folder, remedy=remedy)
        vectors = read_array(folder / "vectors.npy", remedy=remedy)
        if vectors.ndim != 2 or vectors.dtype != np.float32 or not vectors.shape[1]:
            raise ArtifactError(
                f"is {vectors.dtype} of shape {vectors.shape}, not float32 n×d",
                where=folder / "vectors.npy",
                remedy=remedy,
            )
        kinds = {
            "row": whole_numbers(0, len(vectors) - 1),
            "clip_id": text(may_lack=True),
            "reason": text(may_lack=True),
        }
        failures = read_table(folder / "failures.parquet", columns=kinds, remedy=remedy)
        said = meta.settings
        if fault := key_fault(said, {"embedder": str, "revision": str, "sample_rate_hz": int}):
            raise ArtifactError(fault, where=folder / "meta.json", remedy=remedy)
        found = cls(
            vectors,
            failures,
            said["embedder"],
            said["revision"],
            said["sample_rate_hz"],
            meta.fingerprint,
            folder.name,
        )
        found._check_norms(folder / "vectors.npy", remedy=remedy)
        return found

    def _check_norms(self, where: Path, *, remedy: str) -> None:
        """ArtifactError where a clip's vector is not of norm 1, among those that `rows_to_check` names."""
        rows = rows_to_check(self.vectors)
        norms = np.linalg.norm(self.vectors[rows].astype(np.float64), axis=1)
        if not (np.abs(norms - self.is_valid[rows]) <= _NORM_TOLERANCE).all():
            raise ArtifactError("holds vectors that are not of norm 1", where=where, remedy=remedy)


def load_embeddings(path: Path, corpus: Corpus, name: str) -> Embeddings:
    """Return embeddings in a workspace folder by name; StaleArtifactError when the clips have changed since."""
    folder = path / "embeddings" / name
    remedy = f"run: {remake_command(path, name)}"
    found = Embeddings.load(folder, remedy=remedy)
    meta = ArtifactMeta.read(folder / "meta.json", kind="embeddings", remedy=remedy)
    meta.check_parents({"audio": corpus.audio_fingerprint}, where=folder, remedy=remedy)
    if len(found) != len(corpus):
        raise StaleArtifactError(
            f"has {len(found)} rows for {len(corpus)} clips", where=folder, remedy=remedy
        )
    return found


def is_brought(folder: Path) -> bool:
    """Whether a folder holds vectors that people brought, as far as its meta.json can be read."""
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="embeddings", remedy="")
    except ArtifactError:
        return False
    return meta.settings.get("embedder") == OWN_VECTORS


def remake_command(path: Path, name: str) -> str:
    """The command that makes embeddings of a workspace anew."""
    if is_brought(path / "embeddings" / name):
        return f"python -m sae_core import-vectors FILE --workspace {path} --name {name}"
    return f"python -m sae_core embed --workspace {path} --embedder {name}"
