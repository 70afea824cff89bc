"""Shards done by a Ray cluster: the same bytes as in one process, and a worker killed in the middle costs one shard."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sae_core.corpus.clips import Corpus
from sae_core.embedding import ray_engine
from sae_core.embedding.embedders import Embedder, open_embedder
from sae_core.embedding.extraction import embed_shard, extract
from sae_core.embedding.ray_engine import Crew, Outfit, RayEngine, ShardWorker
from sae_core.embedding.shards import ShardJob, job_from_manifest, plan_shards, write_manifest
from sae_core.files.errors import ArtifactError, MissingDependencyError
from tests.embedding.test_extraction import BandEmbedder, contents, spoiled_corpus

SHARD_CLIPS = 3


@dataclass(frozen=True)
class Watched:
    """Opens the real GE2E network, notes in `folder` who embeds what, and burns a fuse once: kill -9 in mid-shard."""

    folder: Path

    def __call__(self) -> Embedder:
        embedder = open_embedder("ge2e", device="cpu")
        embed = embedder.embed

        def embed_and_note(waveforms, lengths):
            vectors = embed(waveforms, lengths)
            with (self.folder / "notes.jsonl").open("a") as notes:
                notes.write(json.dumps([os.getpid(), lengths.tolist()]) + "\n")
            fuse = self.folder / f"fuse-{len(self.notes(os.getpid()))}"
            if fuse.exists():
                fuse.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return vectors

        embedder.embed = embed_and_note
        return embedder

    def notes(self, pid: int | None = None) -> list[list]:
        """Every embedding begun, by one process or all: pid and lengths of the clips."""
        notes = [json.loads(line) for line in (self.folder / "notes.jsonl").read_text().splitlines()]
        return [note for note in notes if pid in (None, note[0])]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return spoiled_corpus(tmp_path_factory.mktemp("cluster") / "audio")[0]


@pytest.fixture(scope="module")
def by_one_process(corpus, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    extract(corpus, open_embedder("ge2e", device="cpu"), folder, shard_clips=SHARD_CLIPS)
    return folder


@pytest.fixture(scope="module")
def ray():
    """A Ray of two workers, shared by the tests of this file because it takes seconds to start; it leaves nothing."""
    with ray_engine._cluster(None, 2) as started:
        folder = Path(started._private.worker._global_node.get_temp_dir_path())
        yield started
    assert not started.is_initialized()
    assert not folder.exists()


@pytest.mark.slow
def test_a_killed_worker_costs_one_shard_and_not_one_bit(ray, corpus, by_one_process, tmp_path):
    """Shards and recordings lie at addresses here, and nothing is reached through the workspace's paths."""
    watched = Watched(tmp_path)
    (tmp_path / "fuse-2").touch()
    embedder = open_embedder("ge2e", device="cpu")
    elsewhere = Corpus(corpus.table, tmp_path / "not-here")
    far = tmp_path / "far" / "shards"
    before = far_shards_of_an_earlier_run(corpus, embedder, far)
    engine = RayEngine(watched, n_workers=2, shards=f"file://{far}", audio=f"file://{corpus.audio_root}")
    calls = []
    extract(
        elsewhere,
        embedder,
        tmp_path / "ge2e",
        engine=engine,
        shard_clips=SHARD_CLIPS,
        progress=lambda *call: calls.append(call),
    )
    assert contents(tmp_path / "ge2e") == contents(by_one_process)
    assert not (tmp_path / "fuse-2").exists()
    begun = Counter(tuple(lengths) for _, lengths in watched.notes())
    assert sorted(begun.values()) == [1] * (len(begun) - 1) + [2], "one shard was done again, once"
    assert len({pid for pid, _ in watched.notes()}) >= 3, "two workers, and the one in place of the killed"
    assert (far / before[0].name).stat().st_mtime_ns == before[0].stat().st_mtime_ns
    assert len(begun) == 5, "of 8 shards one was kept, the damaged one was not, and two hold nothing usable"
    assert not [name for name in os.listdir(far) if name.startswith(".")]
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)
    assert calls[-1][:2] == (len(corpus), len(corpus))


def far_shards_of_an_earlier_run(corpus: Corpus, embedder: Embedder, folder: Path) -> list[Path]:
    """One shard that is whole and one that is not."""
    jobs = plan_shards(corpus, embedder, folder, rows=np.arange(len(corpus)), shard_clips=SHARD_CLIPS)
    files = [embed_shard(job, embedder) for job in (jobs[0], jobs[-1])]
    files[1].write_bytes(files[1].read_bytes()[:-40])
    return files


@pytest.mark.slow
def test_the_command_embeds_on_a_ray_of_its_own(ray, corpus, tmp_path, capsys):
    from sae_core.__main__ import main

    few = Corpus(corpus.table.head(9), corpus.audio_root)
    extract(few, open_embedder("ge2e", device="cpu"), tmp_path / "expected")
    few.save(tmp_path / "calls")
    options = ["--embedder", "ge2e", "--device", "cpu", "--engine", "ray", "--workers", "1"]
    assert main(["embed", "--workspace", str(tmp_path / "calls"), *options]) in (0, None)
    assert contents(tmp_path / "calls" / "embeddings" / "ge2e") == contents(tmp_path / "expected")
    assert "clips embedded, 256 numbers each" in capsys.readouterr().out


def test_what_a_worker_cannot_do_is_told_to_whoever_waits(corpus, tmp_path):
    jobs = plan_shards(corpus, BandEmbedder("two"), tmp_path / "shards", rows=np.arange(4))
    batch = manifest_of(jobs, tmp_path)[0]
    worker = ShardWorker(Outfit(BandEmbedder, str(tmp_path / "shards"), str(corpus.audio_root)))
    row = {name: column[0] for name, column in worker(batch).items()}
    with pytest.raises(
        ArtifactError, match=r"the job wants bands two, not bands one → give every machine the same"
    ):
        ray_engine._done_or_raise(row)
    (tmp_path / "file").touch()
    worker = ShardWorker(
        Outfit(lambda: BandEmbedder("two"), f"file://{tmp_path}/file", str(corpus.audio_root))
    )
    row = {name: column[0] for name, column in worker(batch).items()}
    with pytest.raises(ArtifactError, match="file: does not answer .* check the address"):
        ray_engine._done_or_raise(row)
    with pytest.raises(ArtifactError, match="1 of 1 shards were done but cannot be seen from here.*--shards"):
        ray_engine._check_seen(jobs, BandEmbedder.dim)


def manifest_of(jobs: list[ShardJob], folder: Path) -> list[dict[str, np.ndarray]]:
    """The rows of the jobs' manifest, as Ray Data hands them over."""
    write_manifest(folder / "manifest.parquet", jobs)
    entries = pd.read_parquet(folder / "manifest.parquet").to_dict("records")
    return [{name: np.array([value], dtype=object) for name, value in entry.items()} for entry in entries]


def test_a_manifest_holds_all_that_a_job_says(corpus, tmp_path):
    table = corpus.table.copy()
    table.loc[2, "duration_s"] = np.nan
    whole = Corpus(table, corpus.audio_root)
    jobs = plan_shards(whole, BandEmbedder(), tmp_path, rows=np.arange(2, 9), shard_clips=4)
    batches = manifest_of(jobs, tmp_path)
    for job, batch in zip(jobs, batches, strict=True):
        entry = {name: column[0] for name, column in batch.items()}
        again = job_from_manifest(entry, audio_root=corpus.audio_root, folder=tmp_path)
        assert again.file == job.file
        assert again.rows.tolist() == job.rows.tolist()
        assert again.clips.audio_fingerprint == job.clips.audio_fingerprint
        assert (again.embedder, again.revision) == ("bands", "one")
    with pytest.raises(ValueError, match="the manifest calls this shard"):
        job_from_manifest(entry | {"revision": "two"}, audio_root=tmp_path, folder=tmp_path)


@pytest.mark.parametrize(
    ("resources", "n_workers", "uses_gpus", "expected"),
    [
        ({"CPU": 4.0}, None, None, Crew(2, 0)),
        ({"CPU": 2.0}, 2, None, Crew(1, 0)),
        ({"CPU": 66.0}, 8, None, Crew(8, 0)),
        ({"CPU": 66.0, "GPU": 4.0}, None, None, Crew(4, 1)),
        ({"CPU": 66.0, "GPU": 4.0}, 2, True, Crew(2, 1)),
        ({"CPU": 66.0, "GPU": 4.0}, None, False, Crew(64, 0)),
        ({"CPU": 4.0, "GPU": 8.0}, None, None, Crew(2, 1)),
    ],
)
def test_workers_take_gpus_when_there_are_and_leave_cpus_to_read(resources, n_workers, uses_gpus, expected):
    assert ray_engine._plan_crew(resources, n_workers, uses_gpus) == expected


def test_what_a_cluster_lacks_is_said():
    with pytest.raises(MissingDependencyError, match="no GPU.*--device cpu"):
        ray_engine._plan_crew({"CPU": 8.0}, None, True)
    with pytest.raises(MissingDependencyError, match="counts 1 CPUs"):
        ray_engine._plan_crew({"CPU": 1.0}, None, None)
    for wrong in ({"n_workers": 0}, {"shards": "memory://x"}, {"audio": "memory://x"}):
        with pytest.raises(ValueError, match=r"at least 1|one process"):
            RayEngine(BandEmbedder, **wrong)


def test_a_cluster_that_is_not_there_is_said_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ArtifactError, match=rf"{address}: no Ray cluster answers .*`ray start --head`"):
            ray_engine._join(None, address)


def test_ray_is_loaded_when_asked_for_and_missed_by_name(monkeypatch, corpus, tmp_path):
    code = "import sys, sae_core.embedding.ray_engine, sae_core.cli.steps; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install -r requirements-ray\.txt"):
        extract(corpus, BandEmbedder(), tmp_path / "bands", engine=RayEngine(BandEmbedder))
