"""Steering experiments: some latents of some clips are changed; how do trial scores and nearest clips respond?

After arXiv 2502.00127. An experiment is prepared once for a set of latents; every slider move then follows in closed
form, without decoding anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int64

from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.measures.profiles import clips_near
from sae_core.measures.steering import MAX_LATENTS, Change, Steering, measure_shifts
from sae_core.measures.verification import (
    ChangedDecisions,
    VerificationResult,
    compare_decisions,
    cosine_scores,
    verify,
)
from sae_core.workspace.workspace import SaeView

N_BINS = 80
RELATIVE_SPANS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
# below this similarity a relative change is undefined: the divisor is near 0
LEAST_DIVISOR = 0.05
LEAST_KS = 0.02
"""Below it, steering changes the fraction of pairs accepted by less than 2 points at any threshold: no effect."""
MAX_STEERED = MAX_LATENTS
MAX_PRESET = 6
"""Latents of one value that are offered to be ablated together."""


@dataclass(frozen=True)
class GroupHistogram:
    """Similarities of one trial group before and after: the fraction of its pairs in each of equal bins.

    n_pairs: how many pairs are counted. before, after: f64[b]. mean_before, mean_after: of the values themselves.
    """

    n_pairs: int
    before: Float64[np.ndarray, " b"]
    after: Float64[np.ndarray, " b"]
    mean_before: float
    mean_after: float


@dataclass(frozen=True)
class Histograms:
    """A histogram for each trial group, over bins from `low` to `high`; what lies outside is in the outermost.

    n_left_out: pairs without a relative change, because their similarity before was near 0.
    """

    low: float
    high: float
    groups: dict[str, GroupHistogram]
    n_left_out: int = 0

    def table(self) -> pd.DataFrame:
        """The same as a table: group, n_pairs, low and high of each bin, share_before, share_after."""
        edges = np.linspace(self.low, self.high, N_BINS + 1)
        parts = [
            pd.DataFrame(
                {
                    "group": name,
                    "n_pairs": group.n_pairs,
                    "low": edges[:-1],
                    "high": edges[1:],
                    "share_before": group.before,
                    "share_after": group.after,
                }
            )
            for name, group in self.groups.items()
        ]
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class SteeringOutcome:
    """What steering did: shifts by trial group (see `measure_shifts`), decisions, and verification after it.

    eer_change: after − before with its 95 % interval, speakers resampled. has_intervals: whether enough speakers take
    part for intervals.
    """

    shifts: pd.DataFrame
    decisions: ChangedDecisions
    before: VerificationResult
    after: VerificationResult
    eer_change: tuple[float, float, float]
    has_intervals: bool

    @property
    def moved(self) -> pd.DataFrame:
        """The trial groups that clearly moved, the largest shift first: the interval of the mean shift excludes 0 and
        the KS distance is at least `LEAST_KS`. Empty where there are no intervals."""
        table = self.shifts
        is_clear = (table["shift_low"] > 0) | (table["shift_high"] < 0)
        moved = table[is_clear & (table["ks"] >= LEAST_KS) & self.has_intervals]
        return moved.iloc[np.argsort(-moved["shift"].abs().to_numpy(), kind="stable")]


class SteeringExperiment:
    """Some latents of an SAE, prepared to be changed on the clips of a trial set.

    latents: at most `MAX_STEERED`. steered: only clips that carry this attribute value are changed; by default all.
    keeps_error: add back what the SAE could not rebuild, so that no change is exactly the original embedding.
    """

    def __init__(
        self,
        view: SaeView,
        trial_set: TrialSet,
        latents: Sequence[int],
        *,
        steered: AttributeValue | None = None,
        keeps_error: bool = True,
    ) -> None:
        if len(latents) > MAX_STEERED:
            raise ValueError(f"at most {MAX_STEERED} latents can be steered at once, not {len(latents)}")
        self.view, self.trial_set, self.keeps_error, self.steered = view, trial_set, keeps_error, steered
        corpus = view.workspace.corpus
        self.carries = np.ones(len(corpus), dtype=bool) if steered is None else corpus.has_value(*steered)
        self.latents = tuple(latents)
        vectors = trial_set.vectors if keeps_error else rebuilt(view, trial_set.rows)
        self._base = trial_set.scores if keeps_error else cosine_scores(vectors, trial_set.trials)
        self._steering = self._prepare(vectors, trial_set.rows)

    def count_steered(self, changes: Sequence[Change]) -> int:
        """How many clips of the trials the changes alter: those with the value steered, where a latent's activation
        differs after them. A clip on which an ablated latent is silent stays as it is."""
        return int(self._is_changed(changes).sum())

    def similarities(self, changes: Sequence[Change]) -> Float32[np.ndarray, " p"]:
        """The cosine of each trial once the changes are made."""
        delta = self._steering.deltas(list(changes), self.carries[self.trial_set.rows])
        return self._steering.similarities(self._base, self.trial_set.trials, delta)

    def histograms(
        self, changes: Sequence[Change], *, is_relative: bool = False, only_touched: bool = False
    ) -> Histograms:
        """Similarities before and after in bins; or their relative change (after − before) / |before|.

        only_touched: leave out pairs neither of whose clips is changed.
        """
        before, after, groups = self.trial_set.scores, self.similarities(changes), self.trial_set.groups
        if only_touched:
            touched = self._touched(changes)
            groups = {name: mask & touched for name, mask in groups.items()}
        if not is_relative:
            low = max(-1.0, float(np.floor(10 * before.min() - 1) / 10))
            return Histograms(low, 1.0, _by_group(before, after, groups, (low, 1.0)))
        usable = np.abs(before) >= LEAST_DIVISOR
        change = np.divide(after - before, np.abs(before), out=np.zeros_like(before), where=usable)
        widest = float(np.quantile(np.abs(change[usable]), 0.995)) if usable.any() else 0.0
        span = next((span for span in RELATIVE_SPANS if span >= widest), RELATIVE_SPANS[-1])
        known = {name: mask & usable for name, mask in groups.items()}
        shown = _by_group(np.zeros_like(before), change, known, (-span, span))
        return Histograms(-span, span, shown, int((~usable).sum()))

    def _touched(self, changes: Sequence[Change]) -> Bool[np.ndarray, " p"]:
        is_changed, trials = self._is_changed(changes), self.trial_set.trials
        return is_changed[trials.enrol_rows] | is_changed[trials.test_rows]

    def _is_changed(self, changes: Sequence[Change]) -> Bool[np.ndarray, " n"]:
        delta = self._steering.deltas(list(changes), self.carries[self.trial_set.rows])
        return np.asarray(delta.any(axis=1))

    def outcome(self, changes: Sequence[Change], *, operating_point: str) -> SteeringOutcome:
        """All numbers with their intervals; the threshold is that of the embeddings before steering."""
        trial_set, after = self.trial_set, self.similarities(changes)
        scores = (trial_set.scores, after)
        verified = verify(after, trial_set.trials, trial_set.speaker_groups, drawn=trial_set.draws)
        return SteeringOutcome(
            shifts=measure_shifts(scores, trial_set.groups, trial_set.draws),
            decisions=compare_decisions(
                scores,
                trial_set.trials.is_target,
                threshold=trial_set.threshold(operating_point),
                draws=trial_set.draws,
            ),
            before=trial_set.verified,
            after=verified,
            eer_change=verified.eer_change_from(trial_set.verified),
            has_intervals=trial_set.has_intervals,
        )

    def neighbours(
        self, row: int, changes: Sequence[Change], *, n: int = 4
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Real clips most similar to one clip before and after it is steered: row, cosine; itself left out.

        The clip is steered whether or not it carries the value that the trials are steered by.
        """
        rows = np.array([row])
        embedding = np.asarray(self.view.embeddings.vectors[rows])
        steered = self._steer(rows, embedding, changes, np.ones(1, dtype=bool))
        found = self.view.embeddings
        before, after = (
            clips_near(found.vectors, found.is_valid, vector.astype(np.float32), n, but=row)
            for vector in (embedding[0], steered[0])
        )
        return before, after

    def strongest_rows(self, n: int) -> list[int]:
        """The clips of the trials on which the steered latents are strongest, the latents taking turns."""
        is_offered = np.zeros(len(self.carries), dtype=bool)
        is_offered[self.trial_set.pool_rows] = True
        is_offered &= self.carries
        of_latent = [self.view.index.postings(latent)[0] for latent in self.latents]
        turns = zip_longest(*(rows[is_offered[rows]][:n].tolist() for rows in of_latent))
        return list(dict.fromkeys(row for turn in turns for row in turn if row is not None))[:n]

    def steered_vectors(
        self, rows: Int64[np.ndarray, " m"], changes: Sequence[Change]
    ) -> Float32[np.ndarray, "m d"]:
        """Embeddings of some clips once the changes are made, of norm 1."""
        return self._steer(rows, np.asarray(self.view.embeddings.vectors[rows]), changes, self.carries[rows])

    def _steer(
        self,
        rows: np.ndarray,
        embeddings: np.ndarray,
        changes: Sequence[Change],
        is_steered: Bool[np.ndarray, " m"],
    ) -> np.ndarray:
        vectors = embeddings if self.keeps_error else rebuilt(self.view, rows)
        steering = self._prepare(vectors, rows)
        return steering.steer(vectors, steering.deltas(list(changes), is_steered))

    def _prepare(self, vectors: np.ndarray, rows: np.ndarray) -> Steering:
        codes = self.view.codes.take(rows)
        return Steering.prepare(vectors, self.view.decoder().steps, codes, self.latents)


def rebuilt(view: SaeView, rows: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
    """Some clips' embeddings as the SAE rebuilds them from their codes."""
    return view.decoder().decode(view.codes.take(rows))


def _by_group(
    before: np.ndarray,
    after: np.ndarray,
    groups: dict[str, Bool[np.ndarray, " p"]],
    span: tuple[float, float],
) -> dict[str, GroupHistogram]:
    return {
        name: GroupHistogram(
            int(mask.sum()),
            _shares(before[mask], *span),
            _shares(after[mask], *span),
            float(before[mask].mean()) if mask.any() else 0.0,
            float(after[mask].mean()) if mask.any() else 0.0,
        )
        for name, mask in groups.items()
    }


def _shares(values: np.ndarray, low: float, high: float) -> Float64[np.ndarray, " b"]:
    """Fraction of the values in each of `N_BINS` equal bins, those outside in the outermost."""
    bin_of = ((values - np.float32(low)) * np.float32(N_BINS / (high - low))).astype(np.int32)
    counts = np.bincount(np.clip(bin_of, 0, N_BINS - 1), minlength=N_BINS)
    return counts / max(len(values), 1)


@dataclass(frozen=True)
class SteeringPreset:
    """Latents that detect one attribute value on unseen speakers, its best one first, to be ablated together.

    is_confirmed: whether the value is confirmed on held-out speakers; else the one latent here is only the best there
        is. f1, f1_low, f1_high: of the first, on held-out speakers; the bounds are None where none were made.
    """

    attribute: str
    value: str
    latents: tuple[int, ...]
    is_confirmed: bool
    f1: float
    f1_low: float | None
    f1_high: float | None


def steering_presets(view: SaeView, *, n: int = 8) -> list[SteeringPreset]:
    """The n values best detected on unseen speakers: those confirmed there (see `naming`) first, then the others; each
    by F1. A confirmed one comes with its best latent and others named for it, `MAX_PRESET` at most."""
    named = view.latents[view.latents["is_named"].astype(bool)].sort_values("best_mcc", ascending=False)
    presets = []
    for found in view.predominant_latents().itertuples():
        if found.evidence != UNSEEN_SPEAKERS:
            continue
        is_namesake = (named["best_attribute"] == found.attribute) & (named["best_value"] == found.value)
        others = named.loc[is_namesake, "latent"].tolist() if found.is_confirmed else []
        latents = tuple(dict.fromkeys(map(int, [found.latent, *others])))[:MAX_PRESET]
        low, high = (None if pd.isna(end) else float(end) for end in (found.f1_low, found.f1_high))
        presets.append(
            SteeringPreset(
                found.attribute, found.value, latents, bool(found.is_confirmed), float(found.f1), low, high
            )
        )
    return sorted(presets, key=lambda preset: (not preset.is_confirmed, -preset.f1))[:n]
