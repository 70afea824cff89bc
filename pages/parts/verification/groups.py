"""Error rates by group: within each language and gender, and what one threshold for all does to them."""

import pandas as pd
import streamlit as st

from pages.parts.verification import charts as verification_charts
from pages.shared import charts
from pages.shared.exports import csv_button
from pages.shared.renamed import read_renamed
from pages.shared.wording import column_words, counted, plain, value_words
from sae_core.analysis.verification_forms import Comparison

REJECTIONS, ACCEPTANCES = "false rejections", "false acceptances"
MEASURES = {
    "EER": "Each group at its own threshold: how hard its speakers are to tell apart at all. Both clips of a trial "
    "are of "
    "the group, so this is harder than trials across groups.",
    REJECTIONS: "FRR: target trials of the group rejected at the global threshold, which gives equal error rates over "
    "all "
    "trials.",
    ACCEPTANCES: "FAR: impostor trials within the group accepted at the global threshold, which gives equal error "
    "rates "
    "over all trials.",
}
COLUMN_OF = {"EER": "eer", REJECTIONS: "frr", ACCEPTANCES: "far"}
RENAMED = {"misses": REJECTIONS, "false alarms": ACCEPTANCES}
RATES = {"eer": "EER", "frr": "FRR", "far": "FAR"}


def draw_groups(comparison: Comparison) -> None:
    """A figure of error rates by group, and the table behind it."""
    if comparison.by_value.empty:
        return
    table = comparison.by_value
    with st.container(border=True, height="stretch", key="groups"):
        st.header(
            "Error rates by group",
            anchor=False,
            help="Whether verification is equally reliable for speakers of every language and gender.",
        )
        read_renamed("measure", RENAMED)
        shown_forms = [form for form in comparison.results if (table["form"] == form).any()]
        with st.container(horizontal=True, vertical_alignment="center"):
            measure = st.segmented_control(
                "Measure",
                list(MEASURES),
                default="EER",
                required=True,
                key="measure",
                bind="query-params",
                label_visibility="collapsed",
            )
            forms = st.pills(
                "Representations",
                shown_forms,
                selection_mode="multi",
                default=["embedding"],
                key="forms_shown",
                bind="query-params",
                label_visibility="collapsed",
            )
        st.caption(f"{MEASURES[str(measure)]} {_on_few(table)}")
        is_shown = table["form"].isin(forms or ["embedding"]) & table["is_tested"]
        shown = table[is_shown].assign(label=_labels(table)[is_shown])
        overall = comparison.results["embedding"].eer
        figure = verification_charts.group_figure(
            shown, column=COLUMN_OF[str(measure)], forms=shown_forms, overall=overall
        )
        charts.show(figure, key="groups_figure", alt=f"{measure} by language and gender")
        _draw_export(table)


def _labels(table: pd.DataFrame) -> pd.Series:
    words = [
        f"{value_words(str(line.attribute), str(line.value))} · {counted(int(line.n_speakers), 'speaker')}"
        for line in table.itertuples()
    ]
    return pd.Series(words, index=table.index)


def _on_few(table: pd.DataFrame) -> str:
    """What bars and hollow marks mean, and which groups could not be tested."""
    values = table.drop_duplicates(["attribute", "value"])
    untested = values[~values["is_tested"].astype(bool)]
    names = plain(
        ", ".join(value_words(str(line.attribute), str(line.value)) for line in untested.itertuples())
    )
    bars = "Bars are 95 % intervals over speakers."
    if values["is_few"][values["is_tested"].astype(bool)].any():
        bars += " Hollow marks without a bar: fewer than 5 speakers, too few for any claim."
    return f"{bars} Not tested, as fewer than two speakers have target trials: {names}." if names else bars


def _draw_export(table: pd.DataFrame) -> None:
    with st.expander("Table"):
        rates = [f"{name}{bound}" for name in RATES for bound in ("", "_low", "_high")]
        shown = table.assign(
            value=[value_words(str(line.attribute), str(line.value)) for line in table.itertuples()],
            attribute=[column_words(str(name)) for name in table["attribute"]],
            **{name: 100 * table[name].astype(float) for name in rates},
        )
        headings = {
            f"{name}{bound}": st.column_config.NumberColumn(f"{words}{heading}", format="%.2f %%")
            for name, words in RATES.items()
            for bound, heading in (("", ""), ("_low", ", lower bound"), ("_high", ", upper bound"))
        }
        st.dataframe(
            shown,
            key="groups_table",
            hide_index=True,
            placeholder="–",
            column_config={
                "attribute": "Attribute",
                "value": "Value",
                "form": "Representation",
                "is_tested": "Tested",
                "is_few": st.column_config.CheckboxColumn("Few speakers", help="Fewer than 5: no interval."),
                "n_speakers": "Speakers",
                "n_targets": "Target trials",
                **headings,
            },
        )
        csv_button(lambda: table, name="verification-by-group", key="groups_csv")
