"""A network of TitaNet's shape on plain torch, with random weights: what NeMo would build, where there is no NeMo.

Koluguri, Park and Ginsburg 2022 (arXiv 2110.04410). Names of modules and of their tensors are NeMo's, so that its
weights can be loaded and `frame_convolutions` understands the encoder; the front end is a plain one of the same size.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sae_core.embedding.embedders.titanet import TitanetEmbedder
from sae_core.embedding.filterbanks import slaney_filters

SAMPLE_RATE_HZ = 16_000
_N_FFT, _HOP = 512, 160


class Block(NamedTuple):
    """One block of the encoder: channels, kernel along time, how often repeated; those repeated have a way past."""

    n_channels: int
    kernel: int
    n_repeats: int = 1


LARGE = (Block(1024, 3), Block(1024, 7, 3), Block(1024, 11, 3), Block(1024, 15, 3), Block(3072, 1))
SMALL = (Block(32, 3), Block(32, 7, 2), Block(64, 1))


class MaskedConv1d(nn.Module):
    """A convolution that hears zeros beyond each clip's end."""

    def __init__(self, n_in: int, n_out: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.use_mask, self.same_padding, self.heads = True, True, -1

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames [b, c, t] convolved; `mask` [b, 1, t] is true on each clip's own."""
        out: Tensor = self.conv(torch.where(mask, frames, 0.0))
        return out


class SqueezeExcite(nn.Module):
    """Each channel times what its mean over the clip says."""

    context_window = -1

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        few = n_channels // 8
        self.fc = nn.Sequential(
            nn.Linear(n_channels, few, bias=False), nn.ReLU(), nn.Linear(few, n_channels, bias=False)
        )

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames [b, c, t], zero beyond each clip's own."""
        frames = torch.where(mask, frames, 0.0)
        mean = frames.sum(dim=2) / mask.sum(dim=2)
        return frames * torch.sigmoid(self.fc(mean))[:, :, None]


class JasperBlock(nn.Module):
    """Separable convolutions with normalisation, squeeze and excitation, a way past them, ReLU."""

    residual_mode = "add"

    def __init__(self, n_in: int, block: Block) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(block.n_repeats):
            before = n_in if number == 0 else block.n_channels
            layers += [
                MaskedConv1d(before, before, block.kernel, groups=before),
                MaskedConv1d(before, block.n_channels, 1),
                nn.BatchNorm1d(block.n_channels, eps=1e-3),
            ]
            if number < block.n_repeats - 1:
                layers += [nn.ReLU(), nn.Dropout(0.1)]
        self.mconv = nn.ModuleList([*layers, SqueezeExcite(block.n_channels)])
        past = [MaskedConv1d(n_in, block.n_channels, 1), nn.BatchNorm1d(block.n_channels, eps=1e-3)]
        self.res = nn.ModuleList([nn.ModuleList(past)]) if block.n_repeats > 1 else None
        self.mout = nn.Sequential(nn.ReLU(), nn.Dropout(0.1))

    def is_adapter_available(self) -> bool:
        """NeMo's blocks may carry adapters; these do not."""
        return False

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames [b, c, t] → [b, o, t]."""
        out = _through(self.mconv, frames, mask)
        for layers in self.res or ():
            out = out + _through(layers, frames, mask)  # type: ignore[arg-type]
        result: Tensor = self.mout(out)
        return result


def _through(layers: nn.ModuleList, frames: Tensor, mask: Tensor) -> Tensor:
    for layer in layers:
        needs_mask = isinstance(layer, MaskedConv1d | SqueezeExcite)
        frames = layer(frames, mask) if needs_mask else layer(frames)
    return frames


class ConvASREncoder(nn.Module):
    """The blocks in turn."""

    def __init__(self, n_mels: int, blocks: Sequence[Block]) -> None:
        super().__init__()
        widths = [n_mels, *(block.n_channels for block in blocks)]
        self.encoder = nn.ModuleList(
            JasperBlock(n_in, block) for n_in, block in zip(widths, blocks, strict=False)
        )

    def forward(self, audio_signal: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Features [b, f, t] and each clip's frames → encoded frames [b, c, t] and the same lengths."""
        mask = _mask(length, audio_signal.shape[2])
        for block in self.encoder:
            audio_signal = block(audio_signal, mask)
        return audio_signal, length


class _FrameLayer(nn.Module):
    """A convolution over single frames, ReLU, then batch normalisation."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv_layer, self.bn = nn.Conv1d(n_in, n_out, 1), nn.BatchNorm1d(n_out)

    def forward(self, frames: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv_layer(frames).relu())
        return normed


class AttentivePoolLayer(nn.Module):
    """Mean and deviation of each clip's frames, weighted by attention."""

    def __init__(self, n_channels: int, n_attention: int) -> None:
        super().__init__()
        self.attention_layer = nn.Sequential(
            _FrameLayer(3 * n_channels, n_attention), nn.Tanh(), nn.Conv1d(n_attention, n_channels, 1)
        )
        self.eps = 1e-10

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """Frames [b, c, t] → [b, 2c, 1]."""
        mask = _mask(length, x.shape[2])
        even = mask / mask.sum(dim=2, keepdim=True)
        around = [part[:, :, None].expand_as(x) for part in self._moments(x, even)]
        scores = self.attention_layer(torch.cat([x, *around], dim=1)).masked_fill(~mask, -torch.inf)
        return torch.cat(self._moments(x, scores.softmax(dim=2)), dim=1)[:, :, None]

    def _moments(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        mean = (weight * x).sum(dim=2)
        variance = (weight * (x - mean[:, :, None]).square()).sum(dim=2)
        return mean, variance.clamp(self.eps).sqrt()


class SpeakerDecoder(nn.Module):
    """Pooling, then the layer whose output is the embedding."""

    def __init__(self, n_channels: int, n_attention: int, dim: int) -> None:
        super().__init__()
        self._pooling: nn.Module = AttentivePoolLayer(n_channels, n_attention)
        layer = nn.Sequential(nn.BatchNorm1d(2 * n_channels), nn.Conv1d(2 * n_channels, dim, 1))
        self.emb_layers = nn.ModuleList([layer])

    def forward(self, encoder_output: Tensor, length: Tensor) -> Tensor:
        """One vector a clip."""
        found: Tensor = self.emb_layers[0](self._pooling(encoder_output, length))
        return found[:, :, 0]


class TitanetShape(nn.Module):
    """Front end, encoder and decoder, called as NeMo's model is."""

    window: Tensor
    filters: Tensor

    def __init__(
        self, blocks: Sequence[Block], *, n_mels: int = 80, n_attention: int = 128, dim: int = 192
    ) -> None:
        super().__init__()
        self.preprocessor = SimpleNamespace(_sample_rate=SAMPLE_RATE_HZ)
        filters = slaney_filters(n_mels, _N_FFT, SAMPLE_RATE_HZ)
        self.register_buffer("window", torch.hann_window(_N_FFT), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.encoder: nn.Module = ConvASREncoder(n_mels, blocks)
        self.decoder = SpeakerDecoder(blocks[-1].n_channels, n_attention, dim)

    def forward(self, input_signal: Tensor, input_signal_length: Tensor) -> tuple[None, Tensor]:
        """No logits, and one vector a waveform."""
        features, length = self._features(input_signal, input_signal_length)
        encoded, length = self.encoder(audio_signal=features, length=length)
        return None, self.decoder(encoder_output=encoded, length=length)

    def _features(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log mel powers, each mel normalised over the clip's own frames: [b, f, t], and how many frames each has."""
        spectrum = torch.stft(
            waveforms, _N_FFT, _HOP, window=self.window, pad_mode="constant", return_complex=True
        )
        mels = (self.filters @ spectrum.abs().square() + 2**-24).log()
        n_frames = lengths // _HOP + 1
        mask = _mask(n_frames, mels.shape[2])
        mean = torch.where(mask, mels, 0.0).sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True)
        away = torch.where(mask, mels - mean, 0.0)
        variance = away.square().sum(dim=2, keepdim=True) / (mask.sum(dim=2, keepdim=True) - 1).clamp_min(1)
        return away / (variance.sqrt() + 1e-5), n_frames


def _mask(length: Tensor, longest: int) -> Tensor:
    """True on each clip's own frames: [b, 1, t]."""
    return (torch.arange(longest, device=length.device) < length[:, None])[:, None]


def random_titanet(
    blocks: Sequence[Block], device: torch.device, *, n_mels: int = 80, n_attention: int = 128, dim: int = 192
) -> TitanetEmbedder:
    """The embedder of a network whose weights are the same at every call; batch statistics are those of some noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TitanetShape(blocks, n_mels=n_mels, n_attention=n_attention, dim=dim)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = None  # the plain mean over what is heard in training
        noise = 0.1 * torch.randn(4, SAMPLE_RATE_HZ)
        with torch.no_grad():
            network.train()(noise, torch.full((4,), SAMPLE_RATE_HZ))
    return TitanetEmbedder(network, "random", device)
