"""Speaker verification on trials from speaker labels: EER, minDCF and DET, with intervals over speakers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int
from scipy.special import ndtr, ndtri

from sae_core.corpus.clips import Corpus
from sae_core.corpus.names import NameIndex
from sae_core.corpus.texts import Text, read_text
from sae_core.corpus.trial_lists import read_trial_lines
from sae_core.files.errors import CorpusError
from sae_core.measures.intervals import PairDraws, bounds

N_DRAWS = 200
N_DET_POINTS = 200
MAX_TRIALS = 1_000_000
MAX_LISTED_TRIALS = 200_000
PRIORS = (0.01, 0.05)
LEAST_SHOWN_RATE = 1e-4


@dataclass(frozen=True)
class Trials:
    """Pairs of clips: same speaker (target) or not.

    enrol_rows, test_rows: i64[p]. is_target: bool[p].
    """

    enrol_rows: Int[np.ndarray, " p"]
    test_rows: Int[np.ndarray, " p"]
    is_target: Bool[np.ndarray, " p"]

    def __len__(self) -> int:
        return len(self.is_target)

    def select(self, mask: Bool[np.ndarray, " p"]) -> "Trials":
        """The trials where `mask` is true."""
        return Trials(self.enrol_rows[mask], self.test_rows[mask], self.is_target[mask])


@dataclass(frozen=True)
class VerificationResult:
    """How well scores separate targets from non-targets.

    n_speakers: speakers with target trials. eer: equal error rate, where the false acceptance rate (FAR) and the false
        rejection rate (FRR) are equal; eer_low, eer_high: its 95 % interval, speakers resampled; threshold: the score
        there. eer_draws: f64[B], the EER of each bootstrap draw; two results on the same trials and seed have the same
        draws, so their difference has an interval too.
    min_dcf: prior → normalised minimum detection cost (C_miss = C_fa = 1).
    det: FAR and FRR along falling thresholds, about evenly spaced on probit axes, at most `N_DET_POINTS` + 2 of them.
    """

    n_targets: int
    n_nontargets: int
    n_speakers: int
    eer: float
    eer_low: float
    eer_high: float
    eer_draws: Float64[np.ndarray, " B"]
    threshold: float
    min_dcf: dict[float, float]
    det: tuple[Float64[np.ndarray, " q"], Float64[np.ndarray, " q"]]

    def det_probits(self) -> tuple[Float64[np.ndarray, " q"], Float64[np.ndarray, " q"]]:
        """The DET curve as normal deviates Φ⁻¹(rate), rates kept `LEAST_SHOWN_RATE` away from 0 and 1."""
        far, frr = (probit(rates) for rates in self.det)
        return far, frr

    def eer_change_from(self, before: "VerificationResult") -> tuple[float, float, float]:
        """This EER less that of `before` on the same trials, with its 95 % interval, speakers resampled."""
        if len(self.eer_draws) != len(before.eer_draws):
            raise ValueError("only results on the same trials can be compared draw by draw")
        low, high = _interval(self.eer_draws - before.eer_draws, widest=(-1.0, 1.0))
        return self.eer - before.eer, low, high


def probit(rates: Float64[np.ndarray, " q"]) -> Float64[np.ndarray, " q"]:
    """Φ⁻¹ of error rates, which makes DET curves of normal scores straight; rates of 0 and 1 are moved off the ends."""
    return np.asarray(ndtri(np.clip(rates, LEAST_SHOWN_RATE, 1 - LEAST_SHOWN_RATE)), dtype=np.float64)


def _interval(draws: np.ndarray, *, widest: tuple[float, float]) -> tuple[float, float]:
    """95 % bounds, or the widest possible ones where no draw could be measured."""
    if not len(draws):
        return widest
    low, high = bounds(draws[:, None])[0]
    return float(low), float(high)


def sample_trials(corpus: Corpus, rows: Int[np.ndarray, " m"], *, n_trials: int, seed: int = 0) -> Trials:
    """Return half targets, half non-targets among some clips, drawn evenly over speakers, without repeats.

    Speakers are drawn before clips, so that one with many clips does not dominate. Clips of unknown speaker take no
    part in targets. Raises CorpusError when no two clips share a speaker, or all do.
    """
    if not 2 <= n_trials <= MAX_TRIALS:
        raise ValueError(f"n_trials must lie in 2…{MAX_TRIALS}, not {n_trials}")
    rng = np.random.default_rng(seed)
    by_speaker = _rows_by_speaker(corpus, rows)
    several = [members for members in by_speaker if len(members) > 1]
    if not several or len(by_speaker) < 2:
        raise CorpusError(
            "verification needs two clips of one speaker and clips of another",
            where=corpus.audio_root,
            remedy="import labels with a speaker_id column",
        )
    targets = _distinct(_draw_targets(several, n_trials // 2, rng))
    nontargets = _distinct(_draw_nontargets(by_speaker, n_trials - n_trials // 2, rng))
    pairs = np.concatenate([targets, nontargets])
    is_target = np.arange(len(pairs)) < len(targets)
    return Trials(pairs[:, 0], pairs[:, 1], is_target)


def _rows_by_speaker(corpus: Corpus, rows: np.ndarray) -> list[np.ndarray]:
    groups = corpus.speaker_groups[rows]
    order = np.argsort(groups, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(groups[order])) + 1)


def _draw_targets(speakers: list[np.ndarray], n: int, rng: np.random.Generator) -> np.ndarray:
    sizes = np.array([len(members) for members in speakers])
    chosen = rng.integers(len(speakers), size=n)
    first = rng.integers(sizes[chosen])
    second = (first + 1 + rng.integers(sizes[chosen] - 1)) % sizes[chosen]
    return _pick(speakers, chosen, first, second, chosen)


def _draw_nontargets(speakers: list[np.ndarray], n: int, rng: np.random.Generator) -> np.ndarray:
    sizes = np.array([len(members) for members in speakers])
    one = rng.integers(len(speakers), size=n)
    other = (one + 1 + rng.integers(len(speakers) - 1, size=n)) % len(speakers)
    return _pick(speakers, one, rng.integers(sizes[one]), rng.integers(sizes[other]), other)


def _pick(
    speakers: list[np.ndarray], one: np.ndarray, first: np.ndarray, second: np.ndarray, other: np.ndarray
) -> np.ndarray:
    starts = np.concatenate([[0], np.cumsum([len(members) for members in speakers])])
    members = np.concatenate(speakers)
    return np.sort(np.stack([members[starts[one] + first], members[starts[other] + second]], axis=1), axis=1)


def _distinct(pairs: np.ndarray) -> np.ndarray:
    return np.unique(pairs, axis=0)


def read_trials(path: Path, corpus: Corpus) -> Trials:
    """Return the trials of a list in any order people write them, clips by clip_id or audio_path.

    Raises CorpusError where it is no list of trials, or none of its clips is here.
    """
    return parse_trials(read_text(path), corpus, where=path)[0]


def parse_trials(text: Text | str, corpus: Corpus, *, where: str | Path) -> tuple[Trials, str]:
    """Return the trials of a list's text, and in words which of its lines were left out (nothing where none was).

    `where` is what its errors call it. At most `MAX_LISTED_TRIALS` trials. Lines that are no trials, or name a clip
    that is not here, are left out.
    """
    names = ClipNames(corpus.table)
    found = read_trial_lines(text if isinstance(text, Text) else Text(text), where, is_clip=names.knows)
    table = found.table
    if len(table) > MAX_LISTED_TRIALS:
        raise CorpusError(
            f"holds {len(table):,} trials", where=where, remedy=f"keep at most {MAX_LISTED_TRIALS:,} of them"
        )
    sides = [names.rows(table[side]) for side in ("enrol", "test")]
    is_here = (sides[0].notna() & sides[1].notna()).to_numpy()
    if not is_here.any():
        raise _no_clip_here(table, sides, where, corpus)
    rows = [side[is_here].to_numpy(dtype=np.int64) for side in sides]
    trials = Trials(rows[0], rows[1], table["is_target"].to_numpy(dtype=bool)[is_here])
    return trials, _left_out(table[~is_here], found.unread, len(table))


class ClipNames:
    """The clips of a corpus by id and by path."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._known = [
            (NameIndex(list(rows)), rows)
            for rows in (
                {str(name): row for row, name in enumerate(table["clip_id"])},
                {str(path): row for row, path in reversed(list(enumerate(table["audio_path"])))},
            )
        ]

    def knows(self, name: str) -> bool:
        """Whether a name means a clip."""
        return any(index.find(name) is not None for index, _ in self._known)

    def rows(self, names: pd.Series) -> pd.Series:
        """The row of each clip, null where a name means none; ids come before paths."""
        by_id, by_path = (index.find_all(names).map(rows) for index, rows in self._known)
        return by_id.where(by_id.notna(), by_path)


def _no_clip_here(
    table: pd.DataFrame, sides: list[pd.Series], where: str | Path, corpus: Corpus
) -> CorpusError:
    if not len(table):
        return CorpusError(
            "holds no trials", where=where, remedy="write a line `1 enrol test` for each trial"
        )
    name = table["enrol" if sides[0].isna().iloc[0] else "test"].iloc[0]
    return CorpusError(
        f"line {table.index[0]} names {name!r}, which is no clip of this workspace, and so does every line",
        where=where,
        remedy=f"use clip_id or audio_path as in clips.parquet, such as {corpus.table['clip_id'].iloc[0]!r}",
    )


def _left_out(gone: pd.DataFrame, unread: tuple[int, ...], n: int) -> str:
    words = []
    if len(gone):
        words.append(
            f"{len(gone):,} of its {n:,} trials name a clip that is not here (line {gone.index[0]} first)"
        )
    if unread:
        words.append(f"{len(unread):,} of its lines are no trials (line {unread[0]} first)")
    return "; ".join(words)


TRIAL_GROUPS = (
    "same speaker",
    "different speaker, same language",
    "different speaker, other language",
    "different speaker, same gender",
    "different speaker, other gender",
)


def group_trials(corpus: Corpus, trials: Trials) -> dict[str, Bool[np.ndarray, " p"]]:
    """Masks of the `TRIAL_GROUPS` a corpus has labels for; trials whose label is unknown are in neither group."""
    groups = {"same speaker": trials.is_target}
    for attribute in ("language", "gender"):
        if attribute not in corpus.attributes:
            continue
        codes, _ = corpus.coded(attribute)
        one, other = codes[trials.enrol_rows], codes[trials.test_rows]
        known = (one >= 0) & (other >= 0) & ~trials.is_target
        groups[f"different speaker, same {attribute}"] = known & (one == other)
        groups[f"different speaker, other {attribute}"] = known & (one != other)
    return {name: groups[name] for name in TRIAL_GROUPS if name in groups and groups[name].any()}


def cosine_scores(vectors: Float32[np.ndarray, "n d"], trials: Trials) -> Float32[np.ndarray, " p"]:
    """Cosine similarity of each pair, in pieces that stay small; 0 where a vector is zero."""
    scores = np.empty(len(trials), dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    for start in range(0, len(trials), 65_536):
        part = slice(start, start + 65_536)
        one, other = trials.enrol_rows[part], trials.test_rows[part]
        dots = np.einsum("pd,pd->p", vectors[one], vectors[other])
        lengths = norms[one] * norms[other]
        scores[part] = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
    return scores


def verify(
    scores: Float32[np.ndarray, " p"],
    trials: Trials,
    speaker_groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
    drawn: PairDraws | None = None,
) -> VerificationResult:
    """Return EER, minDCF and DET of scored trials; ValueError when targets or non-targets are missing.

    In each bootstrap draw a trial of one speaker weighs as often as that speaker was drawn, a trial of two the product.
    drawn: the draws to use, where the same trials are verified over and over; None draws from the seed.
    """
    if trials.is_target.all() or not trials.is_target.any():
        raise ValueError("verification needs targets and non-targets")
    curve = _Curve.of(scores, trials.is_target)
    frr, far = curve.rates()
    eer, place = _crossing(frr, far)
    draws = curve.resampled_eers(drawn or draw_pairs(trials, speaker_groups, seed=seed))
    low, high = _interval(draws, widest=(0.0, 1.0))
    shown = _shown_points(frr, far)
    return VerificationResult(
        n_targets=int(trials.is_target.sum()),
        n_nontargets=int((~trials.is_target).sum()),
        n_speakers=len(np.unique(speaker_groups[trials.enrol_rows][trials.is_target])),
        eer=eer,
        eer_low=low,
        eer_high=high,
        eer_draws=draws,
        threshold=float(curve.levels[place]),
        min_dcf={prior: _min_dcf(frr, far, prior) for prior in PRIORS},
        det=(far[shown], frr[shown]),
    )


def min_dcf_draws(
    scores: Float32[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], draws: PairDraws, *, prior: float
) -> Float64[np.ndarray, " B"]:
    """The normalised minimum detection cost in each bootstrap draw of speakers; NaN in draws without a side."""
    curve = _Curve.of(scores, is_target)
    found = []
    for block in draws.blocks():
        hit, far = (_running_shares(draws.weights(block, part)) for part in (curve.targets, curve.others))
        costs = prior * (1 - hit[:, curve.n_true_accepts]) + (1 - prior) * far[:, curve.n_false_accepts]
        has_sides = (hit[:, -1] > 0) & (far[:, -1] > 0)
        found.append(np.where(has_sides, costs.min(axis=1) / min(prior, 1 - prior), np.nan))
    return np.concatenate(found)


def equal_error_rate(scores: Float32[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"]) -> float:
    """The equal error rate alone, without an interval: what `verify` gives, in a fraction of the time."""
    return _crossing(*_Curve.of(scores, is_target).rates())[0]


def threshold_at(
    scores: Float32[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, far: float
) -> float:
    """The lowest threshold at which at most `far` of the non-targets score at or above it.

    Where even the highest of them are too many, the threshold lies just above every one.
    """
    others = np.sort(scores[~is_target])[::-1]
    n_accepted = int(np.floor(far * len(others) + 1e-9))
    if n_accepted >= len(others):
        return float(min(scores.min(), others[-1]))
    return float(np.nextafter(others[n_accepted], np.float32(np.inf), dtype=np.float32))


def draw_pairs(trials: Trials, speaker_groups: Int[np.ndarray, " n"], *, seed: int = 0) -> PairDraws:
    """Bootstrap draws of the speakers of some trials; the same ones that `verify` takes for its interval."""
    one, other = speaker_groups[trials.enrol_rows], speaker_groups[trials.test_rows]
    return PairDraws.over(one, other, seed=seed, n_draws=N_DRAWS)


def kolmogorov_smirnov(one: Float32[np.ndarray, " p"], other: Float32[np.ndarray, " q"]) -> float:
    """The largest gap between two cumulative distributions (two-sample Kolmogorov–Smirnov statistic): 0 when they are
    equal, 1 when they do not overlap."""
    values = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


Rate = tuple[float, float, float]
"""A rate with the bounds of its 95 % interval, speakers resampled."""


@dataclass(frozen=True)
class ChangedDecisions:
    """Trials whose decision changes between two scorings at one threshold.

    rejections_added, rejections_fixed: targets accepted before and rejected after, and the opposite, as fractions of
        all targets. acceptances_added, acceptances_fixed: non-targets rejected before and accepted after, and the
        opposite, as fractions of all non-targets.
    frr, far: false rejection rate and false acceptance rate, before and after.
    """

    threshold: float
    rejections_added: Rate
    rejections_fixed: Rate
    acceptances_added: Rate
    acceptances_fixed: Rate
    frr: tuple[float, float]
    far: tuple[float, float]


def compare_decisions(
    scores: tuple[Float32[np.ndarray, " p"], Float32[np.ndarray, " p"]],
    is_target: Bool[np.ndarray, " p"],
    *,
    threshold: float,
    draws: PairDraws,
) -> ChangedDecisions:
    """Return which decisions change between scores before and after; a score at or above `threshold` is accepted."""
    was, now = (part >= np.float32(threshold) for part in scores)
    changed = {
        "rejections_added": (was & ~now, is_target),
        "rejections_fixed": (~was & now, is_target),
        "acceptances_added": (~was & now, ~is_target),
        "acceptances_fixed": (was & ~now, ~is_target),
    }
    columns = [is_target, ~is_target, *(mask & side for mask, side in changed.values())]
    sums = draws.sums(np.stack(columns, axis=1).astype(np.float64))
    rates = {}
    for column, (name, (mask, side)) in enumerate(changed.items()):
        weights = sums[:, 0 if name.startswith("rejections") else 1]
        usable = weights > 0
        drawn = sums[usable, 2 + column] / weights[usable]
        rates[name] = (float(mask[side].mean()), *_interval(drawn, widest=(0.0, 1.0)))
    return ChangedDecisions(
        threshold=threshold,
        **rates,
        frr=(float((~was)[is_target].mean()), float((~now)[is_target].mean())),
        far=(float(was[~is_target].mean()), float(now[~is_target].mean())),
    )


@dataclass(frozen=True)
class _Curve:
    """Trials by falling score. After level l, `n_true_accepts[l]` targets and `n_false_accepts[l]` others are accepted.

    targets, others: i64, the places of targets and of non-targets among the trials, by falling score.
    levels: f32[q+1], the scores at which runs of equal scores end; the first stands for accepting none.
    """

    targets: np.ndarray
    others: np.ndarray
    levels: np.ndarray
    n_true_accepts: np.ndarray
    n_false_accepts: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, is_target: np.ndarray) -> "_Curve":
        order = np.argsort(-scores)
        falling, is_hit = scores[order], is_target[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        n_true_accepts = np.append(0, np.cumsum(is_hit)[ends])
        n_false_accepts = np.append(0, ends + 1) - n_true_accepts
        return cls(
            order[is_hit],
            order[~is_hit],
            np.append(falling[:1], falling[ends]),
            n_true_accepts,
            n_false_accepts,
        )

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """FRR and FAR when all scores at or above each level are accepted, from none to all."""
        return 1 - self.n_true_accepts / len(self.targets), self.n_false_accepts / len(self.others)

    def resampled_eers(self, draws: PairDraws) -> np.ndarray:
        """The EER in each draw; draws without any target or without any non-target are left out."""
        found = [self._eers_of(draws, block) for block in draws.blocks()]
        return np.concatenate(found)

    def _eers_of(self, draws: PairDraws, block: slice) -> np.ndarray:
        hit, far = (_running_shares(draws.weights(block, part)) for part in (self.targets, self.others))
        usable = np.flatnonzero((hit[:, -1] > 0) & (far[:, -1] > 0))
        low, high = np.zeros(len(usable), np.int64), np.full(len(usable), len(self.levels) - 1)
        # rates only rise along the curve, so all draws can look for their crossing by halving at once
        while (low < high).any():
            middle = (low + high) // 2
            is_past = (
                far[usable, self.n_false_accepts[middle]] >= 1 - hit[usable, self.n_true_accepts[middle]]
            )
            low, high = np.where(is_past, low, middle + 1), np.where(is_past, middle, high)
        before = np.maximum(high - 1, 0)
        return _cross(
            *(1 - hit[usable, self.n_true_accepts[place]] for place in (before, high)),
            *(far[usable, self.n_false_accepts[place]] for place in (before, high)),
        )


def _running_shares(weights: np.ndarray) -> np.ndarray:
    """Share of the total weight among the first 0, 1, … all columns; zeros where a line has no weight."""
    sums = np.cumsum(weights, axis=1)
    shares = np.zeros((sums.shape[0], sums.shape[1] + 1))
    np.divide(sums, sums[:, -1:], out=shares[:, 1:], where=sums[:, -1:] > 0)
    return shares


def _cross(
    frr_before: np.ndarray, frr_after: np.ndarray, far_before: np.ndarray, far_after: np.ndarray
) -> np.ndarray:
    """The rate at which the line between two points of a curve meets FRR = FAR."""
    gap_before, gap_after = frr_before - far_before, far_after - frr_after
    width = gap_before + gap_after
    share = np.divide(gap_before, width, out=np.zeros_like(width), where=width > 0)
    return frr_before + share * (frr_after - frr_before)


def _crossing(frr: np.ndarray, far: np.ndarray) -> tuple[float, int]:
    """The EER of a curve, and the nearest of its points."""
    after = int(np.argmax(far >= frr))
    before = max(after - 1, 0)
    eer = _cross(*(rates[place : place + 1] for rates in (frr, far) for place in (before, after)))
    is_nearer = far[after] - frr[after] <= frr[before] - far[before]
    return float(eer[0]), after if is_nearer else before


def _shown_points(frr: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Points of a curve about evenly spaced along both probit axes, its ends among them."""
    rates = ndtr(np.linspace(probit(np.zeros(1))[0], probit(np.ones(1))[0], N_DET_POINTS // 2))
    along_far = np.searchsorted(far, rates)
    along_frr = len(frr) - 1 - np.searchsorted(frr[::-1], rates)
    points = np.concatenate([[0, len(frr) - 1], along_far, along_frr])
    return np.unique(np.clip(points, 0, len(frr) - 1))


def _min_dcf(frr: np.ndarray, far: np.ndarray, prior: float) -> float:
    cost = prior * frr + (1 - prior) * far
    return float(cost.min() / min(prior, 1 - prior))
