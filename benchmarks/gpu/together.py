"""Several processes on one card: the answers stay the same, and the grid of sixteen is trained at once."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.answers import planted_corpus
from benchmarks.gpu.clips import DIM, K, new_fit, random_inputs
from benchmarks.gpu.device import Bench
from benchmarks.gpu.workers import side_by_side
from benchmarks.rows import Row
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig, train

GRID = [SaeConfig(DIM, n_latents, k) for n_latents in (256, 512, 1024, 2048) for k in (4, 8, 16, 32)]
N_AT_ONCE = 4


def measure(bench: Bench) -> Iterator[Row]:
    """Two processes that take the same steps, beside one alone; then the grid."""
    yield from share_the_card(bench)
    yield train_the_grid(bench)


def take_steps(bench: Bench) -> tuple[float, float]:
    """The FVU and the seconds a step of one process's own training."""
    fit = new_fit(SaeConfig(DIM, bench.pick(8192, 128), K), bench.device)
    batches = [random_inputs(bench.pick(4096, 64), bench.device, seed=seed) for seed in range(4)]
    n_steps = bench.pick(300, 6)
    fit.step(batches[0])
    bench.wait()
    started = time.perf_counter()
    for number in range(n_steps):
        fit.step(batches[number % len(batches)])
    bench.wait()
    return fit.take_sums().fvu, (time.perf_counter() - started) / n_steps


def share_the_card(bench: Bench) -> Iterator[Row]:
    """The loss of each of two processes beside that of one alone, and what sharing costs."""
    [alone] = side_by_side(take_steps, [(bench,)])
    both = side_by_side(take_steps, [(bench,), (bench,)])
    gap = max(abs(fvu - alone[0]) / alone[0] for fvu, _ in both)
    slowed = max(took_s for _, took_s in both) / alone[1]
    detail = f"two processes on one device, each step {slowed:.2f} times as long as of one alone"
    yield Row("loss of two trainings at once", "one alone", gap, 1e-2, detail, unit="", is_limit=True)


def train_one(bench: Bench, folder: Path, configs: list[SaeConfig]) -> tuple[float, float]:
    """Train some autoencoders in turn, as `sweep` does; seconds, and the mean held-out explained variance."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // N_AT_ONCE))
    corpus, embeddings = planted_corpus(folder, bench.pick(167_000, 600))
    size = bench.pick(4096, 64)
    training = TrainingConfig(n_epochs=bench.pick(20, 1), batch_size=size, device=str(bench.device))
    new_fit(configs[0], bench.device).step(random_inputs(size, bench.device))
    bench.wait()
    started = time.perf_counter()
    found = [train(embeddings, corpus, config, training, folder / config.name) for config in configs]
    took_s = time.perf_counter() - started
    return took_s, float(np.mean([metrics["held-out"]["explained_variance"] for metrics in found]))


def train_the_grid(bench: Bench) -> Row:
    """All sixteen in four processes, the large ones spread evenly; four of them one by one for comparison."""
    n_at_once, configs = (2, GRID[:2]) if bench.is_quick else (N_AT_ONCE, GRID)
    with tempfile.TemporaryDirectory() as scratch:
        shares = [(bench, Path(scratch), configs[rank::n_at_once]) for rank in range(n_at_once)]
        together_s = max(took_s for took_s, _ in side_by_side(train_one, shares))
    sample = configs[:: len(configs) // n_at_once]
    with tempfile.TemporaryDirectory() as scratch:
        [(alone_s, explained)] = side_by_side(train_one, [(bench, Path(scratch), sample)])
    alone_s *= len(configs) / len(sample)
    detail = f"{together_s:.1f} s in {n_at_once} processes, {alone_s:.1f} s in one, extrapolated from {len(sample)} of "
    detail += f"them, whose mean held-out explained variance is {explained:.3f}; measures and files included"
    return Row(f"grid of {len(configs)} SAEs at once", "one by one", alone_s / together_s, None, detail)
