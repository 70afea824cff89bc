"""Representations side by side: DET curves, and a table of error rates with intervals."""

import pandas as pd
import streamlit as st

from pages.parts.verification import charts as verification_charts
from pages.shared import charts
from pages.shared.exports import csv_button
from pages.shared.wording import counted, embeddings_words, percent
from sae_core.analysis.trial_sets import FEW_SPEAKERS
from sae_core.analysis.verification_forms import OTHER_ENCODER, Comparison
from sae_core.measures.verification import VerificationResult

FORM_HELP = {
    "embedding": "as the speaker encoder gives it",
    "reconstruction": "what the SAE makes of the active latents alone",
    "sparse codes": "the activations of the latents, compared by cosine",
    "steered": "as set on the page Steering, with the reconstruction error kept",
}
EER = "Equal error rate: FAR and FRR at the threshold where they are equal. Lower is better."
MIN_DCF = (
    "Minimum detection cost as in NIST SRE, both errors at cost 1, when one pair in {} is a target; 1 is as bad as "
    "rejecting "
    "all. Lower is better."
)
INTERVAL = "95 % interval, from resampling speakers 200 times."


def draw_error_rates(comparison: Comparison) -> None:
    """The table of error rates, and what it says in one sentence."""
    with st.container(border=True, key="forms"):
        st.header("Error rates", anchor=False, help=f"{EER} {INTERVAL}")
        st.markdown(_verdict(comparison))
        _draw_table(comparison)


def draw_det(comparison: Comparison) -> None:
    """The DET curves of all representations."""
    with st.container(border=True, height="stretch", key="det"):
        st.header(
            "DET curve",
            anchor=False,
            help="Detection error trade-off: each point is one threshold. On these axes (normal deviates) normally "
            "distributed scores give a straight line; nearer to the lower left is better. The dotted line marks equal "
            "error rates.",
        )
        results = {_form_words(name): result.det_probits() for name, result in comparison.results.items()}
        eers = {_form_words(name): result.eer for name, result in comparison.results.items()}
        charts.show(
            verification_charts.det_figure(results, eers),
            key="det_figure",
            alt="DET curves of the representations",
        )


def _verdict(comparison: Comparison) -> str:
    first, second = comparison.results["embedding"], comparison.results["reconstruction"]
    errs = f"EER of the embedding: **{percent(first.eer, 1)}**."
    change, low, high = second.eer_change_from(first)
    if not comparison.has_intervals:
        return (
            f"{errs} Reconstruction: {_signed(change)} points. Only {counted(first.n_speakers, 'speaker')} with target "
            f"trials, fewer than {FEW_SPEAKERS}: too few for intervals or any claim."
        )
    if low <= 0 <= high:
        return f"{errs} The reconstruction does not differ clearly: {_change(second, comparison)} points."
    return (
        f"{errs} Reconstruction: {_change(second, comparison)} points, the speaker information that the SAE "
        f"{'loses' if change > 0 else 'does not need'}."
    )


def _signed(change: float) -> str:
    return f"{100 * change:+.1f}".replace("-", "−")


def _change(result: VerificationResult, comparison: Comparison) -> str:
    """The change of EER from the embedding, with its interval where enough speakers take part."""
    change, low, high = result.eer_change_from(comparison.results["embedding"])
    bounds = f" ({_signed(low)} … {_signed(high)})" if comparison.has_intervals and low < high else ""
    return f"{_signed(change)}{bounds}"


def _draw_table(comparison: Comparison) -> None:
    lines = [
        {
            "form": _form_words(name),
            "what it is": FORM_HELP.get(name, "another encoder of the same clips, for comparison"),
            "eer": 100 * result.eer,
            "eer_interval": _interval(result, comparison),
            "change": "" if name == "embedding" else _change(result, comparison),
            **{f"min_dcf_{prior}": cost for prior, cost in result.min_dcf.items()},
        }
        for name, result in comparison.results.items()
    ]
    table = pd.DataFrame(lines)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        table.drop(columns="what it is"),
        key="forms_table",
        hide_index=True,
        placeholder="",
        column_config={
            "form": text("Representation", pinned=True, width=165),
            "eer": number("EER", format="%.2f %%", width=68, help=EER),
            "eer_interval": text("95 %", width=80, help=INTERVAL),
            "change": text(
                "Change of EER",
                width=140,
                help="Against the embedding on the same trials, in points, with its 95 % interval.",
            ),
            "min_dcf_0.01": number("minDCF .01", format="%.3f", width=92, help=MIN_DCF.format(100)),
            "min_dcf_0.05": number("minDCF .05", format="%.3f", width=92, help=MIN_DCF.format(20)),
        },
    )
    st.markdown("  \n".join(f":small[**{line['form']}** :gray[{line['what it is']}]]" for line in lines))
    with st.container(horizontal=True):
        csv_button(lambda: table, name="verification-error-rates", key="forms_csv")
        csv_button(lambda: _det_table(comparison), name="verification-det", key="det_csv", label="DET curves")


def _form_words(form: str) -> str:
    """What a representation is called, the encoders among them by their titles."""
    other = form.removeprefix(OTHER_ENCODER)
    return form if other == form else f"{OTHER_ENCODER}{embeddings_words(other)}"


def _interval(result: VerificationResult, comparison: Comparison) -> str:
    if not comparison.has_intervals or result.eer_low >= result.eer_high:
        return "–"
    return f"{100 * result.eer_low:.1f}–{100 * result.eer_high:.1f}"


def _det_table(comparison: Comparison) -> pd.DataFrame:
    curves = {name: result.det for name, result in comparison.results.items()}
    parts = [
        pd.DataFrame({"representation": name, "far": far, "frr": frr}) for name, (far, frr) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)
