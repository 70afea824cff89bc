"""The encoders on a GPU: the processor's vectors, and how many seconds of sound a second."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks.gpu.answers import MOST_COSINE_GAP
from benchmarks.gpu.clips import SAMPLE_RATE_HZ, largest_gap, sounds
from benchmarks.gpu.device import Bench
from benchmarks.gpu.titanet_shape import LARGE, SMALL, random_titanet
from benchmarks.rows import Row, failed
from sae_core.embedding.embedders import Embedder, open_embedder
from sae_core.files.errors import VoxScopeError

DURATIONS_S = (0.5, 1.37, 3.0, 4.21, 9.9, 35.0)
"""One fills several of CAM++'s segments, one is longer than Whisper hears at once."""
BATCH_CLIPS, CLIP_S = 64, 9.0
"""As large a batch as `embed` makes: ten minutes of sound."""
TARGETS = {
    "ge2e": "GE2E",
    "campplus": "CAM++",
    "whisper": "Whisper base",
    "titanet": "TitaNet's shape, random",
}


def measure(bench: Bench) -> Iterator[Row]:
    """For each encoder its vectors beside the processor's, and its speed; one that cannot be opened says why."""
    for name, called in TARGETS.items():
        try:
            yield from measure_one(bench, called, opener(bench, name))
        except VoxScopeError as error:
            yield failed(f"{called} on the device", str(error))


def opener(bench: Bench, name: str) -> Callable[[torch.device], Embedder]:
    """What opens an encoder on a device; TitaNet's shape with random weights, since NeMo cannot be had everywhere."""
    if name != "titanet":
        return lambda device: open_embedder(name, device=str(device))
    blocks = SMALL if bench.is_quick else LARGE
    return lambda device: random_titanet(blocks, device)


def measure_one(bench: Bench, called: str, opened: Callable[[torch.device], Embedder]) -> Iterator[Row]:
    """Its vectors of clips of several lengths in one batch; then its speed on full batches."""
    durations_s = DURATIONS_S[: bench.pick(len(DURATIONS_S), 2)]
    clips, there = sounds(durations_s), opened(bench.device)
    expected, found = opened(torch.device("cpu")).embed(*clips), there.embed(*clips)
    apart = largest_gap(found, torch.roll(expected, 1, dims=0))
    detail = f"1 − the smallest cosine of {len(durations_s)} clips of {min(durations_s)} to {max(durations_s)} s, in "
    detail += f"one batch padded with noise; of different clips {apart:.2f}"
    gap = largest_gap(found, expected)
    yield Row(f"vectors of {called}", "the processor", gap, MOST_COSINE_GAP, detail, unit="", is_limit=True)
    n_clips, clip_s = bench.pick(BATCH_CLIPS, 2), CLIP_S if not bench.is_quick else 0.5
    batch = sounds([clip_s] * n_clips, seed=1)
    took_s = bench.median_s(lambda: there.embed(*batch), n_turns=bench.pick(5, 1))
    peak_gb = bench.peak_gb(lambda: there.embed(*batch))
    assert np.prod(batch[0].shape) == n_clips * int(clip_s * SAMPLE_RATE_HZ)
    detail = (
        f"{n_clips} clips of {clip_s:g} s at once, decoded already: {1e3 * took_s:.0f} ms, {peak_gb:.1f} GB"
    )
    yield Row(f"{called}, seconds of sound a second", "", n_clips * clip_s / took_s, None, detail, unit="s/s")
