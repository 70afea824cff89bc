"""Memory: it does not grow from step to step, and where it ends, the error names the batch to lower."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.answers import MOST_COSINE_GAP, planted_corpus
from benchmarks.gpu.clips import (
    DIM,
    SAMPLE_RATE_HZ,
    K,
    declare_dead,
    largest_gap,
    new_fit,
    random_inputs,
    sounds,
)
from benchmarks.gpu.device import Bench
from benchmarks.gpu.titanet_shape import LARGE, SMALL, random_titanet
from benchmarks.rows import Row
from sae_core.embedding.device_memory import embed_within_memory
from sae_core.files.errors import DeviceMemoryError
from sae_core.sae.batches import TrainingInputs, shuffled_batches
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig, train

MOST_GROWTH_MB = {"cuda": 1.0, "cpu": 64.0}
"""On a processor the whole process is looked at, whose allocator keeps what it likes."""


def measure(bench: Bench) -> Iterator[Row]:
    """Growth of three kinds of work; on a GPU then three errors under a tight limit."""
    yield growth(bench, "training steps, from the file", *steps_from_the_file(bench))
    yield growth(bench, "encoding", *encoding(bench))
    yield growth(bench, "embedding by TitaNet's shape", *embedding(bench))
    if bench.is_gpu:
        yield from errors(bench)


def growth(bench: Bench, what: str, work: Callable[[], object], n: int) -> Row:
    """How far memory grows over n more runs, once a few have been."""
    for _ in range(3):
        work()
    before = bench.held_bytes()
    for _ in range(n):
        work()
    grown_mb = (bench.held_bytes() - before) / 1e6
    limit = MOST_GROWTH_MB["cuda" if bench.is_gpu else "cpu"]
    detail = f"over {n} more runs; {before / 1e6:.0f} MB held before"
    return Row(f"growth of memory, {what}", "", grown_mb, limit, detail, unit="MB", is_limit=True)


def steps_from_the_file(bench: Bench) -> tuple[Callable[[], object], int]:
    """Batches that are read anew each time, as of a corpus larger than memory, and steps on them."""
    vectors = random_inputs(bench.pick(50_000, 1000), torch.device("cpu")).numpy()
    inputs = TrainingInputs(vectors, np.arange(len(vectors)), device=bench.device, max_bytes=0)
    fit = new_fit(SaeConfig(DIM, bench.pick(8192, 256), K, variant="matryoshka"), bench.device)
    batches = shuffled_batches(len(vectors), bench.pick(4096, 128), seed=0)

    def work() -> None:
        declare_dead(fit, fit.sae.config.n_latents // 8)
        fit.step(inputs.draw(next(batches)))

    return work, bench.pick(200, 20)


def encoding(bench: Bench) -> tuple[Callable[[], object], int]:
    """Passes over the same clips."""
    fit = new_fit(SaeConfig(DIM, bench.pick(8192, 256), K), bench.device)
    vectors = random_inputs(bench.pick(50_000, 500), torch.device("cpu")).numpy()
    return lambda: sum(len(codes) for codes in fit.sae.encode_in_pieces(vectors)), bench.pick(10, 5)


def embedding(bench: Bench) -> tuple[Callable[[], object], int]:
    """The same batch of sounds again and again."""
    embedder = random_titanet(SMALL if bench.is_quick else LARGE, bench.device)
    batch = sounds([bench.pick(5, 1)] * bench.pick(16, 2))
    return lambda: embedder.embed(*batch), bench.pick(10, 5)


def errors(bench: Bench) -> Iterator[Row]:
    """With a small part of the card left to this process: training, encoding, embedding."""
    with limited(bench, 0.5e9):
        yield named("training", lambda: train_too_much(bench), "--batch 32768")
        yield named("encoding", lambda: encode_too_much(bench), "batch_size=32768")
    with limited(bench, 1.2e9):
        yield embedded_by_halves(bench)


@contextmanager
def limited(bench: Bench, n_bytes: float) -> Iterator[None]:
    """Let tensors take no more than so many bytes beyond what they hold."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(bench.device).total_memory
    allowed = torch.cuda.memory_reserved(bench.device) + n_bytes
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), bench.device)
    try:
        yield
    finally:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


def named(what: str, work: Callable[[], object], remedy: str) -> Row:
    """Whether running out of memory ends in an error that says what to lower to."""
    try:
        work()
        said = "nothing: it fitted"
    except DeviceMemoryError as error:
        said = str(error)
    finally:
        torch.cuda.empty_cache()
    return Row(f"out of memory in {what}: the batch is named", "", int(remedy in said), 1, said, unit="")


def train_too_much(bench: Bench) -> None:
    """65,536 clips at 32,768 latents in half a gigabyte."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus, embeddings = planted_corpus(Path(scratch), 120_000)
        training = TrainingConfig(n_epochs=1, batch_size=65_536, device=str(bench.device))
        train(embeddings, corpus, SaeConfig(DIM, 32_768, K), training, Path(scratch) / "sae")


def encode_too_much(bench: Bench) -> None:
    """The same size."""
    fit = new_fit(SaeConfig(DIM, 32_768, K), bench.device)
    fit.sae.encode(random_inputs(65_536, torch.device("cpu")).numpy(), batch_size=65_536)


def embedded_by_halves(bench: Bench) -> Row:
    """More sound than fits at once goes through by parts, and gives the vectors of each clip alone."""
    embedder = random_titanet(LARGE, bench.device)
    padded, lengths = sounds([6.0] * 128)
    waveforms = [row[:n].numpy() for row, n in zip(padded, lengths.tolist(), strict=True)]
    sizes = []

    class Counted:
        name, revision, dim = embedder.name, embedder.revision, embedder.dim
        sample_rate_hz, min_duration_s = SAMPLE_RATE_HZ, embedder.min_duration_s

        def embed(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            sizes.append(len(waveforms))
            return embedder.embed(waveforms, lengths)

    found = embed_within_memory(Counted(), waveforms)
    alone = torch.cat([embedder.embed(padded[row : row + 1], lengths[row : row + 1]) for row in (0, 64, 127)])
    gap = largest_gap(torch.from_numpy(found[[0, 64, 127]]), alone)
    detail = f"batches tried: {', '.join(map(str, sizes[:12]))}, …; 1 − the smallest cosine with clips alone"
    assert sizes[0] == 128 and len(sizes) > 2, "all of it fitted at once"
    return Row(
        "out of memory in embedding: by halves", "", gap, MOST_COSINE_GAP, detail, unit="", is_limit=True
    )
