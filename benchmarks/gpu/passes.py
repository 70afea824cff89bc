"""Passes over ten million: clips encoded on the device, pairs steered on the processor."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.gpu.clips import DIM, K, new_fit, random_inputs
from benchmarks.gpu.device import Bench
from benchmarks.rows import Row, wall_s
from benchmarks.steering import plant
from sae_core.measures.steering import Change, Steering
from sae_core.measures.verification import cosine_scores
from sae_core.sae.model import SaeConfig

N_CLIPS, N_BLOCK, N_PAIRS = 10_000_000, 1_000_000, 10_000_000


def measure(bench: Bench) -> Iterator[Row]:
    """Encoding at two sizes, then steering."""
    for n_latents in (2048, 8192) if not bench.is_quick else (256,):
        yield encode(bench, n_latents)
    yield steer(bench)


def encode(bench: Bench, n_latents: int) -> Row:
    """The same million clips as often as it takes: more than any cache holds, and less than memory."""
    n_clips, n_block = bench.pick(N_CLIPS, 4000), bench.pick(N_BLOCK, 2000)
    block = random_inputs(n_block, torch.device("cpu")).numpy()
    sae, size, n_encoded = (
        new_fit(SaeConfig(DIM, n_latents, K), bench.device).sae,
        bench.pick(65_536, 1000),
        0,
    )

    def work() -> None:
        nonlocal n_encoded
        for _ in range(n_clips // n_block):
            n_encoded += sum(len(codes) for codes in sae.encode_in_pieces(block, batch_size=size))

    sum(len(codes) for codes in sae.encode_in_pieces(block[: 2 * size], batch_size=size))
    took_s, peak_gb = 0.0, 0.0

    def timed() -> None:
        nonlocal took_s
        took_s = wall_s(work)

    peak_gb = bench.peak_gb(timed)
    assert n_encoded == n_clips
    detail = f"{n_clips / took_s:,.0f} clips/s from memory to memory, {size:,} at once, {peak_gb:.1f} GB of the card"
    return Row(f"encoding {n_clips:,} clips, L {n_latents}, k {K}", "", took_s, None, detail, unit="s")


def steer(bench: Bench) -> Row:
    """One move of a slider, which no GPU takes part in: the closed form is a few look-ups a pair."""
    n_pairs, latents = bench.pick(N_PAIRS, 20_000), (0, 1, 2, 3)
    model, vectors, codes, trials = plant(bench.pick(100_000, 500), n_pairs)
    steering = Steering.prepare(vectors, (model.W_dec * model.scale).detach().numpy(), codes, latents)
    scores = cosine_scores(vectors, trials)
    delta = steering.deltas([Change(latent, "ablate") for latent in latents])
    found = steering.similarities(scores, trials, delta)
    took_s = bench.median_s(lambda: steering.similarities(scores, trials, delta), n_turns=bench.pick(5, 1))
    some = slice(0, 1000)
    moved = steering.steer(vectors, delta)
    exact = (moved[trials.enrol_rows[some]] * moved[trials.test_rows[some]]).sum(1)
    gap = float(np.abs(found[some] - exact).max())
    assert gap < 1e-4, gap
    detail = f"on the processor, {len(latents)} latents; equal to {gap:.0e} to steered vectors"
    return Row(f"steering {n_pairs:,} pairs", "", 1e3 * took_s, None, detail, unit="ms")
