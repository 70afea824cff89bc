"""One training step of an autoencoder, and the state that steps carry from one to the next."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.optim.adam import adam

from sae_core.sae.distributed import ALONE, Team
from sae_core.sae.model import SparseAutoencoder
from sae_core.sae.thresholds import (
    N_BATCHES_OF_THRESHOLD,
    Encoder,
    batch_strongest,
    jump_products,
    sparsity_loss,
)
from sae_core.sae.topk import differentiable_products, matryoshka_weighted_rows, weighted_rows

TINY = 1e-12
MIN_AUX_CLIPS = 64


@dataclass(frozen=True)
class StepSettings:
    """What a step needs to know.

    learning_rate: Adam's, at its height. n_steps: how many there will be.
    warmup_fraction, decay_fraction: shares of the steps over which the rate climbs at first and falls at last.
    aux_coefficient: weight of AuxK (arXiv 2406.04093). n_aux_latents: dead latents that may be active for one clip
    there.
    dead_after_clips: a latent silent for so many clips is dead.
    product_dtype: what the encoder's product is rounded to, see `strongest_products`; `train` keeps to float32.
    """

    learning_rate: float
    n_steps: int
    warmup_fraction: float
    decay_fraction: float
    aux_coefficient: float
    n_aux_latents: int
    dead_after_clips: int
    product_dtype: torch.dtype = torch.float32

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: up, level, down to nothing."""
        rise = (step + 1) / max(1.0, self.warmup_fraction * self.n_steps)
        fall = (self.n_steps - step) / max(1.0, self.decay_fraction * self.n_steps)
        return self.learning_rate * min(1.0, rise, fall)


@dataclass
class StepSums:
    """Sums over some steps: squared error, squared input, active slots, clips. They stay on the device until read."""

    error: Tensor
    norm: Tensor
    n_active: Tensor
    n_clips: int = 0

    @classmethod
    def zero(cls, device: torch.device) -> "StepSums":
        """Nothing summed yet."""
        error, norm, n_active = torch.zeros(3, dtype=torch.float64, device=device).unbind()
        return cls(error.clone(), norm.clone(), n_active.clone())

    @property
    def fvu(self) -> float:
        """Fraction of variance unexplained over the summed steps."""
        return float(self.error / self.norm.clamp_min(TINY))

    @property
    def l0(self) -> float:
        """Mean active latents a clip over the summed steps."""
        return float(self.n_active) / max(1, self.n_clips)


class SaeFit:
    """An autoencoder being trained: call `step` with batches of centred, scaled inputs x.

        loss = mean over prefixes p of Σ‖x − ε_p‖² / Σ‖x‖² + aux_coefficient · aux
        aux  = Σ‖r − W_decᵀ v_dead‖² / Σ‖r − r̄‖²,  r = x − ε without gradient

    ε_p is rebuilt from the latents below prefix p alone (without prefixes, the only one is L). v_dead are the
    strongest latents among the dead ones: they learn to say what the living leave over. With a team, each process
    steps on its share of a batch, and Σ runs over all of them. How BatchTopK and JumpReLU SAEs choose their active
    latents, and what JumpReLU adds to the loss, is in `sae_core.sae.thresholds`.
    """

    def __init__(self, sae: SparseAutoencoder, settings: StepSettings, team: Team = ALONE) -> None:
        self.sae = sae
        self.settings = settings
        self.team = team
        self.is_on_cpu = sae.W_dec.device.type == "cpu"
        self.n_steps_done = 0
        self.n_seen = 0
        self.last_fired = torch.zeros(sae.config.n_latents, dtype=torch.int64, device=sae.W_dec.device)
        self.sums = StepSums.zero(sae.W_dec.device)
        self.adam = _Adam(dict(sae.named_parameters()))

    def step(self, inputs: Float[Tensor, "b d"]) -> None:
        """Take one step of Adam on a batch of x."""
        sae = self.sae
        bias = sae.b_enc - sae.W_enc @ sae.b_dec
        values, latents, sparsity = self._activate(inputs, bias)
        prefixes = sae.config.prefixes or (sae.config.n_latents,)
        rebuilt = matryoshka_weighted_rows(sae.W_dec, latents, values, prefixes) + sae.b_dec  # [b, p, d]
        errors = [mse_loss(part, inputs, reduction="sum") for part in rebuilt.unbind(1)]
        norm = inputs.square().sum()
        loss = sum(errors) / (self.team.total(norm) * len(prefixes)).clamp_min(TINY) + sparsity
        if self.settings.aux_coefficient > 0:
            # the order of clips is random, so the first part of a batch stands for all of it at a part of the cost
            part = slice(self.team.share_of_first(max(MIN_AUX_CLIPS, len(inputs) * self.team.size // 4)))
            residual = inputs[part] - rebuilt[part, -1].detach()
            loss = loss + self.settings.aux_coefficient * self.aux_k_loss(inputs[part], residual, bias)
        sae.zero_grad(set_to_none=True)
        loss.backward()
        self.team.add_gradients(sae.parameters())
        self._update()
        self.sums.error += errors[-1].detach()
        self.sums.norm += norm
        self._count(values.detach(), latents)

    def _activate(
        self, inputs: Float[Tensor, "b d"], bias: Float[Tensor, " L"]
    ) -> tuple[Float[Tensor, "b m"], Int[Tensor, "b m"], Tensor | float]:
        """Values and latents of the active slots, and what the variant adds to the loss."""
        sae, k = self.sae, self.sae.config.k
        encoder = Encoder(sae.W_enc, bias, self.settings.product_dtype)
        if sae.config.variant == "batchtopk":
            values, latents, cut = batch_strongest(inputs, encoder, k, self.team)
            weight = 1 / min(self.n_steps_done + 1, N_BATCHES_OF_THRESHOLD)
            sae.threshold.lerp_(cut.expand_as(sae.threshold), weight)
            return values, latents, 0.0
        if sae.config.variant == "jumprelu":
            if self.n_steps_done == 0:
                self._set_first_thresholds(inputs, encoder)
            values, latents, n_active = jump_products(inputs, encoder, sae.threshold, k)
            return values, latents, sparsity_loss(n_active, len(inputs), k, self.team)
        return *self._products(inputs, sae.W_enc, bias, k), 0.0

    @torch.no_grad()
    def _set_first_thresholds(self, inputs: Float[Tensor, "b d"], encoder: Encoder) -> None:
        """Those with which k latents a clip of the first batch are active."""
        self.sae.threshold.copy_(
            batch_strongest(inputs, encoder, self.sae.config.k, self.team)[2].expand_as(self.sae.threshold)
        )

    def aux_k_loss(
        self, inputs: Float[Tensor, "b d"], residual: Float[Tensor, "b d"], bias: Float[Tensor, " L"]
    ) -> Tensor:
        """Return the share of the residual's variance that dead latents leave unexplained; 0 when none is dead."""
        is_dead = self.is_dead
        # nothing can have been silent for longer than training lasts; beyond that a GPU is not asked, but a CPU is
        if self.n_seen <= self.settings.dead_after_clips or (self.is_on_cpu and not is_dead.any()):
            return inputs.new_zeros(())
        values, latents, n_answering = self._answers_of(is_dead, inputs, bias)
        unexplained = (residual - weighted_rows(self.sae.W_dec, latents, values)).square().sum()
        variance = self.team.variance(residual)
        # few dead latents can explain little: weighing them less keeps them from being torn about
        weight = n_answering / self.settings.n_aux_latents
        return torch.where(variance > TINY, weight * unexplained / variance.clamp_min(TINY), 0.0)

    def _answers_of(
        self, is_dead: Tensor, inputs: Float[Tensor, "b d"], bias: Float[Tensor, " L"]
    ) -> tuple[Float[Tensor, "b a"], Int[Tensor, "b a"], int | Tensor]:
        """Activations of the strongest dead latents, which latents these are, and how many may answer for one clip."""
        sae, n_most = self.sae, min(self.settings.n_aux_latents, self.sae.config.n_latents)
        if self.is_on_cpu:
            dead = is_dead.nonzero()[:, 0]
            n_answering = min(n_most, len(dead))
            weight, bias = sae.W_enc.index_select(0, dead), bias.index_select(0, dead)
            values, places = self._products(inputs, weight, bias, n_answering)
            return values, dead[places], n_answering
        # to gather the dead ones, a GPU would have to be waited for at every step: the living get no say instead
        bias = bias.masked_fill(~is_dead, -torch.inf)
        values, latents = self._products(inputs, sae.W_enc, bias, n_most)
        return values, latents, is_dead.sum().clamp_max(n_most)

    def _products(self, inputs: Tensor, weight: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return differentiable_products(inputs, weight, bias, k, product_dtype=self.settings.product_dtype)

    @property
    def is_dead(self) -> Tensor:
        """True for latents that have been silent for `dead_after_clips`: bool[L]."""
        return self.n_seen - self.last_fired > self.settings.dead_after_clips

    @torch.no_grad()
    def _update(self) -> None:
        """Adam on the part of the decoder's gradient that keeps norms, then norms exactly back to 1."""
        decoder = self.sae.W_dec
        assert decoder.grad is not None
        decoder.grad.sub_((decoder.grad * decoder).sum(1, keepdim=True) * decoder)
        self.adam.step(self.settings.rate_at(self.n_steps_done))
        decoder.div_(decoder.norm(dim=1, keepdim=True).clamp_min(TINY))
        if self.sae.config.variant == "jumprelu":
            self.sae.threshold.clamp_min_(0)

    @torch.no_grad()
    def _count(self, values: Tensor, latents: Tensor) -> None:
        self.n_steps_done += 1
        self.n_seen += len(values) * self.team.size
        strengths = torch.zeros_like(self.sae.b_enc).index_add_(0, latents.flatten(), values.flatten())
        self.last_fired.masked_fill_(self.team.total(strengths) > 0, self.n_seen)
        self.sums.n_active += (values > 0).sum()
        self.sums.n_clips += len(values)

    def take_sums(self) -> StepSums:
        """Return the sums since the last call, over the whole team, and start new ones."""
        taken, self.sums = self.sums, StepSums.zero(self.last_fired.device)
        totals = self.team.total(torch.stack([taken.error, taken.norm, taken.n_active]))
        error, norm, n_active = totals.unbind()
        return StepSums(error, norm, n_active, taken.n_clips * self.team.size)

    @property
    def is_finite(self) -> bool:
        """Whether every weight is still a number."""
        return all(bool(torch.isfinite(part).all()) for part in self.sae.parameters())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that the next step depends on, by name."""
        state = {f"sae.{name}": array for name, array in self.sae.arrays().items()}
        for name, moments in self.adam.state.items():
            state |= {f"adam.{name}.{key}": moment.cpu().numpy() for key, moment in moments.items()}
        counts = np.array([self.n_steps_done, self.n_seen], dtype=np.int64)
        return state | {"fit.last_fired": self.last_fired.cpu().numpy(), "fit.counts": counts}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` returned; KeyError or ValueError when it belongs to another autoencoder."""
        device = self.last_fired.device
        with torch.no_grad():
            for name, part in self.sae.state_dict().items():
                part.copy_(_tensor(arrays[f"sae.{name}"], part.shape))
        for name, moments in self.adam.state.items():
            for key, moment in moments.items():
                moment.copy_(_tensor(arrays[f"adam.{name}.{key}"], moment.shape))
        self.last_fired = _tensor(arrays["fit.last_fired"], self.last_fired.shape).to(device)
        self.n_steps_done, self.n_seen = (int(count) for count in arrays["fit.counts"])


class _Adam:
    """PyTorch's Adam, called without its `Optimizer`: making one loads PyTorch's compiler, seconds at every start.

    state: of each parameter how many steps it took (`step`), and the running means of its gradient (`exp_avg`) and of
    that gradient's square (`exp_avg_sq`).
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        self.parameters = parameters
        self.state = {
            name: {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
            for name, parameter in parameters.items()
        }

    def step(self, learning_rate: float) -> None:
        """Move every parameter that has a gradient."""
        moved = {name: part for name, part in self.parameters.items() if part.grad is not None}
        adam(
            list(moved.values()),
            [part.grad for part in moved.values() if part.grad is not None],
            [self.state[name]["exp_avg"] for name in moved],
            [self.state[name]["exp_avg_sq"] for name in moved],
            [],
            [self.state[name]["step"] for name in moved],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _tensor(array: Float32[np.ndarray, "..."] | np.ndarray, shape: torch.Size) -> Tensor:
    if array.shape != tuple(shape):
        raise ValueError(f"an array of shape {array.shape} stands where {tuple(shape)} is expected")
    return torch.from_numpy(np.array(array))
