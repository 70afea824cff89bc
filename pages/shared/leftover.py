"""What is left of attribute values after a steering, and what verification pays: measured when somebody asks for it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared.caching import cached
from pages.shared.exports import csv_button
from pages.shared.long_work import Result
from pages.shared.problems import part_of_page
from pages.shared.wording import column_words, percent, plain, value_words, with_interval
from sae_core.analysis.erasure import Cost, Leftover, measure_leftover
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

COLUMNS = [
    "value",
    "probe",
    "before_words",
    "after_words",
    "change",
    "change_words",
    "auroc_after",
    "said",
    "majority_rate",
]
CHANCE = 0.5
ALL_DETECTED = "Every value that a linear probe detected before is still detected."
NONE_HURT = "No other attribute is detected clearly worse."
COSTS = {
    "eer": ("EER", "Equal error rate of verification on the same trials."),
    "min_dcf": (
        "minDCF .05",
        "Minimum detection cost when one pair in 20 is a target; 1 is as bad as rejecting all.",
    ),
    "cllr": (
        "Cllr",
        "Cost of log-likelihood ratios in bits, each side calibrated on these trials: 0 is perfect, 1 says nothing.",
    ),
}


@cached(keep=64)
def _place(
    view: SaeView,  # noqa: ARG001 - the key
    trial_set: TrialSet,  # noqa: ARG001
    changes: Sequence[Change],  # noqa: ARG001
    erased: AttributeValue | None,  # noqa: ARG001
) -> Result[Leftover]:
    return Result()


@part_of_page
def draw_leftover(
    view: SaeView,
    trial_set: TrialSet,
    changes: Sequence[Change],
    erased: AttributeValue | None,
    *,
    has_cost: bool,
) -> None:
    """A button that measures it, or the table once it is measured. has_cost: whether to say the cost above it."""
    place = _place(view, trial_set, tuple(changes), erased)
    if not place.is_made and not _asked():
        return
    wanted = [] if erased is None else [erased]
    found = place.get(
        lambda progress: measure_leftover(view, changes, trial_set, erased=wanted, progress=progress),
        words="Fitting probes before and after",
    )
    if has_cost:
        draw_cost(found.cost, has_intervals=trial_set.has_intervals)
    st.markdown(_sentence(found.table, erased))
    _draw_table(found.table, erased)


def _asked() -> bool:
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="center"):
        is_asked = st.button("Measure what is left", icon=":material/science:", key="measure_leftover")
        st.caption("Fits probes for every attribute value before and after; some seconds.")
    if is_asked:
        place.empty()
    return is_asked


def draw_cost(cost: Cost, *, has_intervals: bool) -> None:
    """EER, minDCF and Cllr before and after, with the interval of the change."""
    for column, (name, (words, about)) in zip(st.columns(len(COSTS)), COSTS.items(), strict=True):
        figures = getattr(cost, name)
        (before, *_), (after, *_), (_, low, high) = (figures[side] for side in ("before", "after", "change"))
        scale = 100 if name == "eer" else 1
        shown = [percent(value, 2) if name == "eer" else f"{value:.3f}" for value in (before, after)]
        column.metric(words, f"{shown[0]} → {shown[1]}", help=about)
        digits, unit = (2, " points") if name == "eer" else (3, "")
        column.caption(
            f"change {scale * low:+.{digits}f} … {scale * high:+.{digits}f}{unit} (95 %)".replace("-", "−")
            if has_intervals
            else "Too few speakers for intervals"
        )


def _sentence(table: pd.DataFrame, erased: AttributeValue | None) -> str:
    """Which values are no longer detected, and which values of other attributes were hurt."""
    linear = table[table["probe"] == "linear"]
    gone = linear[linear["is_at_chance"].astype(bool) & (linear["before_low"] > CHANCE)]
    is_kin = linear["attribute"] == (None if erased is None else erased[0])
    hurt = linear[linear["is_hurt"].astype(bool) & ~is_kin]
    lost = f"No longer detected by a linear probe: **{_names(gone)}**." if len(gone) else ALL_DETECTED
    return f"{lost} {f'Clearly worse, though not meant: **{_names(hurt)}**.' if len(hurt) else NONE_HURT}"


def _names(table: pd.DataFrame) -> str:
    return plain(", ".join(value_words(line.attribute, line.value) for line in table.itertuples()))


def _draw_table(table: pd.DataFrame, erased: AttributeValue | None) -> None:
    lines = list(table.itertuples())
    shown = table.assign(
        value=[
            f"{column_words(line.attribute)}: {value_words(line.attribute, line.value)}" for line in lines
        ],
        before_words=[with_interval(line.before, line.before_low, line.before_high) for line in lines],
        after_words=[with_interval(line.after, line.after_low, line.after_high) for line in lines],
        change_words=[
            f"{line.change_low:+.2f} … {line.change_high:+.2f}".replace("-", "−") for line in lines
        ],
        said=[_said(line, erased) for line in lines],
        majority_rate=100 * table["majority_rate"],
    )
    st.dataframe(
        shown[COLUMNS],
        key="leftover_table",
        hide_index=True,
        placeholder="",
        height=min(390, 42 + 35 * len(shown)),
        column_config=_columns(),
    )
    csv_button(lambda: table, name="what-is-left", key="leftover_csv")


def _said(line: Any, erased: AttributeValue | None) -> str:
    if line.is_erased:
        return "meant: at chance" if line.is_at_chance else "meant: still there"
    if line.is_hurt:
        return "worse, same attribute" if erased is not None and line.attribute == erased[0] else "hurt"
    return "at chance" if line.is_at_chance else ""


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    about = "Balanced accuracy of the probe on unseen speakers (95 %, speakers resampled): 0.50 is chance."
    return {
        "value": text("Attribute value", width=190, pinned=True),
        "probe": text("Probe", width=90, help="Fitted on training speakers. Non-linear: one layer of 64 ReLUs."),
        "before_words": text("Before", width=130, help=about),
        "after_words": text("After", width=130, help=about),
        "change": number("Change", format="%+.2f", width=75),
        "change_words": text("95 %", width=115, help="Of the change, on the same clips."),
        "auroc_after": number("AUROC after", format="%.2f", width=95),
        "said": text("Verdict", width=150, help="Hurt: not meant, and the interval of the change lies below 0."),
        "majority_rate": number(
            "Majority rate", format="%.0f %%", width=105,
            help="Accuracy of always guessing the commoner side; its balanced accuracy is 0.50.",
        ),
    }  # fmt: skip
