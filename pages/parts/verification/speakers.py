"""Speakers who are hard to verify, or easily taken for others."""

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.problems import part_of_page
from sae_core.analysis.fairness import errors_by_speaker
from sae_core.analysis.trial_sets import TrialSet
from sae_core.workspace.workspace import SaeView

MARKS = {
    "is_goat": "hard to verify",
    "is_lamb": "taken for others",
    "is_wolf": "taken for others when testing",
}


@part_of_page
def draw_speakers(view: SaeView, trial_set: TrialSet, point: str) -> None:
    """Who is hard to verify, and who is easily taken for others; a click on a row lists the speaker's clips."""
    table = errors_by_speaker(trial_set, operating_point=point)
    shown = table[table[list(MARKS)].any(axis=1)].sort_values("frr", ascending=False, kind="stable")
    with st.container(border=True, key="speakers"):
        st.header(
            "Speakers who stand out",
            anchor=False,
            help="Goats are hard to verify, lambs and wolves easily taken for others (Doddington et al. 1998): the "
            "tenth of speakers at that end, and clearly beyond the mean of all.",
        )
        if shown.empty:
            st.markdown("Nobody stands out clearly.")
            return
        rows = _draw_table(shown)
        st.caption("Click a row to hear the speaker's clips.")
        csv_button(lambda: table, name="speakers", key="speakers_csv")
    if rows and rows[0] < len(shown):
        speaker = str(shown["speaker_id"].iloc[rows[0]])
        st.switch_page("pages/clips.py", query_params=links.query(view, {"find": speaker}))


def _draw_table(shown: pd.DataFrame) -> list[int]:
    """Draw the speakers; the row that was clicked, if any."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    columns = {
        "speaker_id": shown["speaker_id"].astype("str"),
        "words": [", ".join(MARKS[mark] for mark in MARKS if line[mark]) for _, line in shown.iterrows()],
        "frr": 100 * shown["frr"],
        "mean_target": shown["mean_target"],
        "far": 100 * shown["far_enrolled"],
        "mean_enrolled": shown["mean_enrolled"],
        "n_targets": shown["n_targets"],
    }
    event = st.dataframe(
        pd.DataFrame(columns), key="speakers_table", hide_index=True, placeholder="–", on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        column_config={
            "speaker_id": text("Speaker", pinned=True, width="medium"),
            "words": text("Is", width="medium"),
            "frr": number("FRR", format="%.1f %%"),
            "mean_target": number("Mean own score", format="%.3f"),
            "far": number("FAR", format="%.1f %%", help="Impostor trials in which the speaker is enrolled."),
            "mean_enrolled": number("Mean impostor score", format="%.3f"),
            "n_targets": number("Target trials", format="localized"),
        },
    )  # fmt: skip
    return [*(row for row, _ in event["selection"]["cells"]), *event["selection"]["rows"]]
