"""What happens where a batch does not fit into memory: an error that names the batch and how to lower it."""

import contextlib
from collections.abc import Iterator

import torch

from sae_core.files.errors import DeviceMemoryError

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
