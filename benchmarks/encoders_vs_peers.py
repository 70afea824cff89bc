"""Do CAM++ and Whisper give the vectors of their peers, and how fast?

    python -m benchmarks.encoders_vs_peers campplus [FOLDER] [--clips 200] [--weights campplus_cn_en_common.pt]
    python -m benchmarks.encoders_vs_peers whisper  [FOLDER] [--clips 40] [--model FOLDER_OF_A_WHISPER]

FOLDER holds recordings or is a workspace, by default the demo. The peer runs in its own process, on the same torch.

- campplus: 3D-Speaker's own class (`speakerlab-slim`) after `kaldi-native-fbank`, one clip at a time; with the weights
  shipped here, or with `--weights` as 3D-Speaker publishes them, which shows what float16 on disk costs.
- whisper: the encoder of `transformers`, called as people call it, each clip padded to 30 s. Two comparisons: the same
  frames through both (which must agree), and the vectors of clips as VoxScope hears them, with one second of silence
  instead of up to thirty (which differ by what attention finds in the silence).

Exit status 1 where vectors or frames that must agree have a cosine below 0.9999.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.ge2e_vs_resemblyzer import SAMPLE_RATE_HZ, gather_waveforms

LEAST_COSINE = 0.9999
N_SAME_FRAMES = 8
"""Clips whose 30 s of frames go through both encoders."""


def main() -> None:
    """Compare, and print cosines and speeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("embedder", choices=("campplus", "whisper"))
    parser.add_argument("folder", type=Path, nargs="?", default=Path("assets/demo"))
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="CPU threads of torch, for both"
    )
    parser.add_argument("--weights", type=Path, help="campplus: the state dict as 3D-Speaker publishes it")
    parser.add_argument("--model", type=Path, help="whisper: a folder as Hugging Face lays it out")
    parser.add_argument("--as-peer", type=Path, metavar="OUT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_peer:
        as_peer(options)
        return
    waveforms = gather_waveforms(options.folder, options.clips)
    theirs, ours = run_peer(options, waveforms), embed_here(options, waveforms)
    if not report(options, waveforms, theirs, ours):
        sys.exit(1)


def run_peer(options: argparse.Namespace, waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What the peer makes of the clips, from a process of its own."""
    from benchmarks.peers import peer_python

    with tempfile.TemporaryDirectory() as scratch:
        clips, out = Path(scratch) / "clips.npz", Path(scratch) / "vectors.npz"
        np.savez(clips, *waveforms)
        command = [str(peer_python()), "-m", "benchmarks.encoders_vs_peers", options.embedder, str(clips)]
        command += ["--as-peer", str(out), "--threads", str(options.threads)]
        for name in ("weights", "model"):
            if getattr(options, name) is not None:
                command += [f"--{name}", str(getattr(options, name).resolve())]
        environment = os.environ | {"PYTHONWARNINGS": "ignore", "PYTHONPATH": str(Path(__file__).parents[1])}
        subprocess.run(command, check=True, env=environment)
        return dict(np.load(out))


def as_peer(options: argparse.Namespace) -> None:
    """In the peer's process: embed every clip and write vectors, seconds and what else is compared."""
    import torch

    torch.set_num_threads(options.threads)
    stored = np.load(options.folder)
    waveforms = [stored[f"arr_{number}"] for number in range(len(stored.files))]
    with torch.inference_mode():
        run = campplus_peer if options.embedder == "campplus" else whisper_peer
        np.savez(options.as_peer, **run(options, waveforms))


def campplus_peer(options: argparse.Namespace, waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """3D-Speaker's network after kaldi-native-fbank."""
    import kaldi_native_fbank as knf
    import torch
    from safetensors.torch import load_file
    from speakerlab.models.campplus.DTDNN import CAMPPlus

    from sae_core.embedding.embedders.campplus import SHIPPED_WEIGHTS

    settings = knf.FbankOptions()
    settings.frame_opts.dither, settings.frame_opts.samp_freq = 0, SAMPLE_RATE_HZ
    settings.mel_opts.num_bins = 80
    shipped = options.weights is None
    states = load_file(SHIPPED_WEIGHTS) if shipped else torch.load(options.weights, weights_only=True)
    network = CAMPPlus(feat_dim=80, embedding_size=192)
    network.load_state_dict({name: tensor.float() for name, tensor in states.items()}, strict=not shipped)
    network.eval()

    def embed(waveform: np.ndarray) -> np.ndarray:
        bank = knf.OnlineFbank(settings)
        bank.accept_waveform(SAMPLE_RATE_HZ, waveform.tolist())
        bank.input_finished()
        frames = torch.from_numpy(np.stack([bank.get_frame(row) for row in range(bank.num_frames_ready)]))
        return network((frames - frames.mean(dim=0))[None])[0].numpy()

    embed(waveforms[0])
    start = time.perf_counter()
    vectors = np.stack([embed(waveform) for waveform in waveforms])
    return {"vectors": vectors, "seconds": np.array(time.perf_counter() - start)}


def whisper_peer(options: argparse.Namespace, waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The encoder of transformers: the mean over each clip's own layer-normed frames, and some clips' frames whole."""
    import torch
    from safetensors.torch import load_file
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from sae_core.embedding.embedders.whisper import DEFAULT_LAYER, SHIPPED_MODEL

    folder = options.model or SHIPPED_MODEL
    config = WhisperConfig.from_pretrained(folder)
    layer = DEFAULT_LAYER if options.model is None else max(1, config.encoder_layers - 1)
    encoder = WhisperEncoder(config).eval()
    states = {
        name.partition("encoder.")[2]: tensor.float()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    encoder.load_state_dict(states, strict=False)
    extract = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    def frames_of(waveform: np.ndarray) -> "torch.Tensor":
        features = extract(waveform, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_features
        found = encoder(features, output_hidden_states=True).hidden_states
        return torch.nn.functional.layer_norm(found[layer][0], (config.d_model,))

    frames_of(waveforms[0])
    start = time.perf_counter()
    vectors = [
        frames_of(waveform)[: max(1, len(waveform) // 320)].mean(dim=0).numpy() for waveform in waveforms
    ]
    seconds = time.perf_counter() - start
    same = np.stack([frames_of(waveform).numpy() for waveform in waveforms[:N_SAME_FRAMES]])
    return {"vectors": np.stack(vectors), "seconds": np.array(seconds), "frames": same}


def embed_here(options: argparse.Namespace, waveforms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """VoxScope's vectors in batches of like length, as `embed` makes them, and one clip at a time."""
    import torch

    from sae_core.embedding.embedders import open_embedder
    from sae_core.embedding.extraction import plan_batches

    torch.set_num_threads(options.threads)
    embedder = open_embedder(
        options.embedder, model=None if options.model is None else str(options.model), device="cpu"
    )
    found: dict[str, np.ndarray] = {}
    groups = {
        "batched": plan_batches([len(waveform) / SAMPLE_RATE_HZ for waveform in waveforms]),
        "alone": [[place] for place in range(len(waveforms))],
    }
    for name, batches in groups.items():
        vectors = np.zeros((len(waveforms), embedder.dim), np.float32)
        start = time.perf_counter()
        for places in batches:
            lengths = torch.tensor([len(waveforms[place]) for place in places])
            padded = torch.zeros(len(places), int(lengths.max()))
            for row, place in enumerate(places):
                padded[row, : lengths[row]] = torch.from_numpy(waveforms[place])
            vectors[places] = embedder.embed(padded, lengths).numpy()
        found[name], found[f"seconds_{name}"] = vectors, np.array(time.perf_counter() - start)
    if options.embedder == "whisper":
        found["frames"] = same_frames(embedder, waveforms[:N_SAME_FRAMES])
    return found


def same_frames(embedder: object, waveforms: list[np.ndarray]) -> np.ndarray:
    """Frames of 30 s, of the clip and silence, as the peer hears them."""
    import torch

    network: object = embedder
    padded = torch.zeros(len(waveforms), 30 * SAMPLE_RATE_HZ)
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = torch.from_numpy(waveform)
    n_frames = torch.full((len(waveforms),), 3000)
    with torch.inference_mode():
        frames = network._encoder(network._log_mel(padded, n_frames), n_frames)  # type: ignore[attr-defined]
        return torch.nn.functional.layer_norm(frames, frames.shape[-1:]).numpy()


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of the last axis."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(axis=-1) / norms


def report(
    options: argparse.Namespace,
    waveforms: list[np.ndarray],
    theirs: dict[str, np.ndarray],
    ours: dict[str, np.ndarray],
) -> bool:
    """Print what was found; whether everything agrees that must."""
    n_clips, minutes = len(waveforms), sum(map(len, waveforms)) / SAMPLE_RATE_HZ / 60
    print(f"{options.embedder}: {n_clips} clips, {minutes:.1f} min of audio, {options.threads} threads")
    found = cosines(theirs["vectors"], ours["batched"])
    print(f"cosine of vectors with the peer's: min {found.min():.6f}, median {np.median(found):.6f}")
    must = found
    if "frames" in ours:
        must = cosines(theirs["frames"], ours["frames"])
        print(f"cosine of the same frames: min {must.min():.6f}, median {np.median(must):.6f}")
    spread = np.abs(ours["batched"] - ours["alone"]).max()
    print(f"largest difference of one number between batched and alone: {spread:.1e}")
    rates = {"peer, one at a time": theirs["seconds"], "VoxScope, one at a time": ours["seconds_alone"]}
    rates["VoxScope, batched"] = ours["seconds_batched"]
    for name, seconds in rates.items():
        print(
            f"{name:24} {n_clips / float(seconds):7.1f} clips a second ({float(theirs['seconds'] / seconds):.1f} ×)"
        )
    return bool(must.min() >= LEAST_COSINE)


if __name__ == "__main__":
    main()
