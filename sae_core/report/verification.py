"""Chapters on similarities: steering before and after, verification by several representations, erasure."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sae_core.analysis.erasure import erasure_curve
from sae_core.analysis.steering_experiment import (
    SteeringExperiment,
    SteeringOutcome,
    SteeringPreset,
    steering_presets,
)
from sae_core.analysis.trial_sets import TrialSet, draw_trials, usual_among
from sae_core.analysis.verification_forms import Comparison, compare_forms
from sae_core.corpus.values import AttributeValue
from sae_core.corpus.words import counted, percent, value_words
from sae_core.measures.steering import Change
from sae_core.measures.verification import VerificationResult
from sae_core.report.figures import det_figure, erasure_figure, similarities_figure
from sae_core.report.markup import Child, Markup, element, markup, paragraphs, said, table
from sae_core.workspace.workspace import SaeView

AT = "equal errors"
MAX_GROUPS = 24
N_ERASED = 16
ASKED = "After how many latents does a linear probe no longer tell the value on unseen speakers?"


@dataclass(frozen=True)
class Trialled:
    """An SAE with the trials that its chapters share."""

    view: SaeView

    @cached_property
    def trials(self) -> TrialSet:
        """Pairs drawn among unseen speakers, of speech where clips say so; CorpusError where there are none."""
        return draw_trials(self.view, among=usual_among(self.view.workspace.corpus))

    def words(self) -> str:
        """Which trials these are."""
        n, n_targets = len(self.trials.trials), int(self.trials.trials.is_target.sum())
        return (
            f"{n:,} pairs of clips, {n_targets:,} by one speaker and {n - n_targets:,} by two, of "
            f"{counted(self.trials.n_speakers, 'speaker')} on none of whom the SAE was trained."
        )


def steering_chapter(trialled: Trialled) -> Markup:
    """Similarities before and after the latents of a confirmed value are ablated, and what each such change does."""
    view, trial_set = trialled.view, trialled.trials
    presets = [preset for preset in steering_presets(view, n=100) if preset.is_confirmed][:MAX_GROUPS]
    if not presets:
        return paragraphs("No value is confirmed on held-out speakers, so there is nothing to ablate.")
    tried = [_try(view, trial_set, preset) for preset in presets]
    preset, experiment, outcome = max(tried, key=lambda each: float(each[2].shifts["ks"].max()))
    words = value_words(preset.attribute, preset.value)
    caption = markup(
        "Similarities before and after ablating the latents of ", said(words), f" ({_latents(preset)}) in all clips, "
        "the reconstruction error kept. Of all confirmed values it is the one that moves similarities most."
    )  # fmt: skip
    return markup(
        paragraphs(trialled.words(), _effect_words(outcome, words)),
        similarities_figure(experiment.histograms(_changes(preset)), caption),
        _shifts_table(outcome),
        _presets_table([(each, result) for each, _, result in tried]),
    )


def _changes(preset: SteeringPreset) -> list[Change]:
    return [Change(latent, "ablate") for latent in preset.latents]


def _latents(preset: SteeringPreset) -> str:
    return ", ".join(f"#{latent}" for latent in preset.latents)


def _try(
    view: SaeView, trial_set: TrialSet, preset: SteeringPreset
) -> tuple[SteeringPreset, SteeringExperiment, SteeringOutcome]:
    experiment = SteeringExperiment(view, trial_set, preset.latents)
    return preset, experiment, experiment.outcome(_changes(preset), operating_point=AT)


def _effect_words(outcome: SteeringOutcome, words: str) -> str:
    if not outcome.has_intervals:
        return "Too few speakers for intervals, so nothing is claimed."
    change, low, high = outcome.eer_change
    eer = f"The equal error rate changes by {points(change)} points ({points(low)} to {points(high)})."
    if outcome.moved.empty:
        return (
            f"Ablating {words} has no clear effect: in no group does the mean similarity shift beyond its 95 % "
            f"interval with a KS distance of at least 0.02. {eer}"
        )
    most = outcome.moved.iloc[0]
    return (
        f"Of all pairs, ablating {words} moves those of {most['group']} most: mean similarity "
        f"{most['mean_before']:.3f} → {most['mean_after']:.3f}, a shift of {signed(most['shift'])} "
        f"({signed(most['shift_low'])} to {signed(most['shift_high'])}). {eer}"
    )


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return signed(100 * fraction, 2)


def signed(number: float, digits: int = 3) -> str:
    """A number with its sign."""
    return f"{number:+.{digits}f}".replace("-", "−")


def _shifts_table(outcome: SteeringOutcome) -> Markup:
    rows = [
        (
            line.group, f"{line.n_pairs:,}", f"{line.mean_before:.3f}", f"{line.mean_after:.3f}", signed(line.shift),
            f"{signed(line.shift_low)} to {signed(line.shift_high)}" if outcome.has_intervals else "–",
            f"{line.ks:.3f}",
        )
        for line in outcome.shifts.itertuples()
    ]  # fmt: skip
    heads = ("pairs of", "pairs", "mean before", "mean after", "shift", "95 %", "KS distance")
    return table(heads, rows, caption="Similarities by group of pairs")


def _presets_table(tried: list[tuple[SteeringPreset, SteeringOutcome]]) -> Markup:
    rows = []
    for preset, outcome in tried:
        most = outcome.shifts.loc[outcome.shifts["ks"].idxmax()]
        change, low, high = outcome.eer_change
        bounds = f" ({points(low)} to {points(high)})" if outcome.has_intervals else ""
        rows.append(
            (
                said(value_words(preset.attribute, preset.value)), _latents(preset), str(most["group"]),
                signed(most["shift"]), f"{most['ks']:.3f}", f"{points(change)}{bounds}",
            )
        )  # fmt: skip
    heads = ("ablated", "latents", "pairs that move most", "shift", "KS distance", "change of EER, points")
    return table(heads, rows, caption="Every confirmed value ablated", n_words=3)


def verification_chapter(trialled: Trialled) -> Markup:
    """Error rates of the embedding, its reconstruction and its codes on the same trials."""
    comparison = compare_forms(trialled.view, trialled.trials)
    caption = "DET curves: each point is one threshold; nearer to the lower left is better. The dotted line marks EERs."
    return markup(
        paragraphs(trialled.words()),
        _forms_table(comparison),
        det_figure(comparison.results, caption),
        _groups_table(comparison),
    )


def _forms_table(comparison: Comparison) -> Markup:
    first = next(iter(comparison.results.values()))
    rows = []
    for name, result in comparison.results.items():
        has_interval = comparison.has_intervals and result.eer_low < result.eer_high
        rows.append(
            (
                said(name),
                percent(result.eer, 2),
                f"{100 * result.eer_low:.1f}–{100 * result.eer_high:.1f}" if has_interval else "–",
                "" if result is first else _eer_change(result, first, comparison.has_intervals),
                *(f"{cost:.3f}" for cost in result.min_dcf.values()),
            )
        )
    priors = [f"minDCF {prior:g}" for prior in first.min_dcf]
    heads = ("representation", "EER", "95 %, points", "change of EER, points", *priors)
    return table(heads, rows, caption="Error rates")


def _eer_change(result: VerificationResult, first: VerificationResult, has_intervals: bool) -> str:
    """The change of EER from the embedding; without an interval where another encoder lacks some of the clips."""
    if len(result.eer_draws) != len(first.eer_draws):
        return points(result.eer - first.eer)
    change, low, high = result.eer_change_from(first)
    bounds = f" ({points(low)} to {points(high)})" if has_intervals and low < high else ""
    return f"{points(change)}{bounds}"


def _groups_table(comparison: Comparison) -> Markup | None:
    groups = comparison.by_value
    if groups.empty or not groups["is_tested"].any():
        return None
    tested = groups[groups["is_tested"].astype(bool) & (groups["form"] == groups["form"].iloc[0])]
    rows: list[tuple[Child, ...]] = [
        (
            said(value_words(line.attribute, str(line.value))), f"{int(line.n_speakers)}", f"{int(line.n_targets):,}",
            _rate(line, "eer"), _rate(line, "frr"), _rate(line, "far"),
        )
        for line in tested.head(MAX_GROUPS).itertuples()
    ]  # fmt: skip
    heads = ("value", "speakers", "target trials", "EER", "FRR", "FAR")
    return markup(
        element("h3", "By group"),
        paragraphs(
            "Of the embedding, among pairs of clips that both carry the value. FRR and FAR are at the threshold of "
            "equal errors over all pairs. Groups of fewer than five speakers have no interval."
        ),
        table(heads, rows, caption="Error rates by group, %"),
    )


def _rate(line: object, name: str) -> str:
    rate, low, high = (getattr(line, f"{name}{end}") for end in ("", "_low", "_high"))
    bounds = "" if pd.isna(low) or pd.isna(high) else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * rate:.1f}{bounds}"


def erasure_chapter(trialled: Trialled, value: AttributeValue) -> Markup:
    """What a probe still tells of a value as latents are removed, and what verification pays."""
    curve = erasure_curve(trialled.view, value, trialled.trials, n_steps=N_ERASED)
    last = curve.points.groupby("method", sort=False).tail(1)
    rows = [
        (line.method, f"{line.n_latents or '–'}", f"{line.balanced_accuracy:.2f}", percent(line.eer, 1))
        for line in last.itertuples()
    ]
    caption = markup("Latents of ", said(value_words(*value)), " removed one by one, in several orders.")
    return markup(
        paragraphs(ASKED, said(curve.sentence())),
        erasure_figure(curve.points, caption),
        table(
            ("removed", "latents", "probe, balanced accuracy", "EER"),
            rows,
            caption="At the end of each curve",
        ),
    )
