"""x Wᵀ + b for every frame of a batch, by the kernel that suits the device."""

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sae_core.embedding.onednn import DenseProduct


class FrameProduct:
    """A linear layer over frames of shape [b, t, c], rectified if asked; on a CPU by oneDNN where torch has it."""

    def __init__(
        self,
        weight: Float32[Tensor, "o c"],
        bias: Float32[Tensor, " o"] | None = None,
        *,
        is_rectified: bool = False,
    ) -> None:
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        self._weight, self._bias, self._is_rectified = weight, bias, is_rectified
        is_here = weight.device.type == "cpu"
        self._dense = DenseProduct(weight, bias, is_rectified=is_rectified) if is_here else None

    def __call__(self, frames: Float32[Tensor, "b t c"]) -> Float32[Tensor, "b t o"]:
        """The product of each frame."""
        if self._dense is not None:
            return self._dense(frames.reshape(-1, frames.shape[2])).unflatten(0, frames.shape[:2])
        out = nn.functional.linear(frames, self._weight, self._bias)
        return torch.relu_(out) if self._is_rectified else out
