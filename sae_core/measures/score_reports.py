"""Scores as operations and forensics judge them: calibrated on one list, judged on another."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int

from sae_core.measures.calibration import (
    Calibration,
    cllr,
    cllr_draws,
    detection_cost,
    fit_calibration,
    min_cllr,
)
from sae_core.measures.intervals import PairDraws, SpeakerCounts, bounds, draw_speakers
from sae_core.measures.verification import PRIORS, Trials, VerificationResult, draw_pairs, verify

Scored = tuple[Float[np.ndarray, " q"], Bool[np.ndarray, " q"]]
"""Scores, and which of them are of targets."""


@dataclass(frozen=True)
class ScoreReport:
    """How good scores are, as they come and as likelihood ratios.

    verified: EER, minDCF, DET. calibration: fitted on `development` trials, or on these very ones (is_own). llrs:
    f64[p], of the trials that are judged, is_target: bool[p]. cllr, min_cllr: in bits; cllr_bounds: 95 %, speakers
    resampled. actual_dcf: prior → detection cost, with bounds, of Bayes decisions by the calibration, beside the
    minimum in `verified.min_dcf`.
    """

    verified: VerificationResult
    calibration: Calibration
    is_own: bool
    llrs: Float64[np.ndarray, " p"]
    is_target: Bool[np.ndarray, " p"]
    cllr: float
    cllr_bounds: tuple[float, float]
    min_cllr: float
    actual_dcf: dict[float, tuple[float, float, float]]

    def line(self) -> dict[str, object]:
        """The figures as one row of a table."""
        found: dict[str, object] = {
            "eer": self.verified.eer,
            "eer_low": self.verified.eer_low,
            "eer_high": self.verified.eer_high,
            "cllr": self.cllr,
            "cllr_low": self.cllr_bounds[0],
            "cllr_high": self.cllr_bounds[1],
            "min_cllr": self.min_cllr,
            "is_own_calibration": self.is_own,
        }
        for prior, (value, low, high) in self.actual_dcf.items():
            found |= {f"min_dcf_{prior:g}": self.verified.min_dcf[prior], f"actual_dcf_{prior:g}": value}
            found |= {f"actual_dcf_{prior:g}_low": low, f"actual_dcf_{prior:g}_high": high}
        return found


def report_scores(
    scores: Float[np.ndarray, " p"],
    trials: Trials,
    speaker_groups: Int[np.ndarray, " n"],
    *,
    development: Scored | None = None,
    drawn: PairDraws | None = None,
) -> ScoreReport:
    """Judge scored trials.

    development: scores of other trials by the same system, on which calibration and thresholds are fixed; without them
    they are fitted on the trials that are judged, which flatters them. Raises ValueError without targets or without
    non-targets on either list.
    """
    draws = drawn or draw_pairs(trials, speaker_groups)
    truth = trials.is_target
    calibration = fit_calibration(*(development or (scores, truth)))
    llrs = calibration.llrs(scores)
    own = cllr_draws(llrs, truth, draws)
    return ScoreReport(
        verified=verify(np.asarray(scores, np.float32), trials, speaker_groups, drawn=draws),
        calibration=calibration,
        is_own=development is None,
        llrs=llrs,
        is_target=truth,
        cllr=cllr(llrs, truth),
        cllr_bounds=_bounds(own, 0.0, np.inf),
        min_cllr=min_cllr(scores, truth),
        actual_dcf={prior: _actual(llrs, truth, draws, prior) for prior in PRIORS},
    )


def _actual(
    llrs: np.ndarray, truth: np.ndarray, draws: PairDraws, prior: float
) -> tuple[float, float, float]:
    threshold = -float(np.log(prior / (1 - prior)))
    value = detection_cost(llrs, truth, threshold=threshold, prior=prior)
    lost, taken = truth & (llrs < threshold), ~truth & (llrs >= threshold)
    sums = draws.sums(np.stack([truth, ~truth, lost, taken], axis=1).astype(np.float64))
    weights = np.where(sums[:, :2] > 0, sums[:, :2], np.nan)
    drawn = (prior * sums[:, 2] / weights[:, 0] + (1 - prior) * sums[:, 3] / weights[:, 1]) / min(
        prior, 1 - prior
    )
    return (value, *_bounds(drawn, 0.0, np.inf))


def _bounds(draws: np.ndarray, least: float, most: float) -> tuple[float, float]:
    usable = draws[np.isfinite(draws)]
    if not len(usable):
        return least, most
    low, high = bounds(usable[:, None])[0]
    return float(low), float(high)


@dataclass(frozen=True)
class Identification:
    """Who of the enrolled speakers a clip is by.

    ranks: i64[t], of the true speaker for each test clip (1 is first; an equal score counts against it). cmc: a row a
    rank: rank, rate (fraction of test clips whose speaker is among so many first), low, high (95 %, speakers
    resampled).
    """

    ranks: Int[np.ndarray, " t"]
    cmc: pd.DataFrame

    @property
    def rank_1(self) -> float:
        """The fraction of test clips whose speaker is found first."""
        return float(self.cmc["rate"].iloc[0])


def identify(
    scores: Float[np.ndarray, "t m"],
    truth: Int[np.ndarray, " t"],
    speaker_groups: Int[np.ndarray, " t"],
    *,
    n_ranks: int = 20,
) -> Identification:
    """Rank the enrolled speakers (columns) for each test clip; `truth` is the column of its own speaker.

    speaker_groups: the speaker of each test clip, who is resampled.
    """
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    ranks = (scores >= own).sum(axis=1)
    speakers = SpeakerCounts.over(speaker_groups, np.ones(len(ranks), dtype=bool))
    n_ranks = min(n_ranks, scores.shape[1])
    tables = [np.flatnonzero(ranks <= rank) for rank in range(1, n_ranks + 1)]
    counts = speakers.count([*tables, np.arange(len(ranks))]).T.toarray()
    drawn = draw_speakers(speakers.n_speakers, seed=0) @ counts
    edges = bounds(drawn[:, :-1] / drawn[:, -1:])
    rates = [len(table) / len(ranks) for table in tables]
    table = {"rank": np.arange(1, n_ranks + 1), "rate": rates, "low": edges[:, 0], "high": edges[:, 1]}
    return Identification(ranks.astype(np.int64), pd.DataFrame(table))


def open_set(
    scores: Float[np.ndarray, "t m"], truth: Int[np.ndarray, " t"], *, n_points: int = 200
) -> pd.DataFrame:
    """Identification where some test clips are of nobody enrolled (`truth` −1), at falling thresholds.

    Columns: threshold; false_positive, the fraction of unknown speakers' clips that are given a name; false_negative,
    the fraction of known speakers' clips that are given none or a wrong one. Raises ValueError without either kind.
    """
    is_known = truth >= 0
    if is_known.all() or not is_known.any():
        raise ValueError("an open set needs clips of enrolled speakers and clips of others")
    best = scores.max(axis=1)
    rows = np.flatnonzero(is_known)
    own = scores[rows, truth[rows]]
    is_first = (scores[rows] >= own[:, None]).sum(axis=1) == 1
    levels = np.quantile(best, np.linspace(1, 0, n_points))
    found = np.sort(own[is_first])
    unknown = np.sort(best[~is_known])
    hits = len(found) - np.searchsorted(found, levels, side="left")
    named = len(unknown) - np.searchsorted(unknown, levels, side="left")
    return pd.DataFrame(
        {
            "threshold": levels,
            "false_positive": named / len(unknown),
            "false_negative": 1 - hits / len(rows),
        }
    )


def enrol(
    vectors: Float[np.ndarray, "n d"], models: Int[np.ndarray, " n"], *, by: str = "mean of vectors"
) -> Float64[np.ndarray, "m d"]:
    """Models of speakers from several clips each; a clip's score is its unit embedding times the model.

    models: the number of the model each embedding belongs to, from 0. by: `mean of vectors` scores by the cosine with
    the mean of the unit embeddings; `mean of scores` by the mean of the cosines with each. Raises ValueError for
    another.
    """
    if by not in ("mean of vectors", "mean of scores"):
        raise ValueError(f"models are enrolled by mean of vectors or mean of scores, not by {by!r}")
    wide = np.asarray(vectors, np.float64)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    sums = np.zeros((int(models.max()) + 1, wide.shape[1]))
    np.add.at(sums, models, unit)
    sums /= np.maximum(np.bincount(models, minlength=len(sums)), 1)[:, None]
    if by == "mean of vectors":
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return sums
