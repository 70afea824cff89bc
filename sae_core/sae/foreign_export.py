"""Our autoencoders in the layouts of SAELens and sparsify, which load them and return the same activations.

mean and scale are folded: W_enc / scale, b_dec ← mean + scale · b_dec, W_dec ← scale · W_dec; b_enc, thresholds stay.
With `input_norm` `layer` the library layer-norms its input as ours does, and takes the weights as they are.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sae_core.files.artifacts import write_json, write_tensors
from sae_core.files.errors import ArtifactError
from sae_core.sae.model import SparseAutoencoder

ForeignLayout = Literal["saelens", "sparsify"]
SAE_LENS_VERSION = "6.0.0"
"""The first version of SAELens whose settings are written like this; it reads older ones otherwise."""
_CHOOSE = "choose another folder: --out FOLDER"


def write_foreign(
    sae: SparseAutoencoder, layout: ForeignLayout, folder: Path, *, notes: Mapping[str, Any]
) -> Path:
    """Write the SAE into a new folder in the layout of another library, all of it or nothing, and return the folder.

    notes: kept with the settings, for people. Raises ValueError for an unknown layout, ArtifactError where the folder
    holds something already or the layout has no such SAE.
    """
    if layout not in get_args(ForeignLayout):
        raise ValueError(f"SAEs are exported to {' or '.join(get_args(ForeignLayout))}, not to {layout!r}")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError("is not an empty folder", where=folder, remedy=_CHOOSE)
    settings, tensors = (_sae_lens if layout == "saelens" else _sparsify)(sae, folder)
    name = "sae_weights.safetensors" if layout == "saelens" else "sae.safetensors"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ArtifactError(f"cannot be written ({error.strerror})", where=folder, remedy=_CHOOSE) from error
    try:
        write_tensors(staged / name, tensors)
        write_json(staged / "cfg.json", settings | {"metadata": settings.get("metadata", {}) | dict(notes)})
        staged.chmod(0o755)
        staged.replace(folder)
    except OSError as error:
        raise ArtifactError(f"cannot be written ({error.strerror})", where=folder, remedy=_CHOOSE) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder


def _folded(sae: SparseAutoencoder) -> dict[str, np.ndarray]:
    """Weights that take plain embeddings, or layer-normed ones, without mean and scale."""
    arrays = {name: part.astype(np.float64) for name, part in sae.arrays().items()}
    mean, scale = arrays.pop("mean"), arrays.pop("scale")
    if sae.config.input_norm == "none":
        arrays["W_enc"] = arrays["W_enc"] / scale
        arrays["W_dec"] = arrays["W_dec"] * scale
        arrays["b_dec"] = mean + scale * arrays["b_dec"]
    return {name: part.astype(np.float32) for name, part in arrays.items()}


def _sae_lens(sae: SparseAutoencoder, _: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    config = sae.config
    tensors = _folded(sae)
    tensors["W_enc"] = np.ascontiguousarray(tensors["W_enc"].T)
    architecture = {"topk": "topk", "matryoshka": "topk", "relu": "standard"}.get(config.variant, "jumprelu")
    settings: dict[str, Any] = {
        "d_in": config.dim,
        "d_sae": config.n_latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "layer_norm" if config.input_norm == "layer" else "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": SAE_LENS_VERSION, "sae_lens_training_version": None},
        "architecture": architecture,
    }
    if config.prefixes:
        settings["metadata"]["matryoshka_widths"] = list(config.prefixes)
    if architecture == "topk":
        settings |= {"k": config.k, "rescale_acts_by_decoder_norm": False}
    return settings, tensors


def _sparsify(sae: SparseAutoencoder, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    config = sae.config
    if config.variant not in ("topk", "matryoshka") or config.input_norm != "none":
        kind = config.variant if config.input_norm == "none" else "layer-normed"
        raise ArtifactError(
            f"sparsify has no {kind} SAEs", where=folder, remedy="export it to SAELens: --to saelens"
        )
    folded = _folded(sae)
    tensors = {
        "encoder.weight": folded["W_enc"],
        "encoder.bias": folded["b_enc"],
        "W_dec": folded["W_dec"],
        "b_dec": folded["b_dec"],
    }
    settings = {
        "activation": "topk",
        "expansion_factor": max(1, config.n_latents // config.dim),
        "normalize_decoder": False,
        "num_latents": config.n_latents,
        "k": config.k,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": config.dim,
    }
    return settings, tensors
