"""A training step of a TopK autoencoder as it is usually written: torch's own dense products, and nothing else.

The same loss as `SaeFit.step` takes, AuxK on the first quarter of a batch included; the codes are dense matrices, and
autograd does the rest. It is the peer that a step has to beat, and in the tests the oracle.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sae_core.sae.step import SaeFit


class DenseStep:
    """Trains a copy of the weights of `fit`, with its settings and the same dead latents."""

    def __init__(self, fit: SaeFit, n_dead: int) -> None:
        self.k, self.settings = fit.sae.config.k, fit.settings
        parts = {name: part.detach().clone().requires_grad_() for name, part in fit.sae.named_parameters()}
        self.W_enc, self.b_enc, self.W_dec, self.b_dec = (
            parts[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")
        )
        self.is_alive = torch.arange(len(self.b_enc), device=self.b_enc.device) >= n_dead
        self.n_dead = n_dead
        self.adam = torch.optim.Adam(parts.values(), lr=self.settings.learning_rate, fused=True)

    def loss(self, inputs: Tensor) -> Tensor:
        """The loss of a batch [b, d]."""
        scores = functional.relu(functional.linear(inputs - self.b_dec, self.W_enc, self.b_enc))
        rebuilt = self._kept(scores, self.k) @ self.W_dec + self.b_dec
        loss = (inputs - rebuilt).square().sum() / inputs.square().sum()
        if not self.n_dead:
            return loss
        n_first, n_answering = len(inputs) // 4, min(self.settings.n_aux_latents, self.n_dead)
        residual = (inputs - rebuilt)[:n_first].detach()
        dead = scores[:n_first].masked_fill(self.is_alive, 0.0)
        answered = self._kept(dead, n_answering) @ self.W_dec
        variance = (residual - residual.mean(0)).square().sum()
        weight = self.settings.aux_coefficient * n_answering / self.settings.n_aux_latents
        return loss + weight * (residual - answered).square().sum() / variance

    @staticmethod
    def _kept(scores: Tensor, k: int) -> Tensor:
        best = scores.topk(k, dim=1, sorted=False)
        return torch.zeros_like(scores).scatter(1, best.indices, best.values)

    def step(self, inputs: Tensor, dtype: torch.dtype = torch.float32) -> None:
        """One step of Adam on a batch; in bfloat16 by torch's own autocast."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = self.loss(inputs)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            assert self.W_dec.grad is not None
            self.W_dec.grad -= (self.W_dec.grad * self.W_dec).sum(1, keepdim=True) * self.W_dec
            self.adam.step()
            self.W_dec /= self.W_dec.norm(dim=1, keepdim=True)
