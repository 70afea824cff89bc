"""The fast products against the plain ones they stand for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sae_core.sae import topk
from sae_core.sae.topk import (
    Slots,
    differentiable_products,
    matryoshka_weighted_rows,
    side_by_side,
    slot_products,
    strongest_products,
    sum_by_latent,
    top_k,
    top_k_positive,
    weighted_rows,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_products(inputs, weight, bias, k):
    """The same by a dense product, a sort and a gather, as the equation is written."""
    scores = torch.relu(inputs @ weight.T + bias)
    return scores.sort(dim=1, descending=True).values[:, :k]


@given(st.integers(1, 5), st.integers(1, 700), st.data())
def test_top_k_equals_a_full_sort(n_rows, n_columns, data):
    k = data.draw(st.integers(1, n_columns))
    scores = normal(n_rows, n_columns, seed=data.draw(st.integers(0, 99)))
    values, columns = top_k(scores, k)
    expected = scores.sort(dim=1, descending=True)
    assert torch.equal(values, expected.values[:, :k])
    assert torch.equal(columns, expected.indices[:, :k])


@pytest.mark.parametrize("fold", [top_k, lambda scores, k: top_k_positive(scores.numpy(), k)])
@pytest.mark.parametrize(("n_columns", "k"), [(512, 8), (512, 64), (60, 60)])
def test_ties_give_the_same_values_and_each_column_once(fold, n_columns, k):
    scores = normal(50, n_columns).float().round()  # a handful of different values
    values, columns = (torch.as_tensor(part) for part in fold(scores, k))
    # what is not positive counts as unused, in whatever order
    assert torch.equal(values.relu(), scores.sort(dim=1, descending=True).values[:, :k].relu())
    assert torch.equal(scores.gather(1, columns.long()), values)
    assert all(len(set(row)) == k for row in columns.tolist())


def test_top_k_folds_columns_and_stays_exact_when_the_winners_share_a_group():
    # with 4096 columns and k = 4 there are 32 members a group: columns 1, 129, 257, 385 fall into one
    scores = normal(3, 4096).clamp(max=3)
    scores[:, [1, 129, 257, 385]] = torch.tensor([9.0, 8.0, 7.0, 6.0], dtype=torch.float64)
    values, columns = top_k(scores, 4)
    assert columns.tolist() == [[1, 129, 257, 385]] * 3
    assert values.tolist() == [[9.0, 8.0, 7.0, 6.0]] * 3


@pytest.mark.parametrize(("n_latents", "k"), [(5, 5), (64, 3), (1000, 32), (4096, 8)])
def test_strongest_products_equal_the_dense_ones_over_several_pieces(monkeypatch, n_latents, k):
    monkeypatch.setattr("sae_core.sae.topk.SCORES_A_PIECE", 1)
    monkeypatch.setattr("sae_core.sae.topk.MIN_ROWS_A_PIECE", 20)
    parts = normal(70, 12), normal(n_latents, 12, seed=1), normal(n_latents, seed=2)
    for inputs, weight, bias in (parts, [part.float() for part in parts]):
        values, latents = strongest_products(inputs, weight, bias, k)
        torch.testing.assert_close(values, plain_products(inputs, weight, bias, k))
        scores = torch.relu(inputs @ weight.T + bias).gather(1, latents)
        torch.testing.assert_close(scores, values)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_way_of_a_gpu_is_the_same_in_one_piece_and_in_several(monkeypatch, dtype):
    inputs, weight, bias = normal(70, 12), normal(64, 12, seed=1), normal(64, seed=2)
    if dtype == torch.bfloat16:
        inputs, weight, bias = inputs.float(), weight.float(), bias.float()
    found = []
    for n_scores in (10**9, 64 * 20):
        monkeypatch.setattr("sae_core.sae.topk.SCORES_AT_ONCE", n_scores)
        found.append(strongest_products(inputs, weight, bias, 5, product_dtype=dtype))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    values, latents = found[0]
    assert values.dtype == inputs.dtype
    scores = (inputs.double() @ weight.double().T + bias).gather(1, latents).relu()
    torch.testing.assert_close(
        values.double(), scores, atol=0.05 if dtype == torch.bfloat16 else 1e-9, rtol=0.02
    )


def test_strongest_products_are_the_same_bits_in_one_thread_and_in_several(monkeypatch):
    monkeypatch.setattr("sae_core.sae.topk.SCORES_A_PIECE", 1)
    monkeypatch.setattr("sae_core.sae.topk.MIN_ROWS_A_PIECE", 20)
    inputs, weight, bias = (
        normal(300, 12).float(),
        normal(256, 12, seed=1).float(),
        normal(256, seed=2).float(),
    )
    before, results = torch.get_num_threads(), []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        try:
            results.append(strongest_products(inputs, weight, bias, 8))
            assert torch.get_num_threads() == n_threads
        finally:
            torch.set_num_threads(before)
    assert all(torch.equal(*parts) for parts in zip(*results, strict=True))


def test_side_by_side_keeps_the_order_and_gives_each_piece_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = side_by_side(lambda piece: (piece, torch.get_num_threads()), list(range(50)))
    finally:
        torch.set_num_threads(before)
    assert found == [(piece, 1) for piece in range(50)]


def test_slots_without_a_positive_score_hold_zero():
    values, _ = strongest_products(normal(9, 4), normal(30, 4, seed=1), torch.full((30,), -100.0).double(), 7)
    assert values.shape == (9, 7)
    assert not values.any()


def test_gradients_of_the_products_equal_those_of_the_dense_ones():
    inputs, pull = normal(40, 6), normal(40, 5, seed=3)
    results = []
    for products in (lambda *parts: differentiable_products(*parts)[0], plain_products):
        # a strongly negative bias leaves some of the winners at 0, whose gradient must be 0
        weight = normal(50, 6, seed=1).requires_grad_()
        bias = (normal(50, seed=2) - 3).requires_grad_()
        values = products(inputs, weight, bias, 5)
        assert bool((values == 0).any())
        (values * pull).sum().backward()
        results.append((values.detach(), weight.grad, bias.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)


@given(st.integers(1, 5), st.integers(1, 700), st.data())
def test_top_k_positive_equals_a_full_sort_among_positive_scores(n_rows, n_columns, data):
    k = data.draw(st.integers(1, n_columns))
    shift = data.draw(st.sampled_from([-2.0, 0.0, 9.0]))  # few, half, all of them positive
    scores = normal(n_rows, n_columns, seed=data.draw(st.integers(0, 99))).float() + shift
    values, columns = top_k_positive(scores.numpy(), k)
    expected = scores.sort(dim=1, descending=True).values[:, :k]
    np.testing.assert_array_equal(np.maximum(values, 0), expected.relu().numpy())
    np.testing.assert_array_equal(np.take_along_axis(scores.numpy(), columns, axis=1), values)
    assert all(len(set(row)) == k for row in columns.tolist())


@pytest.mark.parametrize("fold", [top_k, lambda scores, k: top_k_positive(scores.numpy(), k)])
@pytest.mark.parametrize(("n_columns", "k"), [(8192, 32), (2048, 32), (2048, 4), (256, 8)])
def test_top_k_of_many_rows_equals_the_plain_one(fold, n_columns, k):
    scores = normal(200, n_columns).float()
    values, columns = fold(scores, k)
    expected = scores.topk(k, dim=1)
    np.testing.assert_array_equal(values, expected.values)
    np.testing.assert_array_equal(columns, expected.indices)


def test_sum_by_latent_equals_adding_slot_by_slot():
    rows, weights = normal(20, 3), normal(20, 4, seed=1)
    latents = torch.randint(0, 9, (20, 4), generator=torch.Generator().manual_seed(2))
    latents[latents == 5] = 6  # a latent in the middle, and the last one, that no slot names
    expected = torch.zeros(11, 3, dtype=torch.float64)
    for row in range(20):
        for slot in range(4):
            expected[latents[row, slot]] += weights[row, slot] * rows[row]
    sums = sum_by_latent(rows, Slots.of(latents), weights.flatten(), 11)
    torch.testing.assert_close(sums, expected)
    assert not expected[[5, 9, 10]].any()


@pytest.mark.parametrize("prefixes", [(30,), (8, 30), (1, 2, 17, 30)])
def test_nested_sums_and_their_gradients_equal_masked_dense_products(prefixes):
    pull = normal(25, len(prefixes), 7, seed=5)
    # each latent at most once a row, as an encoder gives them
    latents = torch.stack([torch.from_numpy(np.random.default_rng(i).permutation(30)[:6]) for i in range(25)])
    results = []
    for is_fast in (True, False):
        weight, values = normal(30, 7).requires_grad_(), normal(25, 6, seed=1).requires_grad_()
        if is_fast:
            sums = matryoshka_weighted_rows(weight, latents, values, prefixes)
        else:
            dense = torch.zeros(25, 30, dtype=torch.float64).scatter(1, latents, values)
            sums = torch.stack([dense[:, :prefix] @ weight[:prefix] for prefix in prefixes], dim=1)
        (sums * pull).sum().backward()
        results.append((sums.detach(), weight.grad, values.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain)


def test_weighted_rows_is_the_sum_it_says():
    weight, values = normal(10, 3), normal(4, 2, seed=1)
    latents = torch.tensor([[0, 1], [9, 9], [3, 2], [5, 0]])
    expected = (values[..., None] * weight[latents]).sum(1)
    torch.testing.assert_close(weighted_rows(weight, latents, values), expected)


def test_slot_products_are_entries_of_the_dense_product():
    rows, weight = normal(6, 5), normal(9, 5, seed=1)
    # the second row names no latent
    slots = Slots(torch.tensor([3, 0, 8, 8, 1, 2]), torch.tensor([0, 2, 2, 3, 4, 5]))
    assert slots.rows.tolist() == [0, 0, 2, 3, 4, 5]
    expected = (rows @ weight.T)[slots.rows, slots.latents]
    torch.testing.assert_close(slot_products(rows, weight, slots), expected)


def test_prefixes_are_sent_to_the_device_once():
    latents = torch.arange(8).view(2, 4)
    first = topk._prefix_bounds((2, 5, 8), latents.device)
    assert first.tolist() == [2, 5]
    assert topk._prefix_bounds((2, 5, 8), latents.device) is first
