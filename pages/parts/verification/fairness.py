"""Fairness: error rates by attribute, measure or two of them crossed; the latents that a gap rests on; speakers."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.verification.charts import group_figure
from pages.parts.verification.gap import draw_gap
from pages.parts.verification.groups_of_clips import groups_of
from pages.parts.verification.speakers import draw_speakers
from pages.shared import charts
from pages.shared.caching import cached
from pages.shared.choices import choose_one
from pages.shared.exports import csv_button
from pages.shared.problems import part_of_page
from pages.shared.wording import column_words, counted, percent, plain
from sae_core.analysis.fairness import errors_by_group
from sae_core.analysis.hints import ACOUSTIC_MEASURES
from sae_core.analysis.latent_acoustics import acoustics_of
from sae_core.analysis.trial_sets import OPERATING_POINTS, TrialSet
from sae_core.files.errors import VoxScopeError
from sae_core.measures.fairness import FEW_SPEAKERS
from sae_core.workspace.workspace import SaeView

RATES = {
    "frr": (
        "False rejections",
        "Target trials of the group that are rejected at the threshold that all share.",
    ),
    "far": (
        "False acceptances",
        "Impostor trials within the group that are accepted at the threshold that all share.",
    ),
    "eer": ("EER", "Each group at its own threshold: how hard its speakers are to tell apart at all."),
}
NOTHING = "nothing"


def fairness_options(view: SaeView) -> dict[str, str]:
    """What clips can be grouped by: attributes, and acoustic measures where the sound was measured."""
    options = {name: column_words(name) for name in view.workspace.corpus.attributes}
    try:
        measured = acoustics_of(view.workspace).table
    except VoxScopeError:
        return options
    return options | {
        name: about.words
        for name, about in ACOUSTIC_MEASURES.items()
        if name not in options and measured[name].notna().any()
    }


@cached(keep=32, spinner="Error rates by group …")
def _errors(view: SaeView, trial_set: TrialSet, by: tuple[str, ...], point: str) -> pd.DataFrame:
    return errors_by_group(trial_set, groups_of(view, by), operating_point=point)


@part_of_page
def draw_fairness(view: SaeView, trial_set: TrialSet) -> None:
    """Draw the part."""
    options = fairness_options(view)
    if not options:
        st.info(
            "There are no labels and no acoustic measures to group clips by.", icon=":material/label_off:"
        )
        return
    with st.container(border=True, key="fairness"):
        st.header(
            "Error rates by group",
            anchor=False,
            help="Both clips of a trial are of the group. Whether verification is equally reliable for everybody.",
        )
        by, point, rate = _choose(options)
        table = _errors(view, trial_set, by, point)
        tested = table[table["is_tested"].astype(bool)]
        _draw_groups(trial_set, table, rate, point)
    if len(tested) > 1:
        draw_gap(view, trial_set, by, tested)
    else:
        st.caption("A gap needs two groups of enough speakers.")
    draw_speakers(view, trial_set, point)


def _choose(options: dict[str, str]) -> tuple[tuple[str, ...], str, str]:
    usual = "gender" if "gender" in options else next(iter(options))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = choose_one(
            "by", options, usual=usual, noun="groups by", label="By", width=190,
            help="An attribute, or an acoustic measure cut into three bands of equally many clips.",
        )  # fmt: skip
        others = {name: words for name, words in options.items() if name != by}
        crossed = choose_one(
            "crossed", {NOTHING: "nothing", **others}, usual=NOTHING, label="Crossed with", width=190
        )
        point = st.selectbox(
            "Operating point", list(OPERATING_POINTS), key="point", bind="query-params", width=190,
            help="Decides the common threshold, on all trials.",
        )  # fmt: skip
        rate = st.segmented_control(
            "Rate", list(RATES), default="frr", required=True, key="rate", bind="query-params",
            format_func=lambda name: RATES[name][0],
            help="\n\n".join(f"**{words}**: {about}" for words, about in RATES.values()),
        )  # fmt: skip
    return (by,) if crossed == NOTHING else (by, crossed), point, str(rate)


def _draw_groups(trial_set: TrialSet, table: pd.DataFrame, rate: str, point: str) -> None:
    tested = table[table["is_tested"].astype(bool)]
    few = table.loc[~table["is_tested"].astype(bool) & (table["n_speakers"] > 0), "group"].tolist()
    if tested.empty:
        st.info(f"No group has {FEW_SPEAKERS} speakers with target trials and impostor trials within it.")
    else:
        st.markdown(_finding(tested, rate))
        shown = tested.assign(
            form="embedding", is_few=False, label=[_label(line) for line in tested.itertuples()]
        )
        overall = _overall(trial_set, rate, point)
        figure = group_figure(shown, column=rate, forms=["embedding"], overall=overall)
        charts.show(figure, key="fairness_figure", alt=f"{RATES[rate][0]} by group")
    if few:
        st.caption(
            f"Too few speakers to measure (fewer than {FEW_SPEAKERS} with target trials, or no impostors): "
            f"{plain(', '.join(few))}."
        )
    with st.expander("Table"):
        _draw_table(table)


def _label(line: Any) -> str:
    return f"{line.group} · {counted(int(line.n_speakers), 'speaker')}"


def _overall(trial_set: TrialSet, rate: str, point: str) -> float:
    if rate == "eer":
        return float(trial_set.verified.eer)
    is_target, accepted = (
        trial_set.trials.is_target,
        trial_set.scores >= np.float32(trial_set.threshold(point)),
    )
    return float((~accepted)[is_target].mean() if rate == "frr" else accepted[~is_target].mean())


def _finding(tested: pd.DataFrame, rate: str) -> str:
    """The group with the highest rate, against the lowest."""
    table = tested.sort_values(rate, ascending=False, kind="stable")
    most, least = table.iloc[0], table.iloc[-1]
    words = RATES[rate][0] if rate == "eer" else RATES[rate][0].lower()
    if len(table) == 1:
        return f"Only **{plain(most['group'])}** has speakers enough: {words} {_with_interval(most, rate)}."
    apart = most[f"{rate}_low"] > least[f"{rate}_high"]
    how = "their intervals do not overlap" if apart else "their intervals overlap, so this may be chance"
    return (
        f"{words[0].upper() + words[1:]}: highest for **{plain(most['group'])}** {_with_interval(most, rate)}, lowest "
        f"for **{plain(least['group'])}** {_with_interval(least, rate)}; {how}."
    )


def _with_interval(line: pd.Series, rate: str) -> str:
    return f"{percent(line[rate], 1)} ({100 * line[f'{rate}_low']:.1f}–{100 * line[f'{rate}_high']:.1f})"


def _draw_table(table: pd.DataFrame) -> None:
    columns: dict[str, Any] = {
        "group": "Group",
        "n_speakers": "Speakers",
        "n_targets": "Target trials",
        "n_nontargets": "Impostor trials",
        "is_tested": "Measured",
    }
    shown = table[list(columns)].copy()
    for name, (words, about) in RATES.items():
        rates = table[[name, f"{name}_low", f"{name}_high"]].astype(float)
        shown[name] = 100 * rates[name]
        shown[f"{name}_interval"] = [
            "" if pd.isna(low) else f"{100 * low:.1f}–{100 * high:.1f}"
            for _, low, high in rates.itertuples(index=False)
        ]
        columns[name] = st.column_config.NumberColumn(words, format="%.1f %%", help=about)
        columns[f"{name}_interval"] = "95 %"
    for name in ("frr", "far"):
        shown[f"{name}_ratio"] = table[f"{name}_ratio"].astype(float)
        columns[f"{name}_ratio"] = st.column_config.NumberColumn(f"{name.upper()} × all", format="%.2f")
    st.dataframe(shown, key="fairness_table", hide_index=True, placeholder="–", column_config=columns)
    csv_button(lambda: table, name="error-rates-by-group", key="fairness_csv")
