"""The findings of the data check: how many of each kind, the table of one kind, its export."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared.exports import csv_button
from pages.shared.row_table import row_table
from pages.shared.wording import plain
from sae_core.workspace.workspace import Workspace

TABLE, CHOSEN, TABLE_HEIGHT_PX = "data_check_table", "finding chosen", 330
UNDECIDED = "Undecided only"
MEANINGS = {
    "exact copy": "The sound is the same to the byte. Copies count one recording several times.",
    "near copy": "Their embeddings are closer than any two different clips here: likely one recording, encoded twice.",
    "leak between splits": "Copies or one speaker in two splits: held-out numbers then look better than they are.",
    "speaker under two names": "Two names whose clips are as similar as those of one speaker. Trials between them are "
    "counted as different speakers.",
    "two speakers under one name": "The clips of one name fall into two groups, often two people on one line.",
    "speaker label": "The clip is closer to another speaker than to its own.",
    "attribute label": "The nearest clips carry another value. Either the label is wrong or the clip is unusual.",
    "outlier": "Nothing else sounds like it: noise, silence, another kind of sound.",
    "silent": "Nothing is heard in these clips, so they have no embedding.",
    "no speech": "No pitch was found: noise, music without a voice, or a whisper.",
    "clipped": "Tops of the waveform were cut off when it was recorded.",
    "out of range": "Samples lie beyond full scale, so players distort them.",
    "cancelling": "Mixed to one channel, most of the sound is lost. Import one channel alone.",
    "two sides": "Two channels with different sounds, as both sides of a call have; mixed, two speakers become one. "
    "Import with each side as clips of its own (`--channels split`).",
    "source stands for a value": "Nearly all clips with this value come from one place, so a latent that seems to "
    "detect the value may detect the place.",
}


def choose_kind(found: pd.DataFrame) -> str | None:
    """Which kind of finding is looked at; None where nothing was found."""
    counts = found["kind"].value_counts()
    kinds = [kind for kind in MEANINGS if kind in counts]
    if not kinds:
        return None
    kind = st.pills(
        "Findings", kinds, default=kinds[0], required=True, key="finding", bind="query-params",
        format_func=lambda kind: f"{kind.capitalize()} · {counts[kind]:,}",
    )  # fmt: skip
    return str(kind)


def draw_table(workspace: Workspace, found: pd.DataFrame, kind: str) -> pd.Series | None:
    """The findings of one kind, the surest first; returns the chosen one."""
    st.caption(MEANINGS[kind])
    table = found[found["kind"] == kind]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.toggle(UNDECIDED, key="undecided", bind="query-params"):
            table = table[table["decision"] == ""]
        csv_button(
            lambda: for_export(workspace, found), name="data-check", key="data_check_csv", label="All as CSV"
        )
    table = table.reset_index(drop=True)
    if table.empty:
        st.info("Everything of this kind is decided.", icon=":material/done_all:")
        return None
    chosen = min(int(st.session_state.get(f"{CHOSEN} {kind}", 0)), len(table) - 1)
    row_table(
        table[["words", "strength", "score", "decision"]],
        key=TABLE,
        chosen=chosen,
        on_choice=lambda row: st.session_state.update({f"{CHOSEN} {kind}": row}),
        height_px=min(TABLE_HEIGHT_PX, 42 + 35 * len(table)),
        column_config=_columns(),
    )
    return table.iloc[chosen]


def for_export(workspace: Workspace, found: pd.DataFrame) -> pd.DataFrame:
    """Findings with the ids of their clips."""
    ids = workspace.corpus.table["clip_id"].astype("object").to_numpy()
    clips = {
        name: [str(ids[row]) if row >= 0 else "" for row in found[side]]
        for name, side in (("clip_id", "row"), ("other_clip_id", "other_row"))
    }
    shown = found[["kind", "strength", "score", "subject", "counterpart", "decision", "words"]]
    return pd.concat([pd.DataFrame(clips, index=found.index), shown], axis=1)


def say_what_was_decided(finding: pd.Series) -> str:
    """The decision about a finding as a line of text, safe in Markdown."""
    return f"Decided: **{plain(str(finding['decision']))}**" if finding["decision"] else "Not decided yet."


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "words": text("Finding", width=720),
        "strength": number(
            "Strength",
            format="%.1f",
            width=90,
            help="Robust standard deviations (median and MAD) from what is usual here. Above 6 is rarely chance.",
        ),
        "score": number("Score", format="%.3f", width=90, help="The measure itself, see the documentation."),
        "decision": text("Decision", width=160),
    }
