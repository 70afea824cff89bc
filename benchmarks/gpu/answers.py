"""A GPU gives the processor's answers: losses, gradients, codes, whole trainings, and TopK where scores are equal."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.gpu.clips import DIM, declare_dead, largest_gap, new_fit, random_inputs
from benchmarks.gpu.device import Bench
from benchmarks.rows import Row
from sae_core.corpus.clips import Corpus
from sae_core.demo.planted import plant
from sae_core.embedding.embeddings import Embeddings
from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.topk import strongest_products, top_k
from sae_core.sae.training import TrainingConfig, train

CPU = torch.device("cpu")
MOST_COSINE_GAP = 1e-4
"""All vectors must have a cosine of 0.9999 or more with the processor's."""
MOST_LOSS_GAP = 1e-3


def measure(bench: Bench) -> Iterator[Row]:
    """Every check; each is a row."""
    n_latents = bench.pick(8192, 256)
    for config in (SaeConfig(DIM, n_latents, 32), SaeConfig(DIM, n_latents, 32, variant="matryoshka")):
        yield from compare_steps(bench, config)
    yield from compare_codes(bench, SaeConfig(DIM, n_latents, 32))
    yield compare_ties(bench)
    yield compare_trainings(bench)


def compare_steps(bench: Bench, config: SaeConfig) -> Iterator[Row]:
    """The same steps on both, an eighth of the latents dead."""
    here, there = new_fit(config, CPU), new_fit(config, bench.device)
    gaps, n_dead = [], config.n_latents // 8
    for number in range(bench.pick(8, 2)):
        inputs, seen = random_inputs(bench.pick(4096, 128), CPU, seed=number), []
        for fit in (here, there):
            declare_dead(fit, n_dead)
            fit.step(inputs.to(fit.last_fired.device))
            seen.append(fit.take_sums().fvu)
        gaps.append(abs(seen[1] - seen[0]) / seen[0])
        if number == 0:
            gradients = [
                [part.grad.flatten()[None] for part in fit.sae.parameters()] for fit in (here, there)
            ]
            gap = max(map(largest_gap, *gradients))
    what = f"{config.variant}, L {config.n_latents}"
    detail = f"{len(gaps)} steps of {len(inputs)} clips; after the first {gaps[0]:.0e}"
    yield Row(
        f"loss of training, {what}", "the processor", max(gaps), MOST_LOSS_GAP, detail, unit="", is_limit=True
    )
    detail = "1 − the smallest cosine of the four gradients of the first step, AuxK among them"
    yield _gap_row(f"gradients, {what}", gap, detail)


def compare_codes(bench: Bench, config: SaeConfig) -> Iterator[Row]:
    """Encode the same clips on both; decode the processor's codes on both."""
    fit = new_fit(config, CPU)
    for seed in range(3):
        fit.step(random_inputs(512, CPU, seed=seed))
    vectors = random_inputs(bench.pick(20_000, 300), CPU, seed=9).numpy()
    there = SparseAutoencoder(
        config, {name: torch.from_numpy(part) for name, part in fit.sae.arrays().items()}
    )
    there = there.requires_grad_(False).to(bench.device)
    codes, found = fit.sae.encode(vectors), there.encode(vectors)
    n_same = np.mean([set(a) == set(b) for a, b in zip(codes.latents, found.latents, strict=True)])
    rows = slice(0, 2000)
    gap = largest_gap(torch.from_numpy(found.dense(rows)), torch.from_numpy(codes.dense(rows)))
    what = f"{len(vectors):,} clips, L {config.n_latents}"
    detail = (
        f"smallest cosine of a clip's activations; all {config.k} latents the same in {n_same:.2%} of clips"
    )
    yield _gap_row(f"encoding {what}", gap, detail)
    gap = largest_gap(torch.from_numpy(there.decode(codes)), torch.from_numpy(fit.sae.decode(codes)))
    yield _gap_row(f"decoding {what}", gap, "1 − the smallest cosine of a clip")


def _gap_row(name: str, gap: float, detail: str) -> Row:
    return Row(name, "the processor", gap, MOST_COSINE_GAP, detail, unit="", is_limit=True)


def compare_ties(bench: Bench) -> Row:
    """Whole numbers, so that scores tie by the dozen and every product is exact: values and columns must be right."""
    generator, n_wrong, n_rows = torch.Generator().manual_seed(0), 0, bench.pick(4096, 64)
    for n_latents, k in ((256, 8), (2048, 32), (8192, 32), (1000, 64), (96, 96)):
        inputs = torch.randint(-2, 3, (n_rows, 12), generator=generator).float()
        weight = torch.randint(-2, 3, (n_latents, 12), generator=generator).float()
        scores = inputs @ weight.T
        expected = scores.sort(dim=1, descending=True).values[:, :k]
        values, latents = (part.cpu() for part in top_k(scores.to(bench.device), k))
        n_wrong += int((values != expected).any(1).sum() + (scores.gather(1, latents) != values).any(1).sum())
        n_wrong += sum(len(set(row)) < k for row in latents.tolist())
        parts = (part.to(bench.device) for part in (inputs, weight, torch.zeros(n_latents)))
        values, latents = (part.cpu() for part in strongest_products(*parts, k))
        n_wrong += int((values != expected.relu()).any(1).sum())
        n_wrong += int((scores.gather(1, latents).relu() != values).any(1).sum())
    detail = f"{n_rows} rows of whole numbers at five sizes: values of a full sort, each column once"
    return Row("TopK among equal scores", "a full sort", n_wrong, 0, detail, unit="wrong rows", is_limit=True)


def compare_trainings(bench: Bench) -> Row:
    """A whole `train` on each: checkpoints, table, metrics and stored weights included."""
    explained = []
    with tempfile.TemporaryDirectory() as scratch:
        corpus, embeddings = planted_corpus(Path(scratch), bench.pick(20_000, 600))
        config = SaeConfig(DIM, bench.pick(512, 48), 8, variant="matryoshka")
        for device in ("cpu", str(bench.device)):
            training = TrainingConfig(
                n_epochs=bench.pick(20, 4), batch_size=bench.pick(1024, 64), device=device
            )
            folder = Path(scratch) / f"on-{device.replace(':', '-')}-{len(explained)}"
            metrics = train(embeddings, corpus, config, training, folder)
            explained.append(metrics["held-out"]["explained_variance"])
    detail = (
        f"held-out explained variance {explained[0]:.4f} on the processor, {explained[1]:.4f} on the device"
    )
    gap = abs(explained[1] - explained[0])
    return Row("a whole training", "the processor", gap, 0.01, detail, unit="", is_limit=True)


def planted_corpus(folder: Path, n_clips: int) -> tuple[Corpus, Embeddings]:
    """Planted clips without recordings, as a corpus and its embeddings in memory."""
    _, clips = plant(n_clips, dim=DIM)
    names = [f"clip-{row}" for row in range(n_clips)]
    front = pd.DataFrame(
        {"clip_id": names, "audio_path": names, "start_s": 0.0, "duration_s": 1.0, "audio_channel": 0}
    )
    corpus = Corpus(pd.concat([front, clips.table], axis=1), folder)
    return corpus, Embeddings.make(clips.vectors, embedder="planted", revision="0", sample_rate_hz=16_000)
