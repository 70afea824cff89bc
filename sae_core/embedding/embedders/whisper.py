"""Whisper's encoder as an embedder: what is said and in which language, one vector a clip.

Network after Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision" (arXiv 2212.04356). A
clip's vector is the mean over its own frames of one layer's output, each frame normalised as layer normalisation does.

Whisper is usually fed 30 s, padded with silence. Here it hears the clip and one second of silence after it, which
costs a fraction and gives the same frames up to what attention finds in the rest of the silence. Longer clips go
through in equal stretches that fit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.embedders import choose_device, full_precision
from sae_core.embedding.filterbanks import slaney_filters
from sae_core.embedding.frame_product import FrameProduct
from sae_core.embedding.network_weights import check_weights
from sae_core.embedding.side_by_side import one_clip_a_thread
from sae_core.files.artifacts import fingerprint, read_json, read_tensors
from sae_core.files.contents import key_fault
from sae_core.files.errors import ArtifactError, MissingDependencyError
from sae_core.files.product import asset

SHIPPED_MODEL = asset("models", "whisper-base")
DEFAULT_LAYER = 4
SAMPLE_RATE_HZ = 16_000
N_FFT, HOP = 400, 160
MAX_FRAMES = 1500
"""Frames of 20 ms that the encoder has positions for."""
SILENCE_SAMPLES = SAMPLE_RATE_HZ
MAX_STRETCH_SAMPLES = MAX_FRAMES * 2 * HOP - SILENCE_SAMPLES
POOLING = "mean of the clip's layer-normed frames"

_SAMPLES_A_FRAME = 2 * HOP
_NORM_EPS = 1e-5
_REMEDY = (
    "name a folder of a Whisper model as Hugging Face lays it out, or leave --model out for the shipped base"
)
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_SIZES = dict.fromkeys(("d_model", "encoder_layers", "encoder_attention_heads", "num_mel_bins"), int)


@dataclass(frozen=True)
class WhisperSize:
    """What config.json says of an encoder. dim: numbers a frame. n_layers: all it has, of which the first are used."""

    dim: int
    n_layers: int
    n_heads: int
    n_mels: int

    @classmethod
    def read(cls, folder: Path) -> "WhisperSize":
        """The sizes in a model's folder; ArtifactError when they are missing or cannot be."""
        raw = read_json(folder / "config.json", remedy=_REMEDY)
        if fault := key_fault(raw, _SIZES):
            raise ArtifactError(
                f"describes no Whisper model: {fault}", where=folder / "config.json", remedy=_REMEDY
            )
        size = cls(*(int(raw[name]) for name in _SIZES))
        if not (0 < size.dim <= 8192 and 0 < size.n_layers <= 128 and size.n_mels in (80, 128)):
            raise ArtifactError(
                "has sizes no Whisper model has", where=folder / "config.json", remedy=_REMEDY
            )
        if size.n_heads < 1 or size.dim % size.n_heads:
            raise ArtifactError("has heads that do not fit", where=folder / "config.json", remedy=_REMEDY)
        return size

    def shapes(self, n_layers: int) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor that the first layers need, by Hugging Face's names below `encoder.`."""
        dim = self.dim
        shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (dim, self.n_mels, 3)}
        shapes["conv2.weight"] = (dim, dim, 3)
        shapes |= {"conv1.bias": (dim,), "conv2.bias": (dim,)}
        for layer in range(n_layers):
            for part in ("self_attn_layer_norm", "final_layer_norm"):
                shapes |= {f"layers.{layer}.{part}.{kind}": (dim,) for kind in ("weight", "bias")}
            for part in ("q", "k", "v", "out"):
                shapes[f"layers.{layer}.self_attn.{part}_proj.weight"] = (dim, dim)
                if part != "k":
                    shapes[f"layers.{layer}.self_attn.{part}_proj.bias"] = (dim,)
            shapes |= {f"layers.{layer}.fc1.weight": (4 * dim, dim), f"layers.{layer}.fc1.bias": (4 * dim,)}
            shapes |= {f"layers.{layer}.fc2.weight": (dim, 4 * dim), f"layers.{layer}.fc2.bias": (dim,)}
        return shapes


class LogMel(nn.Module):
    """Whisper's input: log10 mel powers, at most 8 below the clip's loudest, moved and scaled to about [-1, 1]."""

    window: Tensor
    filters: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT, periodic=True))
        self.register_buffer(
            "filters", torch.from_numpy(slaney_filters(n_mels, N_FFT, SAMPLE_RATE_HZ).T.copy())
        )

    def forward(
        self, waveforms: Float32[Tensor, "b t"], n_frames: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b frame mel"]:
        """The first `n_frames` frames of each waveform, zero beyond them; waveforms end in silence."""
        longest = int(n_frames.max())
        needed = (longest - 1) * HOP + N_FFT - N_FFT // 2
        begun = torch.cat([waveforms[:, 1 : N_FFT // 2 + 1].flip(1), waveforms], dim=1)
        padded = nn.functional.pad(begun, (0, max(0, needed - waveforms.shape[1])))
        frames = padded.unfold(1, N_FFT, HOP)[:, :longest]
        spectrum = torch.fft.rfft(frames * self.window)
        powers = spectrum.real.square() + spectrum.imag.square()
        mels = (powers @ self.filters).clamp_min(1e-10).log10()
        is_heard = (torch.arange(longest, device=mels.device) < n_frames[:, None])[:, :, None]
        loudest = torch.where(is_heard, mels, -torch.inf).amax(dim=(1, 2), keepdim=True)
        return torch.where(is_heard, (torch.maximum(mels, loudest - 8.0) + 4.0) / 4.0, 0.0)


class _Layer:
    """One layer of the encoder: attention, then two linear layers, each after a normalisation and beside a way past."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str, n_heads: int) -> None:
        def at(part: str) -> Tensor:
            return tensors[f"{name}.{part}"]

        self._n_heads = n_heads
        self._norms = [
            (at(f"{part}.weight"), at(f"{part}.bias"))
            for part in ("self_attn_layer_norm", "final_layer_norm")
        ]
        biases = [
            at("self_attn.q_proj.bias"),
            torch.zeros_like(at("self_attn.q_proj.bias")),
            at("self_attn.v_proj.bias"),
        ]
        weights = [at(f"self_attn.{part}_proj.weight") for part in "qkv"]
        self._heads = FrameProduct(torch.cat(weights), torch.cat(biases))
        self._out = FrameProduct(at("self_attn.out_proj.weight"), at("self_attn.out_proj.bias"))
        self._wide = FrameProduct(at("fc1.weight"), at("fc1.bias"))
        self._narrow = FrameProduct(at("fc2.weight"), at("fc2.bias"))

    def __call__(self, frames: Float32[Tensor, "b t c"], mask: Bool[Tensor, "b one one t"] | None) -> Tensor:
        shape = frames.shape
        heads = self._heads(_normed(frames, *self._norms[0])).unflatten(2, (3, self._n_heads, -1))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        frames = frames + self._out(found.transpose(1, 2).reshape(shape))
        return frames + self._narrow(nn.functional.gelu(self._wide(_normed(frames, *self._norms[1]))))


def _normed(frames: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    return nn.functional.layer_norm(frames, frames.shape[-1:], weight, bias, _NORM_EPS)


class WhisperEncoder:
    """The first layers of the encoder."""

    def __init__(self, size: WhisperSize, layer: int, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._layers = [_Layer(tensors, f"layers.{place}", size.n_heads) for place in range(layer)]
        self._positions = positions(MAX_FRAMES, size.dim).to(tensors["conv1.weight"].device)

    def __call__(
        self, mels: Float32[Tensor, "b t mel"], n_frames: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b f c"]:
        """Frames of 20 ms, two to each of `mels`; `n_frames`, of `mels`, are even and no more than 2 `MAX_FRAMES`."""
        mask = _mask(n_frames, mels.shape[1])
        wide = self._convolve(mels.transpose(1, 2), "conv1", 1)
        wide = wide if mask is None else torch.where(mask[:, None], wide, 0.0)
        frames = self._convolve(wide, "conv2", 2).transpose(1, 2)
        frames = (frames + self._positions[: frames.shape[1]]).contiguous()
        mask = _mask(n_frames // 2, frames.shape[1])
        for layer in self._layers:
            frames = layer(frames, None if mask is None else mask[:, None, None])
        return frames

    def _convolve(self, channels: Tensor, name: str, stride: int) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return nn.functional.gelu(nn.functional.conv1d(channels, weight, bias, stride=stride, padding=1))


def positions(n_frames: int, dim: int) -> Float32[Tensor, "f c"]:
    """Sines, then cosines, of frame numbers over wavelengths from 2π to 2π · 10,000."""
    rates = torch.exp(-math.log(10_000) / (dim // 2 - 1) * torch.arange(dim // 2, dtype=torch.float64))
    phases = torch.arange(n_frames, dtype=torch.float64)[:, None] * rates
    return torch.cat([phases.sin(), phases.cos()], dim=1).float()


def _mask(n_frames: Int64[Tensor, " b"], longest: int) -> Bool[Tensor, "b t"] | None:
    """Which frames belong to the clips; None where all do."""
    if bool((n_frames == longest).all()):
        return None
    return torch.arange(longest, device=n_frames.device) < n_frames[:, None]


class WhisperEmbedder:
    """One layer of Whisper's encoder, averaged over a clip's own frames; its vectors at unit norm."""

    name = "whisper"
    sample_rate_hz = SAMPLE_RATE_HZ
    min_duration_s = 0.4

    def __init__(
        self, encoder: WhisperEncoder, size: WhisperSize, revision: str, device: torch.device
    ) -> None:
        self.revision, self.dim = revision, size.dim
        self._encoder, self._device = encoder, device
        self._log_mel = LogMel(size.n_mels).to(device)

    @torch.inference_mode()
    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One unit vector a waveform."""
        waveforms, lengths = waveforms.to(self._device), lengths.to(self._device)
        if self._device.type == "cpu":
            return one_clip_a_thread(self._embed_together, waveforms, lengths)
        with full_precision():
            return self._embed_together(waveforms, lengths)

    def _embed_together(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        heard = torch.arange(waveforms.shape[1], device=lengths.device) < lengths[:, None]
        stretches, sizes, owners = _cut(torch.where(heard, waveforms, 0.0), lengths)
        n_mel_frames = (sizes + SILENCE_SAMPLES) // _SAMPLES_A_FRAME * 2
        frames = _normed(self._encoder(self._log_mel(stretches, n_mel_frames), n_mel_frames))
        n_own = (sizes // _SAMPLES_A_FRAME).clamp_min(1)
        is_own = torch.arange(frames.shape[1], device=frames.device) < n_own[:, None]
        sums = torch.where(is_own[:, :, None], frames, 0.0).sum(dim=1)
        found = sums.new_zeros(len(waveforms), self.dim).index_add_(0, owners, sums)
        return nn.functional.normalize(found, dim=1).cpu()


def _cut(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Waveforms with silence after them, those too long for the encoder in equal stretches: the stretches, the samples
    in each, and the row that each belongs to."""
    n_stretches = (lengths + MAX_STRETCH_SAMPLES - 1) // MAX_STRETCH_SAMPLES
    stretch_samples = (lengths + n_stretches - 1) // n_stretches
    longest = int(stretch_samples.max()) + SILENCE_SAMPLES
    pieces, sizes, owners = [], [], []
    for row, (n, size) in enumerate(zip(n_stretches.tolist(), stretch_samples.tolist(), strict=True)):
        for start in range(0, n * size, size):
            piece = waveforms[row, start : min(start + size, int(lengths[row]))]
            pieces.append(nn.functional.pad(piece, (0, longest - len(piece))))
            sizes.append(len(piece))
            owners.append(row)
    device = waveforms.device
    return torch.stack(pieces), torch.tensor(sizes, device=device), torch.tensor(owners, device=device)


def load(model: str | None, device: str | None, *, layer: int | None = None) -> WhisperEmbedder:
    """The embedder of the shipped base, of a folder as Hugging Face lays it out, or of a model by its name there.

    layer: which layer's output is averaged, from 1; by default `DEFAULT_LAYER` of the shipped base, and the last but
    one of another. Raises ArtifactError when the model cannot be fetched or is no Whisper model, ValueError for a layer
    it does not have, MissingDependencyError.
    """
    folder = SHIPPED_MODEL if model is None else Path(model).expanduser()
    if model is not None and not folder.exists():
        folder = _fetch(model)
    for name in _FILES:
        if not (folder / name).is_file():
            raise ArtifactError("does not exist", where=folder / name, remedy=_REMEDY)
    size = WhisperSize.read(folder)
    _check_front_end(folder / "preprocessor_config.json", size)
    usual = DEFAULT_LAYER if model is None else max(1, size.n_layers - 1)
    chosen_layer = usual if layer is None else layer
    tensors = _encoder_tensors(folder / "model.safetensors")
    n_stored = len({name.split(".")[1] for name in tensors if name.startswith("layers.")})
    if not 1 <= chosen_layer <= min(size.n_layers, n_stored):
        raise ValueError(
            f"layer must be from 1 to {min(size.n_layers, n_stored)} for this model, not {chosen_layer}"
        )
    shapes = size.shapes(chosen_layer)
    kept = {name: array for name, array in tensors.items() if name in shapes}
    check_weights(folder / "model.safetensors", kept, shapes, network="Whisper", remedy=_REMEDY)
    device_ = choose_device(device)
    on_device = {name: torch.from_numpy(array.astype(np.float32)).to(device_) for name, array in kept.items()}
    revision = fingerprint(f"layer {chosen_layer}, {POOLING}, {SILENCE_SAMPLES} samples of silence", kept)
    return WhisperEmbedder(WhisperEncoder(size, chosen_layer, on_device), size, revision, device_)


def _encoder_tensors(path: Path) -> dict[str, np.ndarray]:
    """The encoder's tensors in a file, by their names below `encoder.`."""
    found = {}
    for name, array in read_tensors(path, remedy=_REMEDY).items():
        head, is_encoder, rest = name.partition("encoder.")
        if is_encoder and head in ("", "model."):
            found[rest] = array
    return found


def _check_front_end(path: Path, size: WhisperSize) -> None:
    """ArtifactError where a model wants another front end than Whisper's."""
    raw: Mapping[str, Any] = read_json(path, remedy=_REMEDY)
    wanted = {"feature_size": size.n_mels, "hop_length": HOP, "n_fft": N_FFT, "sampling_rate": SAMPLE_RATE_HZ}
    for name, value in wanted.items():
        if raw.get(name, value) != value:
            raise ArtifactError(f"wants {name} {raw[name]!r}, not {value}", where=path, remedy=_REMEDY)


def _fetch(name: str) -> Path:
    """The folder of a model by its name on Hugging Face's hub, fetched once."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependencyError(
            f"fetching {name!r} needs huggingface_hub, not installed here",
            remedy="run: pip install huggingface_hub, or download the model elsewhere and give --model FOLDER",
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    # The hub's client fails in ways of its own when there is no network, no such model or no permission.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ArtifactError(
            f"the model {name!r} cannot be fetched ({reason})",
            remedy="check the name and the network, or leave --model out for the base model shipped with VoxScope",
        ) from error
