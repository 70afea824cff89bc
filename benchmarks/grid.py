"""The whole grid of 16 TopK autoencoders on 100,000 clips, against the same grid trained one by one by each peer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers import Peer
from benchmarks.rows import Row, wall_s
from benchmarks.training import BATCH, DIM, PEERS, planted_inputs, settings_for_peers
from sae_core.corpus import Corpus
from sae_core.sae import SaeConfig
from sae_core.sweep import SweepGrid, run_sweep
from sae_core.synthetic import write_synthetic_workspace
from sae_core.training import TrainingConfig

N_CLIPS, N_QUICK = 167_000, 16_700
"""Three in five are by speakers of the train split: 100,000 clips to train on."""
GRID = SweepGrid(variants=("topk",), n_latents=(256, 512, 1024, 2048), ks=(4, 8, 16, 32))
SMALL = SweepGrid(variants=("topk",), n_latents=(256, 2048), ks=(8,))
N_EPOCHS, N_AT_ONCE = 20, 2
N_WARM, N_SAMPLED = 2, 3
"""Steps of each of a peer's autoencoders, before our sweep and again after it; those that warm up do not count."""


def measure(*, is_quick: bool) -> Iterator[Row]:
    """All that `run_sweep` does, from its start to its table; of each peer a few steps of each, extrapolated."""
    grid = SMALL if is_quick else GRID
    with tempfile.TemporaryDirectory() as scratch:
        path, inputs = Path(scratch) / "workspace", Path(scratch) / "inputs.npy"
        write_synthetic_workspace(path, n_clips=N_QUICK if is_quick else N_CLIPS)
        np.save(inputs, planted_inputs(8 * BATCH).numpy())
        n_train = len(Corpus.load(path).rows_in("train"))
        training = TrainingConfig(n_epochs=N_EPOCHS, batch_size=min(BATCH, n_train))
        configs = grid.configs(DIM)
        before = {name: steps_s(name, inputs, configs) for name in PEERS}
        reports = []
        ours_s = wall_s(lambda: reports.append(run_sweep(path, grid, training, n_at_once=N_AT_ONCE)))
        assert reports[0].failures.empty, reports[0].failures
        after = {name: steps_s(name, inputs, configs) for name in PEERS}
    n_steps = N_EPOCHS * (n_train // BATCH)
    theirs_s = {name: n_steps * (before[name] + after[name]) / 2 for name in PEERS}
    fastest = min(theirs_s, key=lambda name: theirs_s[name])
    yield Row(
        f"grid of {len(configs)} SAEs, {n_train:,} clips, {N_EPOCHS} epochs",
        f"{fastest}, one by one",
        theirs_s[fastest] / ours_s,
        3,
        f"{ours_s:.0f} s in {N_AT_ONCE} processes, indexes, statistics and probes included; "
        + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in theirs_s.items())
        + f" for {n_steps} steps of each, extrapolated from {2 * N_SAMPLED} and without anything but the steps",
    )


def steps_s(name: str, inputs: Path, configs: list[SaeConfig]) -> float:
    """Seconds that a step of each of a peer's autoencoders takes, all together."""
    found_s = []
    with Peer(PEERS[name][0]) as peer:
        for config in configs:
            peer.call("start", inputs=str(inputs), settings=settings_for_peers(config.n_latents, config.k))
            peer.call("take_steps", first=0, n=N_WARM)
            found_s.append(peer.call("take_steps", first=N_WARM, n=N_SAMPLED).value / N_SAMPLED)
    return sum(found_s)
