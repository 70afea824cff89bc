"""The decoder half of an SAE in numpy: what its latents add to an embedding. Pages need no more, and no PyTorch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from sae_core.sae.codes import SparseCodes
from sae_core.sae.config import RETRAIN, read_config, read_weights

PIECE = 8192


@dataclass(frozen=True)
class Decoder:
    """ê = offset + stepsᵀ v.

    steps: how far one unit of each latent's activation moves an embedding, scale · W_dec.
    offset: the embedding that no active latent stands for, mean + scale · b_dec.
    """

    steps: Float32[np.ndarray, "L d"]
    offset: Float32[np.ndarray, " d"]

    @classmethod
    def load(cls, folder: Path, *, remedy: str = RETRAIN) -> "Decoder":
        """Return the decoder of the SAE in `folder`; raises as `sae_config.read_weights`."""
        arrays = read_weights(folder, read_config(folder, remedy=remedy), remedy=remedy)
        W_dec, b_dec, mean, scale = (
            np.asarray(arrays[name], dtype=np.float32) for name in ("W_dec", "b_dec", "mean", "scale")
        )
        return cls(scale * W_dec, mean + scale * b_dec)

    @cached_property
    def directions(self) -> Float32[np.ndarray, "L d"]:
        """Decoder directions of norm 1, in embedding space."""
        norms = np.linalg.norm(self.steps, axis=1, keepdims=True)
        return np.asarray(self.steps / np.maximum(norms, 1e-12), dtype=np.float32)

    def decode(self, codes: SparseCodes) -> Float32[np.ndarray, "n d"]:
        """Return the embeddings that these codes stand for."""
        rebuilt = np.empty((len(codes), len(self.offset)), np.float32)
        for start in range(0, len(codes), PIECE):
            piece = slice(start, start + PIECE)
            sums = rebuilt[piece]
            sums[:] = self.offset
            for latents, activations in zip(codes.latents[piece].T, codes.activations[piece].T, strict=True):
                sums += activations[:, None] * self.steps[latents]
        return rebuilt
