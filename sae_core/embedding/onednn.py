"""x Wᵀ + b on a processor at oneDNN's speed, for weights that many rows go through.

torch gives a plain product to MKL, which on processors that are not Intel's takes twice as long as oneDNN. The two
operators used here are those that torch's own compiler calls, and take plain tensors; by way of mkldnn tensors, the
public interface to oneDNN, every input and result is copied once more. They are private to torch: a version that lacks
them, or calls them otherwise, gets the plain product.
"""

from functools import cache

import torch
from jaxtyping import Float32
from torch import Tensor, nn


@cache
def has_onednn() -> bool:
    """Whether this torch multiplies by oneDNN as `DenseProduct` asks: tried once, on a product of known result."""
    if not torch.backends.mkldnn.is_available():
        return False
    rows, weight, bias = torch.full((1, 2), 2.0), torch.tensor([[1.0, 2.0]]), torch.tensor([-1.0])
    try:
        found = _multiply(rows, _reorder(weight), bias, "relu")
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False
    return isinstance(found, Tensor) and found.tolist() == [[5.0]]


def _reorder(weight: Float32[Tensor, "o c"]) -> Tensor:
    reordered: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return reordered


def _multiply(rows: Float32[Tensor, "t c"], weight: Tensor, bias: Float32[Tensor, " o"], then: str) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, then, [], "")
    return product


class DenseProduct:
    """x Wᵀ + b, rectified if asked, by weights laid out for oneDNN once; by a plain product where torch has none."""

    def __init__(
        self, weight: Float32[Tensor, "o c"], bias: Float32[Tensor, " o"], *, is_rectified: bool = False
    ) -> None:
        weight, self._bias = weight.detach().contiguous(), bias.detach().contiguous()
        self._then = "relu" if is_rectified else "none"
        self._is_packed = has_onednn()
        self._weight = _reorder(weight) if self._is_packed else weight

    def __call__(self, rows: Float32[Tensor, "t c"]) -> Float32[Tensor, "t o"]:
        """The product of some rows; contiguous ones are taken as they lie."""
        if self._is_packed:
            return _multiply(rows, self._weight, self._bias, self._then)
        plain = nn.functional.linear(rows, self._weight, self._bias)
        return plain.relu_() if self._then == "relu" else plain
