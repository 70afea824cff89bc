"""Ours, in a fresh process: encoding clips from a file, and the memory of its own that the process needs for it."""

import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from sae_core.sae.model import SaeConfig, SparseAutoencoder

state = SimpleNamespace()


def load(weights: str, k: int, inputs: str) -> None:
    """An autoencoder with given weights, and the clips to encode; a few are encoded to be warm."""
    arrays = {name: torch.from_numpy(part) for name, part in np.load(weights).items()}
    n_latents, dim = arrays["W_dec"].shape
    arrays |= {"mean": torch.zeros(dim), "scale": torch.ones(1)}
    state.sae = SparseAutoencoder(SaeConfig(dim, n_latents, k), arrays).requires_grad_(False)
    state.inputs = np.load(inputs, mmap_mode="r")
    state.sae.encode(state.inputs[:8192])


def encode(first: int, n: int) -> float:
    """Encode some clips and let go of the codes; seconds."""
    started = time.perf_counter()
    state.sae.encode(state.inputs[first : first + n])
    return time.perf_counter() - started


def grow_mb(n: int) -> float:
    """How far memory grows at most while the first clips are encoded and each piece of codes is let go (Linux)."""
    before = highest = _anonymous_mb()
    for _ in state.sae.encode_in_pieces(state.inputs[:n]):
        highest = max(highest, _anonymous_mb())
    return highest - before


def first_codes(n: int) -> list:
    """The sum of activations of each of the first clips, to see that both sides encode alike."""
    return state.sae.encode(state.inputs[:n]).activations.sum(axis=1).tolist()


def _anonymous_mb() -> float:
    """Resident memory but for mapped files, whose pages the system may take back at any time."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert found is not None
    return int(found[1]) / 1024


def peak_mb() -> float:
    """The most that was resident so far, mapped files and all."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert found is not None
    return int(found[1]) / 1024
