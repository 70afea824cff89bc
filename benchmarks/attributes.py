"""Attribute statistics: 8192 latents × 20 values of 1,000,000 clips, against scikit-learn latent by latent."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from benchmarks.index import N_LATENTS, plant_codes
from benchmarks.rows import Row, in_turns
from sae_core.corpus.clips import SPLITS, Corpus, attribute_columns
from sae_core.measures.attributes import AttributeTarget, attribute_targets, measure_attributes, questions_of
from sae_core.measures.threshold_measures import measure_latents
from sae_core.sae.feature_index import FeatureIndex

N_CLIPS, N_QUICK = 1_000_000, 50_000
N_SPEAKERS = 10_000
N_SAMPLED = 3
VALUES = {"language": 8, "accent": 5, "age": 5, "gender": 2}


def measure(*, is_quick: bool) -> Iterator[Row]:
    """The whole of ours, intervals included; a sample of scikit-learn's latents, and how far the two are apart."""
    corpus = plant_corpus(N_QUICK if is_quick else N_CLIPS)
    is_valid = np.ones(len(corpus), dtype=bool)
    index = FeatureIndex.build(plant_codes(len(corpus)))
    sampled = np.random.default_rng(0).choice(N_LATENTS, 1 if is_quick else N_SAMPLED, replace=False).tolist()
    targets = attribute_targets(corpus, is_valid)
    theirs: list[np.ndarray] = []
    runs = {
        "ours": lambda: void(measure_attributes(corpus, index, is_valid)),
        "sklearn": lambda: theirs.append(np.stack([measure_plainly(index, one, targets) for one in sampled])),
    }
    took = in_turns(runs, 1 if is_quick else 2, is_warmed=False)
    whole_s = took["sklearn"] * N_LATENTS / len(sampled)
    name = f"statistics of {N_LATENTS} latents × {len(targets)} values, {len(corpus):,} clips"
    yield Row(
        name,
        "scikit-learn, latent by latent",
        whole_s / took["ours"],
        200,
        f"{took['ours']:.1f} s with intervals over speakers; scikit-learn {took['sklearn'] / len(sampled):.1f} s a "
        f"latent without, timed on {len(sampled)} latents and extrapolated to {whole_s / 3600:.1f} h; one thread each",
    )
    ours = np.stack([measure_ours(index, one, targets) for one in sampled])
    yield Row(
        name,
        "scikit-learn on the sample",
        float(np.abs(ours - theirs[0]).max()),
        1e-9,
        "largest difference of precision, recall, F1, MCC, AUROC, average precision and the best F1 on selection",
        unit="",
        is_limit=True,
    )


def void(_: object) -> None:
    """Nothing: the clock of `in_turns` is to count."""


def plant_corpus(n_clips: int) -> Corpus:
    """Clips whose speakers have one value of each attribute; splits by speaker."""
    random = np.random.default_rng(3)
    n_speakers = min(N_SPEAKERS, n_clips // 20)
    speaker = random.integers(0, n_speakers, n_clips)
    split = random.choice(SPLITS, n_speakers, p=(0.6, 0.2, 0.2))
    table = pd.DataFrame(
        {
            "clip_id": np.char.add("c", np.arange(n_clips).astype(str)),
            "audio_path": "clip.wav",
            "start_s": 0.0,
            "duration_s": 4.0,
            "audio_channel": -1,
            "speaker_id": np.char.add("s", speaker.astype(str)),
            "split": split[speaker],
        }
    )
    for attribute, n_values in VALUES.items():
        table[attribute] = np.char.add(attribute[:2], random.integers(0, n_values, n_speakers).astype(str))[
            speaker
        ]
    return Corpus(table, Path("."), attribute_columns(table))


def measure_plainly(index: FeatureIndex, latent: int, targets: list[AttributeTarget]) -> np.ndarray:
    """One latent by scikit-learn on its dense activations: a line a value of selection F1 and the reported measures."""
    warnings.simplefilter("ignore")
    rows, activations = index.postings(latent)
    dense = np.zeros(len(targets[0].is_positive), dtype=np.float32)
    dense[rows] = activations
    lines = []
    for target in targets:
        truth, scores = target.is_positive[target.is_selection], dense[target.is_selection]
        precision, recall, levels = precision_recall_curve(truth, scores)
        f1 = 2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-12)
        # silent clips are never told
        f1[levels <= 0] = 0
        best = np.flatnonzero(f1 >= f1.max() - 1e-12)[-1]
        is_told = dense[target.is_reported] >= levels[best]
        truth, scores = target.is_positive[target.is_reported], dense[target.is_reported]
        if f1.max() == 0:
            is_told = scores > 0
        lines.append(
            [
                f1[best],
                precision_score(truth, is_told, zero_division=0),
                recall_score(truth, is_told),
                f1_score(truth, is_told),
                matthews_corrcoef(truth, is_told),
                roc_auc_score(truth, scores),
                average_precision_score(truth, scores),
            ]
        )
    return np.array(lines)


def measure_ours(index: FeatureIndex, latent: int, targets: list[AttributeTarget]) -> np.ndarray:
    """The same of ours, before it is stored as float32."""
    names = ("selection_f1", "precision", "recall", "f1", "mcc", "auroc", "average_precision")
    lines = np.zeros((len(targets), len(names)))
    for columns, selection, reported in questions_of(targets):
        found = measure_latents(index, range(latent, latent + 1), selection, reported)
        lines[columns] = np.stack([found[name][0] for name in names], axis=1)
    return lines
