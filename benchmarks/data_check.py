"""How many of 200 planted faults stand in the first 250 rows of the data check, kind by kind.

    python -m benchmarks.data_check [WORKSPACE]

First on planted speakers (1,000 of them, 12 clips each), then on the embeddings of a workspace, by default the demo's
own copy, whose own faults count as misses there.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sae_core.demo.planted import PlantedTruth
from sae_core.measures.data_check import CheckedCorpus, check
from sae_core.workspace.workspace import open_workspace

N_PLANTED, N_ROWS = 200, 250
N_SPEAKERS, CLIPS_EACH = 1_000, 12
NOISE = 0.05
ALIKE = 0.5


def planted_corpus() -> CheckedCorpus:
    """Speakers with known directions and nothing wrong."""
    pieces = list(PlantedTruth.draw(n_speakers=N_SPEAKERS, seed=5).clips(N_SPEAKERS * CLIPS_EACH))
    table = pd.concat([piece.table for piece in pieces], ignore_index=True)
    return as_corpus(np.vstack([piece.vectors for piece in pieces]), table, ("language", "gender", "kind"))


def as_corpus(vectors: np.ndarray, table: pd.DataFrame, attributes: tuple[str, ...]) -> CheckedCorpus:
    """A corpus to check from unit vectors and a clips table."""
    codes, names = pd.factorize(table["speaker_id"].astype("object"), use_na_sentinel=True)
    return CheckedCorpus(
        np.ascontiguousarray(vectors, np.float32),
        np.linalg.norm(vectors, axis=1) > ALIKE,
        codes.astype(np.int64),
        tuple(map(str, names)),
        {name: table[name].to_numpy(object) for name in attributes},
        {},
        table["split"].to_numpy(object),
        np.full(len(table), "", dtype=object),
    )


def copies(
    corpus: CheckedCorpus, random: np.random.Generator
) -> tuple[CheckedCorpus, Callable[[pd.DataFrame], int]]:
    """200 clips replaced by noisy copies of others."""
    rows = random.permutation(np.flatnonzero(corpus.is_valid))[: 2 * N_PLANTED].reshape(2, -1)
    noise = random.standard_normal((N_PLANTED, corpus.vectors.shape[1]))
    vectors = corpus.vectors.copy()
    again = vectors[rows[0]] + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors[rows[1]] = again / np.linalg.norm(again, axis=1, keepdims=True)
    planted = set(map(frozenset, rows.T.tolist()))
    return dataclasses.replace(corpus, vectors=vectors), lambda found: len(
        planted & _pairs(found, "row", "other_row")
    )


def swapped_speakers(
    corpus: CheckedCorpus, random: np.random.Generator
) -> tuple[CheckedCorpus, Callable[[pd.DataFrame], int]]:
    """200 clips under the names of each other's speakers."""
    rows = random.choice(np.flatnonzero(corpus.speakers >= 0), N_PLANTED, replace=False)
    speakers = corpus.speakers.copy()
    speakers[rows] = np.roll(speakers[rows], 1)
    planted = set(rows[speakers[rows] != corpus.speakers[rows]].tolist())
    return dataclasses.replace(corpus, speakers=speakers), lambda found: len(planted & set(found["row"]))


def swapped_values(
    corpus: CheckedCorpus, random: np.random.Generator
) -> tuple[CheckedCorpus, Callable[[pd.DataFrame], int]]:
    """200 clips with the other gender."""
    genders = corpus.attributes["gender"].copy()
    rows = random.choice(
        np.flatnonzero(np.isin(genders.astype(str), ["female", "male"])), N_PLANTED, replace=False
    )
    genders[rows] = np.where(genders[rows] == "female", "male", "female")
    planted = set(rows.tolist())
    changed = dataclasses.replace(corpus, attributes={"gender": genders})
    return changed, lambda found: len(planted & set(found["row"]))


def joined(
    corpus: CheckedCorpus, random: np.random.Generator
) -> tuple[CheckedCorpus, Callable[[pd.DataFrame], int]]:
    """200 names that two speakers share."""
    pairs = random.permutation(len(corpus.speaker_names))[: 2 * N_PLANTED].reshape(-1, 2)
    renamed = np.arange(len(corpus.speaker_names))
    renamed[pairs[:, 1]] = pairs[:, 0]
    planted = {corpus.speaker_names[code] for code in pairs[:, 0]}
    changed = dataclasses.replace(corpus, speakers=renamed[corpus.speakers])
    return changed, lambda found: len(planted & set(found["subject"]))


def divided(
    corpus: CheckedCorpus, random: np.random.Generator
) -> tuple[CheckedCorpus, Callable[[pd.DataFrame], int]]:
    """200 speakers under two names each."""
    n = len(corpus.speaker_names)
    chosen, speakers = random.choice(n, N_PLANTED, replace=False), corpus.speakers.copy()
    for number, code in enumerate(chosen):
        speakers[np.flatnonzero(corpus.speakers == code)[::2]] = n + number
    names = (*corpus.speaker_names, *(f"{corpus.speaker_names[code]} again" for code in chosen))
    planted = {
        frozenset((corpus.speaker_names[code], f"{corpus.speaker_names[code]} again")) for code in chosen
    }
    changed = dataclasses.replace(corpus, speakers=speakers, speaker_names=names)
    return changed, lambda found: len(planted & _pairs(found, "subject", "counterpart"))


def _pairs(found: pd.DataFrame, first: str, second: str) -> set[frozenset[object]]:
    return set(map(frozenset, found[[first, second]].to_numpy(object).tolist()))


FAULTS = {
    "near copy": copies,
    "speaker label": swapped_speakers,
    "attribute label": swapped_values,
    "two speakers under one name": joined,
    "speaker under two names": divided,
}


def measure(name: str, corpus: CheckedCorpus, kinds: tuple[str, ...]) -> None:
    """Print a line a kind."""
    for kind in kinds:
        changed, count = FAULTS[kind](corpus, np.random.default_rng(0))
        start = time.perf_counter()
        found = check(changed)
        took_s = time.perf_counter() - start
        listed = found[found["kind"] == kind].head(N_ROWS)
        print(
            f"{name:16}{kind:30}{count(listed):4} of {N_PLANTED} in the first {len(listed):3} rows {took_s:7.2f} s"
        )


def main() -> None:
    """Plant, look, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("workspace", nargs="?", type=Path, default=Path("workspaces/demo"))
    options = parser.parse_args()
    measure("planted", planted_corpus(), tuple(FAULTS))
    workspace = open_workspace(options.workspace)
    for embedder in workspace.embedder_names():
        vectors = np.asarray(workspace.embeddings(embedder).vectors)
        own = as_corpus(vectors, workspace.corpus.table, ("gender",))
        measure(f"{workspace.name[:8]}, {embedder}", own, ("near copy", "speaker label", "attribute label"))


if __name__ == "__main__":
    main()
