"""The sparse autoencoder: its equations, its file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from sae_core.embedding.device_memory import memory_for
from sae_core.embedding.embedders import choose_device
from sae_core.files.artifacts import fingerprint, write_json, write_tensors
from sae_core.sae.codes import SparseCodes
from sae_core.sae.config import (
    RETRAIN,
    THRESHOLD_VARIANTS,
    SaeConfig,
    Variant,
    default_prefixes,
    read_config,
    read_weights,
    weight_shapes,
)
from sae_core.sae.topk import strongest_products, thresholded_products, weighted_rows

__all__ = [
    "RETRAIN",
    "SaeConfig",
    "SparseAutoencoder",
    "Variant",
    "WeightType",
    "default_prefixes",
    "weight_shapes",
]

WeightType = Literal["float32", "float16"]


LAYER_EPSILON = 1e-5


def layer_statistics(vectors: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b 1"], Float[Tensor, "b 1"]]:
    """Return mean and standard deviation (of d − 1 degrees of freedom) of each row's numbers."""
    return vectors.mean(dim=1, keepdim=True), vectors.std(dim=1, keepdim=True)


class SparseAutoencoder(torch.nn.Module):
    """An embedding as a few active latents, and back.

        x = (e − mean) / scale                        centred; scaled so that E‖x‖² = d
        z = W_enc (x − b_dec) + b_enc
        v = TopK(ReLU(z))                             at most k of L activations differ from 0, or
        v = z where z > max(0, threshold), else 0     in the variants relu (threshold 0), jumprelu and batchtopk
        ε = W_decᵀ v + b_dec
        ê = mean + scale · ε

    W_enc[L, d], b_enc[L]: how strongly each latent answers to an input.
    W_dec[L, d]: one row a latent, its decoder direction, of norm 1 where trained here, of any norm where imported.
    b_dec[d]: where the sum of directions starts.
    mean[d], scale[1]: of the embeddings it was trained on; they are stored with it, so callers pass plain embeddings.
    threshold[L]: only in the variants jumprelu and batchtopk.

    With `input_norm` `layer`, x = (e − μ) / (σ + 10⁻⁵) instead, μ and σ of the d numbers of this very e, and
    ê = μ + σ ε. A code does not hold μ and σ of its clip: mean and scale are then their averages over the workspace,
    for `decode` without the embeddings.

    TopK after Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093). The Matryoshka variant,
    after Bussmann et al. 2025, "Learning Multi-Level Features with Matryoshka Sparse Autoencoders" (arXiv 2503.17547),
    differs in how it is trained, not here.

    JumpReLU after Rajamanoharan et al. 2024 (arXiv 2407.14435). BatchTopK (Bussmann et al. 2024, arXiv 2412.06410)
    keeps the largest b·k of a batch's activations in training and those above a threshold after it; both are in
    `sae_core.sae.thresholds`. Either may be trained with the prefixes of a Matryoshka SAE.
    """

    def __init__(self, config: SaeConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        for name, shape in weight_shapes(config).items():
            if tuple(weights[name].shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, not {tuple(weights[name].shape)}")
        self.W_enc = torch.nn.Parameter(weights["W_enc"])  # [L, d]
        self.b_enc = torch.nn.Parameter(weights["b_enc"])  # [L]
        self.W_dec = torch.nn.Parameter(weights["W_dec"])  # [L, d]
        self.b_dec = torch.nn.Parameter(weights["b_dec"])  # [d]
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", weights["mean"])  # [d]
        self.register_buffer("scale", weights["scale"])  # [1]
        self.threshold: Tensor  # [L]: learnt by gradient in jumprelu, measured in batchtopk
        if config.variant == "jumprelu":
            self.threshold = torch.nn.Parameter(weights["threshold"])
        elif config.variant == "batchtopk":
            self.register_buffer("threshold", weights["threshold"])

    @classmethod
    def untrained(cls, config: SaeConfig, mean: Float[np.ndarray, " d"], scale: float) -> "SparseAutoencoder":
        """Return first weights, drawn from the seed: random unit decoder directions; the encoder is half of them.

        Among many latents several answer for the same part of an input; the whole of each would rebuild it twice over.
        """
        generator = torch.Generator().manual_seed(config.seed)
        directions = torch.randn(config.n_latents, config.dim, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        weights = {
            "W_enc": directions / 2,
            "b_enc": torch.zeros(config.n_latents),
            "W_dec": directions,
            "b_dec": torch.zeros(config.dim),
            "mean": torch.as_tensor(mean, dtype=torch.float32),
            "scale": torch.tensor([scale], dtype=torch.float32),
            "threshold": torch.zeros(config.n_latents),
        }
        return cls(config, {name: weights[name] for name in weight_shapes(config)})

    def decoder_directions(self) -> Float32[np.ndarray, "L d"]:
        """Return the decoder direction of each latent in embedding space, of norm 1."""
        directions = torch.nn.functional.normalize(self.W_dec.detach(), dim=1)
        return np.asarray(directions.cpu().numpy(), dtype=np.float32)

    def plain_encoder(self) -> tuple[Float[Tensor, "L d"], Float[Tensor, " L"]]:
        """Return weight and bias that take plain embeddings (layer-normed ones where `input_norm` says so), with mean,
        scale and b_dec folded in."""
        if self.config.input_norm == "layer":
            weight = self.W_enc.detach()
            return weight, self.b_enc.detach() - weight @ self.b_dec.detach()
        weight = self.W_enc.detach() / self.scale
        bias = self.b_enc.detach() - weight @ (self.mean + self.scale * self.b_dec.detach())
        return weight, bias

    @torch.no_grad()
    def encode(
        self,
        vectors: Float32[np.ndarray, "n d"],
        *,
        batch_size: int = 8192,
        device: str | torch.device | None = None,
    ) -> SparseCodes:
        """Return the codes of these embeddings, strongest latent first, 0 in unused slots.

        Memory does not grow beyond the codes. A row of zeros (a clip without an embedding) gets no active latent.
        There are k slots a clip; where a threshold decides and a clip has more active latents, as many as it needs.
        `device` is where to compute: by default, where the weights are. Raises DeviceMemoryError where `batch_size`
        clips are too many for it.
        """
        latents = np.zeros((len(vectors), self.config.k), np.int32)
        activations = np.zeros(latents.shape, np.float32)
        start = 0
        for codes in self.encode_in_pieces(vectors, batch_size=batch_size, device=device):
            piece, n_more = slice(start, start := start + len(codes)), codes.k - latents.shape[1]
            if n_more > 0:
                latents = np.hstack([latents, np.zeros((len(vectors), n_more), np.int32)])
                activations = np.hstack([activations, np.zeros((len(vectors), n_more), np.float32)])
            latents[piece, : codes.k], activations[piece, : codes.k] = codes.latents, codes.activations
        return SparseCodes(latents, activations, self.config.n_latents)

    def encode_in_pieces(
        self,
        vectors: Float32[np.ndarray, "n d"],
        *,
        batch_size: int = 8192,
        device: str | torch.device | None = None,
    ) -> Iterator[SparseCodes]:
        """Yield the same codes for `batch_size` clips after another, in memory that does not grow with their number."""
        if vectors.shape[1] != self.config.dim:
            raise ValueError(f"vectors have {vectors.shape[1]} dimensions, this SAE reads {self.config.dim}")
        weight, bias = (part.to(device or self.W_enc.device) for part in self.plain_encoder())
        for start in range(0, len(vectors), batch_size):
            piece = np.array(vectors[start : start + batch_size])
            remedy = (
                f"encode fewer at a time, such as batch_size={max(1, batch_size // 2)}, or with --device cpu"
            )
            with memory_for(f"encoding {len(piece):,} clips at {len(weight):,} latents", remedy=remedy):
                values, latents = self._active(torch.from_numpy(piece).to(weight.device), weight, bias)
                activations, used = values.cpu().numpy(), latents.int().cpu().numpy()
            activations[~piece.any(axis=1)] = 0
            used[activations <= 0] = 0
            yield SparseCodes(used, activations, self.config.n_latents)

    def _active(
        self, vectors: Float[Tensor, "b d"], weight: Float[Tensor, "L d"], bias: Float[Tensor, " L"]
    ) -> tuple[Float[Tensor, "b m"], Int[Tensor, "b m"]]:
        """Activations and latents of plain embeddings, strongest first."""
        if self.config.input_norm == "layer":
            mu, sigma = layer_statistics(vectors)
            vectors = (vectors - mu) / (sigma + LAYER_EPSILON)
        if self.config.variant not in THRESHOLD_VARIANTS:
            return strongest_products(vectors, weight, bias, self.config.k)
        floor = torch.zeros_like(bias) if self.config.variant == "relu" else self.threshold.to(bias.device)
        return thresholded_products(vectors, weight, bias, floor, k=self.config.k)

    @torch.no_grad()
    def encode_dense(self, vectors: Float[Tensor, "b d"]) -> Float[Tensor, "b L"]:
        """Return all L activations of a small batch, all but the active ones 0."""
        weight, bias = self.plain_encoder()
        values, latents = self._active(vectors, weight, bias)
        return torch.zeros(len(vectors), self.config.n_latents, device=vectors.device).scatter_(
            1, latents, values
        )

    @torch.no_grad()
    def decode(
        self,
        codes: SparseCodes,
        *,
        batch_size: int = 8192,
        inputs: Float32[np.ndarray, "n d"] | None = None,
    ) -> Float32[np.ndarray, "n d"]:
        """Return the embeddings ê = mean + scale · (W_decᵀ v + b_dec) that these codes stand for.

        inputs: the embeddings that were encoded; with `input_norm` `layer`, each one's own μ and σ are used.
        """
        rebuilt = np.empty((len(codes), self.config.dim), np.float32)
        offset, device = self.mean + self.scale * self.b_dec, self.W_dec.device
        for start in range(0, len(codes), batch_size):
            piece = slice(start, start + batch_size)
            latents = torch.from_numpy(np.array(codes.latents[piece], dtype=np.int64)).to(device)
            activations = torch.from_numpy(np.array(codes.activations[piece])).to(device)
            sums = weighted_rows(self.W_dec, latents, activations)
            if inputs is not None and self.config.input_norm == "layer":
                mu, sigma = layer_statistics(torch.from_numpy(np.array(inputs[piece])).to(device))
                rebuilt[piece] = (mu + sigma * (sums + self.b_dec)).cpu().numpy()
            else:
                rebuilt[piece] = (sums * self.scale + offset).cpu().numpy()
        return rebuilt

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all weights as float32 arrays, by name."""
        return {name: np.asarray(part.cpu().numpy(), np.float32) for name, part in self.state_dict().items()}

    @property
    def fingerprint(self) -> str:
        """Changes when any setting or weight does."""
        # what an SAE is does not depend on how its settings are written: version 1 is part of its fingerprint for good
        return fingerprint({**self.config.to_json(), "format_version": 1}, self.arrays())

    def save(self, folder: Path, *, stored_as: WeightType = "float32") -> None:
        """Write config.json and weights.safetensors; as float16, the two weight matrices take half the space."""
        matrices = {name: part.astype(stored_as) for name, part in self.arrays().items() if part.ndim == 2}
        write_json(folder / "config.json", self.config.to_json())
        write_tensors(folder / "weights.safetensors", self.arrays() | matrices)

    @classmethod
    def load(
        cls, folder: Path, *, device: str | torch.device | None = None, remedy: str = RETRAIN
    ) -> "SparseAutoencoder":
        """Return the SAE in `folder`, on the CPU unless told.

        Raises ArtifactError when a file is missing, damaged or foreign, or the two do not fit each other.
        """
        config = read_config(folder, remedy=remedy)
        arrays = read_weights(folder, config, remedy=remedy)
        tensors = {name: torch.from_numpy(np.array(part, np.float32)) for name, part in arrays.items()}
        return cls(config, tensors).requires_grad_(False).to(choose_device(device or "cpu"))
