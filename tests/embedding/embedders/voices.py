"""Waveforms that sound a little like voices, and a tiny NeMo speaker model."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

SAMPLE_RATE_HZ = 16_000


def voice(n_samples: int, pitch_hz: float) -> np.ndarray:
    """A buzz of twelve harmonics whose pitch and timbre waver, the same on every machine."""
    time_s = np.arange(n_samples) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (pitch_hz * time_s + 0.8 * np.sin(2 * np.pi * 3 * time_s))
    harmonics = [
        0.2 / k * np.sin(k * phase) * (1 + 0.5 * np.sin(2 * np.pi * 2 * time_s + k)) for k in range(1, 13)
    ]
    return np.sum(harmonics, axis=0).astype(np.float32)


def noisy_voice(n_samples: int, pitch_hz: float, seed: int) -> np.ndarray:
    """The same with breath in bursts, so that clips differ in more than pitch."""
    noise = np.random.default_rng(seed).normal(size=n_samples) * 0.05
    bursts = 1 + np.sin(2 * np.pi * (1 + seed % 5) * np.arange(n_samples) / SAMPLE_RATE_HZ)
    return (voice(n_samples, pitch_hz) + noise * bursts).astype(np.float32)


def batch_of(waveforms: Sequence[np.ndarray], *, extra: int = 0, filler: float = 0.0) -> tuple[Any, Any]:
    """Waveforms padded with `filler` to the longest and `extra` samples more, and their lengths."""
    padded = torch.full((len(waveforms), max(map(len, waveforms)) + extra), filler)
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = torch.from_numpy(waveform)
    return padded, torch.tensor([len(waveform) for waveform in waveforms])


def tiny_config(*, conv_mask: bool = True) -> dict[str, Any]:
    """A TitaNet of a few channels: separable convolutions, squeeze-and-excitation, attentive pooling."""
    modules = "nemo.collections.asr.modules."

    def block(filters: int, kernel: int, *, repeat: int = 1, residual: bool = False) -> dict[str, Any]:
        return {
            "filters": filters, "repeat": repeat, "kernel": [kernel], "stride": [1], "dilation": [1], "dropout": 0.0,
            "residual": residual, "separable": True, "se": True, "se_context_size": -1,
        }  # fmt: skip

    return {
        "preprocessor": {
            "_target_": f"{modules}AudioToMelSpectrogramPreprocessor", "normalize": "per_feature", "features": 20,
            "sample_rate": SAMPLE_RATE_HZ, "window_size": 0.025, "window_stride": 0.01, "window": "hann",
            "n_fft": 512, "frame_splicing": 1, "dither": 1e-5,
        },
        "encoder": {
            "_target_": f"{modules}ConvASREncoder", "feat_in": 20, "activation": "relu", "conv_mask": conv_mask,
            "jasper": [block(24, 5), block(24, 31, repeat=2, residual=True), block(48, 1)],
        },
        "decoder": {
            "_target_": f"{modules}SpeakerDecoder", "feat_in": 48, "num_classes": 5, "pool_mode": "attention",
            "emb_sizes": 16, "attention_channels": 8,
        },
        "loss": {"_target_": "nemo.collections.asr.losses.angularloss.AngularSoftmaxLoss", "scale": 30, "margin": 0.2},
    }  # fmt: skip


def write_tiny_nemo(path: Path, *, conv_mask: bool = True, seed: int = 0) -> Path:
    """Save a random TitaNet with NeMo's own code; its batch statistics are set so that voices come out different."""
    from nemo.collections.asr.models import EncDecSpeakerLabelModel
    from omegaconf import OmegaConf

    torch.manual_seed(seed)
    model = EncDecSpeakerLabelModel(cfg=OmegaConf.create(tiny_config(conv_mask=conv_mask)))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = None
    waveforms, lengths = batch_of([noisy_voice(16_000, 90.0 + 20 * seed, seed) for seed in range(8)])
    with torch.no_grad():
        model.train()(input_signal=waveforms, input_signal_length=lengths)
    model.eval().save_to(str(path))
    return path


def export_campplus(path: Path) -> Path:
    """Write CAM++ with the shipped weights as an ONNX file, its input frames of 80 mels, time first."""
    from safetensors.numpy import load_file

    from sae_core.embedding.embedders import campplus
    from sae_core.embedding.frame_product import FrameProduct

    weights = campplus._Weights(load_file(str(campplus.SHIPPED_WEIGHTS)), torch.device("cpu"))
    network = campplus.CamPlusNetwork(weights)

    class Exported(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return network(frames, torch.full((1,), frames.shape[1]))

    with _plain_products(FrameProduct):
        torch.onnx.export(
            Exported(), (torch.zeros(1, 208, 80),), str(path), dynamo=False, input_names=["feats"],
            output_names=["embs"], dynamic_axes={"feats": {1: "t"}},
        )  # fmt: skip
    return path


@contextlib.contextmanager
def _plain_products(kind: Any) -> Iterator[None]:
    """Products by torch's own operator: the kernels that VoxScope uses on a CPU belong to no format of exchange."""
    before = kind.__call__

    def plain(self: Any, frames: torch.Tensor) -> torch.Tensor:
        out = torch.nn.functional.linear(frames, self._weight, self._bias)
        return out.relu() if self._is_rectified else out

    kind.__call__ = plain
    try:
        yield
    finally:
        kind.__call__ = before
