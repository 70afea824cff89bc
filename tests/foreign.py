"""An autoencoder as another library saves it, for tests that bring one in."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

DIM, N_LATENTS = 192, 40


def write_sae(folder: Path, *, dim: int = DIM, architecture: str = "jumprelu", **settings: object) -> Path:
    """A SAELens SAE with random weights of few active latents a clip."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    tensors = {
        "W_enc": random.standard_normal((dim, N_LATENTS)).astype(np.float32),
        "b_enc": np.zeros(N_LATENTS, np.float32),
        "W_dec": random.standard_normal((N_LATENTS, dim)).astype(np.float32) / dim**0.5,
        "b_dec": random.standard_normal(dim).astype(np.float32) / 50,
    }
    if architecture == "jumprelu":
        tensors["threshold"] = np.linspace(0.5, 1.5, N_LATENTS).astype(np.float32)
    save_file(tensors, folder / "sae_weights.safetensors")
    usual = {"d_in": dim, "d_sae": N_LATENTS, "architecture": architecture, "metadata": {}}
    (folder / "cfg.json").write_text(json.dumps(usual | settings))
    return folder
