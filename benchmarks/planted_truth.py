"""Does training find planted directions again, and is the planted corpus shaped like real speaker embeddings?

    python -m benchmarks.planted_truth [--clips 20000] [--latents 512] [--k 10] [--epochs N] [--seeds 0,1,2]

For each seed: geometry of the corpus, then a TopK and a nested SAE trained on its train split with the usual settings.
MMCS is the mean over true directions of the highest cosine with a decoder direction; "found" is the share of true
directions with such a cosine above 0.9; chance is what as many random directions reach.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sae_core.corpus.clips import Corpus
from sae_core.demo.planted import EMBEDDER, PlantedTruth, write_synthetic_workspace
from sae_core.embedding.embeddings import Embeddings
from sae_core.sae.model import SaeConfig, SparseAutoencoder
from sae_core.sae.quality import effective_rank, gamma, mean_max_cosine, mean_pairwise_cosine
from sae_core.sae.training import TrainingConfig, train

COLUMNS = "seed  SAE                       seconds  EV train  EV held-out   dead   MMCS  found  chance"


def main() -> None:
    """Plant, train, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--k", type=int, default=10, help="clips are made of ten directions each")
    parser.add_argument(
        "--epochs", type=int, help="passes over the training clips (by default, what suits them)"
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for seed in (int(seed) for seed in options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), options, seed)


def compare(folder: Path, options: argparse.Namespace, seed: int) -> None:
    """Print one seed's corpus and its two SAEs."""
    truth = write_synthetic_workspace(folder, n_clips=options.clips, seed=seed)
    corpus = Corpus.load(folder)
    embeddings = Embeddings.load(folder / "embeddings" / EMBEDDER, remedy="run again")
    first = embeddings.vectors[:500]
    print(
        f"corpus {seed}: {len(corpus)} clips, effective rank of 500 {effective_rank(first):.1f}, "
        f"mean pairwise cosine {mean_pairwise_cosine(first):.3f}, gamma {gamma(embeddings.vectors):.2f}"
    )
    print(COLUMNS)
    for config in (
        SaeConfig(embeddings.dim, options.latents, options.k, seed=seed),
        SaeConfig(embeddings.dim, options.latents, options.k, "matryoshka", seed=seed),
    ):
        started_s = time.perf_counter()
        metrics = train(
            embeddings, corpus, config, TrainingConfig(n_epochs=options.epochs), folder / config.name
        )
        took_s = time.perf_counter() - started_s
        found, chance = recovery(truth, folder / config.name)
        print(
            f"{seed:4}  {config.name:24} {took_s:8.1f}  {metrics['train']['explained_variance']:8.3f}  "
            f"{metrics['held-out']['explained_variance']:11.3f}  {metrics['held-out']['dead_fraction']:5.3f}  "
            f"{found.mean():5.3f}  {(found > 0.9).mean():5.3f}  {chance:6.3f}",
            flush=True,
        )


def recovery(truth: PlantedTruth, folder: Path) -> tuple[np.ndarray, float]:
    """Return each true direction's best cosine with a decoder direction, and the mean of it for random directions."""
    directions = SparseAutoencoder.load(folder).decoder_directions()
    random = np.random.default_rng(12345).standard_normal(directions.shape).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return (truth.directions @ directions.T).max(1), mean_max_cosine(truth.directions, random)


if __name__ == "__main__":
    main()
