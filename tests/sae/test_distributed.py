"""Several processes that train one autoencoder end where one process does."""

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sae_core.build.steps import sae_folder
from sae_core.corpus.clips import Corpus
from sae_core.demo.planted import write_synthetic_workspace
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import read_tensors
from sae_core.files.errors import ArtifactError
from sae_core.sae.batches import TrainingInputs, shuffled_batches
from sae_core.sae.distributed import ALONE, Team
from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.step import SaeFit, StepSettings
from sae_core.sae.training import TrainingConfig, train
from tests.sae.test_training import Killed, kill_after

SETTINGS = StepSettings(
    learning_rate=1e-2,
    n_steps=40,
    warmup_fraction=0.1,
    decay_fraction=0.2,
    aux_coefficient=1 / 8,
    n_aux_latents=4,
    dead_after_clips=300,
)
PLAIN = SaeConfig(dim=6, n_latents=64, k=2)
NESTED = SaeConfig(dim=6, n_latents=64, k=2, variant="matryoshka", prefixes=(8, 64))
BATCH, JUMP = replace(PLAIN, variant="batchtopk"), replace(PLAIN, variant="jumprelu")


@dataclass
class Meeting:
    """Where threads that stand for processes add up what they hold."""

    size: int
    parts: dict[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size, timeout=30)

    def total(self, rank: int, part: torch.Tensor) -> torch.Tensor:
        self.parts[rank] = part.detach().clone()
        self.barrier.wait()
        total = sum(self.parts[number] for number in range(self.size))
        self.barrier.wait()
        return total


@dataclass(frozen=True)
class Thread(Team):
    meeting: Meeting | None = None

    def total(self, part):
        return self.meeting.total(self.rank, part)


def fit_of(config, team):
    return SaeFit(SparseAutoencoder.untrained(config, np.zeros(config.dim), 1.0), SETTINGS, team)


def steps_of_a_team(config, batches, size):
    """The fits of all members after these batches."""
    meeting = Meeting(size)
    fits = [fit_of(config, Thread(rank, size, meeting)) for rank in range(size)]

    def work(fit):
        for batch in batches:
            fit.step(batch[fit.team.share(torch.arange(len(batch)))])

    threads = [threading.Thread(target=work, args=(fit,)) for fit in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return fits


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "config", [PLAIN, NESTED, BATCH, JUMP], ids=["topk", "matryoshka", "batchtopk", "jumprelu"]
)
def test_a_team_takes_the_steps_of_one(config, size):
    """Batches of more than 256, so that the auxiliary loss hears a quarter; few inputs, so that latents die."""
    generator = torch.Generator().manual_seed(3)
    batches = [
        torch.randn(300, 2, generator=generator) @ torch.randn(2, 6, generator=generator) for _ in range(6)
    ]
    alone = fit_of(config, ALONE)
    for batch in batches:
        alone.step(batch)
    fits = steps_of_a_team(config, batches, size)
    assert alone.is_dead.any()
    sums = alone.take_sums()
    for fit in fits:
        assert fit.n_seen == alone.n_seen
        assert torch.equal(fit.last_fired, alone.last_fired)
        for name, part in fit.sae.named_parameters():
            torch.testing.assert_close(part, dict(alone.sae.named_parameters())[name], rtol=1e-3, atol=1e-5)
    assert sum(float(fit.sums.error) for fit in fits) == pytest.approx(float(sums.error), rel=1e-4)
    assert sum(fit.sums.n_clips for fit in fits) == sums.n_clips


@pytest.mark.parametrize("n", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_of_a_batch_are_the_batch(n, size):
    batch = torch.arange(100, 100 + n)
    team = [Team(rank, size) for rank in range(size)]
    shares = torch.cat([member.share(batch) for member in team])
    assert sorted(shares.tolist()) == batch[: n // size * size].tolist()
    assert len({len(member.share(batch)) for member in team}) == 1
    for first in range(n + 1):
        held = [member.share(batch)[: member.share_of_first(first)] for member in team]
        assert set(torch.cat(held).tolist()) >= set(batch[: min(first, n // size * size)].tolist())


def test_inputs_are_the_same_from_memory_and_from_the_file(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    rows = np.arange(3, 480, 2)
    kept = TrainingInputs(mapped, rows, device=torch.device("cpu"))
    read = TrainingInputs(mapped, rows, device=torch.device("cpu"), max_bytes=0)
    assert read._kept is None
    batches = shuffled_batches(len(rows), 32, seed=1)
    for _ in range(10):
        places = next(batches)
        assert torch.equal(kept.draw(places), read.draw(places))
        expected = (vectors[rows[places]] - kept.mean) / kept.scale
        np.testing.assert_allclose(kept.draw(places), expected, rtol=1e-4, atol=1e-5)
    everything = read.draw(torch.arange(len(rows)))
    assert everything.square().sum(1).mean() == pytest.approx(6, rel=1e-4)


def test_inputs_stay_in_their_file_where_the_device_has_no_room(monkeypatch):
    vectors, rows = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32), np.arange(50)
    monkeypatch.setattr("sae_core.sae.batches._spare_bytes", lambda device: vectors.nbytes - 1)
    read = TrainingInputs(vectors, rows, device=torch.device("cpu"))
    assert read._kept is None
    monkeypatch.setattr("sae_core.sae.batches._spare_bytes", lambda device: vectors.nbytes)
    kept = TrainingInputs(vectors, rows, device=torch.device("cpu"))
    assert torch.equal(kept.draw(torch.arange(9)), read.draw(torch.arange(9)))


@pytest.mark.slow
def test_torchrun_goes_on_with_what_one_process_began(tmp_path):
    """Two real processes over gloo take up a killed run; curve and weights are those of one unbroken process."""
    write_synthetic_workspace(tmp_path / "one", n_clips=2000, seed=4)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    corpus = Corpus.load(tmp_path / "one")
    embeddings = Embeddings.load(tmp_path / "one" / "embeddings" / "synthetic", remedy="")
    config, training = SaeConfig(dim=192, n_latents=64, k=8), TrainingConfig(n_epochs=12, device="cpu")
    folders = [sae_folder(tmp_path / name, "synthetic", config) for name in ("one", "two")]
    train(embeddings, corpus, config, training, folders[0])
    eager = replace(training, checkpoint_every_s=0.0)
    with pytest.raises(Killed):
        train(embeddings, corpus, config, eager, folders[1], progress=kill_after(3))
    n_begun = len(read_tensors(folders[1] / "checkpoint.safetensors")["table"])
    command = ["--variant", "topk", "--latents", "64", "--k", "8", "--epochs", "12", "--device", "cpu"]
    said = run_two("-m", "sae_core", "train", "--workspace", str(tmp_path / "two"), *command)
    assert said.count("trained ") == 1
    one, two = (pd.read_parquet(folder / "training.parquet") for folder in folders)
    assert 0 < n_begun < len(one) / 4
    for column in ("step", "n_seen"):
        assert one[column].tolist() == two[column].tolist()
    for column in ("fvu_train", "fvu_held_out", "l0", "dead_fraction", "learning_rate"):
        np.testing.assert_allclose(one[column], two[column], rtol=2e-3, atol=1e-6, err_msg=column)
    assert one["fvu_train"].iloc[-1] < 0.8 * one["fvu_train"].iloc[0]
    directions = [SparseAutoencoder.load(folder).decoder_directions() for folder in folders]
    assert (directions[0] * directions[1]).sum(1).min() > 0.999


@pytest.mark.parametrize(("numbers", "is_same"), [((7, 7, 7), True), ((0, 1, 1), False), ((5, 6, 7), False)])
def test_processes_that_see_different_things_are_told_so(numbers, is_same):
    meeting = Meeting(3)
    told = []

    def check(rank):
        try:
            Thread(rank, 3, meeting).check_same(numbers[rank], "how many steps are done")
        except ArtifactError as error:
            told.append(str(error))

    threads = [threading.Thread(target=check, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == (0 if is_same else 3)
    assert all("the processes differ in how many steps are done" in message for message in told)
    ALONE.check_same(3, "anything")


def run_two(*command: str) -> str:
    """What two processes under torchrun say."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parent.parent.parent),
    }
    done = subprocess.run(
        [*launch, *command], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    return done.stdout + done.stderr
