"""Autoencoders of SAELens, sparsify and dictionary_learning: random ones, saved by each library; and its `encode`."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

os.environ["WANDB_MODE"] = "disabled"
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

import numpy as np
import torch

Run = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
SAE_LENS = {
    "standard": ("standard", {}),
    "topk": ("topk", {"k": "K"}),
    "topk, rescale_acts_by_decoder_norm": ("topk", {"k": "K", "rescale_acts_by_decoder_norm": True}),
    "topk, constant_norm_rescale": ("topk", {"k": "K", "normalize_activations": "constant_norm_rescale"}),
    "topk, layer_norm": ("topk", {"k": "K", "normalize_activations": "layer_norm"}),
    "jumprelu": ("jumprelu", {}),
    "jumprelu, b_dec not taken off": ("jumprelu", {"apply_b_dec_to_input": False}),
    "batchtopk": ("batchtopk", {"k": "K"}),
    "matryoshka_batchtopk": ("matryoshka_batchtopk", {"k": "K", "matryoshka_widths": "WIDTHS"}),
}


def make(kind: str, folder: str, inputs: str, out: str, sizes: dict) -> None:
    """Save a random autoencoder into a folder, and what the library makes of the embeddings into a file."""
    library, _, variant = kind.partition(": ")
    torch.manual_seed(len(kind))
    {"SAELens": _make_sae_lens, "sparsify": _make_sparsify, "dictionary_learning": _make_dictionary}[library](
        variant, Path(folder), sizes
    )
    encode(library, folder, inputs, out, variant)


def encode(library: str, folder: str, inputs: str, out: str, variant: str = "") -> None:
    """Load an autoencoder as its library does; write activations and reconstructions of the embeddings into a file."""
    load = {"SAELens": _load_sae_lens, "sparsify": _load_sparsify, "dictionary_learning": _load_dictionary}
    clips = torch.from_numpy(np.load(inputs))
    with torch.no_grad():
        activations, rebuilt = load[library](Path(folder), variant)(clips)
    np.savez(out, activations=activations.numpy(), rebuilt=rebuilt.numpy())


def _fill(module: torch.nn.Module, scale: float = 1.0) -> None:
    """Random weights: activations of about 1, decoder rows of norms 0.5 to 2, small biases."""
    for name, part in module.named_parameters():
        part.data = torch.randn_like(part) * (scale if part.ndim == 2 else 0.1)
        if "threshold" in name:
            part.data = torch.rand_like(part)
        elif name in ("W_dec", "decoder.weight"):
            axis = 1 if name == "W_dec" else 0
            norms = 0.5 + 1.5 * torch.rand_like(part.norm(dim=axis, keepdim=True))
            part.data = part / part.norm(dim=axis, keepdim=True) * norms


def _make_sae_lens(variant: str, folder: Path, sizes: dict) -> None:
    from sae_lens.registry import get_sae_class, get_sae_training_class

    architecture, settings = SAE_LENS[variant]
    chosen = {
        name: {"K": sizes["k"], "WIDTHS": sizes["widths"]}.get(value, value)
        if isinstance(value, str)
        else value
        for name, value in settings.items()
    }
    is_trained = "batchtopk" in architecture
    made, config = (get_sae_training_class if is_trained else get_sae_class)(architecture)
    sae = made(config(d_in=sizes["dim"], d_sae=sizes["n_latents"], **chosen))
    # inputs of norm √d instead of 1: weights that much smaller give activations of the same size
    _fill(sae, sizes["dim"] ** -0.5 if "normalize_activations" in chosen else 1.0)
    if is_trained:
        sae.topk_threshold = torch.tensor(0.8, dtype=torch.double)
        sae.save_inference_model(str(folder))
    else:
        sae.save_model(str(folder))


def _load_sae_lens(folder: Path, _: str) -> Run:
    from sae_lens import SAE

    sae = SAE.load_from_disk(str(folder), device="cpu")

    def run(clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        activations = sae.encode(clips)
        return activations, sae.decode(activations)

    return run


def _make_sparsify(_: str, folder: Path, sizes: dict) -> None:
    from sparsify import SparseCoder, SparseCoderConfig

    coder = SparseCoder(sizes["dim"], SparseCoderConfig(num_latents=sizes["n_latents"], k=sizes["k"]))
    _fill(coder)
    coder.save_to_disk(folder)


def _load_sparsify(folder: Path, _: str) -> Run:
    from sparsify import SparseCoder

    coder = SparseCoder.load_from_disk(folder, device="cpu")

    def run(clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, latents, _ = coder.encode(clips)
        dense = torch.zeros(len(clips), coder.num_latents).scatter_(1, latents, values)
        return dense, coder.decode(values, latents)

    return run


def _dictionary_classes() -> dict:
    # only what runs language models needs nnsight
    stub = ModuleType("nnsight")
    stub.LanguageModel = None
    sys.modules.setdefault("nnsight", stub)
    from dictionary_learning import dictionary
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    return {
        "AutoEncoder": dictionary.AutoEncoder,
        "AutoEncoderNew": dictionary.AutoEncoderNew,
        "JumpReluAutoEncoder": dictionary.JumpReluAutoEncoder,
        "AutoEncoderTopK": AutoEncoderTopK,
        "BatchTopKSAE": BatchTopKSAE,
        "MatryoshkaBatchTopKSAE": MatryoshkaBatchTopKSAE,
    }


def _make_dictionary(variant: str, folder: Path, sizes: dict) -> None:
    made = _dictionary_classes()[variant]
    settings = {"dict_class": variant}
    more = {}
    if "TopK" in variant:
        more["k"] = settings["k"] = sizes["k"]
    if variant == "MatryoshkaBatchTopKSAE":
        more["group_sizes"] = np.diff([0, *sizes["widths"]]).tolist()
    sae = made(sizes["dim"], sizes["n_latents"], **more)
    _fill(sae)
    if "BatchTopK" in variant:
        sae.threshold = torch.tensor(0.8)
    folder.mkdir(parents=True)
    torch.save(sae.state_dict(), folder / "ae.pt")
    (folder / "config.json").write_text(json.dumps({"trainer": settings, "buffer": {}}))


def _load_dictionary(folder: Path, variant: str) -> Run:
    sae = _dictionary_classes()[variant].from_pretrained(folder / "ae.pt")

    def run(clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        activations = sae.encode(clips)
        return activations, sae.decode(activations)

    return run
