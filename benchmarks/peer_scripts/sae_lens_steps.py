"""SAELens' TopK autoencoder, trained by its own trainer a step at a time, and its `encode`."""

import os
import time
from types import SimpleNamespace

os.environ["WANDB_MODE"] = "disabled"

import numpy as np
import torch
from sae_lens import TopKSAE, TopKSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

state = SimpleNamespace()


def start(inputs: str, settings: dict) -> None:
    """First weights, for the clips in a file of centred, scaled inputs."""
    torch.manual_seed(0)
    state.inputs = torch.from_numpy(np.load(inputs))
    state.settings = SimpleNamespace(**settings)
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(
            d_in=state.inputs.shape[1],
            d_sae=settings["n_latents"],
            k=settings["k"],
            aux_loss_coefficient=settings["aux_coefficient"],
        )
    )
    state.trainer = SAETrainer(trainer_settings(), sae, iter(()))


def trainer_settings() -> SAETrainerConfig:
    """A constant rate, no checkpoints, no log."""
    settings = state.settings
    return SAETrainerConfig(
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        total_training_samples=10**9,
        device="cpu",
        autocast=False,
        lr=settings.learning_rate,
        lr_end=settings.learning_rate,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        lr_decay_steps=0,
        n_restart_cycles=1,
        train_batch_size_samples=settings.batch_size,
        dead_feature_window=settings.dead_after_clips // settings.batch_size,
        feature_sampling_window=2000,
        logger=LoggingConfig(log_to_wandb=False),
    )


def take_steps(first: int, n: int, n_dead: int = 0) -> float:
    """Take some steps, before each of which the first latents are declared dead; seconds."""
    size, trainer = state.settings.batch_size, state.trainer
    n_batches = len(state.inputs) // size
    started = time.perf_counter()
    for step in range(first, first + n):
        trainer.n_forward_passes_since_fired[:n_dead] = 2 * trainer.cfg.dead_feature_window
        trainer.step(state.inputs[step % n_batches * size :][:size])
        trainer.n_training_steps += 1
    return time.perf_counter() - started


def report(held_out: str) -> dict:
    """The fraction of held-out variance unexplained, and the share of dead latents."""
    clips = torch.from_numpy(np.load(held_out))
    sae = state.trainer.sae
    with torch.no_grad():
        residual = torch.cat([batch - sae(batch) for batch in clips.split(4096)])
    return {
        "fvu": float(residual.square().sum() / (clips - clips.mean(0)).square().sum()),
        "dead_fraction": float(state.trainer.dead_neurons.float().mean()),
    }


def load(weights: str, k: int, inputs: str) -> None:
    """An autoencoder with given weights W_enc[L, d], b_enc, W_dec[L, d], b_dec, and the clips to encode."""
    arrays = {name: torch.from_numpy(part) for name, part in np.load(weights).items()}
    n_latents, dim = arrays["W_dec"].shape
    state.sae = TopKSAE(TopKSAEConfig(d_in=dim, d_sae=n_latents, k=k))
    state.sae.load_state_dict({**arrays, "W_enc": arrays["W_enc"].T.contiguous()})
    state.inputs = np.load(inputs, mmap_mode="r")


def encode(first: int, n: int, batch_size: int) -> float:
    """Encode some clips a batch at a time and let go of each result; seconds."""
    started = time.perf_counter()
    with torch.no_grad():
        for start in range(first, first + n, batch_size):
            piece = state.inputs[start : min(first + n, start + batch_size)]
            state.sae.encode(torch.from_numpy(np.array(piece)))
    return time.perf_counter() - started


def first_codes(n: int) -> list:
    """The sum of activations of each of the first clips, to see that both sides encode alike."""
    with torch.no_grad():
        return state.sae.encode(torch.from_numpy(np.array(state.inputs[:n]))).sum(1).tolist()
