"""The forms of a voice side by side: DET curves, and a table of error rates with intervals."""

import pandas as pd
import streamlit as st

from pages.parts.verification import charts as verification_charts
from pages.shared import charts
from pages.shared.exports import csv_button
from pages.shared.wording import percent
from sae_core.analysis.verification_forms import Comparison

FORM_HELP = {
    "embedding": "as the speaker model made it",
    "reconstruction": "as the SAE rebuilds it from the active latents alone",
    "sparse codes": "the active latents themselves, compared by cosine",
    "steered": "as you left it on the page Steering, the reconstruction error kept",
}
EER = "Equal error rate: at the threshold where as many targets are rejected as impostors accepted. Lower is better."
MIN_DCF = "Cost of the best threshold when one pair in {} is a target; 1 is as bad as rejecting all. Lower is better."
INTERVAL = "95 % interval: speakers drawn anew 200 times."


def draw_forms(comparison: Comparison) -> None:
    """DET curves on the left, the table on the right."""
    curve, table = st.columns(2, gap="medium")
    with curve.container(border=True, height="stretch", key="det"):
        st.subheader(
            "Misses against false alarms",
            anchor=False,
            help="A DET curve: each point is one threshold. Axes are stretched as the normal distribution asks, so "
            "that curves are nearly straight; nearer to the lower left is better. On the dotted line both are equal.",
        )
        results = {name: result.det_probits() for name, result in comparison.results.items()}
        eers = {name: result.eer for name, result in comparison.results.items()}
        charts.show(
            verification_charts.det_figure(results, eers),
            key="det_figure",
            alt="DET curves of the forms of a voice",
        )
    with table.container(border=True, height="stretch", key="forms"):
        st.subheader("How often it errs", anchor=False, help=f"{EER} {INTERVAL}")
        st.markdown(_verdict(comparison))
        _draw_table(comparison)


def _verdict(comparison: Comparison) -> str:
    first, second = comparison.results["embedding"], comparison.results["reconstruction"]
    change, low, high = second.eer_change_from(first)
    cost = (
        f"Rebuilt by the SAE, {100 * change:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
        if low > 0 or high < 0
        else "Rebuilt by the SAE, no clear difference"
    ).replace("-", "−")
    errs = f"The embedding errs in **{percent(first.eer, 1)}** of pairs."
    return f"{errs} {cost}: that is what the SAE forgets of who speaks."


def _draw_table(comparison: Comparison) -> None:
    lines = []
    for name, result in comparison.results.items():
        change, low, high = result.eer_change_from(comparison.results["embedding"])
        is_first = name == "embedding"
        lines.append(
            {
                "form": name,
                "what it is": FORM_HELP[name],
                "eer": 100 * result.eer,
                "eer_interval": f"{100 * result.eer_low:.1f}–{100 * result.eer_high:.1f}",
                "change": ""
                if is_first
                else f"{100 * change:+.1f} ({100 * low:+.1f} … {100 * high:+.1f})".replace("-", "−"),
                **{f"min_dcf_{prior}": cost for prior, cost in result.min_dcf.items()},
            }
        )
    table = pd.DataFrame(lines)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        table.drop(columns="what it is"),
        key="forms_table",
        hide_index=True,
        placeholder="",
        column_config={
            "form": text("Form", pinned=True, width=105),
            "eer": number("EER", format="%.2f %%", width=68, help=EER),
            "eer_interval": text("95 %", width=72, help=INTERVAL),
            "change": text(
                "Against the embedding", help="Points of EER, with its interval on the same trials."
            ),
            "min_dcf_0.01": number("minDCF .01", format="%.3f", width=86, help=MIN_DCF.format(100)),
            "min_dcf_0.05": number("minDCF .05", format="%.3f", width=86, help=MIN_DCF.format(20)),
        },
    )
    st.markdown("  \n".join(f":small[**{line['form']}** :gray[{line['what it is']}]]" for line in lines))
    with st.container(horizontal=True):
        csv_button(lambda: table, name="verification", key="forms_csv")
        csv_button(lambda: _det_table(comparison), name="det", key="det_csv", label="DET curves")


def _det_table(comparison: Comparison) -> pd.DataFrame:
    curves = {name: result.det for name, result in comparison.results.items()}
    parts = [
        pd.DataFrame({"form": name, "false_alarm": alarm, "miss": miss})
        for name, (alarm, miss) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)
