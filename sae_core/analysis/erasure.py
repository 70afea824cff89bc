"""What erasing an attribute value leaves, and what verification pays: one steering, or latents removed one by one.

Probes are fitted on the train split of the changed embeddings and reported on held-out speakers; the order of latents
is chosen on selection speakers. Everything is measured on embeddings of norm 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int

from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.files.errors import CorpusError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import UNSEEN_SPEAKERS, AttributeTarget, attribute_targets
from sae_core.measures.calibration import cllr, cllr_draws, fit_calibration
from sae_core.measures.erasure import (
    Eraser,
    LinearProbe,
    ProbeMoments,
    ProbeResult,
    area_under_curve,
    fit_leace,
    fit_linear_probe,
    judge_probe,
    mean_difference,
    nonlinear_scores,
    projection,
    scaled_to_one,
)
from sae_core.measures.intervals import bounds
from sae_core.measures.steering import Change, Steering
from sae_core.measures.verification import VerificationResult, cosine_scores, min_dcf_draws, verify
from sae_core.workspace.workspace import SaeView

Order = Literal["most telling", "greedy", "random"]
EVERY_LATENT, LEACE, MEAN_DIFFERENCE, PROBE_DIRECTION = (
    "every latent",
    "LEACE",
    "mean difference",
    "probe direction",
)
N_STEPS = 64
N_CANDIDATES = 4
"""Latents of either kind that a greedy step tries; each is a refit of the probe."""
PRIOR = 0.05
CURVE_COLUMNS = (
    "method",
    "n_latents",
    "latent",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "auroc",
    "is_at_chance",
    "eer",
    "eer_low",
    "eer_high",
    "eer_change",
    "eer_change_low",
    "eer_change_high",
    "min_dcf",
)


@dataclass(frozen=True)
class Cost:
    """What a change of embeddings does to verification; each figure as (value, low, high), 95 %, speakers resampled.

    eer, min_dcf (prior `PRIOR`), cllr: before, after and after − before. cllr is that of scores calibrated on these
    trials, each side by its own calibration; cllr_kept that of the changed scores by the calibration from before.
    """

    before: VerificationResult
    after: VerificationResult
    eer: dict[str, tuple[float, float, float]]
    min_dcf: dict[str, tuple[float, float, float]]
    cllr: dict[str, tuple[float, float, float]]
    cllr_kept: float


def measure_cost(trial_set: TrialSet, vectors: Float32[np.ndarray, "n d"]) -> Cost:
    """What changed embeddings of the clips that take part, row by row as `trial_set.rows`, do to its trials."""
    trials, draws = trial_set.trials, trial_set.draws
    scores = (trial_set.scores, cosine_scores(vectors, trials))
    before, after = (
        trial_set.verified,
        verify(scores[1], trials, trial_set.speaker_groups, drawn=draws),
    )
    calibrations = [fit_calibration(part, trials.is_target) for part in scores]
    llrs = [calibration.llrs(part) for calibration, part in zip(calibrations, scores, strict=True)]
    return Cost(
        before,
        after,
        {
            "before": (before.eer, before.eer_low, before.eer_high),
            "after": (after.eer, after.eer_low, after.eer_high),
            "change": after.eer_change_from(before),
        },
        _three(
            [result.min_dcf[PRIOR] for result in (before, after)],
            [min_dcf_draws(part, trials.is_target, draws, prior=PRIOR) for part in scores],
        ),
        _three(
            [cllr(part, trials.is_target) for part in llrs],
            [cllr_draws(part, trials.is_target, draws) for part in llrs],
        ),
        cllr(calibrations[0].llrs(scores[1]), trials.is_target),
    )


def _three(
    values: Sequence[float], drawn: Sequence[Float64[np.ndarray, " B"]]
) -> dict[str, tuple[float, float, float]]:
    """Before, after and their difference, each with its interval."""
    all_values = [*values, values[1] - values[0]]
    all_draws = [*drawn, drawn[1] - drawn[0]]
    found = {}
    for name, value, draws in zip(("before", "after", "change"), all_values, all_draws, strict=True):
        usable = draws[np.isfinite(draws)]
        low, high = bounds(usable[:, None])[0] if len(usable) else (-np.inf, np.inf)
        found[name] = (float(value), float(low), float(high))
    return found


@dataclass(frozen=True)
class Leftover:
    """What probes tell of attribute values before and after a steering.

    table: one row a value × probe (`linear`, `non-linear`): attribute, value, probe, before, after and change of the
    balanced accuracy, each with _low and _high (95 %, speakers resampled), auroc_before, auroc_after with bounds,
    majority_rate, n_clips, n_speakers, is_at_chance (after), is_hurt: a value that was not to be erased, told clearly
    worse than before. cost: of verification.
    """

    table: pd.DataFrame
    cost: Cost


def measure_leftover(
    view: SaeView,
    changes: Sequence[Change],
    trial_set: TrialSet,
    *,
    erased: Sequence[AttributeValue] = (),
    has_nonlinear: bool = True,
    progress: Progress = ignore,
) -> Leftover:
    """Return what is left of attribute values after a steering, and what it costs.

    erased: the values that were to be erased; they come first, and both probes are fitted for them. Every other value
    with evidence on unseen speakers gets the linear one. Raises CorpusError where no value has such evidence.
    """
    before = np.asarray(view.embeddings.vectors)
    after = steered_vectors(view, changes)
    targets = sorted(_targets(view), key=lambda target: (target.attribute, target.value) not in erased)
    lines = []
    for number, target in enumerate(targets):
        is_erased = (target.attribute, target.value) in erased
        kinds = ("linear", "non-linear") if is_erased and has_nonlinear else ("linear",)
        for kind in kinds:
            results = [_probe_result(view, target, vectors, kind) for vectors in (before, after)]
            lines.append({**_line(target, kind, *results, is_erased=is_erased)})
        progress(number + 1, len(targets), f"probe: {target.attribute} = {target.value}")
    return Leftover(pd.DataFrame(lines), measure_cost(trial_set, after[trial_set.rows]))


def steered_vectors(view: SaeView, changes: Sequence[Change]) -> Float32[np.ndarray, "n d"]:
    """Embeddings of all clips once the changes are made, the reconstruction error kept; zeros stay zeros."""
    vectors, latents = np.asarray(view.embeddings.vectors), tuple(change.latent for change in changes)
    steering = Steering.prepare(vectors, view.decoder().steps, view.codes, latents)
    steered = steering.steer(vectors, steering.deltas(list(changes)))
    steered[~view.embeddings.is_valid] = 0
    return steered


def erasable_values(view: SaeView) -> list[AttributeValue]:
    """The attribute values of which it can be measured what is left: with evidence on unseen speakers."""
    return [(target.attribute, target.value) for target in _measurable(view)]


def _measurable(view: SaeView) -> list[AttributeTarget]:
    """Values with evidence on unseen speakers, and with clips of both sides among those that probes are fitted on."""
    found = [
        target
        for target in attribute_targets(view.workspace.corpus, view.embeddings.is_valid)
        if target.evidence == UNSEEN_SPEAKERS
    ]
    fitted = [(target, target.is_positive[_fitted_rows(view, target)]) for target in found]
    return [target for target, truth in fitted if truth.any() and not truth.all()]


def _targets(view: SaeView) -> list[AttributeTarget]:
    """The same; CorpusError where there is none."""
    usable = _measurable(view)
    if not usable:
        raise CorpusError(
            "has no attribute value with enough speakers in every split to measure what is left of it",
            where=view.workspace.path,
            remedy="import labels of more speakers",
        )
    return usable


def _fitted_rows(view: SaeView, target: AttributeTarget) -> Int[np.ndarray, " m"]:
    """Clips of the train split whose attribute is known."""
    corpus = view.workspace.corpus
    is_train = (corpus.table["split"] == "train").to_numpy() & view.embeddings.is_valid
    return np.flatnonzero(is_train & corpus.is_known(target.attribute))


def _probe_result(view: SaeView, target: AttributeTarget, vectors: np.ndarray, kind: str) -> ProbeResult:
    fitted, reported = _fitted_rows(view, target), np.flatnonzero(target.is_reported)
    truth = target.is_positive
    if kind == "linear":
        scores = fit_linear_probe(vectors[fitted], truth[fitted]).scores(vectors[reported])
    else:
        scores = nonlinear_scores(vectors[fitted], truth[fitted], vectors[reported])
    return judge_probe(scores, truth[reported], view.workspace.corpus.speaker_groups[reported])


def _line(
    target: AttributeTarget, kind: str, before: ProbeResult, after: ProbeResult, *, is_erased: bool
) -> dict[str, object]:
    line: dict[str, object] = {"attribute": target.attribute, "value": target.value, "probe": kind}
    for name, result in (("before", before), ("after", after)):
        low, high = result.balanced_accuracy_bounds or (None, None)
        line |= {name: result.balanced_accuracy, f"{name}_low": low, f"{name}_high": high}
        low, high = result.auroc_bounds or (None, None)
        line |= {f"auroc_{name}": result.auroc, f"auroc_{name}_low": low, f"auroc_{name}_high": high}
    change, low, high = after.change_from(before)
    line |= {"change": change, "change_low": low, "change_high": high, "majority_rate": after.majority_rate}
    line |= {"n_clips": after.n_clips, "n_speakers": after.n_speakers, "is_at_chance": after.is_at_chance}
    return line | {"is_erased": is_erased, "is_hurt": not is_erased and high < 0}


@dataclass(frozen=True)
class ErasureCurve:
    """The probe against verification as latents are removed one by one, beside other ways to erase a value.

    points: one row a point with `CURVE_COLUMNS`; n_latents 0 is the embedding as it is, latent the one removed last
    (−1 where the point is none). The methods of one point are `every latent` (only what the SAE leaves out, and its
    bias, remain), `LEACE`, `mean difference` and `probe direction`. orders: method → latents in the order of removal.
    """

    attribute: str
    value: str
    points: pd.DataFrame
    orders: dict[str, tuple[int, ...]]
    majority_rate: float
    n_speakers: int

    def changes(self, method: str, n_latents: int) -> list[Change]:
        """The steering of one point, to open or to export it."""
        return [Change(latent, "ablate") for latent in self.orders[method][:n_latents]]

    def fewest(self, method: str = "greedy") -> int | None:
        """After how many latents the probe is at chance (the interval of its balanced accuracy reaches ½) and stays
        there to the end of the curve; None where it never is."""
        points = self.points[self.points["method"] == method].sort_values("n_latents")
        is_at = points["is_at_chance"].to_numpy(dtype=bool)
        last_off = np.flatnonzero(~is_at)
        place = 0 if not len(last_off) else int(last_off[-1]) + 1
        return None if place >= len(points) else int(points["n_latents"].iloc[place])

    def sentence(self, method: str = "greedy") -> str:
        """The finding in one sentence."""
        name, fewest = f"{self.attribute} = {self.value}", self.fewest(method)
        points = self.points[self.points["method"] == method].sort_values("n_latents")
        last = points.iloc[-1]
        if fewest == 0:
            return f"A linear probe does not tell {name} on unseen speakers to begin with."
        if fewest is not None:
            at = points[points["n_latents"] == fewest].iloc[0]
            return (
                f"Without {fewest} {'latent' if fewest == 1 else 'latents'} a linear probe no longer tells {name} on "
                f"unseen speakers; EER {points['eer'].iloc[0]:.1%} → {at['eer']:.1%}."
            )
        rest = self.points[self.points["method"] == EVERY_LATENT].iloc[0]
        where = (
            "the rest lies in the reconstruction error"
            if not rest["is_at_chance"]
            else "the rest lies in other latents"
        )
        return (
            f"Never: without {int(last['n_latents'])} latents a linear probe still reaches "
            f"{last['balanced_accuracy']:.2f} for {name}, without any {rest['balanced_accuracy']:.2f}; {where}."
        )


def erasure_curve(
    view: SaeView,
    value: AttributeValue,
    trial_set: TrialSet,
    *,
    orders: Sequence[Order] = get_args(Order),
    n_steps: int = N_STEPS,
    progress: Progress = ignore,
) -> ErasureCurve:
    """Return the erasure curve of an attribute value.

    orders: `most telling` removes latents by how far apart their mean activations with and without the value are on
    selection speakers, in standard deviations; `greedy` removes at each step the latent without which a refitted probe
    tells the value least there, of a few candidates; `random` removes active latents by chance, the null.
    Raises CorpusError where the value has no evidence on unseen speakers.
    """
    target = next((found for found in _targets(view) if (found.attribute, found.value) == value), None)
    if target is None:
        raise CorpusError(
            f"has too few unseen speakers with {value[0]} = {value[1]} to measure what is left of it",
            where=view.workspace.path,
            remedy="choose another value, or import labels of more speakers",
        )
    bench = _Bench(view, target, trial_set)
    lines, chosen = bench.references(), dict[str, tuple[int, ...]]()
    n_total = len(orders) * min(n_steps, bench.n_active)
    for number, order in enumerate(orders):

        def follow(step: int, before: int = number * n_total // len(orders), order: Order = order) -> None:
            progress(before + step, n_total, f"latents removed: {order}")

        points, removed = _Removal(bench).run(order, n_steps, follow)
        lines, chosen[order] = lines + points, removed
    progress(n_total, n_total, "done")
    first = bench.result(np.asarray(view.embeddings.vectors))
    table = pd.DataFrame(lines, columns=list(CURVE_COLUMNS))
    return ErasureCurve(*value, table, chosen, first.majority_rate, first.n_speakers)


class _Bench:
    """What every point of a curve is measured on."""

    def __init__(self, view: SaeView, target: AttributeTarget, trial_set: TrialSet) -> None:
        self.view, self.target, self.trial_set = view, target, trial_set
        self.fitted, self.reported = _fitted_rows(view, target), np.flatnonzero(target.is_reported)
        self.truth = target.is_positive
        self.groups = view.workspace.corpus.speaker_groups[self.reported]

    @property
    def n_active(self) -> int:
        """How many latents are active on any clip."""
        return int(np.count_nonzero(self.view.index.n_active()))

    def result(self, vectors: np.ndarray, moments: ProbeMoments | None = None) -> ProbeResult:
        """How well a linear probe fitted on these embeddings of all clips tells the value."""
        found = moments or ProbeMoments(vectors[self.fitted], self.truth[self.fitted])
        scores = found.probe().scores(vectors[self.reported])
        return judge_probe(scores, self.truth[self.reported], self.groups, has_auroc_bounds=False)

    def line(
        self,
        method: str,
        vectors: np.ndarray,
        *,
        n_latents: int,
        latent: int = -1,
        moments: ProbeMoments | None = None,
    ) -> dict[str, object]:
        """One point."""
        probe = self.result(vectors, moments)
        trials, trial_set = self.trial_set.trials, self.trial_set
        scores = cosine_scores(vectors[trial_set.rows], trials)
        found = verify(scores, trials, trial_set.speaker_groups, drawn=trial_set.draws)
        low, high = probe.balanced_accuracy_bounds or (None, None)
        change = found.eer_change_from(trial_set.verified)
        told = [probe.balanced_accuracy, low, high, probe.auroc, probe.is_at_chance]
        paid = [found.eer, found.eer_low, found.eer_high, *change, found.min_dcf[PRIOR]]
        values: list[object] = [method, n_latents, latent, *told, *paid]
        return dict(zip(CURVE_COLUMNS, values, strict=True))

    def references(self) -> list[dict[str, object]]:
        """The points of ways that take no latents one by one."""
        vectors = np.asarray(self.view.embeddings.vectors)
        fitted, truth = vectors[self.fitted], self.truth[self.fitted]
        centre = fitted.mean(axis=0, dtype=np.float64)
        erasers: dict[str, Callable[[], Eraser]] = {
            LEACE: lambda: fit_leace(fitted, truth[:, None].astype(np.float64)),
            MEAN_DIFFERENCE: lambda: mean_difference(fitted, truth),
            PROBE_DIRECTION: lambda: projection(centre, fit_linear_probe(fitted, truth).weight),
        }
        rest = vectors - self.view.decoder().decode(self.view.codes) + self.view.decoder().offset
        lines = [self.line(EVERY_LATENT, scaled_to_one(rest), n_latents=self.view.n_latents)]
        return lines + [
            self.line(name, scaled_to_one(make().apply(vectors)), n_latents=0)
            for name, make in erasers.items()
        ]


class _Removal:
    """Embeddings from which latents are taken one by one, and the moments of the probe that follow them."""

    def __init__(self, bench: _Bench) -> None:
        self.bench, view = bench, bench.view
        self._raw = np.array(view.embeddings.vectors, dtype=np.float32)
        self._unit = self._raw.copy()
        self._place = np.full(len(self._raw), -1, np.int64)
        self._place[bench.fitted] = np.arange(len(bench.fitted))
        self._moments = ProbeMoments(self._unit[bench.fitted], bench.truth[bench.fitted])
        self._selected = np.flatnonzero(bench.target.is_selection)
        self._gaps, self._separations = _selection_means(view, self._selected, bench.truth)

    def run(
        self, order: Order, n_steps: int, follow: Callable[[int], None]
    ) -> tuple[list[dict[str, object]], tuple[int, ...]]:
        """The points of one order, and its latents; `follow` hears of each step."""
        is_active = self.bench.view.index.n_active() > 0
        candidates = np.flatnonzero(is_active)
        n_steps = min(n_steps, len(candidates))
        queue = candidates[np.argsort(-self._separations[candidates], kind="stable")]
        if order == "random":
            queue = np.random.default_rng(0).permutation(candidates)
        lines, removed = [self._point(order, ())], list[int]()
        for step in range(n_steps):
            follow(step)
            left = queue[~np.isin(queue, removed)]
            latent = self._greediest(left) if order == "greedy" else int(left[0])
            self._remove(latent)
            removed.append(latent)
            lines.append(self._point(order, removed))
        return lines, tuple(removed)

    def _point(self, order: str, removed: Sequence[int]) -> dict[str, object]:
        latent = removed[-1] if removed else -1
        return self.bench.line(
            order, self._unit, n_latents=len(removed), latent=latent, moments=self._moments
        )

    def _remove(self, latent: int) -> None:
        """Take one latent away from the clips it is active on; the others do not change."""
        rows, raw, after = self._without(latent)
        self._move(self._moments, rows, after)
        self._raw[rows], self._unit[rows] = raw, after

    def _without(self, latent: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The clips a latent is active on, and their embeddings without it, as they are and of norm 1."""
        view = self.bench.view
        rows, activations = (np.asarray(part) for part in view.index.postings(latent))
        raw = self._raw[rows] - activations[:, None] * view.decoder().steps[latent]
        return rows, raw, scaled_to_one(raw)

    def _move(self, moments: ProbeMoments, rows: np.ndarray, after: np.ndarray) -> None:
        is_fitted = self._place[rows] >= 0
        some = rows[is_fitted]
        moments.move(self._place[some], self._unit[some], after[is_fitted])

    def _greediest(self, left: Int[np.ndarray, " c"]) -> int:
        """The latent without which a refitted probe tells the value least on selection speakers, of those that tell
        most and those that `_most_gain` names."""
        few = dict.fromkeys([*left[:N_CANDIDATES].tolist(), *self._most_gain(left)[:N_CANDIDATES].tolist()])
        told = {latent: self._selection_told(latent) for latent in few}
        return min(told, key=lambda latent: told[latent])

    def _selection_told(self, latent: int) -> float:
        """How far the AUROC on selection speakers of a probe refitted without one more latent is from ½."""
        rows, _, after = self._without(latent)
        moments = self._moments.copy()
        self._move(moments, rows, after)
        probe = moments.probe()
        scores = self._every_score(probe, rows, after)[self._selected]
        return abs(area_under_curve(scores, self.bench.truth[self._selected]) - 0.5)

    def _every_score(self, probe: LinearProbe, rows: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The scores of selection clips (0 for others) with the embeddings of some clips replaced."""
        scores = np.zeros(len(self._unit), np.float32)
        scores[self._selected] = probe.scores(self._unit[self._selected])
        scores[rows] = probe.scores(after)
        return scores

    def _most_gain(self, left: Int[np.ndarray, " c"]) -> Int[np.ndarray, " c"]:
        """Latents by how much the squared Mahalanobis distance between the means on selection speakers falls without
        each, in closed form with the covariance as it is: that of Δ less that of Δ − g_j D_j, for all j at once."""
        steps = self.bench.view.decoder().steps[left].astype(np.float64)
        truth, rows = self.bench.truth[self._selected], self._selected
        gap = self._unit[rows[truth]].mean(axis=0, dtype=np.float64)
        gap -= self._unit[rows[~truth]].mean(axis=0, dtype=np.float64)
        through = steps @ np.linalg.inv(self._moments.covariance())
        gains = 2 * self._gaps[left] * (through @ gap) - self._gaps[left] ** 2 * (through * steps).sum(axis=1)
        return left[np.argsort(-gains, kind="stable")]


def _selection_means(
    view: SaeView, rows: Int[np.ndarray, " m"], truth: Bool[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " L"], Float64[np.ndarray, " L"]]:
    """For each latent, its mean activation with the value less that without it on some clips, and the size of that gap
    in standard deviations."""
    codes = view.codes.take(rows)
    n = view.n_latents
    sums = np.zeros((2, n))
    squares = np.zeros(n)
    for side in (0, 1):
        mask = truth[rows] == bool(side)
        latents, amounts = codes.latents[mask].ravel(), codes.activations[mask].ravel().astype(np.float64)
        sums[side] = np.bincount(latents, weights=amounts, minlength=n) / max(int(mask.sum()), 1)
        squares += np.bincount(latents, weights=amounts**2, minlength=n)
    fraction = float(truth[rows].mean())
    mean = fraction * sums[1] + (1 - fraction) * sums[0]
    spread = np.sqrt(np.maximum(squares / max(len(rows), 1) - mean**2, 1e-12))
    gaps = sums[1] - sums[0]
    return gaps, np.abs(gaps) / spread
