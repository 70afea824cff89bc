"""Which clips to hear to understand a latent: strong, middling, just enough, and near ones that leave it silent."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from sae_core.corpus.clips import Corpus
from sae_core.embedding.embeddings import Embeddings
from sae_core.measures.profiles import highest
from sae_core.sae.feature_index import FeatureIndex

MIDDLE_BAND = (0.4, 0.6)
MAX_COMPARED = 100_000


@dataclass(frozen=True)
class ClipGroup:
    """Some clips to hear and each one's activation (0 on hard negatives)."""

    rows: Int[np.ndarray, " m"]
    activations: Float32[np.ndarray, " m"]


@dataclass(frozen=True)
class ListeningExamples:
    """Four groups of clips for one latent.

    strongest: highest activations, at most a third of them of one speaker where others fire too.
    middle: around the median activation. near_threshold: the faintest above the threshold.
    hard_negatives: silent clips nearest to the strong ones in the embedding, half of them by the same speakers where
        there are such.
    """

    strongest: ClipGroup
    middle: ClipGroup
    near_threshold: ClipGroup
    hard_negatives: ClipGroup


def choose_examples(
    corpus: Corpus,
    embeddings: Embeddings,
    index: FeatureIndex,
    latent: int,
    *,
    threshold: float = 0.0,
    n: int = 6,
) -> ListeningExamples:
    """Return up to n clips a group; a latent that never fires has only empty groups."""
    rows = index.postings(latent)[0]
    near = index.near_threshold(latent, threshold, n)
    middle_rows, middle_activations = index.quantile_band(latent, *MIDDLE_BAND)
    spread = np.unique(np.linspace(0, len(middle_rows) - 1, min(n, len(middle_rows))).astype(np.int64))
    negatives = _hard_negatives(corpus, embeddings, np.asarray(rows), n)
    return ListeningExamples(
        strongest=strongest_clips(corpus, index, latent, n),
        middle=_group(middle_rows[spread], middle_activations[spread]),
        near_threshold=_group(near[0][::-1], near[1][::-1]),
        hard_negatives=_group(negatives, np.zeros(len(negatives))),
    )


def strongest_clips(corpus: Corpus, index: FeatureIndex, latent: int, n: int) -> ClipGroup:
    """The n clips on which a latent is most active, at most a third of them by one speaker where there are others."""
    rows, activations = index.postings(latent)
    places = _spread_over_speakers(np.asarray(rows), corpus.speaker_groups, n)
    return _group(rows[places], activations[places])


def _group(rows: np.ndarray, activations: np.ndarray) -> ClipGroup:
    return ClipGroup(np.asarray(rows, dtype=np.int64), np.asarray(activations, dtype=np.float32))


def _spread_over_speakers(rows: np.ndarray, speaker_groups: np.ndarray, n: int) -> np.ndarray:
    """Places of the n strongest clips with at most a third from one speaker, filled up in order when speakers run
    out."""
    limit = max(1, n // 3)
    heard: dict[int, int] = {}
    chosen: list[int] = []
    passed_over: list[int] = []
    for place, row in enumerate(rows[: 50 * n]):
        speaker = int(speaker_groups[row])
        heard[speaker] = heard.get(speaker, 0) + 1
        (chosen if heard[speaker] <= limit else passed_over).append(place)
        if len(chosen) == n:
            break
    return np.array(sorted((chosen + passed_over)[:n]), dtype=np.int64)


def _hard_negatives(corpus: Corpus, embeddings: Embeddings, active_rows: np.ndarray, n: int) -> np.ndarray:
    """Silent clips by falling cosine with the mean of the strongest clips, same speakers first for half the places.

    Of a large corpus, every so many-th clip is looked at, `MAX_COMPARED` at most, and those by the same speakers.
    """
    if not len(active_rows):
        return np.empty(0, dtype=np.int64)
    strongest = np.sort(active_rows[: 4 * n])
    centre = np.asarray(embeddings.vectors[strongest]).mean(axis=0)
    by_same = np.isin(corpus.speaker_groups, corpus.speaker_groups[strongest])
    is_compared = by_same.copy()
    is_compared[:: max(1, -(-len(corpus) // MAX_COMPARED))] = True
    is_compared &= embeddings.is_valid
    is_compared[active_rows] = False
    rows = np.flatnonzero(is_compared)
    cosine = embeddings.vectors[rows] @ centre
    same = np.flatnonzero(by_same[rows])
    same_speakers = same[highest(cosine[same], (n + 1) // 2)]
    cosine[same_speakers] = -np.inf
    others = highest(cosine, min(n, len(rows)) - len(same_speakers))
    return rows[np.concatenate([same_speakers, others])]
