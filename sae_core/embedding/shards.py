"""Shards: a corpus cut into parts that can be embedded in any order, anywhere, and again.

A `ShardJob` says all that whoever does it must know. Its file is written whole or not at all, and the file's name holds
the mark of what it was made from, so a killed run goes on where it stopped and a shard of another corpus or embedder is
not taken.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from sae_core.corpus.clips import SPLITS, Corpus
from sae_core.embedding.embedders import Embedder
from sae_core.files.artifacts import fingerprint, read_tensors, write_table, write_tensors
from sae_core.files.errors import ArtifactError

SHARD_CLIPS = 256

_SHARD_FORMAT = 1
_HEARD_COLUMNS = ("clip_id", "audio_path", "start_s", "duration_s", "audio_channel")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardJob:
    """Embed some clips of a corpus into one file.

    clips: only these clips. rows: the rows they have in the whole corpus. embedder, revision: of the embedder that
    must do it. folder: where the file goes.
    """

    clips: Corpus
    rows: Int64[np.ndarray, " m"]
    embedder: str
    revision: str
    folder: Path

    @cached_property
    def file(self) -> Path:
        """The shard's file; its name changes with the clips, their rows, the embedder and its revision."""
        mark = fingerprint(
            _SHARD_FORMAT, self.clips.audio_fingerprint, self.rows, self.embedder, self.revision
        )
        return self.folder / f"{int(self.rows[0]):09d}-{mark}.safetensors"


@dataclass(frozen=True)
class Shard:
    """What became of a job's clips: `vectors` f32[m, d], and for each clip the reason it has none, or ""."""

    vectors: Float32[np.ndarray, "m d"]
    reasons: list[str]


def plan_shards(
    corpus: Corpus,
    embedder: Embedder,
    folder: Path,
    *,
    rows: Int64[np.ndarray, " n"],
    shard_clips: int = SHARD_CLIPS,
) -> list[ShardJob]:
    """The jobs that embed these rows, in order of rows, their files in `folder`."""
    if shard_clips < 1:
        raise ValueError(f"shard_clips must be at least 1, not {shard_clips}")
    jobs = []
    for start in range(0, len(rows), shard_clips):
        some = rows[start : start + shard_clips]
        clips = Corpus(corpus.table.iloc[some].reset_index(drop=True), corpus.audio_root)
        jobs.append(ShardJob(clips, some, embedder.name, embedder.revision, folder))
    return jobs


def write_manifest(file: Path, jobs: Sequence[ShardJob]) -> None:
    """Write one row a job, with all that whoever does it must know except where the audio and the file's folder are."""
    rows = []
    for job in jobs:
        clips = {name: _plain(job.clips.table[name]) for name in _HEARD_COLUMNS}
        rows.append(
            (job.file.name, job.embedder, job.revision, json.dumps(job.rows.tolist()), json.dumps(clips))
        )
    write_table(file, pd.DataFrame(rows, columns=["file", "embedder", "revision", "rows", "clips"]))


def job_from_manifest(entry: Mapping[str, Any], *, audio_root: Path, folder: Path) -> ShardJob:
    """Return the job of one row of a manifest; ValueError when the row was made by another version of VoxScope."""
    table = pd.DataFrame(json.loads(entry["clips"])).assign(speaker_id=None, split=SPLITS[0])
    rows = np.array(json.loads(entry["rows"]), dtype=np.int64)
    clips = Corpus(table, audio_root)
    job = ShardJob(clips, rows, str(entry["embedder"]), str(entry["revision"]), folder)
    if job.file.name != entry["file"]:
        raise ValueError(
            f"the manifest calls this shard {entry['file']}, this VoxScope calls it {job.file.name}"
        )
    return job


def _plain(column: pd.Series) -> list[Any]:
    return [None if pd.isna(value) else value for value in column.astype("object").tolist()]


def write_shard(file: Path, shard: Shard) -> None:
    """Write a shard, whole or not at all."""
    reasons = np.frombuffer(json.dumps(shard.reasons).encode(), np.uint8)
    write_tensors(file, {"vectors": shard.vectors, "reasons": reasons})


def read_shard(file: Path) -> Shard:
    """Return what `write_shard` wrote; ArtifactError when it is missing or damaged."""
    tensors = read_tensors(file)
    return Shard(tensors["vectors"], json.loads(tensors["reasons"].tobytes()))


def finished_shard(job: ShardJob, dim: int) -> Shard | None:
    """The shard of a job if its file is there and sound."""
    if not job.file.exists():
        return None
    try:
        shard = read_shard(job.file)
    except (ArtifactError, KeyError, ValueError) as error:
        _log.warning("%s is damaged and is made again (%s)", job.file, error)
        return None
    is_sound = shard.vectors.shape == (len(job.rows), dim) and len(shard.reasons) == len(job.rows)
    return shard if is_sound else None
