"""Erasure: 64 latents removed one by one with a probe refitted at each step, and LEACE beside concept-erasure."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.peers import Peer, PeerError
from benchmarks.rows import Row, failed
from sae_core.analysis.erasure import _Bench, _Removal
from sae_core.measures.erasure import fit_leace
from sae_core.measures.verification import Trials, cosine_scores, draw_pairs, verify
from sae_core.sae.codes import SparseCodes
from sae_core.sae.decoder import Decoder
from sae_core.sae.feature_index import FeatureIndex

DIM, N_LATENTS, K, N_SPEAKERS, N_TRIALS, N_STEPS = 192, 1024, 32, 2_000, 20_000, 64
LIMIT_S = 60


def measure(*, is_quick: bool) -> Iterator[Row]:
    """The curve, one refit by logistic regression to compare with, and LEACE."""
    n = 5_000 if is_quick else 100_000
    bench = plant(n)
    for order in ("greedy", "most telling"):
        began, cpu = time.perf_counter(), time.process_time()
        points, _ = _Removal(bench).run(order, N_STEPS)
        took, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        accuracies = [points[at]["balanced_accuracy"] for at in (0, -1)]
        detail = (
            f"{n:,} clips, {N_TRIALS:,} trials, intervals each; probe {accuracies[0]:.2f} → {accuracies[1]:.2f}; "
            f"{cpu_s:.0f} s of processor time"
        )
        yield Row(
            f"erasure curve, {len(points) - 1} steps, {order}",
            f"{LIMIT_S} s",
            took,
            LIMIT_S,
            detail,
            unit="s",
            is_limit=True,
        )
    vectors, truth = bench.view.embeddings.vectors, bench.truth
    began = time.perf_counter()
    LogisticRegression(max_iter=300, class_weight="balanced").fit(vectors[bench.fitted], truth[bench.fitted])
    refit_s = time.perf_counter() - began
    name = f"one step with its probe, {n:,} clips"
    yield Row(
        name,
        "one fit of scikit-learn's LogisticRegression",
        refit_s / (took / N_STEPS),
        1,
        f"{refit_s:.1f} s a fit",
    )
    yield from leace(vectors[:20_000].astype(np.float64), truth[:20_000])


def leace(vectors: np.ndarray, truth: np.ndarray) -> Iterator[Row]:
    """Ours beside EleutherAI's, equal to rounding."""
    with tempfile.TemporaryDirectory() as scratch:
        names = [str(Path(scratch) / f"{name}.npy") for name in ("vectors", "values", "out")]
        np.save(names[0], vectors)
        np.save(names[1], truth[:, None].astype(np.float64))
        began = time.perf_counter()
        ours = fit_leace(vectors, truth[:, None].astype(np.float64)).apply(vectors)
        own_s = time.perf_counter() - began
        try:
            with Peer("concept_erasure_leace") as peer:
                theirs_s = peer.call("erase", vectors=names[0], values=names[1], out=names[2]).value
        except PeerError as error:
            yield failed("LEACE", str(error))
            return
        gap = float(np.abs(np.load(names[2]) - ours).max())
    yield Row(
        f"LEACE of {len(vectors):,} embeddings",
        "concept-erasure, same result",
        gap,
        1e-5,
        f"{own_s:.2f} s, theirs {theirs_s:.2f} s",
        unit="largest difference",
        is_limit=True,
    )


def plant(n: int) -> Any:
    """Embeddings made of sparse codes, a value that a tenth of the latents follow, and trials among the last fifth."""
    rng = np.random.default_rng(0)
    speaker = np.arange(n) % N_SPEAKERS
    truth = speaker % 4 == 0
    latents = np.argsort(
        rng.random((n, N_LATENTS), dtype=np.float32) - 0.15 * truth[:, None] * (np.arange(N_LATENTS) < 100),
        axis=1,
    )[:, :K].astype(np.int32)
    activations = -np.sort(-np.abs(rng.standard_normal((n, K), dtype=np.float32)), axis=1)
    codes = SparseCodes(latents, activations, N_LATENTS)
    steps = rng.standard_normal((N_LATENTS, DIM), dtype=np.float32)
    steps /= 4 * np.linalg.norm(steps, axis=1, keepdims=True)
    decoder = Decoder(steps, np.full(DIM, 0.05, np.float32))
    identity = 0.1 * rng.standard_normal((N_SPEAKERS, DIM), dtype=np.float32)[speaker]
    vectors = decoder.decode(codes) + identity
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= norms
    codes = SparseCodes(latents, activations / norms, N_LATENTS)
    return _bench(vectors, codes, decoder, truth, speaker)


def _bench(
    vectors: np.ndarray, codes: SparseCodes, decoder: Decoder, truth: np.ndarray, speaker: np.ndarray
) -> Any:
    rng = np.random.default_rng(1)
    part = speaker / N_SPEAKERS
    rows = np.flatnonzero(part >= 0.6)
    one = rng.integers(len(rows), size=N_TRIALS)
    same = rng.random(N_TRIALS) < 0.5
    # clips of one speaker lie N_SPEAKERS apart
    by_speaker = np.argsort(speaker[rows], kind="stable")
    place = np.empty_like(by_speaker)
    place[by_speaker] = np.arange(len(rows))
    neighbour = by_speaker[np.minimum(place[one] + 1, len(rows) - 1)]
    other = np.where(same, neighbour, rng.integers(len(rows), size=N_TRIALS))
    trials = Trials(one, other, speaker[rows][one] == speaker[rows][other])
    scores, groups = cosine_scores(vectors[rows], trials), speaker[rows]
    draws = draw_pairs(trials, groups)
    bench = _Bench.__new__(_Bench)
    bench.view = SimpleNamespace(
        embeddings=SimpleNamespace(vectors=vectors),
        codes=codes,
        index=FeatureIndex.build(codes),
        n_latents=codes.n_latents,
        decoder=lambda: decoder,
    )
    bench.target = SimpleNamespace(is_selection=(part >= 0.6) & (part < 0.8))
    bench.trial_set = SimpleNamespace(
        rows=rows,
        trials=trials,
        speaker_groups=groups,
        draws=draws,
        verified=verify(scores, trials, groups, drawn=draws),
    )
    bench.truth, bench.fitted, bench.reported = truth, np.flatnonzero(part < 0.6), np.flatnonzero(part >= 0.8)
    bench.groups = speaker[bench.reported]
    return bench
