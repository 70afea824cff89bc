"""All notes of a workspace in one table, with what they are about; a click opens it."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.notes_panel import when
from pages.shared.row_table import row_table
from pages.shared.tables import holds_every_word
from sae_core.workspace.note_entries import Subject
from sae_core.workspace.notes import SubjectNotes, trained_saes
from sae_core.workspace.workspace import SaeView

TABLE, CLICKED, TABLE_HEIGHT_PX, ROW_PX = "notes_table", "note_clicked", 460, 35
KINDS = ("everything", "latents", "clips")
GONE = "trained again since, or not here"


def draw_table(view: SaeView, found: dict[Subject, SubjectNotes]) -> None:
    """Filters, the table, and the way to what a row is about."""
    saes = trained_saes(view.workspace.path)
    with st.container(horizontal=True, vertical_alignment="bottom", key="notes_filters"):
        text = st.text_input(
            "Search", key="words", bind="query-params", placeholder="label, tag, comment, person …",
            icon=":material/search:", live=True, width=260,
        )  # fmt: skip
        kind = st.segmented_control(
            "About", KINDS, default=KINDS[0], required=True, key="about", bind="query-params"
        )
        only_starred = st.toggle("Starred", key="starred", bind="query-params")
    table = _tabulate(found, saes)
    keep = holds_every_word(table["words"], text or "")
    if kind != KINDS[0]:
        keep &= (table["clip"] != "") == (kind == "clips")
    if only_starred:
        keep &= table["star"] != ""
    table = table[keep]
    clicked = st.session_state.pop(CLICKED, None)
    if not len(table):
        st.info("No note passes. Clear the search or one of the filters.", icon=":material/filter_alt_off:")
        return
    row_table(
        table[["what", "label", "star", "tags", "n_comments", "last_comment", "by", "at", "note"]],
        key=TABLE,
        chosen=None,
        on_choice=lambda row: st.session_state.update({CLICKED: table.iloc[row]}),
        height_px=min(TABLE_HEIGHT_PX, ROW_PX * (len(table) + 1) + 2),
        column_config=_columns(),
    )
    st.caption(f"{len(table):,} of {len(found):,} latents and clips with notes · click a row to open it")
    if clicked is not None:
        _open(view, clicked, saes)


def _tabulate(found: dict[Subject, SubjectNotes], saes: dict[str, str]) -> pd.DataFrame:
    lines = []
    for subject, notes in found.items():
        last = notes.entries[-1]
        sae = saes.get(subject.fingerprint, subject.sae)
        is_here = bool(subject.clip) or subject.fingerprint in saes
        what = subject.clip or f"#{subject.latent} of {sae}"
        people = " ".join(sorted({entry.author for entry in notes.entries}))
        lines.append(
            {
                "what": what,
                "label": notes.label,
                "star": "★" if notes.is_starred else "",
                "tags": ", ".join(notes.tags),
                "n_comments": len(notes.comments),
                "last_comment": notes.comments[-1].text if notes.comments else "",
                "by": last.author,
                "at": when(last),
                "note": "" if is_here else GONE,
                "clip": subject.clip,
                "fingerprint": subject.fingerprint,
                "latent": subject.latent,
                "words": f"{what} {notes.words} {people}".lower(),
                "written_at": last.written_at,
            }
        )
    columns = ["what", "label", "star", "tags", "n_comments", "last_comment", "by", "at", "note", "clip",
               "fingerprint", "latent", "words", "written_at"]  # fmt: skip
    table = pd.DataFrame(lines, columns=columns)
    return table.sort_values("written_at", ascending=False, kind="stable").reset_index(drop=True)


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "what": text("About", pinned=True, width=190),
        "label": text("Label", width=200),
        "star": text("Star", width=50),
        "tags": text("Tags"),
        "n_comments": number("Comments", width=85),
        "last_comment": text("Newest comment", width="large"),
        "by": text("Last by"),
        "at": text("When", width=150),
        "note": text("Caution", help="Notes about latents stay with the weights they were written about."),
    }


def _open(view: SaeView, line: pd.Series, saes: dict[str, str]) -> None:
    if line["clip"]:
        st.switch_page("pages/clips.py", query_params=links.query(view, {links.CLIP: str(line["clip"])}))
    if line["fingerprint"] in saes:
        query = {
            **links.in_workspace(),
            links.SAE: saes[line["fingerprint"]],
            links.LATENT: str(line["latent"]),
        }
        st.switch_page("pages/latents.py", query_params=query)
    st.toast("This SAE has been trained again or is not here.", icon=":material/history:")
