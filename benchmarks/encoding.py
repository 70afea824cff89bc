"""Encoding 1,000,000 clips at L 8192, k 32, against SAELens' `encode`, and the memory it takes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers import Peer
from benchmarks.rows import Row

N_LATENTS, K, DIM = 8192, 32, 192
N_CLIPS, N_QUICK = 1_000_000, 40_000
N_TURNS = 5
PEER_FRACTION, PEER_BATCH = 0.01, 4096
"""SAELens encodes this share of each turn's clips, in batches like those it trains on; its time is extrapolated."""
LIMIT_MB = 128
"""How far memory may grow, however many clips there are."""


def measure(*, is_quick: bool) -> Iterator[Row]:
    """The time beside SAELens', in turns; then the memory that a quarter of the clips needs, and all."""
    n_clips = N_QUICK if is_quick else N_CLIPS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_clips(folder, n_clips)
        yield compare_times(folder, n_clips)
        yield compare_memory(folder, n_clips)


def write_clips(folder: Path, n_clips: int) -> None:
    """Random clips, and an autoencoder with random weights that both sides load."""
    random = np.random.default_rng(0)
    clips = np.lib.format.open_memmap(folder / "clips.npy", mode="w+", dtype=np.float32, shape=(n_clips, DIM))
    for start in range(0, n_clips, 50_000):
        part = clips[start : start + 50_000]
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
    clips.flush()
    directions = random.standard_normal((N_LATENTS, DIM), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bias = (0.1 * random.standard_normal(N_LATENTS)).astype(np.float32)
    np.savez(
        folder / "weights.npz",
        W_enc=directions,
        b_enc=bias,
        W_dec=directions,
        b_dec=np.zeros(DIM, np.float32),
    )


def compare_times(folder: Path, n_clips: int) -> Row:
    """A part of the clips in each turn: all of it by ours, a sample of it by SAELens."""
    files = {"weights": str(folder / "weights.npz"), "k": K, "inputs": str(folder / "clips.npy")}
    a_turn = n_clips // N_TURNS
    n_sample = max(PEER_BATCH, int(a_turn * PEER_FRACTION) // PEER_BATCH * PEER_BATCH)
    ours_s, theirs_s = [], []
    with Peer("encode_clips", is_ours=True) as ours, Peer("sae_lens_steps") as theirs:
        for side in (ours, theirs):
            side.call("load", **files)
        same = np.allclose(
            ours.call("first_codes", n=64).value, theirs.call("first_codes", n=64).value, rtol=1e-4
        )
        assert same, "both sides must encode alike"
        for turn in range(N_TURNS):
            ours_s.append(ours.call("encode", first=turn * a_turn, n=a_turn).value / a_turn)
            part = {"first": turn * a_turn, "n": n_sample, "batch_size": PEER_BATCH}
            theirs_s.append(theirs.call("encode", **part).value / n_sample)
    ours_us, theirs_us = 1e6 * float(np.median(ours_s)), 1e6 * float(np.median(theirs_s))
    return Row(
        f"encoding {n_clips:,} clips, L {N_LATENTS}, k {K}",
        "SAELens' encode",
        theirs_us / ours_us,
        3,
        f"{sum(ours_s) * a_turn:.1f} s, {ours_us:.1f} µs a clip; SAELens {theirs_us:.1f} µs a clip, extrapolated from "
        f"{N_TURNS} × {n_sample:,} clips in batches of {PEER_BATCH} ({theirs_us * n_clips / 1e6:.0f} s in all)",
    )


def compare_memory(folder: Path, n_clips: int) -> Row:
    """How far the memory of a fresh process grows while it encodes a quarter of the clips, and all of them."""
    files = {"weights": str(folder / "weights.npz"), "k": K, "inputs": str(folder / "clips.npy")}
    grown_mb, peak_mb = [], []
    for n in (n_clips // 4, n_clips):
        with Peer("encode_clips", is_ours=True) as fresh:
            fresh.call("load", **files)
            grown_mb.append(fresh.call("grow_mb", n=n).value)
            peak_mb.append(fresh.call("peak_mb").value)
    return Row(
        f"memory of encoding {n_clips:,} clips in pieces",
        "the process before",
        grown_mb[1],
        LIMIT_MB,
        f"{grown_mb[0]:.0f} MB for {n_clips // 4:,} clips, {grown_mb[1]:.0f} MB for {n_clips:,}, mapped files not "
        f"counted; with them at most {peak_mb[0]:.0f} and {peak_mb[1]:.0f} MB in all; `encode` needs room for the "
        f"codes beyond it, {n_clips * K * 8 / 2**20:.0f} MB",
        unit="MB",
        is_limit=True,
    )
