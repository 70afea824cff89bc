"""The same trials scored in several ways, calibrated on the trials of some speakers and judged on those of others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Float64, Int

from sae_core.analysis.steering_experiment import rebuilt
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.clips import Corpus
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.measures.score_files import ScoredTrials, match_scores
from sae_core.measures.score_norm import as_norm, cohort_statistics, speaker_means
from sae_core.measures.score_reports import (
    Identification,
    ScoreReport,
    enrol,
    identify,
    open_set,
    report_scores,
)
from sae_core.measures.verification import Trials, cosine_scores
from sae_core.workspace.workspace import SaeView

N_COHORT = 1_000
NORMALISED = ", AS-norm"
_DEVELOPMENT, _REPORTED = "selection", "held-out"


@dataclass(frozen=True)
class ScoreComparison:
    """Trials scored in several ways.

    reports: name → report on the trials that are judged; table: the same, a row a name, with n_trials. trials: those
    that are judged, as pairs of clip rows. is_fixed_elsewhere: whether calibration and thresholds come from trials of
    other speakers. n_cohort: speakers of the cohort.
    """

    reports: dict[str, ScoreReport]
    table: pd.DataFrame
    trials: Trials
    is_fixed_elsewhere: bool
    n_cohort: int


def compare_scores(
    view: SaeView,
    trial_set: TrialSet,
    *,
    others: Mapping[str, Float32[np.ndarray, "n d"]] | None = None,
    listed: Mapping[str, ScoredTrials] | None = None,
) -> ScoreComparison:
    """Return how good cosine and AS-norm scores are, of the embedding, its reconstruction, other embeddings of the
    workspace, and whatever is named beside them.

    others: name → embeddings of all clips, such as steered ones. listed: name → scores of another system.
    Trials between selection speakers fix calibration and thresholds, and trials between held-out speakers are judged;
    where either kind is missing all trials serve for both, and reports say so. The cohort are the means of at most
    `N_COHORT` speakers of the train split, by the same embeddings. A way that lacks the score of a trial is judged on
    the trials that it has.
    """
    clips = trial_set.clip_trials
    split = trial_set.corpus.table["split"].to_numpy()
    parts = [
        (split[clips.enrol_rows] == name) & (split[clips.test_rows] == name)
        for name in (_DEVELOPMENT, _REPORTED)
    ]
    is_fixed = all(_has_both(clips, part) for part in parts)
    development, judged = parts if is_fixed else (np.zeros(len(clips), bool), np.ones(len(clips), bool))
    reports, lines = dict[str, ScoreReport](), []
    scored, n_cohort = _all_scores(view, trial_set, others or {}, listed or {})
    for name, (scores, is_there) in scored.items():
        kept, fixed = judged & is_there, development & is_there
        if not _has_both(clips, kept) or (is_fixed and not _has_both(clips, fixed)):
            continue
        known = (scores[fixed], clips.is_target[fixed]) if is_fixed else None
        report = report_scores(
            scores[kept], clips.select(kept), trial_set.corpus.speaker_groups, development=known
        )
        reports[name] = report
        lines.append({"scores": name, "n_trials": int(kept.sum()), **report.line()})
    return ScoreComparison(reports, pd.DataFrame(lines), clips.select(judged), is_fixed, n_cohort)


def _has_both(trials: Trials, mask: np.ndarray) -> bool:
    return bool((mask & trials.is_target).any() and (mask & ~trials.is_target).any())


def _all_scores(
    view: SaeView,
    trial_set: TrialSet,
    others: Mapping[str, np.ndarray],
    listed: Mapping[str, ScoredTrials],
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], int]:
    """Name → scores and which trials have one; and how many speakers the cohort has."""
    rows, trials = trial_set.rows, trial_set.trials
    cohort = cohort_rows(view)
    forms = {"embedding": np.asarray(view.embeddings.vectors), **others}
    found, n_cohort = dict[str, tuple[np.ndarray, np.ndarray]](), 0
    everything = np.ones(len(trials), dtype=bool)
    for name, vectors in forms.items():
        plain, normalised, n_cohort = _both(vectors, rows, trials, (view, cohort))
        found[name] = (plain, everything)
        if normalised is not None:
            found[name + NORMALISED] = (normalised, everything)
    found["reconstruction"] = (cosine_scores(rebuilt(view, rows), trials), everything)
    for embeddings in _other_embeddings(view):
        is_there = embeddings.is_valid[rows][trials.enrol_rows] & embeddings.is_valid[rows][trials.test_rows]
        found[embeddings.name] = (cosine_scores(np.asarray(embeddings.vectors[rows]), trials), is_there)
    found |= {name: match_scores(scores, trial_set.clip_trials) for name, scores in listed.items()}
    return found, n_cohort


def cohort_rows(view: SaeView) -> Int[np.ndarray, " m"]:
    """Embedded clips of the train split, whose speakers take part in no drawn trial."""
    is_train = (view.workspace.corpus.table["split"] == "train").to_numpy()
    return np.flatnonzero(is_train & view.embeddings.is_valid)


def _both(
    vectors: np.ndarray, rows: np.ndarray, trials: Trials, from_train: tuple[SaeView, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Cosine scores, normalised ones (None where the cohort has fewer than two speakers), and its size."""
    view, cohort = from_train
    plain = cosine_scores(vectors[rows], trials)
    groups = view.workspace.corpus.speaker_groups[cohort]
    if len(np.unique(groups)) < 2:
        return plain, None, 0
    means = speaker_means(vectors[cohort], groups, n_at_most=N_COHORT)
    return plain, as_norm(plain, trials, cohort_statistics(vectors[rows], means)), len(means)


def _other_embeddings(view: SaeView) -> list[Embeddings]:
    found = []
    for name in view.workspace.embedder_names():
        if name != view.embeddings.name:
            try:
                found.append(view.workspace.embeddings(name))
            except ArtifactError:
                continue
    return found


@dataclass(frozen=True)
class IdentificationResult:
    """Identification of speakers enrolled by several clips each.

    closed: ranks and CMC of the clips of enrolled speakers. open: see `open_set`; empty where every speaker is
    enrolled. n_enrolled: speakers enrolled; n_known, n_unknown: test clips of these and of other speakers.
    """

    closed: Identification
    open: pd.DataFrame
    n_enrolled: int
    n_known: int
    n_unknown: int


def identify_speakers(
    corpus: Corpus,
    vectors: Float[np.ndarray, "n d"],
    rows: Int[np.ndarray, " m"],
    *,
    n_enrol: int = 3,
    by: str = "mean of vectors",
    seed: int = 0,
) -> IdentificationResult:
    """Enrol some speakers by `n_enrol` clips each, and look for the speaker of every other clip.

    rows: clips to take part, such as those of unseen speakers. Of the speakers with more than `n_enrol` clips four in
    five are enrolled; the others, and those with fewer clips, stand for speakers that nobody knows. by: see `enrol`.
    Raises CorpusError where fewer than two speakers can be enrolled.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows)
    groups = corpus.speaker_groups[order]
    by_speaker = np.argsort(groups, kind="stable")
    order, groups = order[by_speaker], groups[by_speaker]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    sizes = np.diff(np.append(starts, len(order)))
    able = np.flatnonzero(sizes > n_enrol)
    enrolled = able[np.arange(len(able)) % 5 != 4] if len(able) >= 5 else able
    if len(enrolled) < 2:
        raise CorpusError(
            f"has fewer than two speakers with more than {n_enrol} clips",
            where=corpus.audio_root,
            remedy="enrol by fewer clips, or import more clips of each speaker",
        )
    model_of = np.full(len(starts), -1)
    model_of[enrolled] = np.arange(len(enrolled))
    model = np.repeat(model_of, sizes)
    is_enrolment = (model >= 0) & (place < n_enrol)
    models = enrol(vectors[order[is_enrolment]], model[is_enrolment], by=by)
    scores = _unit(vectors[order[~is_enrolment]]) @ models.T
    truth = model[~is_enrolment]
    known = truth >= 0
    closed = identify(scores[known], truth[known], groups[~is_enrolment][known])
    has_unknown = not known.all()
    table = open_set(scores, truth) if has_unknown else pd.DataFrame()
    return IdentificationResult(closed, table, len(enrolled), int(known.sum()), int((~known).sum()))


def _unit(vectors: np.ndarray) -> Float64[np.ndarray, "n d"]:
    wide = np.asarray(vectors, dtype=np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
