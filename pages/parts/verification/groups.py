"""Who is served worse: error rates within each language and gender, and what one threshold for all does to them."""

import pandas as pd
import streamlit as st

from pages.parts.verification import charts as verification_charts
from pages.shared import charts
from pages.shared.exports import csv_button
from pages.shared.wording import counted, value_words
from sae_core.analysis.verification_forms import Comparison

MEASURES = {
    "EER": "Each group with the threshold that suits it best: how hard its voices are to tell apart at all. Impostors "
    "are of the same group, so this is harder than telling a Spanish voice from a German one.",
    "misses": "Targets rejected at the one threshold that gives equal errors over all trials: whom a running system "
    "turns away.",
    "false alarms": "Impostors of the same group accepted at the one threshold for all: whose voice is taken for "
    "another's.",
}
COLUMN_OF = {"EER": "eer", "misses": "miss", "false alarms": "alarm"}


def draw_groups(comparison: Comparison) -> None:
    """A figure of error rates by group, and the table behind it."""
    if comparison.by_value.empty:
        return
    table = comparison.by_value
    with st.container(border=True, key="groups"):
        st.subheader("Who is served worse?", anchor=False)
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
                "Forms",
                list(comparison.results),
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
            shown, column=COLUMN_OF[str(measure)], forms=list(comparison.results), overall=overall
        )
        charts.show(figure, key="groups_figure", alt=f"{measure} by language and gender")
        _draw_export(table)


def _labels(table: pd.DataFrame) -> pd.Series:
    words = [
        f"{value_words(str(line.attribute), str(line.value))} · {counted(int(line.n_speakers), 'voice')}"
        for line in table.itertuples()
    ]
    return pd.Series(words, index=table.index)


def _on_few(table: pd.DataFrame) -> str:
    """What the hollow marks mean, and which groups could not be tested."""
    values = table.drop_duplicates(["attribute", "value"])
    untested = values[~values["is_tested"].astype(bool)]
    names = ", ".join(value_words(str(line.attribute), str(line.value)) for line in untested.itertuples())
    few = (
        "Bars are 95 % intervals over speakers; hollow marks have fewer than 5 voices, too few for any claim."
    )
    return f"{few} Not tested, for want of two voices: {names}." if names else few


def _draw_export(table: pd.DataFrame) -> None:
    with st.expander("The numbers"):
        percentages = table.assign(
            **{
                name: 100 * table[name].astype(float)
                for name in ("eer", "eer_low", "eer_high", "miss", "alarm")
            }
        )
        rate = {
            name: st.column_config.NumberColumn(words, format="%.2f %%")
            for name, words in (
                ("eer", "EER"),
                ("eer_low", "low"),
                ("eer_high", "high"),
                ("miss", "Misses"),
                ("alarm", "False alarms"),
            )
        }
        st.dataframe(
            percentages,
            key="groups_table",
            hide_index=True,
            placeholder="–",
            column_config={
                "attribute": "Attribute",
                "value": "Value",
                "form": "Form",
                "is_tested": "Tested",
                "is_few": "Few voices",
                "n_speakers": "Voices",
                "n_targets": "Targets",
                **rate,
            },
        )
        csv_button(lambda: table, name="verification-groups", key="groups_csv")
