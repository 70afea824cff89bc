"""NeMo's speaker encoder and attentive pooling with a frame's channels side by side: the same numbers sooner on a CPU.

NeMo keeps time innermost. With channels innermost a convolution over single frames is one matrix product, into which
the batch normalisation after it is folded, and a convolution of each channel along time reads whole cache lines. Clips
go through one at a time, cut to their own length, so nothing has to be masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.onednn import DenseProduct

_PIECE = 32
"""Frames whose sums are taken together: 0.4 MB of TitaNet-large's 3,072 channels, so that a few such fit the cache."""


@dataclass(frozen=True)
class _Stage:
    """One convolution along time of each channel (or none), then one over the channels of each frame."""

    along_time: nn.Conv1d | None
    across: DenseProduct


@dataclass(frozen=True)
class _Block:
    """Stages, then squeeze and excitation, then the way past them, then ReLU."""

    stages: list[_Stage]
    excitation: nn.Sequential | None
    past: DenseProduct | None

    def __call__(self, frames: Float32[Tensor, "t c"]) -> Float32[Tensor, "t o"]:
        out = frames
        for stage in self.stages:
            if stage.along_time is not None:
                out = _along_time(out, stage.along_time)
            out = stage.across(out)
        if self.excitation is not None:
            out *= torch.sigmoid(self.excitation(out.mean(dim=0)))
        if self.past is not None:
            out += self.past(frames)
        return out.relu_()


def _along_time(frames: Float32[Tensor, "t c"], convolution: nn.Conv1d) -> Float32[Tensor, "t c"]:
    """Each channel convolved along time; seen as a picture of height 1 whose channels come last, which torch's kernels
    for that layout take as it is."""
    out = nn.functional.conv2d(
        frames[None, None].permute(0, 3, 1, 2),
        convolution.weight[:, :, None],
        convolution.bias,
        padding=(0, int(convolution.padding[0])),
        dilation=(1, convolution.dilation[0]),
        groups=convolution.groups,
    )
    return out.permute(0, 2, 3, 1)[0, 0].contiguous()


class FrameEncoder(nn.Module):
    """Stands in for NeMo's `ConvASREncoder` in inference on a CPU; called and answering as that is."""

    def __init__(self, blocks: list[_Block]) -> None:
        super().__init__()
        self._blocks = blocks

    def forward(
        self, audio_signal: Float32[Tensor, "b f t"], length: Int64[Tensor, " b"]
    ) -> tuple[Float32[Tensor, "b c n"], Int64[Tensor, " b"]]:
        """Encoded frames up to the longest of `length`, zero beyond each clip's own, and `length`."""
        encoded = [self._encode(clip[:, :n].T) for clip, n in zip(audio_signal, length.tolist(), strict=True)]
        together = (
            encoded[0][None] if len(encoded) == 1 else nn.utils.rnn.pad_sequence(encoded, batch_first=True)
        )
        return together.transpose(1, 2), length

    def _encode(self, frames: Float32[Tensor, "t f"]) -> Float32[Tensor, "t c"]:
        frames = frames.contiguous()
        for block in self._blocks:
            frames = block(frames)
        return frames


class FramePooling(nn.Module):
    """Stands in for NeMo's `AttentivePoolLayer` in inference on a CPU.

    Of each frame's attention the part that hangs on the clip's mean and deviation is one vector, computed once.
    """

    def __init__(self, pooling: Any) -> None:
        super().__init__()
        first, _, last = pooling.attention_layer
        self._eps, self._norm = pooling.eps, first.bn
        weight = first.conv_layer.weight[:, :, 0].detach()
        n_channels = last.out_channels
        self._of_frame = DenseProduct(weight[:, :n_channels], torch.zeros(len(weight)))
        self._of_clip = weight[:, n_channels:].contiguous()
        self._clip_bias = first.conv_layer.bias.detach()
        self._scores = DenseProduct(last.weight[:, :, 0].detach(), last.bias.detach())

    def forward(self, x: Float32[Tensor, "b c t"], length: Int64[Tensor, " b"]) -> Float32[Tensor, "b s one"]:
        """Mean and deviation of each clip's frames, weighted by attention: [b, 2c, 1]."""
        pooled = [self._pool(clip[:, :n].T) for clip, n in zip(x, length.tolist(), strict=True)]
        return torch.stack(pooled)[:, :, None]

    def _pool(self, frames: Float32[Tensor, "t c"]) -> Float32[Tensor, " s"]:
        mean = frames.mean(dim=0)
        squares = sum((some - mean).square_().sum(dim=0) for some in frames.split(_PIECE))
        deviation = self._root(squares / len(frames))
        of_clip = nn.functional.linear(torch.cat([mean, deviation]), self._of_clip, self._clip_bias)
        hidden = self._norm((self._of_frame(frames) + of_clip).relu_()).tanh_()
        offset, spread = _weighted_moments(frames, self._scores(hidden), mean)
        return torch.cat([mean + offset, self._root(spread)])

    def _root(self, variance: Float32[Tensor, " c"]) -> Float32[Tensor, " c"]:
        return variance.clamp(self._eps).sqrt()


def _weighted_moments(
    frames: Float32[Tensor, "t c"], scores: Float32[Tensor, "t c"], near: Float32[Tensor, " c"]
) -> tuple[Float32[Tensor, " c"], Float32[Tensor, " c"]]:
    """For each channel, how far its mean lies from `near` and its variance, frames weighted by softmax(scores).

    Everything in one pass over pieces that stay in the cache; sums around a value near the mean lose no digits.
    """
    top = scores.amax(dim=0)
    weight, first, second = frames.new_zeros(3, frames.shape[1])
    for some, score in zip(frames.split(_PIECE), scores.split(_PIECE), strict=True):
        weights, away = (score - top).exp_(), some - near
        weight += weights.sum(dim=0)
        first += weights.mul_(away).sum(dim=0)
        second += weights.mul_(away).sum(dim=0)
    offset = first / weight
    return offset, second / weight - offset.square()


def by_frames(encoder: Any) -> FrameEncoder | None:
    """The same encoder by frames, or None for one that is built in another way than TitaNet's."""
    blocks = [_block_of(block) for block in encoder.encoder]
    known = [block for block in blocks if block is not None]
    return FrameEncoder(known) if len(known) == len(blocks) else None


def pooling_by_frames(pooling: Any) -> FramePooling | None:
    """The same pooling by frames, or None for one that is no `AttentivePoolLayer` over single frames."""
    if type(pooling).__name__ != "AttentivePoolLayer" or pooling.attention_layer[-1].kernel_size != (1,):
        return None
    return FramePooling(pooling)


def _block_of(block: Any) -> _Block | None:
    layers, excitation = list(block.mconv), None
    if type(layers[-1]).__name__ == "SqueezeExcite":
        excitation = layers.pop()
    ways_past = [] if block.res is None else [_stages_of(list(layers)) for layers in block.res]
    stages = _stages_of(layers)
    is_plain = stages is not None and None not in ways_past and len(ways_past) <= 1
    if not is_plain or block.residual_mode != "add" or not isinstance(block.mout[0], nn.ReLU):
        return None
    if excitation is not None and (excitation.context_window >= 0 or block.is_adapter_available()):
        return None
    past = ways_past[0] if ways_past else None
    if past and past[0].along_time is not None:
        return None
    return _Block(stages or [], excitation.fc if excitation else None, past[0].across if past else None)


def _stages_of(layers: list[Any]) -> list[_Stage] | None:
    """The layers as stages; None when there is another layer among them, or one of another kind."""
    stages: list[_Stage] = []
    along_time: nn.Conv1d | None = None
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout)]
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm1d | nn.ReLU):
            continue
        convolution = getattr(layer, "conv", None)
        if not isinstance(convolution, nn.Conv1d) or not layer.same_padding or layer.heads != -1:
            return None
        if convolution.groups == convolution.in_channels == convolution.out_channels:
            along_time = convolution
            continue
        after = [*layers[place + 1 :], None, None]
        if (
            convolution.kernel_size != (1,)
            or convolution.groups != 1
            or not isinstance(after[0], nn.BatchNorm1d)
        ):
            return None
        fused = nn.utils.fuse_conv_bn_eval(convolution, after[0])
        assert fused.bias is not None
        weight, bias = fused.weight[:, :, 0].detach(), fused.bias.detach()
        if along_time is not None and along_time.kernel_size == (1,) and along_time.bias is None:
            # a factor a channel and nothing more
            weight, along_time = weight * along_time.weight[:, 0, 0].detach(), None
        across = DenseProduct(weight, bias, is_rectified=isinstance(after[1], nn.ReLU))
        stages.append(_Stage(along_time, across))
        along_time = None
    return stages
