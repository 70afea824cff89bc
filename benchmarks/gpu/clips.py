"""What the networks are given: planted embeddings, random ones, and sounds of several lengths."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.step import SaeFit, StepSettings

DIM, K = 192, 32
SAMPLE_RATE_HZ = 16_000
LEARNING_RATE, AUX_COEFFICIENT = 3e-3, 1 / 32
DEAD_AFTER = 100_000


def random_inputs(n_clips: int, device: torch.device, seed: int = 0) -> Float32[Tensor, "n d"]:
    """Centred and scaled clips, a few directions stronger than the others."""
    generator = torch.Generator().manual_seed(seed)
    strengths = 3.0 * torch.exp(-torch.arange(DIM) / 40)
    inputs = torch.randn(n_clips, DIM, generator=generator) * strengths
    return (inputs * DIM**0.5 / inputs.square().sum(1).mean().sqrt()).to(device)


def new_fit(config: SaeConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> SaeFit:
    """An autoencoder with first weights, its product rounded to `dtype`; AuxK asks d / 2 of the dead latents."""
    settings = StepSettings(
        LEARNING_RATE, 10**9, 0.0, 0.0, AUX_COEFFICIENT, DIM // 2, DEAD_AFTER, product_dtype=dtype
    )
    return SaeFit(SparseAutoencoder.untrained(config, np.zeros(config.dim), 1.0).to(device), settings)


def declare_dead(fit: SaeFit, n_dead: int) -> None:
    """Let the first latents have been silent for too long, whatever they do, and no other."""
    if fit.n_seen <= 2 * DEAD_AFTER:
        fit.n_seen = 2 * DEAD_AFTER + 1
        fit.last_fired.fill_(fit.n_seen)
    fit.last_fired[:n_dead] = 0


def sounds(durations_s: Sequence[float], seed: int = 0) -> tuple[Float32[Tensor, "b t"], Tensor]:
    """Hums of wavering pitch with breath over them, padded with noise that must not be heard, and their lengths."""
    random = np.random.default_rng(seed)
    lengths = [int(duration * SAMPLE_RATE_HZ) for duration in durations_s]
    padded = random.normal(size=(len(lengths), max(lengths))).astype(np.float32)
    for row, n_samples in enumerate(lengths):
        time_s = np.arange(n_samples) / SAMPLE_RATE_HZ
        pitch_hz, wobble_hz = random.uniform(80, 260), random.uniform(2, 6)
        phase = 2 * np.pi * pitch_hz * time_s + 0.5 * np.sin(2 * np.pi * wobble_hz * time_s)
        hum = sum(random.uniform(0.3, 1) / k * np.sin(k * phase) for k in range(1, 13))
        breath = random.normal(size=n_samples) * random.uniform(0.05, 0.3)
        padded[row, :n_samples] = 0.1 * (hum + breath) * (1 + 0.5 * np.sin(2 * np.pi * 1.3 * time_s))
    return torch.from_numpy(padded), torch.tensor(lengths)


def largest_gap(found: Tensor, expected: Tensor) -> float:
    """1 − the smallest cosine between a row and the same row of the other."""
    pair = (part.detach().cpu().double().reshape(len(part), -1) for part in (found, expected))
    return 1 - float(torch.nn.functional.cosine_similarity(*pair, dim=1).min())
