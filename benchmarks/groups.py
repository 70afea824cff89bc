"""Groups of 1 to 16 latents for 20 attribute values over 1,000,000 × 32 codes."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.index import N_CLIPS, N_LATENTS, N_QUICK, K, plant_codes
from benchmarks.rows import Row
from sae_core.measures.attributes import UNSEEN_SPEAKERS, AttributeTarget
from sae_core.measures.groups import find_groups

N_VALUES = 20
LIMIT_S = 120.0
CLIPS_A_SPEAKER = 20


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Choosing and measuring, in seconds; a fifth of the clips for either."""
    n_clips = N_QUICK if is_quick else N_CLIPS
    codes, speakers = plant_codes(n_clips), np.arange(n_clips) // CLIPS_A_SPEAKER
    split = speakers % 5
    started = time.perf_counter()
    for value in range(N_VALUES):
        # a value is what a few latents tell together, and chance
        told = np.isin(codes.latents[:, :4], np.arange(40) * 200 + value).any(axis=1)
        is_positive = told ^ (np.random.default_rng(value).random(n_clips) < 0.02)
        target = AttributeTarget("planted", str(value), UNSEEN_SPEAKERS, is_positive, split == 3, split == 4)
        find_groups(codes, target, speakers, value)
    took_s = time.perf_counter() - started
    about = f"{n_clips:,} clips, L {N_LATENTS:,}, k {K}"
    name = f"groups of latents for {N_VALUES} values"
    yield Row(name, f"{LIMIT_S:.0f} s", took_s, LIMIT_S, about, unit="s", is_limit=True)
