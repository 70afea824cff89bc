"""Speaker verification by several representations: embedding, reconstruction, sparse codes, steered embedding.

Each representation scores the same trials by cosine, so differences are due to the representation alone. Measures are
those of the NIST speaker recognition evaluations: EER, minDCF, DET curve; FRR and FAR are false rejection and false
acceptance rates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int64
from scipy.sparse import csr_matrix

from sae_core.analysis.steering_experiment import SteeringExperiment, rebuilt
from sae_core.analysis.trial_sets import FEW_SPEAKERS, TrialSet, drop_copies
from sae_core.corpus.clips import Corpus
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.measures.identity import ablation_eers, changes_with_interval, speaker_variances
from sae_core.measures.intervals import PairDraws, bounds
from sae_core.measures.steering import Change, Steering
from sae_core.measures.verification import (
    Trials,
    VerificationResult,
    cosine_scores,
    draw_pairs,
    sample_trials,
    verify,
)
from sae_core.workspace.workspace import SaeView

EMBEDDING, RECONSTRUCTION, CODES, STEERED = "embedding", "reconstruction", "sparse codes", "steered"
OTHER_ENCODER = "embedding by "
"""Begins the name of the representation that other embeddings of the same clips are, before their own name."""
GROUP_ATTRIBUTES = ("language", "gender")
N_TRIALS_A_VALUE = 4_000
MIN_SPEAKERS_TESTED = 2
N_WITH_INTERVAL = 12
UNTESTED: dict[str, object] = {"is_tested": False, "is_few": True, "n_speakers": 0, "n_targets": 0}


@dataclass(frozen=True)
class Comparison:
    """Verification by several representations of the same clips.

    results: representation → result over all trials, other embeddings of the workspace last.
    has_intervals: whether enough speakers take part for intervals.
    by_value: one row per attribute value × representation, from trials whose clips both carry the value: attribute,
    value, form, n_speakers (with target trials), n_targets, eer, and frr and far at the threshold of equal errors over
    all trials, each with _low and _high (95 %, speakers resampled). Values of fewer than `MIN_SPEAKERS_TESTED` speakers
    have no numbers, is_tested False. is_few marks fewer than `FEW_SPEAKERS` speakers: too few for an interval. There
    is none either where all draws of speakers agree.
    """

    results: dict[str, VerificationResult]
    by_value: pd.DataFrame
    has_intervals: bool


def compare_forms(
    view: SaeView,
    trial_set: TrialSet,
    *,
    experiment: SteeringExperiment | None = None,
    changes: Sequence[Change] = (),
) -> Comparison:
    """Return how well each representation verifies; with an experiment and its changes, the steered one too."""
    value_trials = list(_trials_by_value(trial_set))
    everything, speakers = trial_set.clip_trials, trial_set.corpus.speaker_groups
    asked = [everything, *(trials for _, _, trials in value_trials if trials is not None)]
    rows = np.unique(np.concatenate([rows for part in asked for rows in (part.enrol_rows, part.test_rows)]))
    forms = {
        EMBEDDING: np.asarray(view.embeddings.vectors[rows]),
        RECONSTRUCTION: rebuilt(view, rows),
        CODES: _unit_codes(view, rows),
    }
    if experiment is not None and changes:
        forms[STEERED] = experiment.steered_vectors(rows, changes)
    drawn = draw_pairs(everything, speakers)
    results = {
        name: verify(_scores(form, rows, everything), everything, speakers, drawn=drawn)
        for name, form in forms.items()
    }
    lines = []
    for attribute, value, trials in value_trials:
        drawn = drawn if trials is None else draw_pairs(trials, speakers)
        for name, form in forms.items():
            known = UNTESTED
            if trials is not None:
                scores = _scores(form, rows, trials)
                found = verify(scores, trials, speakers, drawn=drawn)
                known = _measure(found, (scores, results[name].threshold), trials, drawn)
            lines.append({"attribute": attribute, "value": value, "form": name, **known})
    results |= _by_other_encoders(view, everything, speakers)
    return Comparison(results, pd.DataFrame(lines), trial_set.has_intervals)


def _by_other_encoders(
    view: SaeView, trials: Trials, speakers: Int64[np.ndarray, " n"]
) -> dict[str, VerificationResult]:
    """The same trials by every other embedding of the workspace, as it is; stale ones are left out, and so are trials
    with a clip that an encoder could not embed."""
    found = {}
    for name in view.workspace.embedder_names():
        if name == view.embeddings.name:
            continue
        try:
            embeddings = view.workspace.embeddings(name)
        except ArtifactError:
            continue
        is_there = embeddings.is_valid
        kept = trials.select(is_there[trials.enrol_rows] & is_there[trials.test_rows])
        if kept.is_target.any() and not kept.is_target.all():
            rows = np.unique(np.concatenate([kept.enrol_rows, kept.test_rows]))
            scores = _scores(np.asarray(embeddings.vectors[rows]), rows, kept)
            found[f"{OTHER_ENCODER}{name}"] = verify(scores, kept, speakers, drawn=draw_pairs(kept, speakers))
    return found


def _trials_by_value(trial_set: TrialSet) -> Iterator[tuple[str, str, Trials | None]]:
    """Trials within each language and each gender; None where too few speakers have target trials."""
    corpus, pool = trial_set.corpus, trial_set.pool_rows
    for attribute in GROUP_ATTRIBUTES:
        if attribute not in corpus.attributes:
            continue
        for value in corpus.values_of(attribute):
            carries = corpus.has_value(attribute, value)
            if not carries[pool].any():
                continue
            if trial_set.is_listed:
                listed = trial_set.clip_trials
                trials: Trials | None = listed.select(carries[listed.enrol_rows] & carries[listed.test_rows])
            else:
                trials = _sample_within(corpus, pool[carries[pool]])
                trials = None if trials is None else drop_copies(trials, trial_set.copy_groups)
            yield attribute, value, trials if trials is not None and _is_testable(corpus, trials) else None


def _sample_within(corpus: Corpus, rows: np.ndarray) -> Trials | None:
    try:
        return sample_trials(corpus, rows, n_trials=N_TRIALS_A_VALUE)
    except CorpusError:
        return None


def _is_testable(corpus: Corpus, trials: Trials) -> bool:
    """Whether there are impostors, and targets of several speakers: one speaker says nothing about a group."""
    speakers = corpus.speaker_groups[trials.enrol_rows[trials.is_target]]
    return len(np.unique(speakers)) >= MIN_SPEAKERS_TESTED and not trials.is_target.all()


def _measure(
    found: VerificationResult, scored: tuple[np.ndarray, float], trials: Trials, draws: PairDraws
) -> dict[str, object]:
    """A line of the table by group: the EER at a threshold of its own, FRR and FAR at the one for everybody."""
    scores, threshold = scored
    is_few, is_accepted = found.n_speakers < FEW_SPEAKERS, scores >= np.float32(threshold)
    line: dict[str, object] = {
        "is_tested": True,
        "is_few": is_few,
        "n_speakers": found.n_speakers,
        "n_targets": found.n_targets,
    }
    rates = {
        "eer": (found.eer, found.eer_low, found.eer_high),
        "frr": _rate(~is_accepted & trials.is_target, trials.is_target, draws),
        "far": _rate(is_accepted & ~trials.is_target, ~trials.is_target, draws),
    }
    for name, (rate, low, high) in rates.items():
        is_known = not is_few and low < high  # draws that all agree, as where nobody errs, bound nothing
        line |= {
            name: rate,
            f"{name}_low": low if is_known else None,
            f"{name}_high": high if is_known else None,
        }
    return line


def _rate(
    is_error: Bool[np.ndarray, " p"], is_asked: Bool[np.ndarray, " p"], draws: PairDraws
) -> tuple[float, float, float]:
    """The fraction of errors among some trials, with its 95 % bounds, speakers resampled."""
    sums = draws.sums(np.stack([is_error, is_asked], axis=1).astype(np.float64))
    usable = sums[:, 1] > 0
    low, high = bounds((sums[usable, 0] / sums[usable, 1])[:, None])[0] if usable.any() else (0.0, 1.0)
    return float(is_error.sum() / is_asked.sum()), float(low), float(high)


def _unit_codes(view: SaeView, rows: Int64[np.ndarray, " m"]) -> csr_matrix:
    latents = np.asarray(view.codes.latents[rows])
    activations = np.asarray(view.codes.activations[rows])
    norms = np.linalg.norm(activations, axis=1, keepdims=True)
    unit = np.divide(activations, norms, out=np.zeros_like(activations), where=norms > 0)
    clip, slot = np.nonzero(unit > 0)
    return csr_matrix((unit[clip, slot], (clip, latents[clip, slot])), shape=(len(rows), view.n_latents))


def _scores(
    form: Float32[np.ndarray, "m d"] | csr_matrix, rows: np.ndarray, trials: Trials
) -> Float32[np.ndarray, " p"]:
    """Cosines of trials, given one representation of the clips `rows`, ascending."""
    one, other = np.searchsorted(rows, trials.enrol_rows), np.searchsorted(rows, trials.test_rows)
    if isinstance(form, np.ndarray):
        return cosine_scores(form, Trials(one, other, trials.is_target))
    return np.asarray(form[one].multiply(form[other]).sum(axis=1), dtype=np.float32).ravel()


def rank_latents(view: SaeView, trial_set: TrialSet) -> pd.DataFrame:
    """Latents by how much ablating each changes the EER, the largest rise first.

    Columns: latent, eer_change; low and high (95 %, speakers resampled) for the `N_WITH_INTERVAL` at either end, unless
    too few speakers take part; then n_active, between, within, within_between, speaker_fraction over the clips that
    trials are drawn from (see `speaker_variances`). Latents that are silent there are left out.
    """
    corpus, codes = trial_set.corpus, view.codes.take(trial_set.rows)
    eers = ablation_eers(
        trial_set.vectors,
        view.decoder().steps,
        codes,
        scores=trial_set.scores,
        trials=trial_set.trials,
    )
    table = speaker_variances(view.codes, corpus.speaker_groups, trial_set.pool_rows)
    table.insert(1, "eer_change", eers - trial_set.verified.eer)
    table = table[table["n_active"] > 0].sort_values("eer_change", ascending=False, kind="stable")
    if not trial_set.has_intervals:
        return table.assign(low=np.nan, high=np.nan).reset_index(drop=True)
    ends = pd.concat([table.head(N_WITH_INTERVAL), table.tail(N_WITH_INTERVAL)])["latent"].unique()
    steering = Steering.prepare(
        trial_set.vectors,
        view.decoder().steps,
        codes,
        tuple(int(latent) for latent in ends),
    )
    bounded = changes_with_interval(
        steering,
        scores=trial_set.scores,
        trials=trial_set.trials,
        speaker_groups=trial_set.speaker_groups,
        before=trial_set.verified,
    )
    return table.merge(bounded[["latent", "low", "high"]], on="latent", how="left").reset_index(drop=True)
