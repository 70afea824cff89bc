"""How fast is one slider move, and how exact, against decoding every clip again?

    python -m benchmarks.steering [--pairs 1000000] [--clips 20000] [--latents 4] [--tries 30] [--threads 2]

Random embeddings, codes and decoder directions; `--latents` of them are set, scaled or ablated in every clip. The
closed form is what the Steering page uses. Decoding again is what it replaces: change the codes, decode all clips, add
the reconstruction error back, take the cosines of all pairs.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from sae_core.feature_index import FeatureIndex
from sae_core.sae import SaeConfig, SparseAutoencoder
from sae_core.sparse_codes import SparseCodes
from sae_core.steering import Change, Steering
from sae_core.verification import Trials, cosine_scores

N_LATENTS, K, DIM = 1024, 32, 256
MODES = ("ablate", "scale", "set")


def main() -> None:
    """Prepare once, move the sliders again and again, print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--latents", type=int, default=4)
    parser.add_argument("--tries", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, vectors, codes, trials = plant(options.clips, options.pairs)
    latents = tuple(range(options.latents))
    steps = (model.W_dec * model.scale).detach().numpy()
    started_s = time.perf_counter()
    steering = Steering.prepare(vectors, steps, FeatureIndex.build(codes), latents)
    scores = cosine_scores(vectors, trials)
    print(f"prepared once in {1e3 * (time.perf_counter() - started_s):.0f} ms")
    changes = [Change(latent, MODES[latent % len(MODES)], 0.5 * latent) for latent in latents]  # type: ignore[arg-type]

    def closed_form() -> np.ndarray:
        return steering.similarities(scores, trials, steering.deltas(changes))

    def decoded_again() -> np.ndarray:
        return cosine_scores(decode_again(model, vectors, codes, changes), trials)

    fast, exact = clock(closed_form, options.tries), clock(decoded_again, max(2, options.tries // 10))
    gap = np.abs(closed_form() - decoded_again()).max()
    print(f"{options.pairs:,} pairs of {options.clips:,} clips, {options.latents} latents")
    print(f"closed form     median {fast[0]:8.1f} ms, best {fast[1]:8.1f} ms, processor {fast[2]:8.1f} ms")
    print(f"decoded again   median {exact[0]:8.1f} ms, best {exact[1]:8.1f} ms, processor {exact[2]:8.1f} ms")
    print(f"{exact[0] / fast[0]:.0f} times as fast, largest difference {gap:.1e}")


def plant(n_clips: int, n_pairs: int) -> tuple[SparseAutoencoder, np.ndarray, SparseCodes, Trials]:
    """Random unit embeddings, an untrained SAE, its codes of them, and random pairs."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((n_clips, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = SparseAutoencoder.untrained(SaeConfig(DIM, N_LATENTS, K), vectors.mean(axis=0), 1 / DIM**0.5)
    pairs = random.integers(n_clips, size=(2, n_pairs))
    trials = Trials(pairs[0], pairs[1], np.arange(n_pairs) % 2 == 0)
    return model, vectors, model.encode(vectors), trials


def decode_again(
    model: SparseAutoencoder, vectors: np.ndarray, codes: SparseCodes, changes: list[Change]
) -> np.ndarray:
    """The steered embeddings: all codes changed and decoded, the reconstruction error added back."""
    error = vectors - model.decode(codes)
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
    return model.decode(steered) + error


def clock(run: Callable[[], np.ndarray], n_tries: int) -> tuple[float, float, float]:
    """Median and best wall time, and median processor time over all threads, in ms."""
    run()
    walls_ms, processor_ms = [], []
    for _ in range(n_tries):
        wall_s, processor_s = time.perf_counter(), time.process_time()
        run()
        walls_ms.append(1e3 * (time.perf_counter() - wall_s))
        processor_ms.append(1e3 * (time.process_time() - processor_s))
    return float(np.median(walls_ms)), min(walls_ms), float(np.median(processor_ms))


if __name__ == "__main__":
    main()
