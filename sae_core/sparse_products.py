"""Matrix products of which only a few entries a row are wanted: the fast inside of a TopK autoencoder.

Of a batch's b×L latent scores only b×k survive. The scores need one dense product; everything after it (decoding, and
every gradient) touches k of L rows, so it is a weighted sum of rows, never a dense product.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

SCORES_IN_CACHE = 2**20


def top_k(scores: Float[Tensor, "b L"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return the k largest scores of each row, strongest first, and their columns.

    Exact. Columns are first folded into groups: the k winners lie in the k groups whose best member is greatest, so
    only those are sorted. With √(L/k) members a group this reads the scores once and sorts a small part of them.
    """
    n_rows, n_columns = scores.shape
    n_members = 1 << max(0, round(float(n_columns / k) ** 0.5).bit_length() - 1)
    while n_columns % n_members:
        n_members //= 2
    n_groups = n_columns // n_members
    if n_members == 1 or n_groups <= k:
        values, columns = scores.topk(k, dim=1)
        return values, columns
    best = scores.view(n_rows, n_members, n_groups).amax(1)  # [b, groups]
    groups = best.topk(k, dim=1, sorted=False).indices  # [b, k]
    members = torch.arange(n_members, device=scores.device) * n_groups
    candidates = (groups[:, None, :] + members[None, :, None]).flatten(1)  # [b, members·k]
    values, places = scores.gather(1, candidates).topk(k, dim=1)
    return values, candidates.gather(1, places)


def strongest_products(
    inputs: Float[Tensor, "b d"], weight: Float[Tensor, "L d"], bias: Float[Tensor, " L"], k: int
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return the values and latents of TopK(ReLU(inputs · weightᵀ + bias)), strongest first; unused slots hold 0.

    Rows go through in pieces whose scores stay in the processor's cache; on a GPU all at once.
    """
    n_rows = max(16, SCORES_IN_CACHE // len(weight)) if inputs.device.type == "cpu" else max(1, len(inputs))
    pieces = [top_k(torch.addmm(bias, piece, weight.T), k) for piece in inputs.split(n_rows)]
    values = torch.cat([values for values, _ in pieces]).relu_()
    return values, torch.cat([latents for _, latents in pieces])


class _StrongestProducts(torch.autograd.Function):
    """`strongest_products` with the gradient of weight and bias; inputs get none."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, inputs: Tensor, weight: Tensor, bias: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        values, latents = strongest_products(inputs, weight, bias, k)
        ctx.save_for_backward(inputs, values, latents)
        ctx.mark_non_differentiable(latents)
        ctx.n_latents = len(weight)  # type: ignore[attr-defined]
        return values, latents

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad_values: Tensor, _: Tensor
    ) -> tuple[None, Tensor, Tensor, None]:
        inputs, values, latents = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = grad_values * (values > 0)
        n_latents: int = ctx.n_latents  # type: ignore[attr-defined]
        grad_bias = inputs.new_zeros(n_latents).index_add_(0, latents.flatten(), grad.flatten())
        return None, sum_by_latent(inputs, latents, grad, n_latents), grad_bias, None


def differentiable_products(
    inputs: Float[Tensor, "b d"], weight: Float[Tensor, "L d"], bias: Float[Tensor, " L"], k: int
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return what `strongest_products` does; the gradients of weight and bias touch only the winners' rows."""
    values, latents = _StrongestProducts.apply(inputs, weight, bias, k)  # type: ignore[no-untyped-call]
    return values, latents


def sum_by_latent(
    rows: Float[Tensor, "b d"], latents: Int[Tensor, "b k"], weights: Float[Tensor, "b k"], n_latents: int
) -> Float[Tensor, "L d"]:
    """Return for each latent l the sum over slots (i, j) with latents[i, j] = l of weights[i, j] · rows[i]."""
    by_latent, order = latents.flatten().sort(stable=True)
    starts = torch.searchsorted(by_latent, torch.arange(n_latents, device=rows.device))
    return torch.nn.functional.embedding_bag(
        order // latents.shape[1], rows, starts, mode="sum", per_sample_weights=weights.flatten()[order]
    )


def weighted_rows(
    weight: Float[Tensor, "L d"], latents: Int[Tensor, "b k"], values: Float[Tensor, "b k"]
) -> Float[Tensor, "b d"]:
    """Return Σⱼ values[i, j] · weight[latents[i, j]] for each row i; differentiable in weight and values."""
    return torch.nn.functional.embedding_bag(latents, weight, mode="sum", per_sample_weights=values)


def nested_weighted_rows(
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
    bounds = torch.tensor(prefixes[:-1], device=latents.device).expand(n_rows, -1).contiguous()
    inner = torch.searchsorted(ordered, bounds)  # [b, p - 1]: slots below each prefix
    firsts = torch.cat([inner.new_zeros(n_rows, 1), inner], dim=1)
    firsts = firsts + torch.arange(0, n_rows * n_slots, n_slots, device=latents.device)[:, None]
    stretches = torch.nn.functional.embedding_bag(
        ordered.flatten(),
        weight,
        firsts.flatten(),
        mode="sum",
        per_sample_weights=values.gather(1, order).flatten(),
    )
    return stretches.view(n_rows, len(prefixes), -1).cumsum(1)
