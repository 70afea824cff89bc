"""Does VoxScope's GE2E encoder give the vectors of Resemblyzer's `embed_utterance`, and how fast?

    python -m benchmarks.ge2e_vs_resemblyzer FOLDER_OF_RECORDINGS [--clips 200] [--threads 1]

FOLDER may be a workspace too. Resemblyzer runs in a process of its own, in the environment of the peers, on the same
torch, numpy and librosa. `make bench` compares the two from files (benchmarks/ge2e.py); this one compares the vectors.

Two comparisons: the networks on the same waveforms as they are, and on the same brought down to -45 dBFS, with each
one's volume step before it (Resemblyzer: `normalize_volume(wav, -30, increase_only=True)`; VoxScope: what
`--embedder ge2e` does).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SAMPLE_RATE_HZ = 16_000
LONGEST_S = 15.0
N_TRIALS = 3
"""The fastest counts, in CPU time: a machine busy with other work then says the same."""


def main() -> None:
    """Compare, and print cosines and speeds; exit status 1 below a cosine of 0.9999."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="recordings, or a workspace")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads of torch, for both; keep 1 to compare CPU time"
    )
    parser.add_argument("--as-peer", type=Path, metavar="OUT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_peer:
        embed_as_peer(options.folder, options.as_peer, options.threads)
        return
    waveforms = gather_waveforms(options.folder, options.clips)
    theirs = run_peer(waveforms, options.threads)
    ours = embed_here(waveforms, options.threads)
    if not report(waveforms, theirs, ours):
        sys.exit(1)


def gather_waveforms(folder: Path, n_clips: int) -> list[np.ndarray]:
    """Clips spread evenly over a folder or a workspace, at 16 kHz, none longer than `LONGEST_S`."""
    from sae_core.audio import reading
    from sae_core.corpus.clips import Corpus
    from sae_core.files.errors import VoxScopeError

    if (folder / "corpus.json").exists():
        corpus = Corpus.load(folder)
        table = corpus.table
        stretches = [(corpus.audio_file(row), table["start_s"][row], table["duration_s"][row])
                     for row in range(len(table))]  # fmt: skip
    else:
        stretches = [(path, 0.0, None) for path in sorted(folder.rglob("*")) if path.is_file()]
    waveforms: list[np.ndarray] = []
    # An order that spreads over all of them whatever their number: steps of the golden section.
    for place in np.argsort(np.arange(len(stretches)) * 0.6180339887 % 1):
        path, start_s, duration_s = stretches[place]
        try:
            length_s = min(duration_s or reading.probe(path).duration_s, LONGEST_S)
            waveform = reading.read(path, start_s=start_s, duration_s=length_s, sample_rate_hz=SAMPLE_RATE_HZ)
            reading.check_usable(waveform, SAMPLE_RATE_HZ)
        except VoxScopeError:
            continue
        waveforms.append(waveform)
        if len(waveforms) == n_clips:
            return waveforms
    sys.exit(
        f"{folder} has {len(waveforms)} usable clips, not {n_clips}; choose a larger folder or fewer --clips"
    )


def hush(waveforms: list[np.ndarray]) -> list[np.ndarray]:
    """The same at -45 dBFS, as in quiet calls."""
    levels = [np.sqrt(np.mean(waveform.astype(np.float64) ** 2)) for waveform in waveforms]
    pairs = zip(waveforms, levels, strict=True)
    return [(waveform * (10 ** (-45 / 20) / level)).astype(np.float32) for waveform, level in pairs]


def run_peer(waveforms: list[np.ndarray], threads: int) -> dict[str, np.ndarray]:
    """Vectors and seconds of Resemblyzer, from a process of its own."""
    from benchmarks.peers import peer_python

    with tempfile.TemporaryDirectory() as scratch:
        clips, out = Path(scratch) / "clips.npz", Path(scratch) / "vectors.npz"
        np.savez(clips, *waveforms)
        environment = os.environ | {"PYTHONWARNINGS": "ignore"}
        command = [str(peer_python()), __file__, str(clips), "--as-peer", str(out), "--threads", str(threads)]
        subprocess.run(command, check=True, env=environment)
        return dict(np.load(out))


def embed_as_peer(clips: Path, out: Path, threads: int) -> None:
    """In the peer's process: embed every clip with Resemblyzer and write vectors and seconds."""
    import torch
    from resemblyzer import VoiceEncoder, normalize_volume

    torch.set_num_threads(threads)
    encoder = VoiceEncoder("cpu", verbose=False)
    stored = np.load(clips)
    waveforms = [stored[f"arr_{number}"] for number in range(len(stored.files))]
    encoder.embed_utterance(waveforms[0])
    seconds = np.inf
    for _ in range(N_TRIALS):
        start = time.process_time()
        plain = np.stack([encoder.embed_utterance(waveform) for waveform in waveforms])
        seconds = min(seconds, time.process_time() - start)
    raised = [normalize_volume(waveform, -30, increase_only=True) for waveform in hush(waveforms)]
    normalised = np.stack([encoder.embed_utterance(waveform.astype(np.float32)) for waveform in raised])
    np.savez(out, plain=plain, normalised=normalised, seconds=seconds)


def embed_here(waveforms: list[np.ndarray], threads: int) -> dict[str, np.ndarray]:
    """Vectors and seconds of VoxScope's encoder in length-sorted batches, and one clip at a time."""
    import torch

    from sae_core.embedding.embedders.ge2e import Ge2eEmbedder, load
    from sae_core.embedding.extraction import plan_batches

    torch.set_num_threads(threads)
    default = load(None, "cpu")
    plain = Ge2eEmbedder(default._network, default.revision, torch.device("cpu"), raises_quiet=False)
    batches = plan_batches([len(waveform) / SAMPLE_RATE_HZ for waveform in waveforms])
    alone = [[place] for place in range(len(waveforms))]

    def embed(embedder: Ge2eEmbedder, groups: list[list[int]], waveforms: list[np.ndarray]) -> np.ndarray:
        vectors = np.zeros((len(waveforms), embedder.dim), np.float32)
        for places in groups:
            lengths = torch.tensor([len(waveforms[place]) for place in places])
            padded = torch.zeros(len(places), int(lengths.max()))
            for row, place in enumerate(places):
                padded[row, : lengths[row]] = torch.from_numpy(waveforms[place])
            vectors[places] = embedder.embed(padded, lengths).numpy()
        return vectors

    found = {"normalised": embed(default, batches, hush(waveforms))}
    for name, groups in (("plain", batches), ("alone", alone)):
        seconds = np.inf
        for _ in range(N_TRIALS):
            start = time.process_time()
            found[name] = embed(plain, groups, waveforms)
            seconds = min(seconds, time.process_time() - start)
        found[f"seconds_{name}"] = np.array(seconds)
    return found


def report(waveforms: list[np.ndarray], theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> bool:
    """Print what was found; whether every cosine is at least 0.9999."""
    n_clips, hours = len(waveforms), sum(map(len, waveforms)) / SAMPLE_RATE_HZ / 3600
    print(f"{n_clips} clips, {hours * 60:.1f} min of audio")
    lowest = 1.0
    for name, what in (("plain", "as they are"), ("normalised", "hushed, then raised")):
        cosines = (theirs[name] * ours[name]).sum(axis=1, dtype=np.float64)
        print(f"cosine, {what:20} min {cosines.min():.7f}  median {np.median(cosines):.7f}")
        lowest = min(lowest, float(cosines.min()))
    spread = np.abs(ours["plain"] - ours["alone"]).max()
    print(f"largest difference of one number between batched and alone: {spread:.1e}")
    print(f"Resemblyzer, one at a time  {n_clips / theirs['seconds']:6.1f} clips per CPU second")
    print(f"VoxScope, one at a time     {n_clips / ours['seconds_alone']:6.1f} clips per CPU second")
    print(f"VoxScope, batched           {n_clips / ours['seconds_plain']:6.1f} clips per CPU second")
    return lowest >= 0.9999


if __name__ == "__main__":
    main()
