"""The table of all latents: its columns, their headings, its orders, and what a search in it looks at."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared.caching import cached
from pages.shared.tables import holds_every_word, noted, with_notes
from pages.shared.wording import TERMS, bounds, value_words
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

STABILITY = "stability"
ORDERS = {
    "Best F1": ("f1", False),
    "Most active": ("firing_rate", False),
    "Least active": ("firing_rate", True),
    "Strongest": ("max_activation", False),
    "Most speakers": ("n_speakers", False),
    "Number": ("latent", True),
    "Most stable": (STABILITY, False),
}
SHOWN = [
    "latent",
    "meaning",
    "f1",
    "f1_interval",
    "precision",
    "recall",
    "fires_on_percent",
    "n_active",
    "n_speakers",
    "max_activation",
    "mean_activation",
    "warning",
]


def latent_table(view: SaeView, evidence: str) -> pd.DataFrame:
    """All latents with their best attribute value by one kind of evidence, and what people wrote about them.

    `stability` stands in it where SAEs of other seeds were compared.
    """
    table, notes = _latent_table(view, evidence), view.workspace.notes
    if (found := view.stability()) is not None:
        table = table.assign(**{STABILITY: found.table["cosine"]})
    return with_notes(table, table["latent"], lambda: notes.of_latents(view.weights_fingerprint))


@cached(keep=32)
def _latent_table(view: SaeView, evidence: str) -> pd.DataFrame:
    prefix = "best_" if evidence == UNSEEN_SPEAKERS else "seen_"
    other = "seen_" if evidence == UNSEEN_SPEAKERS else "best_"
    table = view.latents.drop(columns=[name for name in view.latents if name.startswith(other)])
    table = table.rename(columns={name: name.removeprefix(prefix) for name in table})
    known = table["value"].notna()
    words = [value_words(str(a), str(v)) for a, v in zip(table["attribute"], table["value"], strict=True)]
    table["meaning"] = pd.Series(words, index=table.index, dtype="object").where(known, "")
    table["f1_interval"] = [
        bounds(low, high) for low, high in zip(table["f1_low"], table["f1_high"], strict=True)
    ]
    table["warning"] = table["warning"].fillna("")
    table["evidence"] = evidence
    table["fires_on_percent"] = 100 * table["firing_rate"]
    return table


BY_VALUE, BY_NOTE, BY_ID, NOT_FOUND = range(4)
SEARCHED = {
    BY_VALUE: ["meaning", "attribute", "value"],
    BY_NOTE: ["note_words"],
    BY_ID: ["top_speaker", "top_source", "warning"],
}
"""Where a search looks for its words, and there first what is meant most often."""


def search_latents(table: pd.DataFrame, text: str) -> pd.Series:
    """By what each latent is found: every word of `text` stands in its number or the value it detects, or else in what
    people wrote about it; only where no latent is found so, in the ids of its main speaker and source."""
    words = " #" + table["latent"].astype(str) + " "
    found = pd.Series(NOT_FOUND, index=table.index)
    for kind, fields in SEARCHED.items():
        if kind == BY_ID and (found != NOT_FOUND).any():
            break
        words = words + table[fields].fillna("").agg(" ".join, axis=1).str.lower() + " "
        found = found.mask((found == NOT_FOUND) & holds_every_word(words, text), kind)
    return found


def shown_columns(table: pd.DataFrame) -> list[str]:
    """The columns worth showing, in order: the number, what people wrote, then what was measured."""
    measured = [STABILITY] if STABILITY in table else []
    return [SHOWN[0], *noted(table), *SHOWN[1:-1], *measured, SHOWN[-1]]


def latent_columns() -> dict[str, Any]:
    """Headings, explanations and formats of the latents table."""
    number, column = st.column_config.NumberColumn, st.column_config
    return {
        "latent": number("Latent", help=TERMS["latent"], format="#%d", width=70, pinned=True),
        "meaning": column.TextColumn(
            "Best attribute", help="The attribute value that this latent alone detects best."
        ),
        "label": column.TextColumn("Label", help="What people call it; the notes below say who.", width=150),
        "star": column.TextColumn("Star", width=50),
        "tags": column.TextColumn("Tags", width=110),
        "f1": column.ProgressColumn(
            "F1", help=TERMS["f1"], format="%.2f", min_value=0, max_value=1, width=110
        ),
        "f1_interval": column.TextColumn("F1, 95 %", help=TERMS["interval"], width=95),
        "precision": number("Precision", help=TERMS["precision"], format="%.2f", width=85),
        "recall": number("Recall", help=TERMS["recall"], format="%.2f", width=75),
        "fires_on_percent": number("Active on", help=TERMS["firing rate"], format="%.1f %%", width=85),
        "n_active": number(
            "Clips", help="Clips on which the latent is active.", format="localized", width=75
        ),
        "n_speakers": number(
            "Speakers", help="Different speakers among those clips.", format="localized", width=75
        ),
        "max_activation": number("Max", help="Highest activation on any clip.", format="%.2f", width=70),
        "mean_activation": number(
            "Mean", help="Mean activation where it is active.", format="%.2f", width=70
        ),
        STABILITY: number("Stability", help=TERMS["stability"], format="%.2f", width=80),
        "warning": column.TextColumn(
            "Caution", help="Shown where the latent is tied to one speaker or one source."
        ),
    }
