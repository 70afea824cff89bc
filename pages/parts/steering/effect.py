"""The effect of steering in numbers with intervals: error rates, changed decisions, the shift of each trial group."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from pages.parts.steering.export import export_of, file_name
from pages.shared import trial_choice
from pages.shared.announce import announce
from pages.shared.exports import csv_button
from pages.shared.wording import counted, percent
from sae_core.analysis.steering_experiment import LEAST_KS, SteeringExperiment, SteeringOutcome
from sae_core.measures.steering import Change

NO_CHANGE = 5e-5
TOO_FEW = "Too few speakers for intervals"
INTERVAL = "95 % interval from resampling speakers 200 times: where the number would likely fall with other speakers."
GROUP_HELP = (
    "Pairs of clips of one speaker, or of two speakers with the same or another label. Pairs of unknown label are left "
    "out."
)


def draw_effect(experiment: SteeringExperiment, changes: Sequence[Change], point: str) -> None:
    """Draw the numbers of one steering."""
    outcome = trial_choice.steering_outcome(experiment, changes, operating_point=point)
    with st.container(border=True, key="steering_effect"):
        st.header("Effect", anchor=False, help=INTERVAL)
        said = verdict(outcome, experiment)
        st.markdown(said)
        announce(said, key="steering")
        _draw_metrics(outcome)
        _draw_shifts(outcome, experiment, changes)


def verdict(outcome: SteeringOutcome, experiment: SteeringExperiment) -> str:
    """What happened to the error rate, and which group of pairs moved most; or that there is no effect."""
    if not experiment.latents:
        return "Nothing is steered, so nothing has changed yet."
    if not outcome.has_intervals:
        n_speakers = counted(outcome.before.n_speakers, "speaker")
        return f"{TOO_FEW}: {n_speakers} with target trials. Nothing is claimed."
    if outcome.moved.empty and not _is_clear(outcome.eer_change):
        return (
            "**No effect**: in no group of pairs does the mean similarity shift beyond its 95 % interval with a KS "
            f"distance of at least {LEAST_KS:g}, and the equal error rate does not change clearly."
        )
    return f"{_shift_words(outcome)} {_error_words(outcome)}"


def _shift_words(outcome: SteeringOutcome) -> str:
    if outcome.moved.empty:
        return "No group of pairs shifts clearly."
    most = outcome.moved.iloc[0]
    way = "more" if most["shift"] > 0 else "less"
    return (
        f"Largest shift: pairs of **{most['group']}** become {way} similar, mean {most['mean_before']:.3f} → "
        f"**{most['mean_after']:.3f}** ({signed(most['shift_low'], most['shift_high'])}, KS {most['ks']:.3f})."
    )


def _error_words(outcome: SteeringOutcome) -> str:
    change, low, high = outcome.eer_change
    if abs(change) < NO_CHANGE:
        return "The equal error rate stays the same."
    rises = "rises" if change > 0 else "falls"
    how = "" if _is_clear(outcome.eer_change) else ", within its 95 % interval of no change"
    return f"The equal error rate {rises} by {100 * abs(change):.2f} points ({points(low)} to {points(high)}){how}."


def _is_clear(change: tuple[float, float, float]) -> bool:
    return change[1] > 0 or change[2] < 0


def signed(low: float, high: float) -> str:
    """An interval of similarities, with signs."""
    return f"{low:+.3f} … {high:+.3f}".replace("-", "−")


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}".replace("-", "−")


def _draw_metrics(outcome: SteeringOutcome) -> None:
    before, after, decisions = outcome.before, outcome.after, outcome.decisions
    first, second, third, fourth = st.columns(4)
    first.metric(
        "EER before",
        percent(before.eer, 2),
        help="Equal error rate: the threshold at which false acceptance rate and false rejection rate are equal.",
    )
    first.caption(_span(before.eer_low, before.eer_high, outcome))
    second.metric("EER after", percent(after.eer, 2), help="On the same trials, with a threshold of its own.")
    second.caption(_span(after.eer_low, after.eer_high, outcome))
    for column, name, added, fixed in (
        (third, "False rejections added", decisions.rejections_added, decisions.rejections_fixed),
        (fourth, "False acceptances added", decisions.acceptances_added, decisions.acceptances_fixed),
    ):
        column.metric(
            name,
            percent(added[0], 2),
            help=f"Pairs whose decision at the threshold {decisions.threshold:.3f} turns wrong, as a fraction of all "
            "such pairs. The threshold stays where it was before steering.",
        )
        column.caption(f"{_span(added[1], added[2], outcome)} · fixed {percent(fixed[0], 2)}")


def _span(low: float, high: float, outcome: SteeringOutcome) -> str:
    if not outcome.has_intervals:
        return TOO_FEW
    return f"95 %: {100 * low:.2f}–{100 * high:.2f}" if high > low else "95 %: no draw of speakers differs"


def _draw_shifts(outcome: SteeringOutcome, experiment: SteeringExperiment, changes: Sequence[Change]) -> None:
    shown = outcome.shifts.copy()
    shown["interval"] = [
        signed(low, high) if outcome.has_intervals else ""
        for low, high in zip(shown["shift_low"], shown["shift_high"], strict=True)
    ]
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        shown[["group", "shift", "interval", "ks", "mean_before", "mean_after", "n_pairs"]],
        key="shifts",
        hide_index=True,
        placeholder="",
        column_config={
            "group": text("Pairs of", help=GROUP_HELP, width=205),
            "n_pairs": number("Pairs", format="localized", width=70),
            "mean_before": number("Mean before", format="%.3f", width=100, help="Mean cosine similarity."),
            "mean_after": number("Mean after", format="%.3f", width=95),
            "shift": number("Shift", format="%+.3f", width=75, help="After less before."),
            "interval": text("95 %", help=INTERVAL, width=115),
            "ks": st.column_config.ProgressColumn(
                "KS distance",
                format="%.3f",
                min_value=0,
                max_value=1,
                help="Kolmogorov–Smirnov: the largest gap between the two cumulative distributions; 0 is no change, "
                "1 is no overlap.",
            ),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        n_changed, n_clips = experiment.count_steered(changes), len(experiment.trial_set.rows)
        st.caption(
            f"{n_changed:,} of {counted(n_clips, 'clip')} {'changes' if n_changed == 1 else 'change'}. A clip on which "
            "the change makes no difference, as where an ablated latent is silent, stays as it is.",
            width="stretch",
        )
        table = partial(export_of, experiment, changes, lambda: outcome.shifts)
        csv_button(table, name=file_name(experiment.view, changes, "shifts"), key="shifts_csv")
