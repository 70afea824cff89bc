"""The grid of 16 TopK autoencoders on 100,000 clips, against the same grid trained one by one by the fastest peer."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.peers import Peer
from benchmarks.rows import Row, wall_s
from benchmarks.training import BATCH, DIM, PEERS, settings_for_peers
from sae_core.build.sweep import SweepGrid, run_sweep
from sae_core.demo.planted import EMBEDDER, write_synthetic_workspace
from sae_core.sae.batches import TrainingInputs
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig
from sae_core.workspace.workspace import Workspace

N_CLIPS, N_QUICK = 167_000, 16_700
"""Three in five are by speakers of the train split: 100,000 clips to train on."""
GRID = SweepGrid(variants=("topk",), n_latents=(256, 512, 1024, 2048), ks=(4, 8, 16, 32))
SMALL = SweepGrid(variants=("topk",), n_latents=(256, 2048), ks=(8,))
N_EPOCHS, N_AT_ONCE = 20, 2
N_WARM, N_SAMPLED = 2, 3
"""Steps of each of a peer's autoencoders by which the fastest peer is found; those that warm up do not count."""


class Task(NamedTuple):
    """What a peer trains on: the file of centred, scaled clips, how many there are, and the steps to take."""

    inputs: Path
    n_train: int
    n_steps: int


def measure(*, is_quick: bool) -> Iterator[Row]:
    """All that `run_sweep` does, from its start to its table; of the fastest peer every step of every autoencoder, one
    half of them before our sweep and the other after it."""
    grid = SMALL if is_quick else GRID
    configs = grid.configs(DIM)
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch) / "workspace"
        write_synthetic_workspace(workspace, n_clips=N_QUICK if is_quick else N_CLIPS)
        task = write_task(workspace, Path(scratch) / "inputs.npy")
        sampled_s = {name: task.n_steps * sum(sampled_steps_s(name, task, configs)) for name in PEERS}
        fastest = min(sampled_s, key=lambda name: sampled_s[name])
        fastest_s = whole_training_s(fastest, task, configs[::2])
        ours_s = wall_s(lambda: sweep(workspace, grid))
        fastest_s += whole_training_s(fastest, task, configs[1::2])
    others = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sampled_s.items() if name != fastest)
    yield Row(
        f"grid of {len(configs)} SAEs, {task.n_train:,} clips, {N_EPOCHS} epochs",
        f"{fastest}, one by one",
        fastest_s / ours_s,
        3,
        f"{ours_s:.0f} s in {N_AT_ONCE} processes, indexes, statistics and probes included; {fastest} "
        f"{fastest_s:.0f} s for {task.n_steps} steps of each and nothing else; {others}, extrapolated from "
        f"{N_SAMPLED} steps of each",
    )


def write_task(workspace: Path, inputs: Path) -> Task:
    """Write the clips that our sweep will train on, as it will see them, to a file for the peers."""
    opened = Workspace(workspace)
    rows = opened.corpus.rows_in("train")
    clips = TrainingInputs(opened.embeddings(EMBEDDER).vectors, rows, device=torch.device("cpu"))
    np.save(inputs, clips.draw(torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))).numpy())
    return Task(inputs, len(rows), N_EPOCHS * (len(rows) // BATCH))


def sweep(workspace: Path, grid: SweepGrid) -> None:
    """Our side."""
    training = TrainingConfig(n_epochs=N_EPOCHS, batch_size=BATCH)
    report = run_sweep(workspace, grid, training, n_at_once=N_AT_ONCE)
    assert report.failures.empty, report.failures


def sampled_steps_s(name: str, task: Task, configs: Iterable[SaeConfig]) -> Iterator[float]:
    """Seconds that an early step of each of a peer's autoencoders takes."""
    with Peer(PEERS[name][0]) as peer:
        for config in configs:
            begin(peer, task, config)
            peer.call("take_steps", first=0, n=N_WARM)
            yield peer.call("take_steps", first=N_WARM, n=N_SAMPLED).value / N_SAMPLED


def whole_training_s(name: str, task: Task, configs: Iterable[SaeConfig]) -> float:
    """Seconds that all steps of a peer's autoencoders take, one autoencoder after another."""
    with Peer(PEERS[name][0]) as peer:
        found_s = 0.0
        for config in configs:
            begin(peer, task, config)
            found_s += peer.call("take_steps", first=0, n=task.n_steps).value
        return found_s


def begin(peer: Peer, task: Task, config: SaeConfig) -> None:
    """First weights, with the learning rate and the patience with dead latents that our sweep chooses for itself."""
    ours = TrainingConfig(batch_size=BATCH).for_corpus(task.n_train, config)
    settings = settings_for_peers(config.n_latents, config.k)
    assert ours.learning_rate and ours.dead_after_clips
    settings |= {"learning_rate": ours.learning_rate, "dead_after_clips": ours.dead_after_clips}
    peer.call("start", inputs=str(task.inputs), settings=settings)
