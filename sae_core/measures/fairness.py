"""Error rates by group and by speaker, with intervals over speakers.

Speakers who are hard to verify are called goats, those whose impostor scores are high, and who are so easily taken for
others, lambs (as enrolled) and wolves (as testing); after Doddington et al. 1998, "Sheep, goats, lambs and wolves".
Cosine scores are symmetric, so lambs and wolves are told apart only where trials say who is enrolled.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int

from sae_core.measures.intervals import PairDraws, bounds
from sae_core.measures.verification import Trials, draw_pairs, threshold_at, verify

FEW_SPEAKERS = 5
"""Groups of fewer speakers with target trials are said, not measured."""
RARE = 0.1
"""Goats, lambs and wolves are the tenth of the speakers at that end whose interval excludes the mean of all."""
GAP_COLUMNS = (
    "latent", "gap", "gap_before", "change", "low", "high", "worse", "worse_before", "rest", "rest_before", "helps",
)  # fmt: skip
GROUP_COLUMNS = ("group", "n_speakers", "n_targets", "n_nontargets", "is_tested", "eer", "frr", "far")


def group_errors(
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
    groups: dict[str, Bool[np.ndarray, " n"]],
    speaker_groups: Int[np.ndarray, " n"],
    *,
    threshold: float,
) -> pd.DataFrame:
    """Error rates within groups of clips, at one common threshold and at each group's own (EER).

    groups: name → clips of the group, by position in the trials; trials within it count, both clips in the group.
    Columns: `GROUP_COLUMNS`, with frr and far at `threshold`; each of the three with _low and _high (95 %, speakers
    resampled), frr and far with _ratio to that of all trials and its bounds; rows of groups with fewer than
    `FEW_SPEAKERS` speakers have no numbers, is_tested False.
    """
    drawn = draw_pairs(trials, speaker_groups)
    is_accepted = scores >= np.float32(threshold)
    wrong = {"frr": trials.is_target & ~is_accepted, "far": ~trials.is_target & is_accepted}
    sides = {"frr": trials.is_target, "far": ~trials.is_target}
    whole = {name: _rate(wrong[name], sides[name], drawn) for name in wrong}
    lines = []
    for name, is_member in groups.items():
        inside = is_member[trials.enrol_rows] & is_member[trials.test_rows]
        targets = inside & trials.is_target
        n_speakers = len(np.unique(speaker_groups[trials.enrol_rows[targets]]))
        line: dict[str, object] = {
            "group": name,
            "n_speakers": n_speakers,
            "n_targets": int(targets.sum()),
            "n_nontargets": int((inside & ~trials.is_target).sum()),
            "is_tested": n_speakers >= FEW_SPEAKERS and bool((inside & ~trials.is_target).any()),
        }
        if line["is_tested"]:
            own_errors = verify(scores[inside], trials.select(inside), speaker_groups)
            line |= {"eer": own_errors.eer, "eer_low": own_errors.eer_low, "eer_high": own_errors.eer_high}
            for rate, side in sides.items():
                own = _rate(wrong[rate] & inside, side & inside, drawn)
                line |= _compared(rate, own, whole[rate])
        lines.append(line)
    names = [*GROUP_COLUMNS[:6], "eer_low", "eer_high"]
    for rate in ("frr", "far"):
        names += [f"{rate}{part}" for part in ("", "_low", "_high", "_ratio", "_ratio_low", "_ratio_high")]
    return pd.DataFrame(lines, columns=names)


def _rate(wrong: np.ndarray, side: np.ndarray, drawn: PairDraws) -> tuple[float, np.ndarray]:
    """A rate, and in each draw of speakers."""
    sums = drawn.sums(np.stack([wrong, side], axis=1).astype(np.float64))
    draws = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
    return float(wrong.sum() / max(int(side.sum()), 1)), draws


def _compared(name: str, own: tuple[float, np.ndarray], whole: tuple[float, np.ndarray]) -> dict[str, object]:
    """A rate and its ratio to that of all, each with bounds; the ratio is unknown where the whole has no errors."""
    usable = np.isfinite(own[1])
    low, high = bounds(own[1][usable][:, None])[0] if usable.any() else (0.0, 1.0)
    found: dict[str, object] = {name: own[0], f"{name}_low": float(low), f"{name}_high": float(high)}
    has_ratio = usable & (np.nan_to_num(whole[1]) > 0)
    if whole[0] > 0 and has_ratio.any():
        ratios = own[1][has_ratio] / whole[1][has_ratio]
        low, high = bounds(ratios[:, None])[0]
        found |= {
            f"{name}_ratio": own[0] / whole[0],
            f"{name}_ratio_low": float(low),
            f"{name}_ratio_high": float(high),
        }
    return found


def gap_changes(
    scorings: dict[int, Float32[np.ndarray, " p"]],
    scored: tuple[Float32[np.ndarray, " p"], Trials],
    speaker_groups: Int[np.ndarray, " n"],
    groups: tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]],
) -> pd.DataFrame:
    """Which latents a gap between two groups rests on: how the gap in FRR changes when each latent is off.

    scorings: latent → scores without it. scored: the scores before, and their trials. The threshold of each scoring
    keeps the false acceptance rate that all trials have before at equal errors, so a shift of all scores counts for
    nothing. groups: the worse and the better one, by position in the trials; trials within each count.
    Columns: latent, gap (worse − better, without the latent), gap_before, change with low and high (95 %, speakers
    resampled), worse and worse_before, rest and rest_before (FRR in all other target trials); helps: the worse group
    gains, its interval beside 0, and the rest loses nothing that can be told from 0.
    """
    before, trials = scored
    drawn, far = draw_pairs(trials, speaker_groups), far_at_equal_errors(before, trials)
    inside = [member[trials.enrol_rows] & member[trials.test_rows] & trials.is_target for member in groups]
    masks = [*inside, trials.is_target & ~inside[0]]

    def rates(scores: np.ndarray) -> list[tuple[float, np.ndarray]]:
        rejected = scores < np.float32(threshold_at(scores, trials.is_target, far=far))
        return [_rate(rejected & mask, mask, drawn) for mask in masks]

    was = rates(before)
    lines = []
    for latent, scores in scorings.items():
        now = rates(scores)
        change = (now[0][1] - now[1][1]) - (was[0][1] - was[1][1])
        gain, loss = now[0][1] - was[0][1], now[2][1] - was[2][1]
        low, high = _edges(change)
        lines.append(
            {
                "latent": latent,
                "gap": now[0][0] - now[1][0],
                "gap_before": was[0][0] - was[1][0],
                "change": (now[0][0] - now[1][0]) - (was[0][0] - was[1][0]),
                "low": low,
                "high": high,
                "worse": now[0][0],
                "worse_before": was[0][0],
                "rest": now[2][0],
                "rest_before": was[2][0],
                "helps": _edges(gain)[1] < 0 and _edges(loss)[0] <= 0,
            }
        )
    table = pd.DataFrame(lines, columns=list(GAP_COLUMNS))
    return table.sort_values("change", kind="stable").reset_index(drop=True)


def _edges(draws: np.ndarray) -> tuple[float, float]:
    usable = draws[np.isfinite(draws)]
    if not len(usable):
        return -1.0, 1.0
    low, high = bounds(usable[:, None])[0]
    return float(low), float(high)


def frr_gap(
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
    groups: tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]],
    *,
    far: float,
) -> float:
    """The gap of `gap_changes` alone, without an interval: FRR of the worse group less that of the better one, where
    `far` of all non-targets are accepted."""
    rejected = scores < np.float32(threshold_at(scores, trials.is_target, far=far))
    inside = [member[trials.enrol_rows] & member[trials.test_rows] & trials.is_target for member in groups]
    return float(rejected[inside[0]].mean() - rejected[inside[1]].mean())


def far_at_equal_errors(scores: Float32[np.ndarray, " p"], trials: Trials) -> float:
    """The false acceptance rate at the score at which false rejections and false acceptances are nearest to equal."""
    levels, is_target = np.unique(scores), trials.is_target
    frr = np.searchsorted(np.sort(scores[is_target]), levels, side="left") / is_target.sum()
    far = 1 - np.searchsorted(np.sort(scores[~is_target]), levels, side="left") / (~is_target).sum()
    return float(far[np.argmin(np.abs(frr - far))])


def speaker_errors(
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
    speaker_groups: Int[np.ndarray, " n"],
    *,
    threshold: float,
) -> pd.DataFrame:
    """One row a speaker: who is hard to verify, and who is easily taken for others.

    Columns: speaker (its group number), n_targets, mean_target, frr; n_enrolled, mean_enrolled, far_enrolled over
    impostor trials in which the speaker is enrolled; n_tested, mean_tested, far_tested over those in which the speaker
    tests; and is_goat, is_lamb, is_wolf: among the `RARE` fraction of speakers at that end, and farther from the mean
    of all speakers than twice the standard error of the own mean. Rates are NaN where a speaker has no such trials.
    """
    one, other = speaker_groups[trials.enrol_rows], speaker_groups[trials.test_rows]
    speakers = np.unique(np.concatenate([one, other]))
    is_accepted = scores >= np.float32(threshold)
    table = pd.DataFrame({"speaker": speakers})
    parts = {
        "target": (one, trials.is_target, ~is_accepted, "frr", "n_targets"),
        "enrolled": (one, ~trials.is_target, is_accepted, "far_enrolled", "n_enrolled"),
        "tested": (other, ~trials.is_target, is_accepted, "far_tested", "n_tested"),
    }
    marks = {"target": ("is_goat", -1), "enrolled": ("is_lamb", 1), "tested": ("is_wolf", 1)}
    for name, (who, side, wrong, rate, count) in parts.items():
        place = np.searchsorted(speakers, who[side])
        n = np.bincount(place, minlength=len(speakers))
        sums, squares, errors = (
            np.bincount(place, weights=values[side].astype(np.float64), minlength=len(speakers))
            for values in (scores, scores.astype(np.float64) ** 2, wrong)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, failed = sums / n, errors / n
            error = np.sqrt(np.maximum(squares / n - mean**2, 0) / np.maximum(n - 1, 1))
        table[count], table[f"mean_{name}"], table[rate] = n, mean, failed
        mark, sign = marks[name]
        table[mark] = _is_at_end(sign * mean, error, n)
    return table


def _is_at_end(values: np.ndarray, errors: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The highest `RARE` fraction of values, clearly above the mean of all; at least three trials each."""
    usable = np.isfinite(values) & (n >= 3)
    if usable.sum() < 2:
        return np.zeros(len(values), dtype=bool)
    edge = np.quantile(values[usable], 1 - RARE)
    return np.asarray(
        usable & (values >= edge) & (values - values[usable].mean() > 2 * np.nan_to_num(errors))
    )
