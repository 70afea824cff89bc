"""How well a linear probe on the raw embedding detects each attribute value: the ceiling for a single latent."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64

from sae_core.corpus.clips import Corpus
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_table, write_table
from sae_core.files.contents import numbers, text
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import UNSEEN_SPEAKERS, AttributeTarget, attribute_targets
from sae_core.measures.intervals import SpeakerCounts, auroc_bounds, bounds, draw_speakers

MAX_CLIPS = 20_000
PROBE_MEASURES = ("precision", "recall", "f1", "auroc")
COLUMNS = (
    "attribute",
    "value",
    "evidence",
    *(f"{name}{part}" for name in PROBE_MEASURES for part in ("", "_low", "_high")),
)
_KINDS = {name: text() if name in COLUMNS[:3] else numbers(may_lack=True) for name in COLUMNS}


def probe_attributes(
    corpus: Corpus, embeddings: Embeddings, folder: Path, *, progress: Progress = ignore
) -> pd.DataFrame:
    """Return logistic regression's precision, recall, F1 and AUROC with 95 % bounds (speakers resampled) for each
    attribute value, kept in `folder`.

    On unseen speakers the probe is fitted on the train split, its threshold chosen on selection, its numbers reported
    on held-out; on seen speakers it is fitted and chosen on one half of the clips and reported on the other.
    """
    kept = read_probes(corpus, embeddings, folder)
    if kept is not None:
        return kept
    targets = attribute_targets(corpus, embeddings.is_valid)
    is_train = embeddings.is_valid & (corpus.table["split"] == "train").to_numpy()
    lines = []
    for number, target in enumerate(targets):
        about = {"attribute": target.attribute, "value": target.value, "evidence": target.evidence}
        lines.append({**about, **_probe(corpus, embeddings, target, is_train)})
        progress(number + 1, len(targets), f"linear probe: {target.attribute} = {target.value}")
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    parents = _parents(corpus, embeddings)
    write_table(folder / "probes.parquet", table)
    ArtifactMeta("probes", fingerprint(parents, list(COLUMNS)), parents).write(
        folder / "probes.json", files=("probes.parquet",)
    )
    return table


def read_probes(corpus: Corpus, embeddings: Embeddings, folder: Path) -> pd.DataFrame | None:
    """The probes kept in `folder`, or None where there are none for these embeddings and labels."""
    try:
        meta = ArtifactMeta.read(folder / "probes.json", kind="probes", remedy="")
        if meta.parents != _parents(corpus, embeddings):
            return None
        meta.check_files(folder, remedy="")
        return read_table(folder / "probes.parquet", columns=_KINDS)
    except ArtifactError:
        return None


def _parents(corpus: Corpus, embeddings: Embeddings) -> dict[str, str]:
    return {"embeddings": embeddings.fingerprint, "labels": corpus.labels_fingerprint}


def _probe(
    corpus: Corpus, embeddings: Embeddings, target: AttributeTarget, is_train: np.ndarray
) -> dict[str, float | None]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    is_fitted = is_train if target.evidence == UNSEEN_SPEAKERS else target.is_selection
    fitted = _thin(np.flatnonzero(is_fitted))
    chosen, reported = np.flatnonzero(target.is_selection), np.flatnonzero(target.is_reported)
    truth = target.is_positive
    if len(np.unique(truth[fitted])) < 2:
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "auroc": 0.5}
    model = LogisticRegression(max_iter=300, class_weight="balanced", C=10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(embeddings.vectors[fitted], truth[fitted])
    threshold = best_threshold(model.decision_function(embeddings.vectors[chosen]), truth[chosen])
    scores = model.decision_function(embeddings.vectors[reported])
    return _measure(scores, scores > threshold, truth[reported], corpus.speaker_groups[reported])


def _measure(
    scores: Float[np.ndarray, " m"],
    predicted: Bool[np.ndarray, " m"],
    positive: Bool[np.ndarray, " m"],
    speaker_groups: Int64[np.ndarray, " m"],
) -> dict[str, float | None]:
    """The measures of one probe on the reported clips, each with its bounds."""
    from sklearn.metrics import roc_auc_score

    found = measure_predictions(predicted, positive, speaker_groups)
    found["auroc"] = float(roc_auc_score(positive, scores))
    edges = auroc_bounds(scores, positive, speaker_groups)
    if edges is not None:
        found["auroc_low"], found["auroc_high"] = edges
    return found


def measure_predictions(
    predicted: Bool[np.ndarray, " m"],
    positive: Bool[np.ndarray, " m"],
    speaker_groups: Int64[np.ndarray, " m"],
) -> dict[str, float | None]:
    """Return precision, recall and F1 of clips predicted positive, each with `_low` and `_high`, its 95 % bounds with
    speakers resampled; without bounds where there is one speaker only, or no positive clip."""
    speakers = SpeakerCounts.over(speaker_groups, np.ones(len(predicted), dtype=bool))
    tables = [np.flatnonzero(mask) for mask in (predicted & positive, predicted, positive)]
    counts = speakers.count(tables).T.toarray()
    draws = draw_speakers(speakers.n_speakers, seed=0) @ counts
    draws = draws[draws[:, 2] > 0]
    names = ("precision", "recall", "f1")
    found: dict[str, float | None] = dict(
        zip(names, _precision_recall_f1(counts.sum(axis=0)[None])[0].tolist(), strict=True)
    )
    if speakers.n_speakers > 1 and len(draws):
        for name, (low, high) in zip(names, bounds(_precision_recall_f1(draws)).tolist(), strict=True):
            found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _precision_recall_f1(counts: Float64[np.ndarray, "B 3"]) -> Float64[np.ndarray, "B 3"]:
    """Precision, recall and F1 from counts of hits, predicted positive and positive clips."""
    hit, predicted, positive = counts.T
    shares = (
        hit / np.maximum(predicted, 1),
        hit / np.maximum(positive, 1),
        2 * hit / np.maximum(predicted + positive, 1),
    )
    return np.stack(shares, axis=1)


def _thin(rows: np.ndarray) -> np.ndarray:
    """At most `MAX_CLIPS` of the rows, evenly spread: a probe of a few hundred numbers needs no more."""
    return rows if len(rows) <= MAX_CLIPS else rows[np.linspace(0, len(rows) - 1, MAX_CLIPS).astype(np.int64)]


def best_threshold(scores: Float[np.ndarray, " m"], truth: np.ndarray) -> float:
    """Return the level above which F1 is highest, halfway between two scores."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + max(int(truth.sum()), 1))
    place = int(np.argmax(f1))
    falling = np.append(scores[order], scores.min() - 1)
    return float((falling[place] + falling[place + 1]) / 2)
