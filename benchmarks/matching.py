"""Latents of two SAEs matched over 1,000,000 × 32 codes, against the dense product of their activations."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.index import N_CLIPS, N_LATENTS, N_QUICK, K, plant_codes
from benchmarks.rows import Row
from sae_core.measures.matching import match_latents
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex

LIMIT_S = 20.0
TIMES_AS_FAST = 50.0
N_DENSE = 4096
"""Clips that the dense product is timed on; it grows with their number."""


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Correlations, best matches, partners and the null of shuffled clips, in seconds and beside the dense product."""
    n_clips = N_QUICK if is_quick else N_CLIPS
    one = plant_codes(n_clips)
    # half of the latents of the other SAE fire where those of the first do
    other = SparseCodes(
        np.where(one.latents % 2, one.latents, (one.latents * 5 + 8) % N_LATENTS).astype(np.int32),
        one.activations[np.random.default_rng(1).permutation(n_clips)],
        N_LATENTS,
    )
    index, is_counted = FeatureIndex.build(one), np.ones(n_clips, bool)
    match_latents(FeatureIndex.build(one.take(np.arange(64))), other.take(np.arange(64)), is_counted[:64])
    started = time.perf_counter()
    match_latents(index, other, is_counted)
    took_s = time.perf_counter() - started
    dense_s = 2 * _dense_s(one, other) * n_clips / N_DENSE
    about = f"{n_clips:,} clips, L {N_LATENTS:,}, k {K}, with null; {took_s:.1f} s, dense {dense_s:,.0f} s"
    yield Row(
        "match latents of two SAEs", f"{LIMIT_S:.0f} s", took_s, LIMIT_S, about, unit="s", is_limit=True
    )
    about += f" (extrapolated from {N_DENSE:,} clips, products alone)"
    yield Row("match latents of two SAEs", "dense product", dense_s / took_s, TIMES_AS_FAST, about)


def _dense_s(one: SparseCodes, other: SparseCodes) -> float:
    rows = np.arange(N_DENSE)
    left, right = one.dense(rows), other.dense(rows)
    started = time.perf_counter()
    left.T @ right
    return time.perf_counter() - started
