"""What steering did, in numbers with intervals: errors, decisions that change, and the shift of each trial group."""

from collections.abc import Sequence

import streamlit as st

from pages.shared import trial_choice
from pages.shared.exports import csv_button
from pages.shared.wording import percent
from sae_core.analysis.steering_experiment import SteeringExperiment, SteeringOutcome
from sae_core.measures.steering import Change

INTERVAL = (
    "95 % interval over speakers, drawn anew 200 times: where the number would likely fall with other voices."
)
GROUP_HELP = (
    "Pairs by one speaker, or by two who share a label or do not. Pairs of unknown label are left out."
)


def draw_effect(experiment: SteeringExperiment, changes: Sequence[Change], point: str) -> None:
    """Draw the numbers of one steering."""
    outcome = trial_choice.steering_outcome(experiment, changes, operating_point=point)
    with st.container(border=True, key="steering_effect"):
        st.subheader("What it did", anchor=False, help=INTERVAL)
        st.markdown(verdict(outcome, experiment))
        _draw_metrics(outcome)
        _draw_shifts(outcome, experiment)


def verdict(outcome: SteeringOutcome, experiment: SteeringExperiment) -> str:
    """In two sentences, whether voices are still told apart, and which group moved most."""
    change, low, high = outcome.eer_change
    if not len(experiment.latents):
        return "Nothing is steered, so nothing has changed yet."
    clear = "clearly" if low > 0 or high < 0 else "by no more than other speakers might have given"
    errors = (
        "The equal error rate stays as it was"
        if abs(change) < 5e-5
        else f"The equal error rate {'rises' if change > 0 else 'falls'} {clear}"
    )
    moved = outcome.shifts.loc[outcome.shifts["shift"].abs().idxmax()]
    way = "more" if moved["shift"] > 0 else "less"
    return (
        f"{errors}: {points(change)} points ({points(low)} to {points(high)}). Most moved are pairs of "
        f"**{moved['group']}**, {way} alike by {abs(moved['shift']):.3f} on average."
    )


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.2f}".replace("-", "−")


def _draw_metrics(outcome: SteeringOutcome) -> None:
    before, after, decisions = outcome.before, outcome.after, outcome.decisions
    first, second, third, fourth = st.columns(4)
    first.metric(
        "EER before",
        percent(before.eer, 2),
        help="Equal error rate: the threshold at which false acceptance rate and false rejection rate are equal.",
    )
    first.caption(_span(before.eer_low, before.eer_high))
    second.metric("EER after", percent(after.eer, 2), help="On the same trials, with a threshold of its own.")
    second.caption(_span(after.eer_low, after.eer_high))
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
        column.caption(f"{_span(added[1], added[2])} · fixed {percent(fixed[0], 2)}")


def _span(low: float, high: float) -> str:
    return f"95 %: {100 * low:.2f}–{100 * high:.2f}"


def _draw_shifts(outcome: SteeringOutcome, experiment: SteeringExperiment) -> None:
    shown = outcome.shifts.copy()
    shown["interval"] = [
        f"{low:+.3f} … {high:+.3f}".replace("-", "−")
        for low, high in zip(shown["shift_low"], shown["shift_high"], strict=True)
    ]
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        shown[["group", "n_pairs", "mean_before", "mean_after", "shift", "interval", "ks"]],
        key="shifts",
        hide_index=True,
        placeholder="",
        column_config={
            "group": text("Pairs of", help=GROUP_HELP, width=240),
            "n_pairs": number("Pairs", format="localized", width=70),
            "mean_before": number("Mean before", format="%.3f", width=100, help="Mean cosine similarity."),
            "mean_after": number("Mean after", format="%.3f", width=95),
            "shift": number("Shift", format="%+.3f", width=75, help="After less before."),
            "interval": text("95 %", help=INTERVAL, width=120),
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
        st.caption(
            f"{experiment.n_steered:,} of {len(experiment.trial_set.rows):,} clips are steered; voices of selection "
            "and held-out, intervals over speakers.",
            width="stretch",
        )
        csv_button(lambda: outcome.shifts, name=f"{experiment.view.name}-steering", key="shifts_csv")
