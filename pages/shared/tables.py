"""Tables for people: which rows and columns are shown, under which headings, and how they are exported."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pages.shared.caching import cached
from pages.shared.wording import value_words
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.notes import SubjectNotes
from sae_core.workspace.workspace import Workspace

NOTED = ("label", "star", "tags")
UNKNOWN = {"–", "unknown"}
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


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
    table = clip_rows(workspace).drop(columns="duration_s", errors="ignore")
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


def in_words(clips: pd.DataFrame) -> pd.DataFrame:
    """The same clips with languages by name."""
    if "language" not in clips:
        return clips
    said = {value: value_words("language", str(value)) for value in clips["language"].dropna().unique()}
    return clips.assign(language=clips["language"].map(said))


def clip_rows(workspace: Workspace) -> pd.DataFrame:
    """The clips table as people look for clips: id, speaker, attributes, split, and the length where there is sound."""
    corpus = workspace.corpus
    length = ["duration_s"] if corpus.has_sound else []
    return corpus.table[["clip_id", "speaker_id", *corpus.attributes, "split", *length]]
