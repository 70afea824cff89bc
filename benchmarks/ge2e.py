"""GE2E embeddings of the demo's recordings from their files, against Resemblyzer a file at a time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.peers import Peer
from benchmarks.rows import Row, in_turns
from sae_core.corpus.clips import Corpus
from sae_core.demo.bundle import BUNDLE
from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.extraction import extract

EVERY, EVERY_QUICK = 4, 80


def measure(*, is_quick: bool) -> Iterator[Row]:
    """`embed` as the command does it, reading included; the peer with as many threads, as its examples do it."""
    whole = Corpus.load(BUNDLE)
    table = whole.table.iloc[:: EVERY_QUICK if is_quick else EVERY].reset_index(drop=True)
    corpus = Corpus(table, whole.audio_root)
    files = [str(corpus.audio_file(row)) for row in range(len(corpus))]
    embedder = open_embedder("ge2e")
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch, Peer("resemblyzer_files") as peer:

        def ours() -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                found["ours"] = np.array(extract(corpus, embedder, Path(folder)).vectors)

        def theirs(*, cuts_silence: bool) -> float:
            out = f"{scratch}/theirs-{cuts_silence}.npy"
            return peer.seconds("embed", paths=files, out=out, cuts_silence=cuts_silence)

        runs = {
            "ours": ours,
            "theirs": lambda: theirs(cuts_silence=False),
            "with detector": lambda: theirs(cuts_silence=True),
        }
        peer.call("embed", paths=files[:3], out=f"{scratch}/first.npy", cuts_silence=True)
        ours()
        took = in_turns(runs, 1 if is_quick else 3, is_warmed=False)
        cosines = (found["ours"] * np.load(f"{scratch}/theirs-False.npy")).sum(axis=1)
    speeds = {name: f"{len(corpus) / seconds:.0f}" for name, seconds in took.items()}
    yield Row(
        f"GE2E embeddings of {len(corpus)} of the demo's clips, from mp3 files",
        "Resemblyzer, one file at a time",
        took["theirs"] / took["ours"],
        4,
        f"{speeds['ours']} clips/s, Resemblyzer {speeds['theirs']} without its voice detector (so compared), "
        f"{speeds['with detector']} with it; two threads each; reading and decoding included; cosines of both "
        f"{cosines.min():.4f} to {cosines.max():.4f}",
    )
