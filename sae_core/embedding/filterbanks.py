"""What networks hear instead of samples: triangular filters on a mel scale, Kaldi's and NeMo's filterbanks."""

import math

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

KALDI_FRAME, KALDI_HOP, KALDI_FFT = 400, 160, 512
"""Samples at 16 kHz: frames of 25 ms every 10 ms, lengthened to a power of two for the Fourier transform."""
_LOWEST_HZ = 20.0
_PRE_EMPHASIS = 0.97
_FRAMES_AT_ONCE = 16_384
_LEAST_POWER = float(torch.finfo(torch.float32).eps)


def slaney_filters(n_mels: int, n_fft: int, sample_rate_hz: int) -> Float32[np.ndarray, "mel bin"]:
    """Triangular filters on Slaney's mel scale from 0 Hz to Nyquist, each of unit area over frequency.

    The scale is linear below 1 kHz (200/3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4).
    Source: Slaney 1998, Auditory Toolbox.
    """
    knee_hz, knee_mel, mels_per_e = 1000.0, 15.0, 27.0 / math.log(6.4)
    top_mel = knee_mel + mels_per_e * math.log(sample_rate_hz / 2 / knee_hz)
    mels = np.linspace(0.0, top_mel, n_mels + 2)
    edges_hz = np.where(mels < knee_mel, mels * 200 / 3, knee_hz * np.exp((mels - knee_mel) / mels_per_e))
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    bins_hz = np.arange(n_fft // 2 + 1) * (sample_rate_hz / n_fft)
    triangles = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    filters: np.ndarray = np.maximum(triangles, 0) * 2 / (high - low)
    return filters.astype(np.float32)


def kaldi_filters(n_mels: int, sample_rate_hz: int = 16_000) -> Float32[np.ndarray, "mel bin"]:
    """Kaldi's filters: triangles of height 1 over mels = 1127 ln(1 + Hz / 700), from 20 Hz to Nyquist, whose own bin is
    left out."""
    bins_hz = np.arange(KALDI_FFT // 2 + 1) * (sample_rate_hz / KALDI_FFT)
    mels = 1127.0 * np.log1p(bins_hz / 700.0)
    low, high = (1127.0 * math.log1p(edge / 700.0) for edge in (_LOWEST_HZ, sample_rate_hz / 2))
    edges = np.linspace(low, high, n_mels + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((mels - left) / (centre - left), (right - mels) / (right - centre))
    filters: np.ndarray = np.maximum(triangles, 0.0)
    filters[:, -1] = 0.0
    return filters.astype(np.float32)


def kaldi_windows(name: str) -> Float32[np.ndarray, " frame"]:
    """Kaldi's window over one frame, `povey` or `hamming`; ValueError for another."""
    phase = 2 * np.pi * np.arange(KALDI_FRAME) / (KALDI_FRAME - 1)
    windows = {"povey": (0.5 - 0.5 * np.cos(phase)) ** 0.85, "hamming": 0.54 - 0.46 * np.cos(phase)}
    if name not in windows:
        raise ValueError(f"window must be one of {', '.join(windows)}, not {name!r}")
    return windows[name].astype(np.float32)


class KaldiFilterbank(nn.Module):
    """Log mel powers as Kaldi's `compute-fbank-feats` gives them without dither, for 16 kHz.

    Each frame loses its mean, is pre-emphasised and windowed; only whole frames count. scale: what waveforms in [-1, 1]
    are multiplied with first, 32,768 where a network was trained on 16-bit numbers. is_centred: whether the mean over
    each clip's frames is taken away from them.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self, n_mels: int = 80, *, window: str = "povey", scale: float = 1.0, is_centred: bool = True
    ) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(kaldi_windows(window)))
        self.register_buffer("filters", torch.from_numpy(kaldi_filters(n_mels).T.copy()))
        self._scale, self._is_centred = scale, is_centred

    @staticmethod
    def n_frames(lengths: Int64[Tensor, " b"]) -> Int64[Tensor, " b"]:
        """How many whole frames there are in this many samples, at least 1."""
        return (1 + (lengths - KALDI_FRAME).clamp_min(0) // KALDI_HOP).clamp_min(1)

    def forward(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> tuple[Float32[Tensor, "b frame mel"], Int64[Tensor, " b"]]:
        """Log mel powers, zero beyond each clip's frames, and how many frames each clip has.

        Waveforms are zero beyond their length.
        """
        n_frames = self.n_frames(lengths)
        longest = int(n_frames.max())
        n_samples = (longest - 1) * KALDI_HOP + KALDI_FRAME
        padded = nn.functional.pad(waveforms, (0, max(0, n_samples - waveforms.shape[1])))[:, :n_samples]
        frames = (padded * self._scale).unfold(1, KALDI_FRAME, KALDI_HOP)
        pieces = frames.reshape(-1, KALDI_FRAME).split(_FRAMES_AT_ONCE)
        mels = torch.cat([self._log_powers(piece) for piece in pieces]).reshape(len(waveforms), longest, -1)
        is_heard = torch.arange(longest, device=mels.device) < n_frames[:, None]
        mels = torch.where(is_heard[:, :, None], mels, 0.0)
        if self._is_centred:
            mean = mels.sum(dim=1, keepdim=True) / n_frames[:, None, None]
            mels = torch.where(is_heard[:, :, None], mels - mean, 0.0)
        return mels, n_frames

    def _log_powers(self, frames: Float32[Tensor, "n frame"]) -> Float32[Tensor, "n mel"]:
        frames = frames - frames.mean(dim=1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        spectrum = torch.fft.rfft((frames - _PRE_EMPHASIS * before) * self.window, n=KALDI_FFT)
        powers = spectrum.real.square() + spectrum.imag.square()
        return (powers @ self.filters).clamp_min(_LEAST_POWER).log()


class NemoFilterbank(nn.Module):
    """Log mel powers as NeMo's speaker networks hear them, for 16 kHz: each mel at mean 0 and deviation 1 over a clip.

    The clip is pre-emphasised whole and cut into frames of 25 ms every 10 ms, the first centred on its first sample,
    under a Hann window. Mels are Slaney's, log(power + 2⁻²⁴), deviation over n − 1 frames plus 1e-5. Without dither, as
    NeMo hears outside of training. Source: the configuration of TitaNet (arXiv 2110.04410) in NeMo.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, n_mels: int = 80) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(KALDI_FRAME, periodic=False))
        self.register_buffer("filters", torch.from_numpy(slaney_filters(n_mels, KALDI_FFT, 16_000)))

    @staticmethod
    def n_frames(lengths: Int64[Tensor, " b"]) -> Int64[Tensor, " b"]:
        """How many frames this many samples have, at least 1."""
        return (lengths // KALDI_HOP).clamp_min(1)

    def forward(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> tuple[Float32[Tensor, "b frame mel"], Int64[Tensor, " b"]]:
        """Log mel powers, zero beyond each clip's frames, and how many frames each clip has."""
        n_frames = self.n_frames(lengths)
        is_clip = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
        louder = torch.cat([waveforms[:, :1], waveforms[:, 1:] - _PRE_EMPHASIS * waveforms[:, :-1]], dim=1)
        spectrum = torch.stft(
            torch.where(is_clip, louder, 0.0), KALDI_FFT, KALDI_HOP, KALDI_FRAME, self.window,
            pad_mode="constant", return_complex=True,
        )[:, :, : int(n_frames.max())]  # fmt: skip
        powers = spectrum.real.square() + spectrum.imag.square()
        mels = (self.filters @ powers + 2.0**-24).log().transpose(1, 2)
        is_heard = (torch.arange(mels.shape[1], device=mels.device) < n_frames[:, None])[:, :, None]
        n_heard = n_frames[:, None, None]
        mels = torch.where(is_heard, mels, 0.0)
        mels = torch.where(is_heard, mels - mels.sum(dim=1, keepdim=True) / n_heard, 0.0)
        deviation = (mels.square().sum(dim=1, keepdim=True) / (n_heard - 1).clamp_min(1)).sqrt()
        return mels / (deviation + 1e-5), n_frames
