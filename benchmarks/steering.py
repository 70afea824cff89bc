"""Steering: one slider move over 1,000,000 pairs, against decoding every clip again.

Random embeddings, codes and decoder directions; four latents are set, scaled or ablated in every clip. The closed form
is what the Steering page uses. Decoding again is what it replaces: change the codes, decode all clips, add the
reconstruction error back, take the cosines of all pairs.
"""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.rows import Row, in_turns
from sae_core.measures.steering import Change, Steering
from sae_core.measures.verification import Trials, cosine_scores
from sae_core.sae.codes import SparseCodes
from sae_core.sae.model import SaeConfig, SparseAutoencoder

N_PAIRS, N_CLIPS, N_QUICK = 1_000_000, 20_000, 50_000
STEERED = (0, 1, 2, 3)
N_LATENTS, K, DIM = 1024, 32, 256
N_MOVES = 5
"""A drag moves a slider again and again: what one move leaves in the caches, the next one finds there."""
MODES = ("ablate", "scale", "set")


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Prepare once, move the sliders again and again."""
    n_pairs = N_QUICK if is_quick else N_PAIRS
    model, vectors, codes, trials = plant(N_CLIPS, n_pairs)
    steps = (model.W_dec * model.scale).detach().numpy()
    started = time.perf_counter()
    steering = Steering.prepare(vectors, steps, codes, STEERED)
    scores = cosine_scores(vectors, trials)
    prepared_s = time.perf_counter() - started
    changes = [Change(latent, MODES[latent % len(MODES)], 0.5 * latent) for latent in STEERED]  # type: ignore[arg-type]
    error, found = vectors - model.decode(codes), dict[str, np.ndarray]()

    def closed_form() -> None:
        for _ in range(N_MOVES):
            found["closed"] = steering.similarities(scores, trials, steering.deltas(changes))

    def decoded_again() -> None:
        found["decoded"] = cosine_scores(decode_again(model, codes, changes) + error, trials)

    took = in_turns({"closed": closed_form, "decoded": decoded_again}, 5 if is_quick else 15)
    move_s = took["closed"] / N_MOVES
    gap = float(np.abs(found["closed"] - found["decoded"]).max())
    name = f"steering {n_pairs:,} pairs × {len(STEERED)} latents"
    detail = (
        f"{1e3 * move_s:.1f} ms a move in drags of {N_MOVES}, decoding again {1e3 * took['decoded']:.0f} ms; "
        f"{N_CLIPS:,} clips, prepared once in {1e3 * prepared_s:.0f} ms; equal to {gap:.0e}"
    )
    yield Row(name, "decoding all clips, all cosines again", took["decoded"] / move_s, 50, detail)
    yield Row(name, "30 ms", 1e3 * move_s, 30, "the same", unit="ms", is_limit=True)


def plant(n_clips: int, n_pairs: int) -> tuple[SparseAutoencoder, np.ndarray, SparseCodes, Trials]:
    """Random unit embeddings, an untrained SAE, its codes of them, and random pairs."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((n_clips, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = SparseAutoencoder.untrained(SaeConfig(DIM, N_LATENTS, K), vectors.mean(axis=0), 1 / DIM**0.5)
    pairs = random.integers(n_clips, size=(2, n_pairs))
    trials = Trials(pairs[0], pairs[1], np.arange(n_pairs) % 2 == 0)
    return model, vectors, model.encode(vectors), trials


def decode_again(model: SparseAutoencoder, codes: SparseCodes, changes: list[Change]) -> np.ndarray:
    """The steered embeddings without their reconstruction error: all codes changed and decoded."""
    activations = np.where(
        np.isin(codes.latents, [change.latent for change in changes]), 0, codes.activations
    ).astype(np.float32)
    columns = []
    for change in changes:
        before = np.where(codes.latents == change.latent, codes.activations, 0).max(axis=1)
        columns.append(change.apply(before.astype(np.float32)))
    latents = np.broadcast_to(
        np.array([change.latent for change in changes], np.int32), (len(codes), len(changes))
    )
    steered = SparseCodes(
        np.hstack([codes.latents, latents]).astype(np.int32),
        np.hstack([activations, np.stack(columns, axis=1)]).astype(np.float32),
        codes.n_latents,
    )
    return model.decode(steered)
