"""Tables for people: which rows and columns are shown, under which headings, and how they are exported."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from pages.shared.caching import cached
from pages.shared.wording import TERMS, bounds, value_words
from sae_core.files.errors import VoxScopeError
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.measures.profiles import CorpusSummary
from sae_core.workspace.notes import SubjectNotes
from sae_core.workspace.workspace import SaeView, Workspace

ORDERS = {
    "Best F1": ("f1", False),
    "Most active": ("firing_rate", False),
    "Least active": ("firing_rate", True),
    "Strongest": ("max_activation", False),
    "Most speakers": ("n_speakers", False),
    "Number": ("latent", True),
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

NOTED = ("label", "star", "tags")
UNKNOWN = {"–", "unknown"}
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def latent_table(view: SaeView, evidence: str) -> pd.DataFrame:
    """All latents with their best attribute value by one kind of evidence, and what people wrote about them.

    Shared, so not to be changed.
    """
    table, notes = _latent_table(view, evidence), view.workspace.notes
    return with_notes(table, table["latent"], lambda: notes.of_latents(view.weights_fingerprint))


def with_notes(
    table: pd.DataFrame, keys: pd.Series, read: Callable[[], Mapping[Any, SubjectNotes]]
) -> pd.DataFrame:
    """A table with label, star and tags, and with all words to search in; empty where notes cannot be read."""
    table = table.assign(**dict.fromkeys((*NOTED, "note_words"), ""))
    try:
        found = read()
    except VoxScopeError:
        return table
    is_noted = keys.isin(list(found)) if found else pd.Series(False, index=table.index)
    written = [found[key] for key in keys[is_noted]]
    for name, words in {
        "label": [notes.label for notes in written],
        "star": ["★" if notes.is_starred else "" for notes in written],
        "tags": [", ".join(notes.tags) for notes in written],
        "note_words": [notes.words.lower() for notes in written],
    }.items():
        table.loc[is_noted, name] = words
    return table


def noted(table: pd.DataFrame) -> list[str]:
    """Those of label, star and tags that anything stands in: the columns worth showing."""
    return [name for name in NOTED if (table[name] != "").any()]


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


def search_latents(table: pd.DataFrame, text: str) -> pd.Series:
    """True where every word of `text` stands in a latent's number, value, voice, source, warning or notes."""
    fields = ["meaning", "attribute", "value", "top_speaker", "top_source", "warning", "note_words"]
    words = table[fields].fillna("").agg(" ".join, axis=1).str.lower() + " #" + table["latent"].astype(str)
    return holds_every_word(words, text)


def search_clips(workspace: Workspace, text: str) -> pd.Series:
    """True where every word of `text` stands in some column of a clip, as it is labelled or said, or in its notes."""
    clips = workspace.corpus.table["clip_id"]
    if not text.split():
        return pd.Series(True, index=clips.index)
    words = _clip_words(workspace)
    found = holds_every_word(words, text)
    notes = notes_of_clips(workspace)
    noted_clips = clips[clips.isin(list(notes))]
    if len(noted_clips):
        with_notes = words[noted_clips.index] + [f" {notes[clip].words.lower()}" for clip in noted_clips]
        found[noted_clips.index] = holds_every_word(with_notes, text)
    return found


def notes_of_clips(workspace: Workspace) -> Mapping[str, SubjectNotes]:
    """What people wrote about clips, by clip_id; nothing where notes cannot be read."""
    try:
        return workspace.notes.of_clips()
    except VoxScopeError:
        return {}


@cached(keep=2)
def _clip_words(workspace: Workspace) -> pd.Series:
    table = clip_rows(workspace).drop(columns="duration_s")
    words = pd.Series("", index=table.index, dtype="str")
    for name in table:
        values = table[name].astype("str").fillna("")
        words += " " + values.str.lower()
        if name == "language":
            said = {value: f" {value_words(name, value)}".lower() for value in values.unique()}
            words += values.map(said)
    return words


def holds_every_word(words: pd.Series, text: str) -> pd.Series:
    """True where every word of `text` begins some word there: `male` does not find `female`."""
    found, texts = np.ones(len(words), dtype=bool), pa.array(words, type=pa.large_string())
    for word in text.lower().split():
        pattern = rf"(?:^|[^\pL\pN_]){re.escape(word)}"
        found &= pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return pd.Series(found, index=words.index)


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
        "warning": column.TextColumn(
            "Caution", help="Shown where the latent is tied to one speaker or one source."
        ),
    }


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV. Words that a spreadsheet would take for a formula get an apostrophe, by which it knows text."""
    made = {}
    for name in table.select_dtypes(exclude=["number", "bool"]).columns:
        words = table[name].astype("string")
        is_formula = words.str.startswith(_FORMULA_SIGNS).fillna(value=False).astype(bool)
        made[name] = words.mask(is_formula, "'" + words) if is_formula.any() else table[name]
    return table.assign(**made).to_csv(index=False).encode("utf-8")


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """A table as Parquet."""
    stream = io.BytesIO()
    table.to_parquet(stream, index=False)
    return stream.getvalue()


def corpus_grid(summary: CorpusSummary) -> pd.DataFrame:
    """Clips and speakers by language, with a column of clips for each gender × kind that occurs."""
    table = summary.table.copy()
    names = [name for name in ("language", "gender", "kind") if name in table]
    if not names:
        return pd.DataFrame()
    first, rest = names[0], names[1:]
    table[first] = [
        "unknown" if value in UNKNOWN else value_words(first, str(value)) for value in table[first]
    ]
    parts = (
        table[rest]
        .astype(str)
        .agg(lambda row: " · ".join(part for part in row if part not in UNKNOWN), axis=1)
    )
    table["group"] = parts.replace("", "unknown") if rest else "clips"
    grid = table.pivot_table(index=first, columns="group", values="n_clips", aggfunc="sum")
    totals = table.groupby(first)[["n_clips", "n_speakers"]].sum()
    grid.insert(0, "Speakers", totals["n_speakers"])
    grid.insert(0, "Clips", totals["n_clips"])
    return grid.sort_values("Clips", ascending=False).reset_index(names=first.capitalize())


def corpus_columns(grid: pd.DataFrame) -> dict[str, Any]:
    """Narrow number columns for every group of clips."""
    first, *groups = grid.columns
    narrow = {
        name: st.column_config.NumberColumn(
            name, format="localized", width=70 if name in {"Clips", "Speakers"} else 120
        )
        for name in groups
    }
    return {first: st.column_config.TextColumn(first, pinned=True, width="small"), **narrow}


def in_words(clips: pd.DataFrame) -> pd.DataFrame:
    """The same clips with languages by name."""
    if "language" not in clips:
        return clips
    said = {value: value_words("language", str(value)) for value in clips["language"].dropna().unique()}
    return clips.assign(language=clips["language"].map(said))


def clip_rows(workspace: Workspace) -> pd.DataFrame:
    """The clips table as people look for clips: id, speaker, attributes, split, length."""
    corpus = workspace.corpus
    return corpus.table[["clip_id", "speaker_id", *corpus.attributes, "split", "duration_s"]]
