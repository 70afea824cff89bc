"""Matrix products of which only a few entries a row are wanted: the fast inside of a TopK autoencoder.

Of a batch's b×L latent scores only b×k survive. The scores need one dense product; everything after it (decoding, and
every gradient) touches k of L rows, so it is a weighted sum of rows, never a dense product.
"""

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32, Int64
from torch import Tensor

from sae_core.embedding.onednn import DenseProduct

SCORES_A_PIECE = 2**19
"""Rows are taken in pieces of about so many scores (2 MiB), which stay in a core's cache until the best are chosen."""
MIN_ROWS_A_PIECE = 128
"""Fewer would read all weights too often."""
SCORES_AT_ONCE = 2**27
"""On a GPU, 512 MiB: enough to fill it; it bounds what large batches need, and stays within 32-bit numbering."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")

with warnings.catch_warnings():
    # torch warns once a process that sparse matrices may change: `slot_products` is tested against the dense product
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


def top_k(scores: Float[Tensor, "b L"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return the k largest scores of each row, strongest first, and their columns.

    Exact. Columns are first folded into groups: the k winners lie in the k groups whose best member is greatest, so
    only those are sorted. With √(L/k) members a group this reads the scores once and sorts a small part of them.
    """
    n_rows, n_columns = scores.shape
    n_members = _members_a_group(n_columns, k)
    if n_members == 1:
        values, columns = scores.topk(k, dim=1)
        return values, columns
    n_groups = n_columns // n_members
    best = scores.view(n_rows, n_members, n_groups).amax(1)  # [b, groups]
    groups = best.topk(k, dim=1, sorted=False).indices  # [b, k]
    members = torch.arange(n_members, device=scores.device) * n_groups
    candidates = (groups[:, None, :] + members[None, :, None]).flatten(1)  # [b, members·k]
    values, places = scores.gather(1, candidates).topk(k, dim=1)
    return values, candidates.gather(1, places)


def top_k_positive(
    scores: Float32[np.ndarray, "b L"], k: int
) -> tuple[Float32[np.ndarray, "b k"], Int32[np.ndarray, "b k"]]:
    """Return what `top_k` does, for single precision on a processor; slots beyond the positive scores hold 0 or less.

    The same folding, but each score becomes a whole number that carries its column along: its bits, which for positive
    numbers rise as it does, above the column's. NumPy partitions whole numbers many at a time.
    """
    n_rows, n_columns = scores.shape
    n_members = _members_a_group(n_columns, k)
    n_groups = n_columns // n_members
    columns = np.arange(n_columns, dtype=np.int32)
    if n_members > 1:
        best = scores.reshape(n_rows, n_members, n_groups).max(axis=1)  # [b, groups]
        _, groups = _split(_largest(_join(best, columns[:n_groups]), k))
        candidates = (groups[:, None, :] + columns[None, ::n_groups, None]).reshape(
            n_rows, -1
        )  # [b, members·k]
        row_starts = np.arange(0, n_rows * n_columns, n_columns)
        keys = _join(scores.ravel().take(candidates + row_starts[:, None]), candidates)
    else:
        keys = _join(scores, columns)
    keys = _largest(keys, k)
    keys.sort(axis=1)
    return _split(keys[:, ::-1])


def _members_a_group(n_columns: int, k: int) -> int:
    """A power of two near √(L/k) that divides L and leaves more than k groups; else 1, for no groups at all."""
    n_members = 1 << max(0, round(float(n_columns / k) ** 0.5).bit_length() - 1)
    while n_columns % n_members:
        n_members //= 2
    return n_members if n_columns // n_members > k else 1


def _join(values: Float32[np.ndarray, "b n"], columns: Int32[np.ndarray, "..."]) -> Int64[np.ndarray, "b n"]:
    halves = np.empty((*values.shape, 2), np.dtype("<i4"))
    halves[..., 0] = columns
    halves[..., 1] = values.view(np.int32)
    return halves.view("<i8")[..., 0]


def _split(
    keys: Int64[np.ndarray, "b n"],
) -> tuple[Float32[np.ndarray, "b n"], Int32[np.ndarray, "b n"]]:
    halves = np.ascontiguousarray(keys).view("<i4").reshape(*keys.shape, 2)
    return halves[..., 1].view(np.float32), halves[..., 0]


def _largest(keys: Int64[np.ndarray, "b n"], k: int) -> Int64[np.ndarray, "b k"]:
    n_below = keys.shape[1] - k
    if n_below:
        keys.partition(n_below, axis=1)
    return keys[:, n_below:].copy()


def strongest_products(
    inputs: Float[Tensor, "b d"],
    weight: Float[Tensor, "L d"],
    bias: Float[Tensor, " L"],
    k: int,
    *,
    product_dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return the values and latents of TopK(ReLU(inputs · weightᵀ + bias)), strongest first; unused slots hold 0.

    product_dtype: what float32 inputs and weights are rounded to for the product, `torch.bfloat16` for instance; values
    are float32 again.

    On a processor rows go through in pieces whose scores stay in cache, each in a thread of its own, so the result does
    not depend on how many threads there are; on a GPU, and in other precisions, as many at once as `SCORES_AT_ONCE`.
    """
    is_narrow = inputs.dtype == torch.float32 != product_dtype
    if inputs.device.type != "cpu" or inputs.dtype != torch.float32 or is_narrow:
        return _strongest_in_large_pieces(
            inputs, weight, bias, k, dtype=product_dtype if is_narrow else inputs.dtype
        )
    products = DenseProduct(weight, bias)
    n_rows = max(MIN_ROWS_A_PIECE, SCORES_A_PIECE // len(weight))
    pieces = side_by_side(
        lambda piece: top_k_positive(products(piece).numpy(), k), inputs.detach().split(n_rows)
    )
    values = torch.from_numpy(np.concatenate([values for values, _ in pieces])).relu_()
    return values, torch.from_numpy(np.concatenate([latents for _, latents in pieces]).astype(np.int64))


def _strongest_in_large_pieces(
    inputs: Tensor, weight: Tensor, bias: Tensor, k: int, *, dtype: torch.dtype
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """`strongest_products` by torch's own product in `dtype`, as few pieces at a time as `SCORES_AT_ONCE` allows."""
    columns, offset = weight.to(dtype).T, bias.to(dtype)
    pieces = [
        top_k(torch.addmm(offset, piece.to(dtype), columns), k)
        for piece in inputs.split(max(1, SCORES_AT_ONCE // len(weight)))
    ]
    values, latents = pieces[0] if len(pieces) == 1 else map(torch.cat, zip(*pieces, strict=True))
    return values.relu_().to(inputs.dtype), latents


def thresholded_products(
    inputs: Float[Tensor, "b d"],
    weight: Float[Tensor, "L d"],
    bias: Float[Tensor, " L"],
    threshold: Float[Tensor, " L"],
    *,
    k: int,
) -> tuple[Float[Tensor, "b m"], Int[Tensor, "b m"]]:
    """Return the values and latents of z = inputs · weightᵀ + bias where z > threshold and z > 0, strongest first.

    There are m slots a row: k, or as many as the row with the most active latents needs; unused ones hold 0.
    """
    # each piece asks how many slots it needs, which a GPU has to be waited for: there the pieces are large
    n_scores = SCORES_A_PIECE if inputs.device.type == "cpu" else SCORES_AT_ONCE // 2
    n_rows = max(MIN_ROWS_A_PIECE, n_scores // len(weight))
    floor, pieces = threshold.clamp(min=0), []
    for piece in inputs.split(n_rows):
        scores = torch.addmm(bias, piece, weight.T)
        scores = torch.where(scores > floor, scores, 0)
        most = int((scores > 0).sum(1).max()) if len(scores) else 0
        pieces.append(scores.topk(max(k, most), dim=1))
    n_slots = max(values.shape[1] for values, _ in pieces)
    values, latents = (
        torch.cat([torch.nn.functional.pad(part, (0, n_slots - part.shape[1])) for part in parts])
        for parts in zip(*pieces, strict=True)
    )
    return values, latents


def side_by_side(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """Return the result of each piece, in order: as many at once as torch may use threads, each in one thread alone.

    Where each piece goes through several steps, this keeps it in one core's cache and lets no step wait for the others.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or len(pieces) == 1:
        return [work(piece) for piece in pieces]
    return list(_crew(n_threads, os.getpid()).map(work, pieces))


@functools.cache
def _crew(n_threads: int, _: int) -> ThreadPoolExecutor:
    """Threads within which torch starts no threads of its own, one crew a process."""
    crew, everyone = ThreadPoolExecutor(n_threads, "products"), Barrier(n_threads)

    def begin(_: int) -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread makes the number its own when it first asks
        everyone.wait()  # so that each thread comes by once

    list(crew.map(begin, range(n_threads)))
    torch.set_num_threads(n_threads)  # what threads begun later take over
    return crew


class Slots(NamedTuple):
    """The latents that some rows name, one slot after another; each row has the slots from its first to the next's."""

    latents: Int[Tensor, " n"]
    firsts: Int[Tensor, " r"]

    @classmethod
    def of(cls, latents: Int[Tensor, "b k"]) -> "Slots":
        """Every row names k latents."""
        firsts = torch.arange(0, latents.numel(), latents.shape[1], device=latents.device)
        return cls(latents.flatten(), firsts)

    @property
    def ends(self) -> Int[Tensor, " e"]:
        """Where each row ends, behind the 0 at which the first begins."""
        return torch.cat([self.firsts, self.firsts.new_full((1,), len(self.latents))])

    @property
    def rows(self) -> Int[Tensor, " n"]:
        """The row of each slot."""
        return torch.repeat_interleave(self.ends.diff(), output_size=len(self.latents))


class _StrongestProducts(torch.autograd.Function):
    """`strongest_products` with the gradient of weight and bias; inputs get none."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        k: int,
        product_dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        values, latents = strongest_products(inputs, weight, bias, k, product_dtype=product_dtype)
        ctx.save_for_backward(inputs, values, latents)
        ctx.mark_non_differentiable(latents)
        ctx.n_latents = len(weight)  # type: ignore[attr-defined]
        return values, latents

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad_values: Tensor, _: Tensor
    ) -> tuple[None, Tensor, Tensor, None, None]:
        inputs, values, latents = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = (grad_values * (values > 0)).flatten()
        n_latents: int = ctx.n_latents  # type: ignore[attr-defined]
        grad_bias = inputs.new_zeros(n_latents).index_add_(0, latents.flatten(), grad)
        return None, sum_by_latent(inputs, Slots.of(latents), grad, n_latents), grad_bias, None, None


def differentiable_products(
    inputs: Float[Tensor, "b d"],
    weight: Float[Tensor, "L d"],
    bias: Float[Tensor, " L"],
    k: int,
    *,
    product_dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return what `strongest_products` does; the gradients of weight and bias touch only the winners' rows."""
    values, latents = _StrongestProducts.apply(  # type: ignore[no-untyped-call]
        inputs, weight, bias, k, product_dtype
    )
    return values, latents


def sum_by_latent(
    rows: Float[Tensor, "r d"], slots: Slots, weights: Float[Tensor, " n"], n_latents: int
) -> Float[Tensor, "L d"]:
    """Return for each latent the sum over the slots that name it of the slot's weight times its row.

    Slots are put in the order of their latents first, so that each latent's sum is written once.
    """
    latents, order = _sorted(slots.latents)
    starts = torch.searchsorted(latents, torch.arange(n_latents, dtype=latents.dtype, device=rows.device))
    rows_in_order, weights_in_order = (part.index_select(0, order) for part in (slots.rows, weights))
    return torch.nn.functional.embedding_bag(
        rows_in_order, rows, starts, mode="sum", per_sample_weights=weights_in_order
    )


def _sorted(latents: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], Int64[Tensor, " n"]]:
    """The latents in rising order and the place each had, equal ones in the order they came."""
    if latents.device.type != "cpu":
        ordered, order = latents.int().sort(stable=True)
        return ordered, order
    # NumPy sorts plain numbers many at a time: here the latent above its place
    keys = (latents.numpy().astype(np.int64) << 32) | np.arange(len(latents))
    keys.sort()
    return torch.from_numpy(keys >> 32), torch.from_numpy(keys & 0xFFFFFFFF)


class _WeightedRows(torch.autograd.Function):
    """For each row, the sum over its slots of value · weight[latent]; differentiable in weight and values."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, weight: Tensor, slots: Slots, values: Tensor
    ) -> Tensor:
        ctx.save_for_backward(weight, *slots, values)
        return torch.nn.functional.embedding_bag(
            slots.latents, weight, slots.firsts, mode="sum", per_sample_weights=values
        )

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        weight, latents, firsts, values = ctx.saved_tensors  # type: ignore[attr-defined]
        slots = Slots(latents, firsts)
        return sum_by_latent(grad, slots, values, len(weight)), None, slot_products(grad, weight, slots)


def slot_products(
    rows: Float[Tensor, "r d"], weight: Float[Tensor, "L d"], slots: Slots
) -> Float[Tensor, " n"]:
    """Return for each slot the product of its row and its latent's weights: n entries of rows · weightᵀ."""
    wanted = torch.sparse_csr_tensor(
        slots.ends,
        slots.latents,
        rows.new_zeros(len(slots.latents)),
        (len(rows), len(weight)),
        check_invariants=False,
    )
    return torch.sparse.sampled_addmm(wanted, rows.contiguous(), weight.T, beta=0.0).values()


def weighted_rows(
    weight: Float[Tensor, "L d"], latents: Int[Tensor, "b k"], values: Float[Tensor, "b k"]
) -> Float[Tensor, "b d"]:
    """Return Σⱼ values[i, j] · weight[latents[i, j]] for each row i; differentiable in weight and values."""
    return _weighted_rows(weight, Slots.of(latents), values.flatten())


def _weighted_rows(weight: Tensor, slots: Slots, values: Tensor) -> Tensor:
    rebuilt: Tensor = _WeightedRows.apply(weight, slots, values)  # type: ignore[no-untyped-call]
    return rebuilt


def matryoshka_weighted_rows(
    weight: Float[Tensor, "L d"],
    latents: Int[Tensor, "b k"],
    values: Float[Tensor, "b k"],
    prefixes: tuple[int, ...],
) -> Float[Tensor, "b p d"]:
    """Return `weighted_rows` over only the latents below each prefix: p sums a row; differentiable as that is.

    Slots are put in the order of their latents, each stretch between two prefixes is summed once, then accumulated.
    """
    if len(prefixes) == 1:
        return weighted_rows(weight, latents, values)[:, None]
    n_rows, n_slots = latents.shape
    ordered, order = latents.sort(dim=1)
    bounds = _prefix_bounds(prefixes, latents.device).expand(n_rows, -1).contiguous()
    inner = torch.searchsorted(ordered, bounds)  # [b, p - 1]: slots below each prefix
    firsts = torch.cat([inner.new_zeros(n_rows, 1), inner], dim=1)
    firsts = firsts + torch.arange(0, n_rows * n_slots, n_slots, device=latents.device)[:, None]
    slots = Slots(ordered.flatten(), firsts.flatten())
    stretches = _weighted_rows(weight, slots, values.gather(1, order).flatten())
    return stretches.view(n_rows, len(prefixes), -1).cumsum(1)


@functools.lru_cache(maxsize=64)
def _prefix_bounds(prefixes: tuple[int, ...], device: torch.device) -> Int[Tensor, " p"]:
    """All prefixes but the last, on the device: copied there at every step, they would make the step wait for it."""
    return torch.tensor(prefixes[:-1], device=device)
