"""sparsify's autoencoder, trained by the steps of its own trainer, without what that does for a language model."""

import os
import time
from types import SimpleNamespace

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

import numpy as np
import torch
from sparsify import SparseCoder, SparseCoderConfig

state = SimpleNamespace()


def start(inputs: str, settings: dict) -> None:
    """First weights, for the clips in a file of centred, scaled inputs."""
    torch.manual_seed(0)
    state.inputs = torch.from_numpy(np.load(inputs))
    state.settings = SimpleNamespace(**settings)
    config = SparseCoderConfig(num_latents=settings["n_latents"], k=settings["k"], normalize_decoder=True)
    state.coder = SparseCoder(state.inputs.shape[1], config)
    state.coder.b_dec.data = state.inputs[: settings["batch_size"]].mean(0)
    state.optimizer = torch.optim.Adam(state.coder.parameters(), lr=settings["learning_rate"])
    state.n_since_fired = torch.zeros(settings["n_latents"], dtype=torch.int64)


def take_steps(first: int, n: int, n_dead: int = 0) -> float:
    """Take some steps, before each of which the first latents are declared dead; seconds."""
    size = state.settings.batch_size
    n_batches = len(state.inputs) // size
    started = time.perf_counter()
    for step in range(first, first + n):
        state.n_since_fired[:n_dead] = 2 * state.settings.dead_after_clips
        take_step(state.inputs[step % n_batches * size :][:size])
    return time.perf_counter() - started


def take_step(batch: torch.Tensor) -> None:
    """What `Trainer.fit` does with the activations of a batch, in its order."""
    coder, settings = state.coder, state.settings
    coder.set_decoder_norm_to_unit_norm()
    did_fire = torch.zeros_like(state.n_since_fired, dtype=torch.bool)
    out = coder(
        x=batch,
        y=batch,
        dead_mask=state.n_since_fired > settings.dead_after_clips,
        total_variance=(batch - batch.mean(0)).pow(2).sum(),
    )
    did_fire[out.latent_indices.flatten()] = True
    (out.fvu + settings.aux_coefficient * out.auxk_loss).backward()
    coder.remove_gradient_parallel_to_decoder_directions()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.n_since_fired += len(batch)
    state.n_since_fired[did_fire] = 0


def report(held_out: str) -> dict:
    """The fraction of held-out variance unexplained, and the share of dead latents."""
    clips = torch.from_numpy(np.load(held_out))
    with torch.no_grad():
        residual = torch.cat([batch - state.coder(batch).sae_out for batch in clips.split(4096)])
    return {
        "fvu": float(residual.square().sum() / (clips - clips.mean(0)).square().sum()),
        "dead_fraction": float((state.n_since_fired > state.settings.dead_after_clips).float().mean()),
    }
