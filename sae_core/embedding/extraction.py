"""From audio to embeddings: an engine does the shards, here or elsewhere, and what they hold becomes one file."""

import logging
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from sae_core.audio import reading
from sae_core.corpus.clips import Corpus, clip_marks
from sae_core.embedding.device_memory import embed_within_memory
from sae_core.embedding.embedders import Embedder
from sae_core.embedding.embeddings import FAILURE_COLUMNS, MARKS_FILE, Embeddings
from sae_core.embedding.shards import (
    SHARD_CLIPS,
    Shard,
    ShardJob,
    finished_shard,
    plan_shards,
    read_shard,
    write_shard,
)
from sae_core.files.artifacts import ArtifactMeta, read_table, write_table
from sae_core.files.errors import ArtifactError, CorpusError, VoxScopeError
from sae_core.files.progress import Progress, ignore

BATCH_CLIPS = 64
MAX_CLIP_S = 600.0
"""Longer clips are listed as failures: one vector cannot stand for that much talk, nor one batch hold it."""
BATCH_S = MAX_CLIP_S
"""Seconds of padded audio in one batch at most: what one long clip may take anyway."""
N_READERS = min(4, os.cpu_count() or 1)

_BATCHES_AHEAD = 2
_log = logging.getLogger(__name__)


@runtime_checkable
class Engine(Protocol):
    """Whoever does the shards of a run: this process, or others elsewhere."""

    def embed(self, jobs: Sequence[ShardJob], embedder: Embedder, progress: Progress) -> None:
        """Do every job that is not done; when this returns, the file of each is there and sound.

        `progress` counts clips, those of finished jobs too. Stopped at any moment, the finished files stay.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Does one shard after the other in this process.

    n_readers: threads that decode recordings while others are embedded.
    """

    n_readers: int = N_READERS

    def embed(self, jobs: Sequence[ShardJob], embedder: Embedder, progress: Progress) -> None:
        """Do every job that is not done."""
        n_done, n_clips = 0, sum(len(job.rows) for job in jobs)
        for job in jobs:
            report = _from(n_done, n_clips, progress)
            embed_shard(job, embedder, n_readers=self.n_readers, progress=report)
            n_done += len(job.rows)
            progress(n_done, n_clips, "embedding")


def extract(
    corpus: Corpus,
    embedder: Embedder,
    folder: Path,
    *,
    engine: Engine | None = None,
    shard_clips: int = SHARD_CLIPS,
    progress: Progress = ignore,
) -> Embeddings:
    """Embed every clip and save the result in `folder`, whose name it goes by, failures with it.

    engine: who does it; by default this process. Goes on where an earlier run stopped, whatever its engine. Vectors
    already saved there by this embedder are kept for all clips that are the same stretches of the same recordings; new
    and replaced clips are embedded, and those that failed then. Raises CorpusError when not one clip can be embedded.
    """
    known = _known_embeddings(corpus, embedder, folder)
    marks = clip_marks(corpus)
    if known is None:
        vectors, rows = _take_over(marks, embedder, folder)
    else:
        vectors, rows = np.array(known.vectors), known.failures["row"].to_numpy(dtype=np.int64)
    jobs = plan_shards(corpus, embedder, folder / "shards", rows=rows, shard_clips=shard_clips)
    (engine or LocalEngine()).embed(jobs, embedder, progress)
    reasons: dict[int, str] = {}
    for job in jobs:
        shard = read_shard(job.file)
        vectors[job.rows] = shard.vectors
        reasons |= {int(row): reason for row, reason in zip(job.rows, shard.reasons, strict=True) if reason}
    if known is not None and len(reasons) == len(rows):
        _tidy(folder)
        return known
    return _finish(corpus, embedder, folder, vectors=vectors, reasons=reasons)


def _take_over(marks: Sequence[str], embedder: Embedder, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that this embedder made of the same clips in an earlier corpus, and the rows that have none."""
    vectors, everything = np.zeros((len(marks), embedder.dim), np.float32), np.arange(len(marks))
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="embeddings", remedy="embed again")
        meta.check_files(folder, remedy="embed again", whole=True)
        known = Embeddings.load(folder, remedy="embed again")
        before = read_table(folder / MARKS_FILE, columns=("clip_mark",))["clip_mark"]
    except ArtifactError:
        return vectors, everything
    is_same = (known.embedder, known.revision, known.dim) == (embedder.name, embedder.revision, embedder.dim)
    if not is_same or len(before) != len(known):
        return vectors, everything
    usable = before[known.is_valid].drop_duplicates()
    places = pd.Index(usable).get_indexer(list(marks))
    is_there = places >= 0
    vectors[is_there] = known.vectors[usable.index.to_numpy()[places[is_there]]]
    return vectors, everything[~is_there]


def embed_shard(
    job: ShardJob,
    embedder: Embedder,
    *,
    n_readers: int = N_READERS,
    progress: Progress = ignore,
) -> Path:
    """Do one job unless its file is there and sound, and return that file.

    Raises ValueError when `embedder` is not the one the job names.
    """
    if (embedder.name, embedder.revision) != (job.embedder, job.revision):
        raise ValueError(
            f"the job wants {job.embedder} {job.revision}, not {embedder.name} {embedder.revision}"
        )
    if finished_shard(job, embedder.dim) is not None:
        return job.file
    n_clips = len(job.clips)
    shard = Shard(np.zeros((n_clips, embedder.dim), np.float32), [""] * n_clips)
    n_done = 0
    for places, heard in _read_ahead(job.clips, embedder, n_readers):
        _embed_batch(embedder, places, heard, shard)
        n_done += len(places)
        progress(n_done, n_clips, "embedding")
    write_shard(job.file, shard)
    return job.file


def plan_batches(duration_s: Sequence[float]) -> list[list[int]]:
    """Places of clips in batches of like length, shortest first, within `BATCH_CLIPS` and `BATCH_S` when padded."""
    batches: list[list[int]] = []
    for place in np.argsort(np.asarray(duration_s, dtype=float), kind="stable").tolist():
        n_after = len(batches[-1]) + 1 if batches else 1
        if batches and n_after <= BATCH_CLIPS and n_after * duration_s[place] <= BATCH_S:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def _read_ahead(
    clips: Corpus,
    embedder: Embedder,
    n_readers: int,
) -> Iterator[tuple[list[int], list[np.ndarray | str]]]:
    """Batches of places with each clip's waveform or the reason there is none, decoded while others are embedded."""
    pending: deque[tuple[list[int], list[Future[np.ndarray | str]]]] = deque()
    pool = ThreadPoolExecutor(n_readers, thread_name_prefix="reader")
    try:
        for places in plan_batches(_durations(clips)):
            pending.append((places, [pool.submit(_hear, clips, place, embedder) for place in places]))
            if len(pending) > _BATCHES_AHEAD:
                ready, futures = pending.popleft()
                yield ready, [future.result() for future in futures]
        for ready, futures in pending:
            yield ready, [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def _durations(clips: Corpus) -> list[float]:
    durations = clips.table["duration_s"].to_numpy(dtype=float, na_value=np.nan)
    return [float(value) for value in np.nan_to_num(durations, nan=MAX_CLIP_S)]


def _hear(clips: Corpus, place: int, embedder: Embedder) -> np.ndarray | str:
    """The waveform of one clip at the embedder's rate, or the reason it cannot be embedded."""
    clip = clips.table.iloc[place]
    start_s = 0.0 if pd.isna(clip["start_s"]) else float(clip["start_s"])
    duration_s = None if pd.isna(clip["duration_s"]) else float(clip["duration_s"])
    if duration_s is not None and duration_s > MAX_CLIP_S:
        return _too_long(duration_s)
    try:
        waveform = reading.read(
            clips.audio_file(place),
            start_s=start_s,
            duration_s=duration_s,
            channel=int(clip["audio_channel"]),
            sample_rate_hz=embedder.sample_rate_hz,
        )
        reading.check_usable(waveform, embedder.sample_rate_hz, min_duration_s=embedder.min_duration_s)
    except VoxScopeError as error:
        return f"{error.what} → {error.remedy}" if error.remedy else error.what
    heard_s = len(waveform) / embedder.sample_rate_hz
    return _too_long(heard_s) if heard_s > MAX_CLIP_S else waveform


def _too_long(duration_s: float) -> str:
    return (
        f"is {duration_s / 60:.0f} min long, more than the {MAX_CLIP_S / 60:.0f} min one vector can stand for"
        " → import the folder again with --window-s 4, or with a label file that gives start_s and duration_s"
    )


def _embed_batch(embedder: Embedder, places: list[int], heard: list[np.ndarray | str], shard: Shard) -> None:
    """Fill the vectors and reasons of these places."""
    usable: list[int] = []
    waveforms: list[np.ndarray] = []
    for place, found in zip(places, heard, strict=True):
        if isinstance(found, str):
            shard.reasons[place] = found
        else:
            usable.append(place)
            waveforms.append(found)
    if not usable:
        return
    vectors = embed_within_memory(embedder, waveforms)
    for place, vector in zip(usable, vectors, strict=True):
        if np.isfinite(vector).all() and vector.any():
            shard.vectors[place] = vector
        else:
            shard.reasons[place] = f"{embedder.name} finds nothing in it that it could describe"


def _from(n_before: int, n_in_all: int, progress: Progress) -> Progress:
    """A progress of one part that counts on from `n_before`, of `n_in_all`."""

    def report(n_done: int, n_total: int, note: str = "") -> None:  # noqa: ARG001 - as every Progress
        progress(n_before + n_done, n_in_all, note)

    return report


def _known_embeddings(corpus: Corpus, embedder: Embedder, folder: Path) -> Embeddings | None:
    """What is saved in `folder`, if it was made from this corpus by this embedder."""
    if not (folder / "meta.json").exists():
        return None
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="embeddings", remedy="embed again")
        meta.check_parents({"audio": corpus.audio_fingerprint}, where=folder, remedy="embed again")
        meta.check_files(folder, remedy="embed again", whole=True)
        known = Embeddings.load(folder, remedy="embed again")
    except ArtifactError as error:
        _log.info("embedding anew: %s", error)
        return None
    is_same = (known.embedder, known.revision, known.vectors.shape) == (
        embedder.name,
        embedder.revision,
        (len(corpus), embedder.dim),
    )
    return known if is_same else None


def _finish(
    corpus: Corpus,
    embedder: Embedder,
    folder: Path,
    *,
    vectors: np.ndarray,
    reasons: dict[int, str],
) -> Embeddings:
    """Save what the shards hold, then drop them and whatever a killed run left half written beside them."""
    rows = np.array(sorted(reasons), dtype=np.int64)
    failures = pd.DataFrame(
        {
            "row": rows,
            "clip_id": corpus.table["clip_id"].iloc[rows].astype(str).to_numpy(),
            "reason": [reasons[int(row)] for row in rows],
        },
        columns=list(FAILURE_COLUMNS),
    )
    if len(failures) == len(corpus):
        _refuse_all(folder, failures)
    embeddings = Embeddings.make(
        vectors,
        failures,
        embedder=embedder.name,
        revision=embedder.revision,
        sample_rate_hz=embedder.sample_rate_hz,
    )
    embeddings = replace(embeddings, name=folder.name)
    # Written in full before anything older is touched: a full disk costs nothing that was already made.
    parents = {"audio": corpus.audio_fingerprint}
    embeddings.save(folder / "staging", parents=parents, clip_marks=clip_marks(corpus))
    (folder / "meta.json").unlink(missing_ok=True)
    for name in ("vectors.npy", "failures.parquet", MARKS_FILE, "meta.json"):
        (folder / "staging" / name).replace(folder / name)
    _tidy(folder)
    return embeddings


def _refuse_all(folder: Path, failures: pd.DataFrame) -> None:
    """List the failures, unless that would disturb a finished result, and raise CorpusError."""
    _tidy(folder)
    if not (folder / "meta.json").exists():
        write_table(folder / "failures.parquet", failures)
    reason = failures["reason"].mode().iloc[0] if len(failures) else "there are no clips"
    raise CorpusError(
        f"not one of {len(failures)} clips can be embedded; most often: {reason}",
        where=folder,
        remedy="see failures.parquet there, mend the recordings and embed again",
    )


def _tidy(folder: Path) -> None:
    for name in ("shards", "staging"):
        shutil.rmtree(folder / name, ignore_errors=True)
