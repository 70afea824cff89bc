"""Everything derived from one SAE and one corpus: codes, feature index, attribute statistics, a table of latents."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from sae_core.corpus.clips import Corpus
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import ArtifactMeta, fingerprint, write_table
from sae_core.files.contents import Kind, numbers, text, truths, whole_numbers
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import (
    INTERVAL_COLUMNS,
    SEEN_SPEAKERS,
    SOURCE_ATTRIBUTE,
    AttributeStatistics,
    best_values,
    measure_attributes,
)
from sae_core.measures.naming import describe_values, name_latents
from sae_core.measures.threshold_measures import MEASURES
from sae_core.sae.feature_index import FeatureIndex

INDEX_FILES = (
    *("code_latents.npy", "code_activations.npy"),
    *("index_offsets.npy", "index_rows.npy", "index_activations.npy"),
    *("attributes.parquet", "attribute_values.parquet", "attribute_intervals.parquet", "latents.parquet"),
)
ONE_VOICE_FRACTION = 0.6
ONE_SOURCE_FRACTION = 0.8


def build_index(
    corpus: Corpus,
    embeddings: Embeddings,
    folder: Path,
    *,
    device: str | None = None,
    rebuild: bool = False,
    progress: Progress = ignore,
) -> ArtifactMeta:
    """Write codes, feature index, attribute statistics and the latents table of the SAE in `folder`; index.json last.

    Finished work with the same parents is kept unless `rebuild`. Raises StaleArtifactError when the SAE was trained on
    other embeddings, ArtifactError when a file is damaged or cannot be written.
    """
    remedy = f"run: python -m sae_core train (into {folder.parent.parent})"
    meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy=remedy)
    meta.check_parents({"embeddings": embeddings.fingerprint}, where=folder, remedy=remedy)
    parents = index_parents(corpus, embeddings, meta)
    if not rebuild and (done := _finished(folder, parents)) is not None:
        return done
    from sae_core.sae.model import SparseAutoencoder

    (folder / "index.json").unlink(missing_ok=True)
    model = SparseAutoencoder.load(folder, device=device)
    progress(0, model.config.n_latents, "encoding")
    codes = model.encode(embeddings.vectors)
    codes.activations[~embeddings.is_valid] = 0
    codes.save(folder)
    index = FeatureIndex.write(codes, folder)
    statistics = measure_attributes(corpus, index, embeddings.is_valid, progress=progress)
    statistics.save(folder)
    write_table(
        folder / "latents.parquet", describe_latents(corpus, index, statistics, n_clips=_n_valid(embeddings))
    )
    done = ArtifactMeta("index", fingerprint(index.offsets, index.rows, index.activations), parents)
    done.write(folder / "index.json", files=INDEX_FILES)
    return done


def index_parents(corpus: Corpus, embeddings: Embeddings, sae: ArtifactMeta) -> dict[str, str]:
    """The fingerprints an index is made from: SAE, embeddings and labels."""
    return {"sae": sae.fingerprint, "embeddings": embeddings.fingerprint, "labels": corpus.labels_fingerprint}


def latent_kinds(n_latents: int) -> dict[str, Kind]:
    """What each column of the latents table holds."""
    best = {
        f"{prefix}{name}": kind
        for prefix in ("best_", "seen_")
        for names, kind in (
            (("attribute", "value"), text(may_lack=True)),
            ((*MEASURES, *INTERVAL_COLUMNS), numbers(may_lack=True)),
        )
        for name in names
    }
    return {
        "latent": whole_numbers(0, n_latents - 1),
        **dict.fromkeys(("n_active", "n_speakers"), whole_numbers()),
        **dict.fromkeys(("firing_rate", "max_activation", "mean_activation"), numbers(0.0)),
        **dict.fromkeys(("top_speaker_fraction", "top_source_fraction"), numbers(0.0, 1.0)),
        **dict.fromkeys(("top_speaker", "top_source", "warning"), text(may_lack=True)),
        **best,
        "is_named": truths(),
    }


def _finished(folder: Path, parents: dict[str, str]) -> ArtifactMeta | None:
    if not (folder / "index.json").exists():
        return None
    remedy = "run: python -m sae_core index --rebuild"
    done = ArtifactMeta.read(folder / "index.json", kind="index", remedy=remedy)
    if done.parents != parents:
        return None
    try:
        done.check_files(folder, remedy=remedy, whole=True)
    except ArtifactError:
        return None
    return done


def _n_valid(embeddings: Embeddings) -> int:
    return int(embeddings.is_valid.sum())


def describe_latents(
    corpus: Corpus, index: FeatureIndex, statistics: AttributeStatistics, *, n_clips: int
) -> pd.DataFrame:
    """One row a latent: activity, who is behind it, its best attribute value on unseen speakers and on seen speakers.

    Columns: latent, n_active, firing_rate, max_activation, mean_activation (over active clips), n_speakers,
    top_speaker, top_speaker_share, top_source, top_source_share, warning; then for each evidence (prefix `best_`,
    `seen_`): attribute, value, every name in `MEASURES` and the 95 % bounds; and is_named: whether the
    latent is named for its best value; see `naming`.
    """
    n_active = index.n_active()
    activity = pd.DataFrame(
        {
            "latent": np.arange(index.n_latents, dtype=np.int32),
            "n_active": n_active,
            "firing_rate": (n_active / max(n_clips, 1)).astype(np.float32),
            "max_activation": _per_latent(index, lambda values: float(values[0])),
            "mean_activation": _per_latent(index, lambda values: float(values.mean())),
        }
    )
    speakers = pd.DataFrame(
        [_who_is_behind(corpus, index.postings(latent)[0]) for latent in range(index.n_latents)]
    )
    seen = best_values(statistics.measures, statistics.values, SEEN_SPEAKERS)
    table = pd.concat([activity, speakers, describe_values(statistics, seen, "seen_")], axis=1)
    return name_latents(table, statistics)


def _per_latent(index: FeatureIndex, measure: Callable[[np.ndarray], float]) -> Float32[np.ndarray, " L"]:
    found = [index.postings(latent)[1] for latent in range(index.n_latents)]
    return np.array([measure(values) if len(values) else 0.0 for values in found], dtype=np.float32)


@dataclass
class _Behind:
    """Speakers and sources among the clips of one latent, and a warning where it is really one of them."""

    n_speakers: int = 0
    top_speaker: str | None = None
    top_speaker_fraction: float = 0.0
    top_source: str | None = None
    top_source_fraction: float = 0.0
    warning: str | None = None


def _who_is_behind(corpus: Corpus, rows: np.ndarray) -> _Behind:
    if not len(rows):
        return _Behind(warning="never active")
    rows = np.asarray(rows)
    groups, first, counts = np.unique(corpus.speaker_groups[rows], return_index=True, return_counts=True)
    top = int(np.argmax(counts))
    name = corpus.table["speaker_id"].iloc[int(rows[first[top]])]
    behind = _Behind(len(groups), None if pd.isna(name) else str(name), float(counts[top] / len(rows)))
    if SOURCE_ATTRIBUTE in corpus.attributes:
        codes, values = corpus.coded(SOURCE_ATTRIBUTE)
        by_source = np.bincount(codes[rows][codes[rows] >= 0], minlength=max(len(values), 1))
        if by_source.any():
            behind.top_source = values[int(by_source.argmax())]
            behind.top_source_fraction = float(by_source.max() / len(rows))
    if behind.top_speaker_fraction >= ONE_VOICE_FRACTION:
        behind.warning = f"mostly one speaker: {behind.top_speaker or 'one recording'}"
    elif behind.top_source_fraction >= ONE_SOURCE_FRACTION and len(corpus.values_of(SOURCE_ATTRIBUTE)) > 1:
        behind.warning = f"mostly one source: {behind.top_source}"
    return behind
