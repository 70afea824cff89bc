"""Recipes: rows a second in memory and from file to file, beside encoding, changing and decoding with PyTorch."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, in_turns
from sae_core.build.steered_files import steer_file
from sae_core.measures.recipes import EncoderMark, Recipe
from sae_core.measures.steering import Change
from sae_core.sae.config import SaeConfig
from sae_core.sae.model import SparseAutoencoder

DIM, N_AXES = 192, 24
SIZES = ((64, 8, 1), (256, 16, 1), (1024, 32, 1), (1024, 32, 6))
TARGET_ROWS_A_S = 1_000_000


def measure(*, is_quick: bool) -> Iterator[Row]:
    """A row for each size in memory, and one for files."""
    n = 50_000 if is_quick else 1_000_000
    vectors = plant(n)
    for n_latents, k, n_changed in SIZES:
        recipe, model = trained_like(vectors, n_latents, k, n_changed)

        def plainly(model: SparseAutoencoder = model, recipe: Recipe = recipe) -> None:
            codes = model.encode(vectors)
            delta = codes.activations_of(tuple(range(len(recipe.changes)))) * (recipe.factors - 1)
            moved = vectors + delta @ recipe.directions
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)

        took = in_turns({"recipe": lambda r=recipe: _done(r.apply(vectors)), "plain": plainly}, 3)
        rate = n / took["recipe"]
        active = recipe._activations(vectors[:4096], np.ones(4096, np.float32)) > 0
        silent = 1 - float(active.any(axis=1).mean())
        began = time.process_time()
        recipe.apply(vectors)
        cpu_s = time.process_time() - began
        name = f"recipe of {n_changed} of {n_latents} latents, k {k}, {n:,} rows"
        detail = (
            f"{n / cpu_s:,.0f} rows a second of processor time; changed latents silent on {silent:.0%} of rows; "
            f"encoding all and changing: {n / took['plain']:,.0f} rows/s"
        )
        yield Row(name, f"{TARGET_ROWS_A_S:,} rows/s", rate, TARGET_ROWS_A_S, detail, unit="rows/s")
    recipe, _ = trained_like(vectors, 64, 8, 1)
    with tempfile.TemporaryDirectory() as scratch:
        source, ids = Path(scratch) / "v.npy", Path(scratch) / "ids.txt"
        np.save(source, vectors)
        ids.write_text("".join(f"clip{number}\n" for number in range(n)), "utf-8")

        def from_file(suffix: str) -> None:
            steer_file(recipe, source, Path(scratch) / f"out{suffix}", ids=ids, encoder="planted")

        took = in_turns({suffix: lambda s=suffix: from_file(s) for suffix in (".npy", ".parquet")}, 2)
    for suffix, seconds in took.items():
        name = f"steer .npy to {suffix}, 1 of 64 latents, {n:,} rows"
        yield Row(
            name,
            f"{TARGET_ROWS_A_S:,} rows/s",
            n / seconds,
            TARGET_ROWS_A_S,
            f"{seconds:.1f} s",
            unit="rows/s",
        )


def _done(_: object) -> None:
    """Nothing: a run that returns None is timed from outside."""


def plant(n: int) -> np.ndarray:
    """Unit embeddings that lie mainly along a few axes, as an encoder's do."""
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((N_AXES, DIM), dtype=np.float32)
    rows = rng.standard_normal((n, N_AXES), dtype=np.float32) @ axes
    rows += rng.standard_normal((n, DIM), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def trained_like(
    vectors: np.ndarray, n_latents: int, k: int, n_changed: int
) -> tuple[Recipe, SparseAutoencoder]:
    """A recipe that ablates latents of an SAE with random directions and the bias of a trained one: a latent is
    positive on a tenth of the clips."""
    config = SaeConfig(DIM, n_latents, k)
    model = SparseAutoencoder.untrained(config, vectors[:10_000].mean(axis=0), 1 / DIM**0.5)
    weight, _ = (part.numpy() for part in model.plain_encoder())
    bias = -np.quantile(vectors[:4_000] @ weight.T, 0.9, axis=0).astype(np.float32)
    model.b_enc.data += torch.from_numpy(bias) - model.plain_encoder()[1]
    weight, bias = (part.numpy().astype(np.float32) for part in model.plain_encoder())
    steps = (model.W_dec * model.scale).detach().numpy()[:n_changed]
    mark = EncoderMark.of(vectors[:5_000], name="planted", revision="1")
    changes = tuple(Change(latent, "ablate") for latent in range(n_changed))
    return Recipe(mark, changes, weight, bias, steps, np.zeros(n_latents, np.float32), k), model
