"""How well "this latent is active" detects each attribute value, with thresholds from one split and numbers from
another.

For every latent and value: the threshold with the highest F1 on the selection clips, then precision, recall, F1, AUROC,
average precision and lift on the reported clips. Silent clips count as activation 0, so nothing dense is ever made: all
sums run along the postings of a latent, strongest first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int64

from sae_core.corpus.clips import Corpus, clip_halves
from sae_core.files.artifacts import read_table, write_table
from sae_core.files.contents import numbers, text, whole_numbers
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.intervals import SpeakerCounts, bounds, draw_speakers
from sae_core.measures.threshold_measures import MEASURES, NOT_ASKED, NOT_MEASURED, Labels, measure_latents
from sae_core.sae.feature_index import FeatureIndex, range_starts

UNSEEN_SPEAKERS = "unseen speakers"
SEEN_SPEAKERS = "seen speakers"
SOURCE_ATTRIBUTE = "source"
MIN_SPEAKERS_A_SPLIT = 2
MIN_CLIPS = 10
N_LATENTS_WITH_INTERVAL = 10
_POSTINGS_AT_ONCE = 2**19
_GROUPS_AT_ONCE = 2**18


@dataclass(frozen=True)
class AttributeTarget:
    """One attribute value to be detected, and the clips it is chosen and reported on.

    evidence: `UNSEEN_SPEAKERS` when selection and reported clips are of other speakers than training, at least two of
        whom carry the value in each; else `SEEN_SPEAKERS`, where a stable coin per clip stands in.
    is_positive, is_selection, is_reported: masks over all clips. Clips whose attribute is unknown are in neither split.
    """

    attribute: str
    value: str
    evidence: str
    is_positive: Bool[np.ndarray, " n"]
    is_selection: Bool[np.ndarray, " n"]
    is_reported: Bool[np.ndarray, " n"]


def attribute_targets(corpus: Corpus, is_valid: Bool[np.ndarray, " n"]) -> list[AttributeTarget]:
    """Every value with at least `MIN_CLIPS` embedded clips on it and off it, by attribute, then by frequency."""
    splits = corpus.table["split"].to_numpy()
    coin: Bool[np.ndarray, " n"] | None = None  # hashes every clip_id: only where it is needed
    targets = []
    for attribute in corpus.attributes:
        usable = corpus.is_known(attribute) & is_valid
        for value in corpus.values_of(attribute):
            positive = corpus.has_value(attribute, value) & usable
            if positive.sum() < MIN_CLIPS or (usable & ~positive).sum() < MIN_CLIPS:
                continue
            selection, reported = usable & (splits == "selection"), usable & (splits == "held-out")
            evidence = UNSEEN_SPEAKERS
            if not all(_has_enough(corpus, positive, mask) for mask in (selection, reported)):
                coin = clip_halves(corpus.table["clip_id"]) if coin is None else coin
                selection, reported, evidence = usable & ~coin, usable & coin, SEEN_SPEAKERS
            targets.append(AttributeTarget(attribute, value, evidence, positive, selection, reported))
    return targets


def _has_enough(corpus: Corpus, positive: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a split holds both sides of the question, each from several speakers."""
    return all(
        len(np.unique(corpus.speaker_groups[mask & side])) >= MIN_SPEAKERS_A_SPLIT
        for side in (positive, ~positive)
    )


@dataclass(frozen=True)
class AttributeStatistics:
    """For each latent × attribute value, how well the latent alone detects it.

    values: one row a value: attribute, value, evidence, n_clips, n_speakers (all embedded clips that carry it),
        n_reported, n_reported_positive, n_reported_speakers (those carrying the value).
    measures: name in `MEASURES` → f32[L, V]. A clip counts as predicted positive when its activation is above
        `threshold`. Precision is 0 where nothing is predicted positive; AUROC and average precision count silent clips
        as activation 0. MCC is Matthews' correlation: 0 for a latent that only follows how common a value is, so it
        serves to compare values.
    intervals: latent, value_row, and low/high bounds (95 %, speakers resampled) of precision,
        recall and F1, for each latent's best value of either evidence and each value's best latents.
    """

    values: pd.DataFrame
    measures: dict[str, Float32[np.ndarray, "L V"]]
    intervals: pd.DataFrame

    def value_row(self, attribute: str, value: str) -> int:
        """The column of `measures` for one value; ValueError when it was not measured."""
        found = np.flatnonzero((self.values["attribute"] == attribute) & (self.values["value"] == value))
        if not len(found):
            raise ValueError(f"{attribute} = {value} was not measured (too few clips)")
        return int(found[0])

    def predominant(self, attribute: str, value: str) -> int:
        """The latent with the highest F1 for this value on the selection clips."""
        return int(np.argmax(self.measures["selection_f1"][:, self.value_row(attribute, value)]))

    def of(self, latent: int, value_row: int) -> dict[str, object]:
        """Everything known of one latent and one value; bounds are None where no interval was made."""
        facts: dict[str, object] = {str(name): item for name, item in self.values.iloc[value_row].items()}
        facts |= {name: float(self.measures[name][latent, value_row]) for name in MEASURES}
        chosen = self.intervals[
            (self.intervals["latent"] == latent) & (self.intervals["value_row"] == value_row)
        ]
        for name in INTERVAL_COLUMNS:
            facts[name] = float(chosen[name].iloc[0]) if len(chosen) else None
        return facts

    def save(self, folder: Path) -> None:
        """Write attributes.parquet (long form), attribute_values.parquet and attribute_intervals.parquet."""
        n_latents, n_values = self.measures["f1"].shape
        latent, value_row = np.divmod(np.arange(n_latents * n_values), max(n_values, 1))
        long = pd.DataFrame({"latent": latent.astype(np.int32), "value_row": value_row.astype(np.int32)})
        for name in MEASURES:
            long[name] = self.measures[name].ravel()
        write_table(folder / "attribute_values.parquet", self.values)
        write_table(folder / "attribute_intervals.parquet", self.intervals)
        write_table(folder / "attributes.parquet", long)

    @classmethod
    def load(cls, folder: Path, *, n_latents: int, remedy: str) -> "AttributeStatistics":
        """Return the statistics in `folder`; ArtifactError when missing, damaged or of another size."""
        values = read_table(folder / "attribute_values.parquet", columns=_VALUE_KINDS, remedy=remedy)
        places = {"latent": whole_numbers(0, n_latents - 1), "value_row": whole_numbers(0, len(values) - 1)}
        intervals = read_table(
            folder / "attribute_intervals.parquet",
            columns=places | dict.fromkeys(INTERVAL_COLUMNS, numbers(may_lack=True)),
            remedy=remedy,
        )
        kinds = places | dict.fromkeys(MEASURES, numbers(may_lack=True))
        long = read_table(folder / "attributes.parquet", columns=kinds, remedy=remedy)
        cells = np.divmod(np.arange(len(long)), max(len(values), 1))
        is_in_order = np.array_equal(long[["latent", "value_row"]].to_numpy().T, np.array(cells))
        if len(long) != n_latents * len(values) or not is_in_order:
            raise ArtifactError(
                "does not fit the SAE beside it", where=folder / "attributes.parquet", remedy=remedy
            )
        if intervals.duplicated(["latent", "value_row"]).any():
            raise ArtifactError(
                "says two things of one value", where=folder / "attribute_intervals.parquet", remedy=remedy
            )
        shape = (n_latents, len(values))
        measures = {name: long[name].to_numpy(dtype=np.float32).reshape(shape) for name in MEASURES}
        return cls(values, measures, intervals)


def measure_attributes(
    corpus: Corpus,
    index: FeatureIndex,
    is_valid: Bool[np.ndarray, " n"],
    *,
    seed: int = 0,
    progress: Progress = ignore,
) -> AttributeStatistics:
    """Return the statistics of every latent × value; see the module's first lines for what they are."""
    targets = attribute_targets(corpus, is_valid)
    questions = questions_of(targets)
    measures = {name: np.zeros((index.n_latents, len(targets)), dtype=np.float32) for name in MEASURES}
    for latents in _blocks(index, len(targets)):
        for columns, selection, reported in questions:
            for name, found in measure_latents(index, latents, selection, reported).items():
                measures[name][latents.start : latents.stop, columns] = found
        progress(latents.stop, index.n_latents, "attribute statistics")
    values = _describe_values(corpus, targets)
    pairs = _pairs_worth_an_interval(measures, values)
    intervals = _speaker_intervals(corpus, index, targets, measures["threshold"], pairs=pairs, seed=seed)
    return AttributeStatistics(values, measures, intervals)


def _blocks(index: FeatureIndex, n_values: int) -> Iterator[range]:
    """Ranges of latents with postings and values that are soon counted and easily held."""
    for start, end in pairwise(range_starts(index.offsets, _POSTINGS_AT_ONCE)):
        step = max(1, _GROUPS_AT_ONCE // max(n_values, 1))
        for first in range(start, end, step):
            yield range(first, min(first + step, end))


def questions_of(targets: list[AttributeTarget]) -> list[tuple[list[int], Labels, Labels]]:
    """The values of one attribute and one kind of evidence belong to one question: their columns, and the labels of its
    selection and of its reported clips."""
    questions: dict[tuple[str, str], list[int]] = {}
    for column, target in enumerate(targets):
        questions.setdefault((target.attribute, target.evidence), []).append(column)
    labelled = []
    for columns in questions.values():
        masks = targets[columns[0]].is_selection, targets[columns[0]].is_reported
        # a byte a clip while it can hold the numbers: they are looked up in the order of postings, anywhere in memory
        kind = np.min_scalar_type(-max(len(columns), 2))
        labels = [np.where(mask, NOT_MEASURED, NOT_ASKED).astype(kind) for mask in masks]
        for number, column in enumerate(columns):
            for mask, numbered in zip(masks, labels, strict=True):
                numbered[mask & targets[column].is_positive] = number
        selection, reported = (Labels(numbered, len(columns)) for numbered in labels)
        labelled.append((columns, selection, reported))
    return labelled


def _describe_values(corpus: Corpus, targets: list[AttributeTarget]) -> pd.DataFrame:
    def n_speakers(mask: np.ndarray) -> int:
        return len(np.unique(corpus.speaker_groups[mask]))

    columns = (
        "attribute",
        "value",
        "evidence",
        "n_clips",
        "n_speakers",
        "n_reported",
        "n_reported_positive",
        "n_reported_speakers",
    )
    return pd.DataFrame(
        [
            (
                target.attribute,
                target.value,
                target.evidence,
                int(target.is_positive.sum()),
                n_speakers(target.is_positive),
                int(target.is_reported.sum()),
                int((target.is_reported & target.is_positive).sum()),
                n_speakers(target.is_reported & target.is_positive),
            )
            for target in targets
        ],
        columns=list(columns),
    )


_VALUE_KINDS = {
    **dict.fromkeys(("attribute", "value", "evidence"), text()),
    **dict.fromkeys(("n_clips", "n_speakers"), whole_numbers()),
    **dict.fromkeys(("n_reported", "n_reported_positive", "n_reported_speakers"), whole_numbers()),
}
INTERVAL_COLUMNS = ("precision_low", "precision_high", "recall_low", "recall_high", "f1_low", "f1_high")


def best_values(
    measures: dict[str, np.ndarray], values: pd.DataFrame, evidence: str
) -> Int64[np.ndarray, " L"]:
    """The value that each latent detects best, by MCC on the selection clips, among those with one kind of evidence; -1
    where none is detected better than by chance. The source of a recording is no meaning and takes no part."""
    columns = np.flatnonzero((values["evidence"] == evidence) & (values["attribute"] != SOURCE_ATTRIBUTE))
    quality = measures["selection_mcc"][:, columns]
    if not len(columns):
        return np.full(len(quality), -1, dtype=np.int64)
    return np.where(quality.max(axis=1) > 0, columns[np.argmax(quality, axis=1)], -1).astype(np.int64)


def _pairs_worth_an_interval(measures: dict[str, np.ndarray], values: pd.DataFrame) -> list[tuple[int, int]]:
    """Value and latent of: each latent's best value of either evidence, and the best latents of each value."""
    pairs: set[tuple[int, int]] = set()
    for evidence in (UNSEEN_SPEAKERS, SEEN_SPEAKERS):
        best = best_values(measures, values, evidence)
        pairs.update((int(best[latent]), int(latent)) for latent in np.flatnonzero(best >= 0))
    for value_row in range(len(values)):
        f1 = measures["selection_f1"][:, value_row]
        strongest = np.argsort(-f1, kind="stable")[:N_LATENTS_WITH_INTERVAL]
        pairs.update((value_row, int(latent)) for latent in strongest if f1[latent] > 0)
    return sorted(pairs)


def _speaker_intervals(
    corpus: Corpus,
    index: FeatureIndex,
    targets: list[AttributeTarget],
    thresholds: np.ndarray,
    *,
    pairs: list[tuple[int, int]],
    seed: int,
) -> pd.DataFrame:
    rows = []
    for value_row, latents in _grouped(pairs):
        bounds = _intervals_of_value(
            corpus, index, targets[value_row], thresholds[:, value_row], latents=latents, seed=seed
        )
        rows += [(latent, value_row, *bound) for latent, bound in zip(latents, bounds, strict=True)]
    return pd.DataFrame(rows, columns=["latent", "value_row", *INTERVAL_COLUMNS])


def _grouped(pairs: list[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    for value_row in sorted({value_row for value_row, _ in pairs}):
        yield value_row, [latent for row, latent in pairs if row == value_row]


def _intervals_of_value(
    corpus: Corpus,
    index: FeatureIndex,
    target: AttributeTarget,
    thresholds: np.ndarray,
    *,
    latents: list[int],
    seed: int,
) -> Float32[np.ndarray, "m 6"]:
    """95 % bounds of precision, recall and F1 for some latents: whole speakers are drawn with replacement, the same
    draws for every latent; draws that hold no clip with the value are left out."""
    speakers = SpeakerCounts.over(corpus.speaker_groups, target.is_reported)
    positives = speakers.count([np.flatnonzero(target.is_reported & target.is_positive)])
    draws = draw_speakers(speakers.n_speakers, seed=seed)
    draws = draws[(draws @ positives.T > 0).ravel()]  # [B, S]
    above = [_rows_above(index, latent, float(thresholds[latent]), target.is_reported) for latent in latents]
    called = draws @ speakers.count(above).T  # [B, m]
    hit = draws @ speakers.count([rows[target.is_positive[rows]] for rows in above]).T
    n_positive = draws @ positives.T  # [B, 1]
    measures = (hit / np.maximum(called, 1), hit / n_positive, 2 * hit / (called + n_positive))
    return np.hstack([bounds(measure) for measure in measures])


def _rows_above(index: FeatureIndex, latent: int, threshold: float, is_reported: np.ndarray) -> np.ndarray:
    rows = np.asarray(index.rows_active(latent, threshold))
    return rows[is_reported[rows]]
