"""Activations of the variants in which a threshold decides which latents are active, for training.

    BatchTopK   v = z where z is among the b·k largest positive scores of the batch, else 0
                θ = mean over the last batches of the smallest score that was kept
    JumpReLU    v = z · H(z − θ),  λ (E‖v‖₀ / k − 1)² is added to the loss

z = W_enc (x − b_dec) + b_enc, H is the step function. BatchTopK after Bussmann et al. 2024 (arXiv 2412.06410): after
training, latents with z > θ are active. JumpReLU after Rajamanoharan et al. 2024 (arXiv 2407.14435), with the number
of active latents that the authors aim at in place of a price on each. A step has no gradient for θ, so a rectangle of
width ε around it stands for one:

    ∂v/∂θ = −(θ/ε) · 1{|z − θ| < ε/2},   ∂H/∂θ = −(1/ε) · 1{|z − θ| < ε/2}
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sae_core.sae.distributed import Team
from sae_core.sae.topk import differentiable_products

JUMP_WIDTH = 0.3
"""ε, in units of x, which has variance 1 in each dimension."""
SPARSITY_WEIGHT = 1.0
"""λ."""
N_BATCHES_OF_THRESHOLD = 100
"""About so many of the last batches count for the threshold of BatchTopK."""
SLOTS_A_K = 4
"""So many times k slots a clip are looked at first."""


class Encoder(NamedTuple):
    """W_enc[L, d], the bias[L] that takes x as it is, b_enc − W_enc b_dec, and what the product is rounded to."""

    weight: Float[Tensor, "L d"]
    bias: Float[Tensor, " L"]
    product_dtype: torch.dtype = torch.float32

    def strongest(
        self, inputs: Tensor, n_slots: int, *, raised: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """The largest scores of each row and their latents, the bias `raised` by so much."""
        return differentiable_products(
            inputs, self.weight, self.bias + raised, n_slots, product_dtype=self.product_dtype
        )


def first_slots(k: int, n_latents: int) -> int:
    """How many slots a clip to begin with."""
    return min(n_latents, SLOTS_A_K * k)


def batch_strongest(
    inputs: Float[Tensor, "b d"], encoder: Encoder, k: int, team: Team
) -> tuple[Float[Tensor, "b m"], Int[Tensor, "b m"], Tensor]:
    """Return the values and latents of the b·k largest positive scores of a batch, strongest first in each row, unused
    slots 0, and the smallest score that was kept.

    m is what the row with the most of them needs. The batch is that of all processes of the team. Differentiable in
    weight and bias.
    """
    n_slots = first_slots(k, len(encoder.weight))
    while True:
        values, latents = encoder.strongest(inputs, n_slots)
        everyone = team.gather(values.detach()).flatten()
        n_kept = min(len(everyone), k * len(inputs) * team.size)
        cut = everyone.topk(n_kept, sorted=False).values.amin()
        # a row whose last slot is kept may have more to keep beyond it
        if n_slots == len(encoder.weight) or not _is_any(
            values.detach()[:, -1] >= cut.clamp_min(1e-30), team
        ):
            break
        n_slots = min(2 * n_slots, len(encoder.weight))
    is_kept = values.detach() >= cut
    n_used = _most(is_kept & (values.detach() > 0))
    return torch.where(is_kept, values, 0)[:, :n_used], latents[:, :n_used], cut


def jump_products(
    inputs: Float[Tensor, "b d"], encoder: Encoder, threshold: Float[Tensor, " L"], k: int
) -> tuple[Float[Tensor, "b m"], Int[Tensor, "b m"], Tensor]:
    """Return the values and latents of v = z · H(z − θ), unused slots 0, and Σ H over the batch.

    Differentiable in weight and bias, and in θ as the module's first lines say; so is Σ H. There is a slot for each
    latent above θ − ε/2.
    """
    half, fixed = JUMP_WIDTH / 2, threshold.detach()
    n_slots, n_latents = first_slots(k, len(threshold)), len(threshold)
    while True:
        above, latents = encoder.strongest(inputs, n_slots, raised=half - fixed)
        if n_slots == n_latents or not (above.detach()[:, -1] > 0).any():
            break
        n_slots = min(2 * n_slots, n_latents)
    n_used = _most(above.detach() > 0)
    above, latents = above[:, :n_used], latents[:, :n_used]
    level = fixed[latents]
    is_active, is_near = above.detach() > half, (above.detach() > 0) & (above.detach() < JUMP_WIDTH)
    # 0, with the gradient of a step in the threshold
    shift = (threshold[latents] - level) * is_near / -JUMP_WIDTH
    values = torch.where(is_active, above + (level - half), 0) + level * shift
    return values, latents, is_active.sum() + shift.sum()


def sparsity_loss(n_active: Tensor, n_clips: int, k: int, team: Team) -> Tensor:
    """Return a loss with the gradient of λ (E‖v‖₀ / k − 1)², E over the batch of all processes, from one's own Σ H."""
    n_all = n_clips * team.size
    excess = team.total(n_active.detach()) / (n_all * k) - 1
    return 2 * SPARSITY_WEIGHT * excess * n_active / (n_all * k)


def _is_any(mask: Bool[Tensor, "..."], team: Team) -> bool:
    return bool(team.total(mask.any().float()) > 0)


def _most(used: Bool[Tensor, "b n"]) -> int:
    """Slots that the fullest row needs, at least one."""
    return max(1, int(used.sum(1).amax())) if len(used) else 1
