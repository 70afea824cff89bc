"""CAM++: a speaker network with context-aware masking, 192 numbers a clip, its weights shipped with VoxScope.

Network after Wang et al. 2023, "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (arXiv 2303.00332); weights and sizes are those of 3D-Speaker's zh-en-common model, trained on some 200,000
speakers. Front end: Kaldi's filterbank of 80 mels, minus each clip's mean.

Every batch normalisation that follows a convolution is folded into it; the others are a factor and an offset a channel.
Frames lie with their channels side by side, so that a convolution over single frames is one matrix product, and a dense
block writes into one array instead of joining a longer one at every layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.embedders import choose_device, full_precision
from sae_core.embedding.filterbanks import KaldiFilterbank
from sae_core.embedding.frame_product import FrameProduct
from sae_core.embedding.network_weights import check_weights
from sae_core.embedding.side_by_side import one_clip_a_thread
from sae_core.files.artifacts import fingerprint, read_tensors
from sae_core.files.product import asset

SHIPPED_WEIGHTS = asset("models", "campplus.safetensors")
FRONT_END = "kaldi80-16k-povey/mean"
SAMPLE_RATE_HZ = 16_000
N_MELS = 80
DIM = 192

_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers of each dense block and the dilation of their convolutions."""
_GROWTH = 32
"""Channels that each layer of a dense block adds."""
_SEGMENT_FRAMES = 100
_NORM_EPS = 1e-5
_REMEDY = "leave --model out for the weights shipped with VoxScope, or name a CAM++ safetensors file"

Frames = Float32[Tensor, "b t c"]


class _Heard(NamedTuple):
    """Which frames of a batch belong to the clips: how many each has, and a mask where some are padding."""

    n_frames: Int64[Tensor, " b"]
    mask: Bool[Tensor, "b t"] | None

    @classmethod
    def of(cls, n_frames: Int64[Tensor, " b"], longest: int) -> "_Heard":
        is_full = bool((n_frames == longest).all())
        places = torch.arange(longest, device=n_frames.device)
        return cls(n_frames, None if is_full else places < n_frames[:, None])

    def silence(self, frames: Frames) -> Frames:
        """Frames with zeros in place of the padding: what a convolution beyond the end of a clip reads."""
        return frames if self.mask is None else torch.where(self.mask[:, :, None], frames, 0.0)

    def mean(self, frames: Frames) -> Float32[Tensor, "b one c"]:
        """Mean over each clip's frames; the padding is zeros."""
        return frames.sum(dim=1, keepdim=True) / self.n_frames[:, None, None]

    def segment_means(self, frames: Frames) -> Float32[Tensor, "b s c"]:
        """Means over stretches of `_SEGMENT_FRAMES`, the last one over what is left of the clip; padding is zeros."""
        if self.mask is None:
            pooled = nn.functional.avg_pool1d(frames.transpose(1, 2), _SEGMENT_FRAMES, ceil_mode=True)
            return pooled.transpose(1, 2)
        n_segments = -(-frames.shape[1] // _SEGMENT_FRAMES)
        padded = nn.functional.pad(frames, (0, 0, 0, n_segments * _SEGMENT_FRAMES - frames.shape[1]))
        sums = padded.unflatten(1, (n_segments, _SEGMENT_FRAMES)).sum(dim=2)
        begins = torch.arange(n_segments, device=frames.device) * _SEGMENT_FRAMES
        counts = (self.n_frames[:, None] - begins).clamp(1, _SEGMENT_FRAMES)
        return sums / counts[:, :, None]


@dataclass(frozen=True)
class _Picture:
    """A 3×3 convolution over mels and time with its normalisation; `stride` is along the mels."""

    weight: Tensor
    bias: Tensor
    stride: int = 1

    def __call__(self, picture: Float32[Tensor, "b c f t"]) -> Float32[Tensor, "b o g t"]:
        margin = self.weight.shape[-1] // 2
        return nn.functional.conv2d(
            picture, self.weight, self.bias, stride=(self.stride, 1), padding=(margin, margin)
        )


@dataclass(frozen=True)
class _Residual:
    """Two convolutions and the way past them."""

    first: _Picture
    second: _Picture
    past: _Picture | None

    def __call__(self, picture: Tensor, silence: Callable[[Tensor], Tensor]) -> Tensor:
        out = self.second(silence(self.first(picture).relu_()))
        out += picture if self.past is None else self.past(picture)
        return silence(out.relu_())


@dataclass(frozen=True)
class _Scaled:
    """A batch normalisation that stands before its convolution, then ReLU."""

    factor: Tensor
    offset: Tensor

    def __call__(self, frames: Frames) -> Frames:
        return torch.addcmul(self.offset, frames, self.factor).relu_()


@dataclass(frozen=True)
class _DenseLayer:
    """One layer of a dense block: two convolutions, the second masked by its context (section 2.2 of the paper)."""

    before: _Scaled
    across: FrameProduct
    along_time: FrameProduct
    context: nn.Sequential
    dilation: int

    def __call__(self, frames: Frames, heard: _Heard) -> Float32[Tensor, "b t o"]:
        hidden = heard.silence(self.across(self.before(frames)))
        context = heard.mean(hidden) + heard.segment_means(hidden)
        repeated = self.context(context)[:, :, None].expand(-1, -1, _SEGMENT_FRAMES, -1).flatten(1, 2)
        mask = repeated[:, : frames.shape[1]]
        n_frames, margin = frames.shape[1], self.dilation
        padded = nn.functional.pad(hidden, (0, 0, margin, margin))
        shifted = [padded[:, place * margin : place * margin + n_frames] for place in range(3)]
        return self.along_time(torch.cat(shifted, dim=2)).mul_(mask)


class CamPlusNetwork:
    """The network with its weights laid out for inference."""

    def __init__(self, weights: "_Weights") -> None:
        self._begin = weights.picture("head.conv1", "head.bn1")
        self._residuals = [
            weights.residual(f"head.layer{layer}.{place}") for layer in (1, 2) for place in (0, 1)
        ]
        self._end = weights.picture("head.conv2", "head.bn2", stride=2)
        self._tdnn = weights.folded("xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
        self._blocks, self._transits = [], []
        for number, (n_layers, dilation) in enumerate(_BLOCKS, start=1):
            names = [f"xvector.block{number}.tdnnd{layer + 1}" for layer in range(n_layers)]
            self._blocks.append([weights.dense_layer(name, dilation) for name in names])
            transit = f"xvector.transit{number}"
            scaled = weights.scaled(f"{transit}.nonlinear.batchnorm")
            self._transits.append((scaled, FrameProduct(weights[f"{transit}.linear.weight"][:, :, 0])))
        self._last = weights.scaled("xvector.out_nonlinear.batchnorm")
        self._dense = weights.folded("xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")

    def __call__(
        self, mels: Float32[Tensor, "b t mel"], n_frames: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One vector a clip, of any length; `mels` are zero beyond each clip's frames."""
        frames = self._head(mels, n_frames)
        heard = _Heard.of((n_frames + 1) // 2, frames.shape[1])
        for layers, (scaled, product) in zip(self._blocks, self._transits, strict=True):
            frames = product(scaled(_dense_block(layers, frames, heard)))
        return self._pool(heard.silence(self._last(frames)), heard)

    def _head(self, mels: Tensor, n_frames: Tensor) -> Frames:
        """Convolutions over mels and time, then one along time that keeps every second frame."""
        mask = _Heard.of(n_frames, mels.shape[1]).mask

        def silence(picture: Tensor) -> Tensor:
            return picture if mask is None else torch.where(mask[:, None, None, :], picture, 0.0)

        picture = silence(self._begin(mels.transpose(1, 2)[:, None]).relu_())
        for residual in self._residuals:
            picture = residual(picture, silence)
        picture = silence(self._end(picture).relu_())
        weight, bias = self._tdnn
        along = nn.functional.conv1d(picture.flatten(1, 2), weight, bias, stride=2, padding=2)
        return along.relu_().transpose(1, 2).contiguous()

    def _pool(self, frames: Frames, heard: _Heard) -> Float32[Tensor, "b d"]:
        """Mean and standard deviation (of a sample) of each clip's frames, then a linear layer."""
        mean = heard.mean(frames)
        squares = heard.silence(frames - mean).square().sum(dim=1)
        deviation = (squares / (heard.n_frames[:, None] - 1).clamp_min(1)).sqrt()
        weight, bias = self._dense
        return nn.functional.linear(torch.cat([mean[:, 0], deviation], dim=1), weight[:, :, 0], bias)


def _dense_block(layers: list[_DenseLayer], frames: Frames, heard: _Heard) -> Float32[Tensor, "b t o"]:
    """The frames with what each layer finds in all before it set beside them."""
    n_before = frames.shape[2]
    joined = frames.new_empty(*frames.shape[:2], n_before + _GROWTH * len(layers))
    joined[:, :, :n_before] = frames
    for layer in layers:
        joined[:, :, n_before : n_before + _GROWTH] = layer(joined[:, :, :n_before], heard)
        n_before += _GROWTH
    return joined


class _Weights:
    """The stored tensors by name, as the parts of the network take them."""

    def __init__(self, tensors: Mapping[str, np.ndarray], device: torch.device) -> None:
        self._tensors = {
            name: torch.from_numpy(array.astype(np.float32)).to(device) for name, array in tensors.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def _norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Factor and offset of a batch normalisation in inference."""
        factor = (self[f"{name}.running_var"].double() + _NORM_EPS).rsqrt()
        factor = factor * self._tensors.get(f"{name}.weight", torch.ones(1, device=factor.device))
        offset = self._tensors.get(f"{name}.bias", torch.zeros(1, device=factor.device))
        return factor, offset - self[f"{name}.running_mean"] * factor

    def scaled(self, norm: str) -> _Scaled:
        factor, offset = self._norm(norm)
        return _Scaled(factor.float(), offset.float())

    def folded(self, convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a convolution (which has no bias) followed by a batch normalisation."""
        factor, offset = self._norm(norm)
        weight = self[f"{convolution}.weight"]
        return (weight * factor.reshape(-1, *[1] * (weight.ndim - 1))).float(), offset.float()

    def picture(self, convolution: str, norm: str, *, stride: int = 1) -> _Picture:
        weight, bias = self.folded(convolution, norm)
        if weight.device.type == "cpu":
            weight = weight.contiguous(memory_format=torch.channels_last)
        return _Picture(weight, bias, stride)

    def residual(self, name: str) -> _Residual:
        has_own_way = f"{name}.shortcut.0.weight" in self._tensors
        stride = 2 if has_own_way else 1
        return _Residual(
            self.picture(f"{name}.conv1", f"{name}.bn1", stride=stride),
            self.picture(f"{name}.conv2", f"{name}.bn2"),
            self.picture(f"{name}.shortcut.0", f"{name}.shortcut.1", stride=2) if has_own_way else None,
        )

    def dense_layer(self, name: str, dilation: int) -> _DenseLayer:
        weight, bias = self.folded(f"{name}.linear1", f"{name}.nonlinear2.batchnorm")
        local = self[f"{name}.cam_layer.linear_local.weight"]
        first, second = (nn.Linear(1, 1, device=local.device) for _ in range(2))
        for linear, place in ((first, "linear1"), (second, "linear2")):
            linear.weight = nn.Parameter(
                self[f"{name}.cam_layer.{place}.weight"][:, :, 0], requires_grad=False
            )
            linear.bias = nn.Parameter(self[f"{name}.cam_layer.{place}.bias"], requires_grad=False)
        return _DenseLayer(
            self.scaled(f"{name}.nonlinear1.batchnorm"),
            FrameProduct(weight[:, :, 0], bias, is_rectified=True),
            FrameProduct(local.permute(0, 2, 1).flatten(1)),
            nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid()),
            dilation,
        )


class CamPlusEmbedder:
    """CAM++; its vectors at unit norm."""

    name = "campplus"
    dim = DIM
    sample_rate_hz = SAMPLE_RATE_HZ
    min_duration_s = 0.4

    def __init__(self, network: CamPlusNetwork, revision: str, device: torch.device) -> None:
        self.revision = revision
        self._network, self._device = network, device
        self._filterbank = KaldiFilterbank(N_MELS).to(device)

    @torch.inference_mode()
    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One unit vector a waveform."""
        waveforms, lengths = waveforms.to(self._device), lengths.to(self._device)
        if self._device.type == "cpu":
            return one_clip_a_thread(self._embed_together, waveforms, lengths)
        heard = torch.arange(waveforms.shape[1], device=self._device) < lengths[:, None]
        with full_precision():
            return self._embed_together(torch.where(heard, waveforms, 0.0), lengths)

    def _embed_together(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        vectors = self._network(*self._filterbank(waveforms, lengths))
        return nn.functional.normalize(vectors, dim=1).cpu()


def load(model: str | None, device: str | None) -> CamPlusEmbedder:
    """The CAM++ embedder with the shipped weights, or those in the safetensors file `model`.

    Raises ArtifactError when the file is missing, not safetensors, or not this network's weights.
    """
    path = SHIPPED_WEIGHTS if model is None else Path(model)
    tensors = read_tensors(path, remedy=_REMEDY)
    check_weights(path, tensors, weight_shapes(), network="CAM++", remedy=_REMEDY)
    chosen = choose_device(device)
    return CamPlusEmbedder(CamPlusNetwork(_Weights(tensors, chosen)), fingerprint(FRONT_END, tensors), chosen)


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every stored tensor of the network, by the names that 3D-Speaker gives them."""
    shapes = _Shapes()
    shapes.convolution("head.conv1", 32, 1, 3, 3, norm="head.bn1")
    for layer in (1, 2):
        for name in (f"head.layer{layer}.0", f"head.layer{layer}.1"):
            for half in (1, 2):
                shapes.convolution(f"{name}.conv{half}", 32, 32, 3, 3, norm=f"{name}.bn{half}")
        past = f"head.layer{layer}.0.shortcut"
        shapes.convolution(f"{past}.0", 32, 32, 1, 1, norm=f"{past}.1")
    shapes.convolution("head.conv2", 32, 32, 3, 3, norm="head.bn2")
    width = 128
    shapes.convolution(
        "xvector.tdnn.linear", width, 32 * N_MELS // 8, 5, norm="xvector.tdnn.nonlinear.batchnorm"
    )
    for number, (n_layers, _) in enumerate(_BLOCKS, start=1):
        for layer in range(n_layers):
            shapes.dense_layer(f"xvector.block{number}.tdnnd{layer + 1}", width)
            width += _GROWTH
        shapes.norm(f"xvector.transit{number}.nonlinear.batchnorm", width)
        shapes.convolution(f"xvector.transit{number}.linear", width // 2, width, 1)
        width //= 2
    shapes.norm("xvector.out_nonlinear.batchnorm", width)
    shapes.convolution("xvector.dense.linear", DIM, 2 * width, 1)
    shapes.norm("xvector.dense.nonlinear.batchnorm", DIM, is_affine=False)
    return dict(shapes)


class _Shapes(dict[str, tuple[int, ...]]):
    """Shapes by name, filled part by part."""

    def norm(self, name: str, n_channels: int, *, is_affine: bool = True) -> None:
        parts = ("weight", "bias") if is_affine else ()
        self.update({f"{name}.{part}": (n_channels,) for part in (*parts, "running_mean", "running_var")})

    def convolution(self, name: str, *shape: int, norm: str | None = None) -> None:
        self[f"{name}.weight"] = shape
        if norm is not None:
            self.norm(norm, shape[0])

    def dense_layer(self, name: str, width: int) -> None:
        self.norm(f"{name}.nonlinear1.batchnorm", width)
        self.convolution(f"{name}.linear1", 128, width, 1, norm=f"{name}.nonlinear2.batchnorm")
        self.convolution(f"{name}.cam_layer.linear_local", _GROWTH, 128, 3)
        for part, shape in (("linear1", (64, 128, 1)), ("linear2", (_GROWTH, 64, 1))):
            self.convolution(f"{name}.cam_layer.{part}", *shape)
            self[f"{name}.cam_layer.{part}.bias"] = shape[:1]
