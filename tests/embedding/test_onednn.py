"""The product by oneDNN's private operators, and the plain one of a torch that has none."""

from types import SimpleNamespace

import pytest
import torch

from sae_core.embedding import onednn
from sae_core.embedding.onednn import DenseProduct
from sae_core.sae.topk import strongest_products


def _other_arguments(*args):
    raise TypeError("takes three positional arguments")


@pytest.fixture(
    params=[
        SimpleNamespace(),
        SimpleNamespace(_reorder_linear_weight=lambda weight, rows: weight),
        SimpleNamespace(
            _reorder_linear_weight=lambda weight, rows: weight, _linear_pointwise=_other_arguments
        ),
        SimpleNamespace(
            _reorder_linear_weight=lambda weight, rows: weight, _linear_pointwise=lambda *args: args[0]
        ),
    ],
    ids=["no operators", "one of two", "other arguments", "another result"],
)
def another_torch(request, monkeypatch):
    """A torch whose private operators are missing or behave in another way."""
    onednn.has_onednn.cache_clear()
    monkeypatch.setattr(torch.ops, "mkldnn", request.param)
    yield
    onednn.has_onednn.cache_clear()


@pytest.fixture
def product():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in ((50, 32), (24, 32), (24,))]


@pytest.mark.parametrize("is_rectified", [False, True])
def test_a_torch_without_the_operators_gives_the_same_numbers(another_torch, product, is_rectified):
    rows, weight, bias = product
    found = DenseProduct(weight, bias, is_rectified=is_rectified)(rows)
    expected = rows.double() @ weight.double().T + bias.double()
    expected = expected.clamp_min(0) if is_rectified else expected
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("is_rectified", [False, True])
def test_the_operators_give_the_numbers_of_a_plain_product(product, is_rectified):
    rows, weight, bias = product
    found = DenseProduct(weight, bias, is_rectified=is_rectified)(rows)
    expected = rows.double() @ weight.double().T + bias.double()
    expected = expected.clamp_min(0) if is_rectified else expected
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-6)


def test_codes_are_the_same_without_the_operators(another_torch, product):
    rows, weight, bias = product
    values, latents = strongest_products(rows, weight, bias, 4)
    expected = (rows @ weight.T + bias).relu().topk(4)
    torch.testing.assert_close(values, expected.values, atol=1e-6, rtol=1e-6)
    assert torch.equal(latents, expected.indices)
