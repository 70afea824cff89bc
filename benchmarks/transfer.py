"""Do named latents travel? SAEs trained on some sources, their latents applied unchanged to sources they never saw.

    python -m benchmarks.transfer [--workspace assets/demo] [--leave-out asterisk-] [--embedder whisper …]

Clips whose `source` begins with one of `--leave-out` are kept from training, from the choice of latents and from their
thresholds. Of the other clips, for each attribute value, the latent that is best on the selection speakers is taken
from a small grid of SAEs, with the threshold chosen there. The table shows what it detects on held-out speakers of the
sources it was trained on, and on the sources left out: AUROC, and F1 at that threshold.

By default the telephone prompts are left out: other speakers, another channel, another way of speaking.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

GRID = {"n_latents": (256, 1024), "ks": (16, 32)}
N_EPOCHS = 60
FEWEST = 20
"""Clips with a value, and without it, that a number is given for."""


def main() -> None:
    """Train, apply and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, default=Path("assets/demo"))
    parser.add_argument("--leave-out", nargs="+", default=["asterisk-"], metavar="SOURCE")
    parser.add_argument("--embedder", nargs="+", default=["whisper", "ge2e", "campplus"])
    options = parser.parse_args()
    from sae_core.corpus.clips import Corpus

    corpus = Corpus.load(options.workspace)
    is_out = corpus.table["source"].astype(str).str.startswith(tuple(options.leave_out)).to_numpy()
    n_speakers = corpus.table["speaker_id"][is_out].nunique()
    print(f"{is_out.sum():,} of {len(corpus):,} clips left out, by {n_speakers} speakers")
    for embedder in options.embedder:
        with tempfile.TemporaryDirectory() as scratch:
            table = pd.DataFrame(transfer(options.workspace, Path(scratch) / "w", embedder, is_out))
        print(
            f"\n{embedder}\n{table.to_string(index=False, float_format=lambda number: f'{number:.2f}')}",
            flush=True,
        )


def transfer(source: Path, folder: Path, embedder: str, is_out: np.ndarray) -> Iterator[dict[str, object]]:
    """A line for each value that both parts of the corpus have."""
    from sae_core.build.sweep import SweepGrid, best_of_each, run_sweep
    from sae_core.corpus.clips import Corpus
    from sae_core.embedding.embeddings import load_embeddings
    from sae_core.sae.model import SparseAutoencoder
    from sae_core.sae.training import TrainingConfig

    corpus = Corpus.load(source)
    embeddings = load_embeddings(source, corpus, embedder)
    write_part(corpus, embeddings, folder, ~is_out)
    table = run_sweep(folder, SweepGrid(**GRID), TrainingConfig(n_epochs=N_EPOCHS), embedder=embedder).table
    left_out = np.asarray(embeddings.vectors)[is_out]
    codes = {
        name: SparseAutoencoder.load(folder / "saes" / name).encode(left_out) for name in set(table["sae"])
    }
    for _, best in best_of_each(table).iterrows():
        has_it = corpus.has_value(best["attribute"], best["value"])[is_out]
        if min(has_it.sum(), (~has_it).sum()) < FEWEST:
            continue
        found = codes[best["sae"]]
        scores = np.where(found.latents == best["latent"], found.activations, 0).max(axis=1)
        yield {
            "value": f"{best['attribute']} {best['value']}",
            "latent": f"{best['sae']} #{best['latent']}",
            "confirmed": bool(best["is_confirmed"]),
            "F1 held-out": best["f1"],
            **applied(scores, has_it, float(best["threshold"])),
        }


def write_part(corpus: object, embeddings: object, folder: Path, keeps: np.ndarray) -> None:
    """A workspace of some of the clips with their vectors."""
    from sae_core.corpus.clips import Corpus
    from sae_core.embedding.embeddings import Embeddings

    assert isinstance(corpus, Corpus) and isinstance(embeddings, Embeddings)
    folder.mkdir(parents=True)
    part = Corpus(corpus.table[keeps].reset_index(drop=True), corpus.audio_root, corpus.attributes)
    part.save(folder)
    part = Corpus.load(folder)
    made = Embeddings.make(
        np.asarray(embeddings.vectors)[keeps],
        embedder=embeddings.embedder,
        revision=embeddings.revision,
        sample_rate_hz=embeddings.sample_rate_hz,
    )
    made.save(folder / "embeddings" / embeddings.name, parents={"audio": part.audio_fingerprint})


def applied(scores: np.ndarray, has_it: np.ndarray, threshold: float) -> dict[str, object]:
    """AUROC, and F1 at a threshold from elsewhere."""
    from sklearn.metrics import f1_score, roc_auc_score

    return {
        "clips": int(has_it.sum()),
        "AUROC left out": float(roc_auc_score(has_it, scores)),
        "F1 left out": float(f1_score(has_it, scores > threshold)),
        "base rate": float(has_it.mean()),
    }


if __name__ == "__main__":
    main()
