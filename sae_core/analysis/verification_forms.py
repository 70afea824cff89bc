"""One voice in several forms, compared: the embedding, its reconstruction, its sparse codes, the steered embedding.

Each form scores the same trials by cosine, so what differs is the form alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64
from scipy.sparse import csr_matrix

from sae_core.analysis.steering_experiment import SteeringExperiment, rebuilt
from sae_core.analysis.trial_sets import TrialSet
from sae_core.files.errors import CorpusError
from sae_core.measures.identity import ablation_eers, changes_with_interval, speaker_variances
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
GROUP_ATTRIBUTES = ("language", "gender")
N_TRIALS_A_VALUE = 4_000
FEW_SPEAKERS = 5
N_WITH_INTERVAL = 12
UNTESTED: dict[str, object] = {"is_tested": False, "is_few": True, "n_speakers": 0, "n_targets": 0}


@dataclass(frozen=True)
class Comparison:
    """Verification by several forms of the same clips.

    results: form → result over all trials. by_value: one row an attribute value × form, with trials whose clips both
    carry the value: attribute, value, form, n_speakers (with target trials), n_targets, eer, eer_low, eer_high, and
    miss and alarm at the threshold that gives equal errors over all trials; values whose voices cannot be tested have
    no numbers, is_tested False. is_few marks fewer than `FEW_SPEAKERS` voices: too few for an interval.
    """

    results: dict[str, VerificationResult]
    by_value: pd.DataFrame


def compare_forms(
    view: SaeView,
    trial_set: TrialSet,
    *,
    experiment: SteeringExperiment | None = None,
    changes: Sequence[Change] = (),
) -> Comparison:
    """Return how well each form verifies; with an experiment and its changes, the steered embedding too."""
    value_trials = list(_trials_by_value(trial_set))
    everything, voices = trial_set.clip_trials, trial_set.corpus.speaker_groups
    asked = [everything, *(trials for _, _, trials in value_trials if trials is not None)]
    rows = np.unique(np.concatenate([rows for part in asked for rows in (part.enrol_rows, part.test_rows)]))
    forms = {
        EMBEDDING: np.asarray(view.embeddings.vectors[rows]),
        RECONSTRUCTION: rebuilt(view, rows),
        CODES: _unit_codes(view, rows),
    }
    if experiment is not None and changes:
        forms[STEERED] = experiment.steered_vectors(rows, changes)
    drawn = draw_pairs(everything, voices)
    results = {
        name: verify(_scores(form, rows, everything), everything, voices, drawn=drawn)
        for name, form in forms.items()
    }
    lines = []
    for attribute, value, trials in value_trials:
        drawn = drawn if trials is None else draw_pairs(trials, voices)
        for name, form in forms.items():
            known = UNTESTED
            if trials is not None:
                scores = _scores(form, rows, trials)
                known = _measure(verify(scores, trials, voices, drawn=drawn), scores, trials, results[name])
            lines.append({"attribute": attribute, "value": value, "form": name, **known})
    return Comparison(results, pd.DataFrame(lines))


def _trials_by_value(trial_set: TrialSet) -> Iterator[tuple[str, str, Trials | None]]:
    """Trials within each language and each gender; None where its voices are too few for any."""
    corpus, pool = trial_set.corpus, trial_set.pool_rows
    for attribute in GROUP_ATTRIBUTES:
        if attribute not in corpus.attributes:
            continue
        for value in corpus.values_of(attribute):
            carries = corpus.has_value(attribute, value)
            if not carries[pool].any():
                continue
            if trial_set.is_listed:
                yield attribute, value, _listed_within(trial_set, carries)
                continue
            try:
                trials = sample_trials(corpus, pool[carries[pool]], n_trials=N_TRIALS_A_VALUE)
            except CorpusError:
                trials = None
            yield attribute, value, trials


def _listed_within(trial_set: TrialSet, carries: np.ndarray) -> Trials | None:
    listed = trial_set.clip_trials
    within = listed.select(carries[listed.enrol_rows] & carries[listed.test_rows])
    return within if within.is_target.any() and not within.is_target.all() else None


def _measure(
    found: VerificationResult, scores: np.ndarray, trials: Trials, everywhere: VerificationResult
) -> dict[str, object]:
    """A line of the table by group: errors at a threshold of its own, and at the one for everybody."""
    is_few, is_accepted = found.n_speakers < FEW_SPEAKERS, scores >= np.float32(everywhere.threshold)
    return {
        "is_tested": True,
        "is_few": is_few,
        "n_speakers": found.n_speakers,
        "n_targets": found.n_targets,
        "eer": found.eer,
        "eer_low": None if is_few else found.eer_low,
        "eer_high": None if is_few else found.eer_high,
        "miss": float((~is_accepted)[trials.is_target].mean()),
        "alarm": float(is_accepted[~trials.is_target].mean()),
    }


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
    """Cosines of trials, given one form of the clips `rows`, ascending."""
    one, other = np.searchsorted(rows, trials.enrol_rows), np.searchsorted(rows, trials.test_rows)
    if isinstance(form, np.ndarray):
        return cosine_scores(form, Trials(one, other, trials.is_target))
    return np.asarray(form[one].multiply(form[other]).sum(axis=1), dtype=np.float32).ravel()


def rank_latents(view: SaeView, trial_set: TrialSet) -> pd.DataFrame:
    """Latents by what taking each out does to the EER, those first without which errors rise most.

    Columns: latent, eer_change; low and high (95 %, speakers resampled) for the `N_WITH_INTERVAL` at either end; then
    n_active, between, within, within_between, speaker_fraction over the clips that trials are drawn from (see
    `speaker_variances`). Latents that are silent there are left out.
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
