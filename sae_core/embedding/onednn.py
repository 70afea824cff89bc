"""x Wᵀ + b on a processor at oneDNN's speed, for weights that many rows go through.

torch gives a plain product to MKL, which on processors that are not Intel's takes twice as long as oneDNN. The two
operators used here are those that torch's own compiler calls, and take plain tensors; by way of mkldnn tensors, the
public road to oneDNN, every input and result is copied once more.
"""

import torch
from jaxtyping import Float32
from torch import Tensor, nn


class DenseProduct:
    """x Wᵀ + b, rectified if asked, by weights laid out for oneDNN once; by a plain product where torch has none."""

    def __init__(
        self, weight: Float32[Tensor, "o c"], bias: Float32[Tensor, " o"], *, is_rectified: bool = False
    ) -> None:
        weight, self._bias = weight.detach().contiguous(), bias.detach().contiguous()
        self._then = "relu" if is_rectified else "none"
        self._is_packed = torch.backends.mkldnn.is_available()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self._is_packed else weight

    def __call__(self, rows: Float32[Tensor, "t c"]) -> Float32[Tensor, "t o"]:
        """The product of some rows; contiguous ones are taken as they lie."""
        if self._is_packed:
            found: Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, self._weight, self._bias, self._then, [], ""
            )
            return found
        plain = nn.functional.linear(rows, self._weight, self._bias)
        return plain.relu_() if self._then == "relu" else plain
