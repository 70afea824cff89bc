"""TitaNet embeddings of recordings of 2 to 15 s, against NeMo clip by clip and against its own batches.

The network is TitaNet-large as NeMo's recipe describes it, with random weights and batch statistics of noise.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch

from benchmarks.peers import Peer
from benchmarks.rows import Row, in_turns, wall_s
from sae_core.corpus.clips import Corpus
from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.extraction import extract
from sae_core.embedding.onednn import DenseProduct
from sae_core.sae.topk import side_by_side

N_CLIPS, N_QUICK = 64, 6
SHORTEST_S, LONGEST_S = 2.0, 15.0
SAMPLE_RATE_HZ = 16_000
PRODUCTS_A_FRAME = 15 * 1024 * 1024 + 2 * 128 * 3072 + 80 * 1024
"""Multiplications in the products over channels: twelve in blocks, three times as many channels at the end, attention,
and the first; a frame every 10 ms."""
_MODULES = "nemo.collections.asr.modules."


def measure(*, is_quick: bool) -> Iterator[Row]:
    """The same files through `embed`, `get_embedding` and `batch_inference`, by turns, with two threads each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_model(folder / "large.nemo")
        corpus = write_recordings(folder, N_QUICK if is_quick else N_CLIPS)
        files = [str(corpus.audio_file(row)) for row in range(len(corpus))]
        embedder = open_embedder("titanet", model=str(folder / "large.nemo"), device="cpu")
        found: dict[str, np.ndarray] = {}

        def ours() -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as place:
                found["ours"] = np.array(extract(corpus, embedder, Path(place)).vectors)

        with Peer("nemo_speaker", is_ours=True) as peer:
            peer.call("load", path=str(folder / "large.nemo"), manifest=str(folder / "manifest.json"))
            peer.call("clip_by_clip", paths=files[:2], out=f"{scratch}/first.npy")
            runs = {
                "ours": ours,
                "alone": lambda: peer.seconds("clip_by_clip", paths=files, out=f"{scratch}/alone.npy"),
                "batch": lambda: peer.seconds("in_batches", paths=files, out=f"{scratch}/batch.npy"),
                "products": lambda: products_s(float(corpus.table["duration_s"].sum())),
            }
            took = in_turns(runs, 1 if is_quick else 3, is_warmed=False)
        gap = np.abs(found["ours"] - np.load(f"{scratch}/alone.npy")).max()
        batch_gap = np.abs(np.load(f"{scratch}/batch.npy") - np.load(f"{scratch}/alone.npy")).max()
    audio_s = float(corpus.table["duration_s"].sum())
    name = f"TitaNet embeddings of {len(corpus)} clips of {SHORTEST_S:.0f}–{LONGEST_S:.0f} s, from wav files"
    speeds = {who: f"{audio_s / seconds:.0f} s of audio a second" for who, seconds in took.items()}
    ours_speed = f"{speeds['ours']}, NeMo"
    yield Row(
        name,
        "NeMo's get_embedding",
        took["alone"] / took["ours"],
        2,
        f"{ours_speed} {speeds['alone']}; with nothing but the network's products, by oneDNN, {speeds['products']}, "
        f"{took['alone'] / took['products']:.2f} ×",
    )
    yield Row(
        name,
        "NeMo's batch_inference",
        took["batch"] / took["ours"],
        1.2,
        f"{ours_speed} {speeds['batch']} in batches of 32",
    )
    yield Row(
        name,
        "NeMo's vectors, clip by clip",
        float(gap),
        1e-4,
        f"largest difference in a unit vector; NeMo's own batches differ from its single clips by {batch_gap:.0e}",
        unit="",
        is_limit=True,
    )


def products_s(audio_s: float) -> float:
    """Seconds that the products of so much sound take: as many multiplications, among 1,024 channels, a few seconds of
    sound at a time in each thread."""
    n_frames = 512
    product = DenseProduct(torch.randn(1024, 1024), torch.zeros(1024), is_rectified=True)
    n_products = round(audio_s * 100 * PRODUCTS_A_FRAME / (n_frames * 1024 * 1024))
    frames = torch.randn(n_frames, 1024)
    return wall_s(lambda: side_by_side(lambda _: len(product(frames)), range(n_products)))


def large_config() -> dict[str, Any]:
    """TitaNet-large: 1024 channels, kernels 3 to 15, three repeats, squeeze-and-excitation, attentive pooling."""

    def block(filters: int, kernel: int, repeat: int = 1) -> dict[str, Any]:
        return {
            "filters": filters, "repeat": repeat, "kernel": [kernel], "stride": [1], "dilation": [1], "dropout": 0.1,
            "residual": repeat > 1, "separable": True, "se": True, "se_context_size": -1,
        }  # fmt: skip

    return {
        "preprocessor": {
            "_target_": f"{_MODULES}AudioToMelSpectrogramPreprocessor", "normalize": "per_feature", "features": 80,
            "sample_rate": SAMPLE_RATE_HZ, "window_size": 0.025, "window_stride": 0.01, "window": "hann",
            "n_fft": 512, "frame_splicing": 1, "dither": 1e-5,
        },
        "encoder": {
            "_target_": f"{_MODULES}ConvASREncoder", "feat_in": 80, "activation": "relu", "conv_mask": True,
            "jasper": [block(1024, 3), block(1024, 7, 3), block(1024, 11, 3), block(1024, 15, 3), block(3072, 1)],
        },
        "decoder": {
            "_target_": f"{_MODULES}SpeakerDecoder", "feat_in": 3072, "num_classes": 100, "pool_mode": "attention",
            "emb_sizes": 192, "attention_channels": 128,
        },
        "train_ds": {"labels": ["nobody"], "sample_rate": SAMPLE_RATE_HZ},
        "loss": {"_target_": "nemo.collections.asr.losses.angularloss.AngularSoftmaxLoss", "scale": 30, "margin": 0.2},
    }  # fmt: skip


def write_model(path: Path) -> None:
    """Save the network with NeMo's own code; its batch statistics are those of a few noises."""
    from nemo.collections.asr.models import EncDecSpeakerLabelModel
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    model = EncDecSpeakerLabelModel(cfg=OmegaConf.create({**large_config(), "train_ds": None}))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = None
    noises = torch.randn(4, 2 * SAMPLE_RATE_HZ) * 0.1
    with torch.no_grad():
        model.train()(input_signal=noises, input_signal_length=torch.full((4,), 2 * SAMPLE_RATE_HZ))
    model.eval().save_to(str(path))


def write_recordings(folder: Path, n_clips: int) -> Corpus:
    """Noise whose colour and loudness wander, as 16-bit wav files, lengths spread evenly in random order."""
    random = np.random.default_rng(0)
    durations = random.permutation(np.linspace(SHORTEST_S, LONGEST_S, n_clips)).round(3)
    names = [f"clip-{number:03d}.wav" for number in range(n_clips)]
    for name, duration_s in zip(names, durations, strict=True):
        n = int(duration_s * SAMPLE_RATE_HZ)
        noise = np.cumsum(random.normal(size=n)) * random.uniform(0, 0.01) + random.normal(size=n)
        loudness = np.interp(np.arange(n), np.linspace(0, n, 20), random.uniform(0.02, 0.2, 20))
        soundfile.write(folder / name, np.clip(noise * loudness, -1, 1), SAMPLE_RATE_HZ)
    table = pd.DataFrame(
        {
            "clip_id": names,
            "audio_path": names,
            "start_s": 0.0,
            "duration_s": durations,
            "audio_channel": -1,
            "speaker_id": "nobody",
            "split": "train",
        }
    )
    return Corpus(table, folder)
