"""sparsify's autoencoder and the steps of its trainer, with its fused kernels, where its wheel was carried along.

Its package as a whole wants tools to run language models; the autoencoder alone needs none of them.
"""

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from benchmarks.gpu.clips import AUX_COEFFICIENT, DIM, LEARNING_RATE, K


@functools.cache
def find_coder() -> tuple[ModuleType | None, str]:
    """The module `sparsify.sparse_coder`, loaded without the rest of its package, or None and why it is not there."""
    found = importlib.util.find_spec("sparsify")
    if found is None or found.origin is None:
        return None, "not carried"
    package = ModuleType("sparsify")
    package.__path__ = [str(Path(found.origin).parent)]
    sys.modules["sparsify"] = package
    try:
        return importlib.import_module("sparsify.sparse_coder"), ""
    except ImportError as error:
        return None, f"cannot be imported: {error}"


class SparsifyStep:
    """What `Trainer.fit` does with the activations of a batch, in its order; in bfloat16 on a GPU, as it always is."""

    def __init__(self, module: ModuleType, n_latents: int, n_dead: int, device: torch.device) -> None:
        config = module.SparseCoderConfig(
            activation="topk", num_latents=n_latents, k=K, normalize_decoder=True
        )
        self.coder = module.SparseCoder(DIM, config, device=device)
        self.adam = torch.optim.Adam(self.coder.parameters(), lr=LEARNING_RATE, fused=True)
        self.n_since_fired = torch.zeros(n_latents, dtype=torch.int64, device=device)
        self.is_dead = torch.arange(n_latents, device=device) < n_dead

    def step(self, batch: Tensor) -> None:
        """One step of Adam on a batch."""
        coder = self.coder
        coder.set_decoder_norm_to_unit_norm()
        did_fire = torch.zeros_like(self.is_dead)
        variance = (batch - batch.mean(0)).pow(2).sum()
        out = coder(x=batch, y=batch, dead_mask=self.is_dead, total_variance=variance)
        did_fire[out.latent_indices.flatten()] = True
        (out.fvu + AUX_COEFFICIENT * out.auxk_loss).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        self.adam.step()
        self.adam.zero_grad()
        self.n_since_fired += len(batch)
        self.n_since_fired[did_fire] = 0
