"""What a linear probe on the raw embedding tells of each attribute value: the ceiling for a single latent."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from sae_core.artifacts import ArtifactMeta, fingerprint, read_table, write_table
from sae_core.attributes import NEW_VOICES, AttributeTarget, attribute_targets
from sae_core.corpus import Corpus
from sae_core.embeddings import Embeddings
from sae_core.errors import ArtifactError
from sae_core.progress import Progress, ignore

MAX_CLIPS = 20_000
COLUMNS = ("attribute", "value", "evidence", "precision", "recall", "f1", "auroc")


def probe_attributes(
    corpus: Corpus, embeddings: Embeddings, folder: Path, *, progress: Progress = ignore
) -> pd.DataFrame:
    """Return logistic regression's precision, recall, F1 and AUROC for each attribute value, kept in `folder`.

    On new voices the probe is fitted on the train split, its threshold chosen on selection, its numbers reported on
    held-out; on the same voices it is fitted and chosen on one half of the clips and reported on the other.
    """
    parents = {"embeddings": embeddings.fingerprint, "labels": corpus.labels_fingerprint}
    path, meta = folder / "probes.parquet", folder / "probes.json"
    try:
        if ArtifactMeta.read(meta, kind="probes", remedy="").parents == parents:
            return read_table(path, columns=COLUMNS)
    except ArtifactError:
        pass
    targets = attribute_targets(corpus, embeddings.is_valid)
    is_train = embeddings.is_valid & (corpus.table["split"] == "train").to_numpy()
    lines = []
    for number, target in enumerate(targets):
        lines.append((target.attribute, target.value, target.evidence, *_probe(embeddings, target, is_train)))
        progress(number + 1, len(targets), f"linear probe: {target.attribute} = {target.value}")
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    write_table(path, table)
    ArtifactMeta("probes", fingerprint(parents), parents).write(meta)
    return table


def _probe(embeddings: Embeddings, target: AttributeTarget, is_train: np.ndarray) -> tuple[float, ...]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    is_fitted = is_train if target.evidence == NEW_VOICES else target.is_selection
    fitted = _thin(np.flatnonzero(is_fitted))
    chosen, reported = np.flatnonzero(target.is_selection), np.flatnonzero(target.is_reported)
    truth = target.is_positive
    if len(np.unique(truth[fitted])) < 2:
        return 0.0, 0.0, 0.0, 0.5
    model = LogisticRegression(max_iter=300, class_weight="balanced", C=10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(embeddings.vectors[fitted], truth[fitted])
    threshold = _best_threshold(model.decision_function(embeddings.vectors[chosen]), truth[chosen])
    scores = model.decision_function(embeddings.vectors[reported])
    told, positive = scores > threshold, truth[reported]
    hit = float((told & positive).sum())
    precision, recall = hit / max(float(told.sum()), 1), hit / max(float(positive.sum()), 1)
    f1 = 2 * hit / max(float(told.sum() + positive.sum()), 1)
    return precision, recall, f1, float(roc_auc_score(positive, scores))


def _thin(rows: np.ndarray) -> np.ndarray:
    """At most `MAX_CLIPS` of the rows, evenly spread: a probe of a few hundred numbers needs no more."""
    return rows if len(rows) <= MAX_CLIPS else rows[np.linspace(0, len(rows) - 1, MAX_CLIPS).astype(np.int64)]


def _best_threshold(scores: Float64[np.ndarray, " m"], truth: np.ndarray) -> float:
    """The level above which F1 is highest."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + max(int(truth.sum()), 1))
    place = int(np.argmax(f1))
    falling = np.append(scores[order], scores.min() - 1)
    return float((falling[place] + falling[place + 1]) / 2)
