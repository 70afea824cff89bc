"""Speaker verification on trials from speaker labels: EER, minDCF and DET, with intervals over speakers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from sae_core.corpus import Corpus
from sae_core.errors import CorpusError
from sae_core.intervals import bounds, draw_speakers

N_DRAWS = 200
N_DET_POINTS = 200
MAX_TRIALS = 1_000_000
PRIORS = (0.01, 0.05)


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

    eer: equal error rate, where the two error rates cross. threshold: the score there. eer_low, eer_high: 95 %
    interval, speakers resampled. min_dcf: prior → normalised minimum detection cost (C_miss = C_fa = 1). det:
    false-alarm and miss rates along falling thresholds, at most `N_DET_POINTS` of them.
    """

    n_targets: int
    n_nontargets: int
    eer: float
    eer_low: float
    eer_high: float
    threshold: float
    min_dcf: dict[float, float]
    det: tuple[Float64[np.ndarray, " q"], Float64[np.ndarray, " q"]]


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
    table = corpus.table
    row_of = dict(zip(table["audio_path"].astype(str), range(len(table)), strict=True))
    row_of |= dict(zip(table["clip_id"].astype(str), range(len(table)), strict=True))
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 3 or parts[0] not in ("0", "1"):
            raise CorpusError(
                f"line {number} is not `0|1 enrol test`", where=path, remedy="correct that line"
            )
        unknown = [name for name in parts[1:] if name not in row_of]
        if unknown:
            raise CorpusError(
                f"line {number} names {unknown[0]!r}, which is no clip of this workspace",
                where=path,
                remedy="use clip_id or audio_path as in clips.parquet",
            )
        found.append((row_of[parts[1]], row_of[parts[2]], int(parts[0])))
    if not found:
        raise CorpusError("holds no trials", where=path, remedy="write a line `1 enrol test` for each trial")
    pairs = np.array(found, dtype=np.int64)
    return Trials(pairs[:, 0], pairs[:, 1], pairs[:, 2] == 1)


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
    scores: Float32[np.ndarray, " p"], trials: Trials, speaker_groups: Int[np.ndarray, " n"], *, seed: int = 0
) -> VerificationResult:
    """Return EER, minDCF and DET of scored trials; ValueError when targets or non-targets are missing.

    In each bootstrap draw a trial weighs as often as its speaker was drawn, a non-target the product of both.
    """
    if trials.is_target.all() or not trials.is_target.any():
        raise ValueError("verification needs targets and non-targets")
    curve = _Curve.of(scores, trials.is_target)
    miss, alarm = curve.rates(np.ones(len(trials)))
    eer, place = _crossing(miss, alarm)
    speakers, numbered = np.unique(speaker_groups, return_inverse=True)
    draws = draw_speakers(len(speakers), seed=seed, n_draws=N_DRAWS)
    resampled = [_crossing(*curve.rates(_weights(draw, numbered, trials)))[0] for draw in draws]
    low, high = bounds(np.array(resampled)[:, None])[0]
    shown = np.unique(np.linspace(0, len(miss) - 1, N_DET_POINTS).astype(np.int64))
    return VerificationResult(
        n_targets=int(trials.is_target.sum()),
        n_nontargets=int((~trials.is_target).sum()),
        eer=eer,
        eer_low=float(low),
        eer_high=float(high),
        threshold=float(curve.levels[place]),
        min_dcf={prior: _min_dcf(miss, alarm, prior) for prior in PRIORS},
        det=(alarm[shown], miss[shown]),
    )


@dataclass(frozen=True)
class _Curve:
    """Trials by falling score, and where runs of equal scores end."""

    order: np.ndarray
    ends: np.ndarray
    levels: np.ndarray
    is_target: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, is_target: np.ndarray) -> "_Curve":
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
        return cls(order, ends, np.append(falling[:1], falling[ends]), is_target[order])

    def rates(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Miss and false-alarm rates when all scores at or above each level are accepted, from none to all."""
        weights = weights[self.order]
        accepted_targets = np.cumsum(np.where(self.is_target, weights, 0.0))[self.ends]
        accepted_others = np.cumsum(np.where(self.is_target, 0.0, weights))[self.ends]
        hit = np.append(0.0, accepted_targets / max(accepted_targets[-1], 1e-12))
        alarm = np.append(0.0, accepted_others / max(accepted_others[-1], 1e-12))
        return 1 - hit, alarm


def _crossing(miss: np.ndarray, alarm: np.ndarray) -> tuple[float, int]:
    """Where the line between neighbouring points of the curve meets miss = false alarm, and the nearest point."""
    after = int(np.argmax(alarm >= miss))
    before = max(after - 1, 0)
    gap_before, gap_after = miss[before] - alarm[before], alarm[after] - miss[after]
    share = gap_before / (gap_before + gap_after) if gap_before + gap_after > 0 else 0.0
    eer = float(miss[before] + share * (miss[after] - miss[before]))
    return eer, after if gap_after <= gap_before else before


def _weights(draw: np.ndarray, numbered: np.ndarray, trials: Trials) -> np.ndarray:
    one, other = draw[numbered[trials.enrol_rows]], draw[numbered[trials.test_rows]]
    return np.where(trials.is_target, one, one * other)


def _min_dcf(miss: np.ndarray, alarm: np.ndarray, prior: float) -> float:
    cost = prior * miss + (1 - prior) * alarm
    return float(cost.min() / min(prior, 1 - prior))
