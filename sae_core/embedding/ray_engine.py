"""The shards of an extraction, done by the workers of a Ray cluster.

A manifest with one row a shard is mapped by Ray Data over a pool of actors; each opens the embedder once and does whole
shards, exactly as one process would. A shard whose worker dies is given to another one; its file is there whole or not
at all, so nothing is half done and nothing finished is done again.

Every machine needs this VoxScope, the embedder's weights, the recordings under one path or address, and a folder or
address for the shards that it shares with the machine that starts the run. Batches are made inside a shard, so on CPUs
of one kind, with one number of threads a worker, the vectors are those of `LocalEngine` to the last bit.
"""

import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from sae_core.corpus.clips import Corpus
from sae_core.embedding.embedders import Embedder
from sae_core.embedding.extraction import embed_shard
from sae_core.embedding.remote_folders import RemoteFolder, is_remote
from sae_core.embedding.shards import ShardJob, finished_shard, job_from_manifest, write_manifest
from sae_core.files.errors import ArtifactError, MissingDependencyError, VoxScopeError
from sae_core.files.progress import Progress

MANIFEST = "manifest.parquet"
MAX_RETRIES = 3
"""How often a shard is given to another worker before it is blamed itself for their deaths."""

_CPUS_TO_READ = 2
_RAY_FOLDER = "RAY_TMPDIR"
_KNOCK_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayEngine:
    """Does shards on a Ray cluster, or on a Ray of its own on this machine.

    opener: opens the embedder; called once by every worker. address: of the cluster (`auto` or host:port); None starts
    a Ray here that ends with the run. n_workers: how many work side by side; None for one a GPU, or else as many as
    there are CPUs to spare. shards: folder or address (s3://…) where workers put shards; None for the workspace's own
    folder. audio: folder or address of the recordings as the workers reach it; None for the corpus's own.
    uses_gpus: whether each worker gets a GPU; None when the cluster has any.
    """

    opener: Callable[[], Embedder]
    address: str | None = None
    n_workers: int | None = None
    shards: str | None = None
    audio: str | None = None
    uses_gpus: bool | None = None

    def __post_init__(self) -> None:
        if self.n_workers is not None and self.n_workers < 1:
            raise ValueError(f"n_workers must be at least 1, not {self.n_workers}")
        if any(place and place.startswith("memory:") for place in (self.shards, self.audio)):
            raise ValueError("memory:// is seen by one process only; name a place that all workers reach")

    def embed(self, jobs: Sequence[ShardJob], embedder: Embedder, progress: Progress) -> None:
        """Do every job that is not done.

        Raises MissingDependencyError without Ray or without the GPUs asked for, ArtifactError when the cluster cannot
        be reached or gives up, or when its shards cannot be seen from here.
        """
        waiting = [job for job in jobs if finished_shard(job, embedder.dim) is None]
        n_clips = sum(len(job.rows) for job in jobs)
        n_done = n_clips - sum(len(job.rows) for job in waiting)
        progress(n_done, n_clips, "embedding")
        if not waiting:
            return
        n_clips_of = {job.file.name: len(job.rows) for job in waiting}
        with _cluster(self.address, self.n_workers) as ray:
            crew = _plan_crew(ray.cluster_resources(), self.n_workers, self.uses_gpus)
            for name in _map_shards(ray, waiting, self._outfit(waiting[0]), crew):
                n_done += n_clips_of[name]
                progress(n_done, n_clips, f"embedding with {crew.n_workers} workers")
        if self.shards is not None:
            _collect(waiting, self.shards)
        _check_seen(waiting, embedder.dim)

    def _outfit(self, job: ShardJob) -> "Outfit":
        return Outfit(
            self.opener,
            self.shards or str(job.folder.resolve()),
            self.audio or str(job.clips.audio_root.resolve()),
        )


@dataclass(frozen=True)
class Crew:
    """How many workers there are, and what each may use."""

    n_workers: int
    n_gpus_each: int


@dataclass(frozen=True)
class Outfit:
    """What every worker is given: how to open the embedder, where shards go, where recordings are."""

    opener: Callable[[], Embedder]
    shards: str
    audio: str


class ShardWorker:
    """One worker: opens the embedder on its first shard and keeps it."""

    def __init__(self, outfit: Outfit) -> None:
        self.outfit = outfit
        self.embedder: Embedder | None = None
        # Ray lets a worker use one CPU; more threads than that would only wait for each other
        torch.set_num_threads(1)

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
        """Do the shard of a manifest's row; returns its file name, and what went wrong or ""."""
        entry = {name: column[0] for name, column in batch.items()}
        trouble = ""
        try:
            self.embedder = self.embedder or self.outfit.opener()
            _do(entry, self.outfit, self.embedder)
        except (VoxScopeError, ValueError) as error:
            trouble = json.dumps(_told(error))
        return {"file": [str(entry["file"])], "trouble": [trouble]}


def _do(entry: Mapping[str, Any], outfit: Outfit, embedder: Embedder) -> None:
    """Do one shard; what lies at an address is brought into a folder of this machine, and the result sent."""
    # Ray's own folder when it names one: a killed worker cannot clear up, but whoever ends Ray does
    with tempfile.TemporaryDirectory(prefix="voxscope-", dir=os.environ.get(_RAY_FOLDER)) as scratch:
        folder, audio_root = Path(outfit.shards), Path(outfit.audio)
        if is_remote(outfit.shards):
            folder = Path(scratch) / "shards"
        if is_remote(outfit.audio):
            audio_root = Path(scratch) / "audio"
        job = job_from_manifest(entry, audio_root=audio_root, folder=folder)
        name = job.file.name
        if is_remote(outfit.shards):
            shards = RemoteFolder(outfit.shards)
            if shards.fetch(name, job.file) and finished_shard(job, embedder.dim) is not None:
                return
        if is_remote(outfit.audio):
            _fetch_recordings(job.clips, RemoteFolder(outfit.audio))
        embed_shard(job, embedder)
        if is_remote(outfit.shards):
            shards.send(job.file, name)


def _fetch_recordings(clips: Corpus, recordings: RemoteFolder) -> None:
    """Copy the recordings of some clips below their root; one that is not there will be missed when it is read."""
    clips.audio_root.mkdir(parents=True)
    for name in clips.table["audio_path"].astype(str).unique():
        leads_out = ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute()
        if not leads_out:
            recordings.fetch(name, clips.audio_root / name)


def _told(error: Exception) -> dict[str, str | None]:
    if isinstance(error, VoxScopeError):
        return {"what": error.what, "where": error.where, "remedy": error.remedy}
    return {"what": str(error), "where": None, "remedy": "give every machine the same VoxScope and weights"}


def _map_shards(ray: Any, jobs: Sequence[ShardJob], outfit: Outfit, crew: Crew) -> Iterator[str]:
    """Yield the file name of each shard when it is done, in whatever order that is."""
    with tempfile.TemporaryDirectory(prefix="voxscope-") as scratch:
        manifest = Path(scratch) / MANIFEST
        write_manifest(manifest, jobs)
        try:
            for row in _embedded(ray, manifest, outfit, crew).iter_rows():
                yield _done_or_raise(row)
        except ray.exceptions.RayError as error:
            raise ArtifactError(
                f"the cluster gave up ({str(error).strip().splitlines()[-1]})",
                where=outfit.shards,
                remedy="see that its machines have the memory and disk they need, then run the same command again;"
                " finished shards are kept",
            ) from error


def _embedded(ray: Any, manifest: Path, outfit: Outfit, crew: Crew) -> Any:
    """The manifest, one row a task, mapped over the crew: a Ray dataset that is computed when it is iterated."""
    work = _read_manifest(ray, manifest, outfit.shards).repartition(target_num_rows_per_block=1)
    with warnings.catch_warnings():
        # the one way to bound retries in the Ray that is pinned; without, a shard that kills workers does so for ever
        warnings.filterwarnings("ignore", message=".*ray_remote_args_fn")
        return work.map_batches(
            ShardWorker,
            fn_constructor_args=(outfit,),
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=crew.n_workers, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=crew.n_gpus_each,
            ray_remote_args_fn=_retries,
        )


def _done_or_raise(row: Mapping[str, str]) -> str:
    """The file name of a shard that a worker reports done; ArtifactError for what it reports otherwise."""
    if row["trouble"]:
        told = json.loads(row["trouble"])
        raise ArtifactError(told["what"], where=told["where"], remedy=told["remedy"])
    return str(row["file"])


def _retries() -> dict[str, int]:
    return {"max_task_retries": MAX_RETRIES}


def _read_manifest(ray: Any, manifest: Path, shards: str) -> Any:
    """Put the manifest where the shards go, because that is what all machines see, and open it from there."""
    if is_remote(shards):
        place = RemoteFolder(shards)
        place.send(manifest, MANIFEST)
        return ray.data.read_parquet(f"{place.path}/{MANIFEST}", filesystem=place.filesystem)
    shared = Path(shards)
    shared.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(manifest, shared / MANIFEST)
    return ray.data.read_parquet(str(shared / MANIFEST))


@contextmanager
def _cluster(address: str | None, n_workers: int | None) -> Iterator[Any]:
    """Yield Ray, connected; a Ray started here is stopped and its files removed. One already connected stays so."""
    own = address is None
    if own:
        _keep_to_itself()
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    folder = tempfile.mkdtemp(prefix="voxscope-ray-")
    try:
        if own:
            _start(ray, n_workers, folder)
        else:
            _join(ray, str(address))
        yield ray
    finally:
        ray.shutdown()
        if os.environ.get(_RAY_FOLDER) == folder:
            del os.environ[_RAY_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)


def _keep_to_itself() -> None:
    """Settings of a Ray started here, read when it is imported: it tells no one, and lets in no one else."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(
            "the engine ray needs the package ray, which is not installed",
            remedy="run: pip install 'voxscope[ray]' (in a checkout: pip install -r requirements-ray.txt)",
        ) from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


def _start(ray: Any, n_workers: int | None, folder: str) -> None:
    """Start Ray here. CPUs are only counted: with some to spare, what reads the manifest never waits for a worker."""
    os.environ[_RAY_FOLDER] = folder
    ray.init(
        address="local",
        num_cpus=(n_workers or os.cpu_count() or 1) + _CPUS_TO_READ,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=folder,
    )


def _join(ray: Any, address: str) -> None:
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"no Ray cluster answers ({str(error).strip().splitlines()[0]})",
            where=address,
            remedy="start one with `ray start --head`, join this machine with `ray start --address=…`,"
            " and name it here; without --address a Ray of its own is started",
        ) from error


def _knock(address: str) -> None:
    """Raise OSError when nobody listens at host:port; Ray itself would try again for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _plan_crew(resources: Mapping[str, float], n_workers: int | None, uses_gpus: bool | None) -> Crew:
    """How many workers a cluster can hold: one a GPU, else one a CPU, always leaving CPUs for reading the manifest."""
    n_cpus, n_gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if uses_gpus and not n_gpus:
        raise MissingDependencyError(
            "the cluster has no GPU", remedy="leave --device out, or say --device cpu"
        )
    n_spare = n_cpus - (_CPUS_TO_READ if n_cpus > _CPUS_TO_READ else 1)
    if n_spare < 1:
        raise MissingDependencyError(
            f"the cluster counts {n_cpus} CPUs; a worker needs one, and reading the manifest another",
            remedy="start Ray with more: ray start --num-cpus 4 (they are only counted)",
        )
    is_on_gpus = n_gpus > 0 and uses_gpus is not False
    n_most = min(n_spare, n_gpus) if is_on_gpus else n_spare
    if n_workers is not None and n_workers > n_most:
        _log.warning("the cluster holds %d workers, not %d", n_most, n_workers)
    return Crew(min(n_workers or n_most, n_most), 1 if is_on_gpus else 0)


def _collect(jobs: Sequence[ShardJob], shards: str) -> None:
    """Bring finished shards from an address into their folder here."""
    if is_remote(shards):
        place = RemoteFolder(shards)
        for job in jobs:
            place.fetch(job.file.name, job.file)
        return
    for job in jobs:
        done = Path(shards) / job.file.name
        if done.exists():
            job.file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(done, job.file)


def _check_seen(jobs: Sequence[ShardJob], dim: int) -> None:
    unseen = [job for job in jobs if finished_shard(job, dim) is None]
    if unseen:
        raise ArtifactError(
            f"{len(unseen)} of {len(jobs)} shards were done but cannot be seen from here",
            where=unseen[0].folder,
            remedy="name a folder or an address that all machines share: --shards s3://calls/shards",
        )
