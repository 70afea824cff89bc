"""Identification: speakers are enrolled by several clips each; whose is every other clip?"""

import numpy as np
import streamlit as st

from pages.parts.verification.score_figures import cmc_figure, open_set_figure
from pages.shared import charts
from pages.shared.caching import cached
from pages.shared.exports import csv_button
from pages.shared.problems import part_of_page
from pages.shared.wording import counted, percent
from sae_core.analysis.score_comparison import IdentificationResult, identify_speakers
from sae_core.analysis.trial_sets import TrialSet
from sae_core.workspace.workspace import SaeView

WAYS = ("mean of vectors", "mean of scores")
MAX_ENROL = 20


@cached(keep=32, spinner="Enrolling and identifying …")
def _identified(view: SaeView, trial_set: TrialSet, n_enrol: int, by: str) -> IdentificationResult:
    vectors = np.asarray(view.embeddings.vectors)
    return identify_speakers(trial_set.corpus, vectors, trial_set.pool_rows, n_enrol=n_enrol, by=by)


@part_of_page
def draw_identification(view: SaeView, trial_set: TrialSet) -> None:
    """Draw the part."""
    with st.container(border=True, key="identification"):
        st.header(
            "Identification",
            anchor=False,
            help="Four in five speakers with enough clips are enrolled. The others, and those with fewer clips, stand "
            "for speakers that nobody knows.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            n_enrol = st.number_input(
                "Clips to enrol by",
                min_value=1,
                max_value=MAX_ENROL,
                value=3,
                key="enrol",
                bind="query-params",
                width=150,
            )
            by = st.segmented_control(
                "Combined by", WAYS, default=WAYS[0], required=True, key="enrol_by", bind="query-params",
                help="Mean of vectors: the cosine with the mean of the unit embeddings. Mean of scores: the mean of "
                "the cosines with each.",
            )  # fmt: skip
        found = _identified(view, trial_set, int(n_enrol), str(by))
        first = found.closed.cmc.iloc[0]
        st.markdown(
            f"The speaker of a clip is found first, among {counted(found.n_enrolled, 'enrolled speaker')}, in "
            f"**{percent(first['rate'], 1)}** of {counted(found.n_known, 'clip')} (rank-1; 95 %: "
            f"{100 * first['low']:.1f}–{100 * first['high']:.1f}, speakers resampled). "
            f"{counted(found.n_unknown, 'clip')} are by speakers who are not enrolled."
        )
        _draw_figures(found)


def _draw_figures(found: IdentificationResult) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Rank of the speaker (CMC)", anchor=False)
        charts.show(cmc_figure(found.closed.cmc), key="cmc", alt="Cumulative match characteristic")
        csv_button(lambda: found.closed.cmc, name="cmc", key="cmc_csv")
    with right:
        st.subheader("With unknown speakers (open set)", anchor=False)
        if found.open.empty:
            st.caption("Every speaker is enrolled, so nobody is unknown.")
            return
        charts.show(open_set_figure(found.open), key="open_set", alt="Open-set identification errors")
        csv_button(lambda: found.open, name="open-set", key="open_set_csv")
