"""Speaker verification on trials from speaker labels: EER, minDCF and DET, with intervals over speakers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from scipy.special import ndtr, ndtri

from sae_core.corpus.clips import Corpus
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
    """How well scores tell targets from non-targets.

    n_speakers: speakers with target trials. eer: equal error rate, where the two error rates cross. threshold: the
    score there. eer_low, eer_high: 95 % interval, speakers resampled. eer_draws: the EER of each bootstrap draw; two
    results on the same trials and seed have the same draws, so their difference has an interval too. min_dcf: prior →
    normalised minimum detection cost (C_miss = C_fa = 1). det: false-alarm and miss rates along falling thresholds,
    about evenly spaced on probit axes, at most `N_DET_POINTS` + 2 of them.
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
        alarm, miss = (probit(rates) for rates in self.det)
        return alarm, miss

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
    """Return the trials of a list in VoxCeleb's format: `1 enrol test` a line, clips by clip_id or audio_path.

    Raises CorpusError naming the line that cannot be read or names an unknown clip.
    """
    return parse_trials(path.read_text("utf-8", errors="replace"), corpus, where=path)


def parse_trials(text: str, corpus: Corpus, *, where: str | Path) -> Trials:
    """Return the trials of a list's text; `where` is what its errors call it. At most `MAX_LISTED_TRIALS` lines."""
    table = corpus.table
    row_of = dict(zip(table["audio_path"].astype(str), range(len(table)), strict=True))
    row_of |= dict(zip(table["clip_id"].astype(str), range(len(table)), strict=True))
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise CorpusError("holds no trials", where=where, remedy="write a line `1 enrol test` for each trial")
    if len(lines) > MAX_LISTED_TRIALS:
        raise CorpusError(
            f"holds {len(lines):,} trials", where=where, remedy=f"keep at most {MAX_LISTED_TRIALS:,} of them"
        )
    pairs = np.empty((len(lines), 3), dtype=np.int64)
    for place, (number, parts) in enumerate(lines):
        pairs[place] = _read_line(number, parts, row_of, where)
    return Trials(pairs[:, 1], pairs[:, 2], pairs[:, 0] == 1)


def _read_line(
    number: int, parts: list[str], row_of: dict[str, int], where: str | Path
) -> tuple[int, int, int]:
    if len(parts) != 3 or parts[0] not in ("0", "1"):
        raise CorpusError(f"line {number} is not `0|1 enrol test`", where=where, remedy="correct that line")
    unknown = [name for name in parts[1:] if name not in row_of]
    if unknown:
        raise CorpusError(
            f"line {number} names {unknown[0]!r}, which is no clip of this workspace",
            where=where,
            remedy="use clip_id or audio_path as in clips.parquet",
        )
    return int(parts[0]), row_of[parts[1]], row_of[parts[2]]


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
    miss, alarm = curve.rates()
    eer, place = _crossing(miss, alarm)
    one, other = speaker_groups[trials.enrol_rows], speaker_groups[trials.test_rows]
    draws = curve.resampled_eers(drawn or PairDraws.over(one, other, seed=seed, n_draws=N_DRAWS))
    low, high = _interval(draws, widest=(0.0, 1.0))
    shown = _shown_points(miss, alarm)
    return VerificationResult(
        n_targets=int(trials.is_target.sum()),
        n_nontargets=int((~trials.is_target).sum()),
        n_speakers=len(np.unique(one[trials.is_target])),
        eer=eer,
        eer_low=low,
        eer_high=high,
        eer_draws=draws,
        threshold=float(curve.levels[place]),
        min_dcf={prior: _min_dcf(miss, alarm, prior) for prior in PRIORS},
        det=(alarm[shown], miss[shown]),
    )


def equal_error_rate(scores: Float32[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"]) -> float:
    """The equal error rate alone, without an interval: what `verify` gives, in a fraction of the time."""
    return _crossing(*_Curve.of(scores, is_target).rates())[0]


def threshold_at(
    scores: Float32[np.ndarray, " p"], is_target: Bool[np.ndarray, " p"], *, alarm_rate: float
) -> float:
    """The lowest threshold at which at most `alarm_rate` of the non-targets score at or above it.

    Where even the highest of them are too many, the threshold lies just above every one.
    """
    others = np.sort(scores[~is_target])[::-1]
    n_let_in = int(np.floor(alarm_rate * len(others) + 1e-9))
    if n_let_in >= len(others):
        return float(min(scores.min(), others[-1]))
    return float(np.nextafter(others[n_let_in], np.float32(np.inf), dtype=np.float32))


@dataclass(frozen=True)
class _Curve:
    """Trials by falling score. After level l, `n_hits[l]` targets and `n_alarms[l]` others are accepted.

    targets, others: i64, the places of targets and of non-targets among the trials, by falling score.
    levels: f32[q+1], the scores at which runs of equal scores end; the first stands for accepting none.
    """

    targets: np.ndarray
    others: np.ndarray
    levels: np.ndarray
    n_hits: np.ndarray
    n_alarms: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, is_target: np.ndarray) -> "_Curve":
        order = np.argsort(-scores)
        falling, is_hit = scores[order], is_target[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        n_hits = np.append(0, np.cumsum(is_hit)[ends])
        n_alarms = np.append(0, ends + 1) - n_hits
        return cls(order[is_hit], order[~is_hit], np.append(falling[:1], falling[ends]), n_hits, n_alarms)

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Miss and false-alarm rates when all scores at or above each level are accepted, from none to all."""
        return 1 - self.n_hits / len(self.targets), self.n_alarms / len(self.others)

    def resampled_eers(self, draws: PairDraws) -> np.ndarray:
        """The EER in each draw; draws without any target or without any non-target are left out."""
        found = [self._eers_of(draws, block) for block in draws.blocks()]
        return np.concatenate(found)

    def _eers_of(self, draws: PairDraws, block: slice) -> np.ndarray:
        hit, alarm = (_running_shares(draws.weights(block, part)) for part in (self.targets, self.others))
        usable = np.flatnonzero((hit[:, -1] > 0) & (alarm[:, -1] > 0))
        low, high = np.zeros(len(usable), np.int64), np.full(len(usable), len(self.levels) - 1)
        # rates only rise along the curve, so all draws can look for their crossing by halving at once
        while (low < high).any():
            middle = (low + high) // 2
            is_past = alarm[usable, self.n_alarms[middle]] >= 1 - hit[usable, self.n_hits[middle]]
            low, high = np.where(is_past, low, middle + 1), np.where(is_past, middle, high)
        before = np.maximum(high - 1, 0)
        return _cross(
            *(1 - hit[usable, self.n_hits[place]] for place in (before, high)),
            *(alarm[usable, self.n_alarms[place]] for place in (before, high)),
        )


def _running_shares(weights: np.ndarray) -> np.ndarray:
    """Share of the total weight among the first 0, 1, … all columns; zeros where a line has no weight."""
    sums = np.cumsum(weights, axis=1)
    shares = np.zeros((sums.shape[0], sums.shape[1] + 1))
    np.divide(sums, sums[:, -1:], out=shares[:, 1:], where=sums[:, -1:] > 0)
    return shares


def _cross(
    miss_before: np.ndarray, miss_after: np.ndarray, alarm_before: np.ndarray, alarm_after: np.ndarray
) -> np.ndarray:
    """Miss rate where the line between two points of a curve meets miss = false alarm."""
    gap_before, gap_after = miss_before - alarm_before, alarm_after - miss_after
    width = gap_before + gap_after
    share = np.divide(gap_before, width, out=np.zeros_like(width), where=width > 0)
    return miss_before + share * (miss_after - miss_before)


def _crossing(miss: np.ndarray, alarm: np.ndarray) -> tuple[float, int]:
    """The EER of a curve, and the nearest of its points."""
    after = int(np.argmax(alarm >= miss))
    before = max(after - 1, 0)
    eer = _cross(*(rates[place : place + 1] for rates in (miss, alarm) for place in (before, after)))
    is_nearer = alarm[after] - miss[after] <= miss[before] - alarm[before]
    return float(eer[0]), after if is_nearer else before


def _shown_points(miss: np.ndarray, alarm: np.ndarray) -> np.ndarray:
    """Points of a curve about evenly spaced along both probit axes, its ends among them."""
    rates = ndtr(np.linspace(probit(np.zeros(1))[0], probit(np.ones(1))[0], N_DET_POINTS // 2))
    along_alarm = np.searchsorted(alarm, rates)
    along_miss = len(miss) - 1 - np.searchsorted(miss[::-1], rates)
    points = np.concatenate([[0, len(miss) - 1], along_alarm, along_miss])
    return np.unique(np.clip(points, 0, len(miss) - 1))


def _min_dcf(miss: np.ndarray, alarm: np.ndarray, prior: float) -> float:
    cost = prior * miss + (1 - prior) * alarm
    return float(cost.min() / min(prior, 1 - prior))
