"""What happens where a batch does not fit into memory: an error that names the batch and how to lower it."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float32

from sae_core.embedding.embedders import Embedder
from sae_core.files.errors import DeviceMemoryError

_log = logging.getLogger(__name__)

_SIGNS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""How CUDA and cuDNN, torch's allocator for a processor, and cuBLAS say it, where torch has no error of its own."""


@contextlib.contextmanager
def memory_for(batch: str, *, remedy: str) -> Iterator[None]:
    """Raise DeviceMemoryError where the block inside fails for want of memory; other errors pass.

    batch: what did not fit, such as "a batch of 4,096 clips at 32,768 latents". remedy: what makes it smaller.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_known and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise DeviceMemoryError(f"{batch} needs more memory than is left", remedy=remedy) from error


def embed_within_memory(embedder: Embedder, waveforms: Sequence[np.ndarray]) -> Float32[np.ndarray, "b d"]:
    """One vector a waveform (f32[t], each of its own length); where memory is too small for all together, by halves.

    Batch-mates do not change a vector, so halves give what the whole would. Raises DeviceMemoryError where one waveform
    alone does not fit.
    """
    padded = torch.zeros(len(waveforms), max(map(len, waveforms)))
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = torch.from_numpy(waveform)
    batch = f"embedding {len(waveforms)} clips of up to {padded.shape[1] / embedder.sample_rate_hz:.1f} s"
    remedy = "embed with --device cpu, or import the folder again with --window-s 4 for shorter clips"
    try:
        with memory_for(batch, remedy=remedy):
            return embedder.embed(padded, torch.tensor([len(waveform) for waveform in waveforms])).numpy()
    except DeviceMemoryError as error:
        if len(waveforms) == 1:
            raise
        _log.info("%s; trying half as many", error.what)
    half = len(waveforms) // 2
    return np.concatenate(
        [embed_within_memory(embedder, waveforms[:half]), embed_within_memory(embedder, waveforms[half:])]
    )
