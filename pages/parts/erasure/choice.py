"""What is erased and how: the order of removal, how many latents, and which point of the curve is looked at."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.caching import cached
from pages.shared.choices import choose_one
from pages.shared.long_work import Result
from pages.shared.row_table import row_table
from pages.shared.wording import bounds, latent_name
from sae_core.analysis.erasure import ErasureCurve, erasure_curve
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.workspace.workspace import SaeView

Removal = Literal["greedy", "most telling"]
ORDER, POINT = "removal", "removed"
ORDER_WORDS = {"greedy": "greedy", "most telling": "most telling first"}
STEPS = (8, 16, 32, 64)
USUAL_STEPS = 8
TABLE, MAX_TABLE_PX = "erasure_points", 390


@dataclass(frozen=True)
class Asked:
    """Which curve is asked for: the order of removal that is looked at, and how many latents are removed at most."""

    order: Removal
    n_steps: int


def choose_curve() -> Asked:
    """Let people choose the order of removal and the length of the curve."""
    order = choose_one(
        ORDER, ORDER_WORDS, usual="greedy", noun="the order of removal", draw=st.segmented_control,
        label="Remove latents", required=True,
        help="Greedy: at each step the latent without which a refitted probe tells the value least on selection "
        "speakers. Most telling first: by the gap between mean activations with and without the value there.",
    )  # fmt: skip
    n_steps = st.selectbox(
        "At most", STEPS, index=STEPS.index(USUAL_STEPS), key="steps", bind="query-params", width=90,
        help="How many latents are removed. A longer curve takes longer, once.",
    )  # fmt: skip
    return Asked(cast(Removal, order), int(n_steps))


@cached(keep=32)
def _place(
    view: SaeView,  # noqa: ARG001 - the key
    value: AttributeValue,  # noqa: ARG001
    trial_set: TrialSet,  # noqa: ARG001
    n_steps: int,  # noqa: ARG001
) -> Result[ErasureCurve]:
    return Result()


def curve_of(view: SaeView, value: AttributeValue, trial_set: TrialSet, n_steps: int) -> ErasureCurve:
    """The curve of these settings, worked out once for everyone, with a bar meanwhile."""
    return _place(view, value, trial_set, n_steps).get(
        lambda progress: erasure_curve(view, value, trial_set, n_steps=n_steps, progress=progress),
        words="Removing latents, and fitting a probe at each step",
    )


def take_point(custom: Any) -> None:
    """Look at the point of a figure that was clicked."""
    order, n_latents = custom[:2]
    if order in ORDER_WORDS:
        links.choose(ORDER, order)
        links.choose(POINT, int(n_latents))


def choose_point(view: SaeView, curve: ErasureCurve, order: Removal) -> int:
    """The points of one order as a table, of which one is chosen; returns how many latents are removed there."""
    points = curve.points[curve.points["method"] == order].sort_values("n_latents").reset_index(drop=True)
    fewest, wanted = curve.fewest(order), links.chosen(POINT)
    usual = fewest or len(points) - 1
    is_there = wanted is not None and wanted.isdecimal() and int(wanted) < len(points)
    chosen = int(str(wanted)) if is_there else usual
    links.choose(POINT, chosen)
    st.header("Steps", anchor=False, help="Click a row, or a point of a figure, to look at that step below.")
    row_table(
        _as_shown(view, points),
        key=TABLE,
        chosen=chosen,
        on_choice=lambda row: links.choose(POINT, row),
        height_px=min(MAX_TABLE_PX, 42 + 35 * len(points)),
        column_config=_columns(),
    )
    return chosen


def _as_shown(view: SaeView, points: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n_latents": points["n_latents"],
            "latent": [
                "none: the embedding as it is" if latent < 0 else latent_name(view, int(latent))
                for latent in points["latent"]
            ],
            "probe": points["balanced_accuracy"],
            "probe_interval": [
                bounds(low, high)
                for low, high in zip(
                    points["balanced_accuracy_low"], points["balanced_accuracy_high"], strict=True
                )
            ],
            "auroc": points["auroc"],
            "eer": 100 * points["eer"],
            "eer_interval": _percents(points["eer_low"], points["eer_high"], sign=""),
            "eer_change": _percents(points["eer_change_low"], points["eer_change_high"], sign="+"),
            "min_dcf": points["min_dcf"],
        }
    )


def _percents(low: pd.Series, high: pd.Series, *, sign: str) -> list[str]:
    pairs = zip(100 * low, 100 * high, strict=True)
    dash = " … " if sign else "–"
    return [f"{one:{sign}.1f}{dash}{other:{sign}.1f}".replace("-", "−") for one, other in pairs]


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "n_latents": number("Removed", width=80),
        "latent": text("Last one", width=210),
        "probe": number(
            "Probe", format="%.2f", width=70,
            help="Balanced accuracy of a linear probe on unseen speakers: 0.50 is chance.",
        ),
        "probe_interval": text("95 %", width=95, help="Speakers resampled."),
        "auroc": number("AUROC", format="%.2f", width=75),
        "eer": number("EER", format="%.1f %%", width=75, help="Equal error rate of verification."),
        "eer_interval": text("95 %", width=95, help="Speakers resampled."),
        "eer_change": text("Change of EER", width=125, help="In points, its 95 % interval on the same trials."),
        "min_dcf": number("minDCF .05", format="%.3f", width=95),
    }  # fmt: skip
