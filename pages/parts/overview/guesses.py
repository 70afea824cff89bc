"""What named latents guess of clips that nobody labelled: how many clips, how sure, and the strongest to hear."""

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.wording import embeddings_words, percent, plain, value_words, with_interval
from sae_core.workspace.guesses import Guesses
from sae_core.workspace.workspace import SaeView

N_HEARD = 2
"""Clips to hear of each value."""
MAX_VALUES = 8
"""Values in the sentence, and to hear."""
HELP = (
    "Some latents of the SAEs that come with the demo are confirmed for a value on speakers they never met. Here they "
    "are applied to your clips with the thresholds chosen there. Guesses are kept apart from labels: no statistic on "
    "these pages counts them, and no latent is named by them."
)
NO_GUESSES = (
    "These clips have no labels. Latents named on the demo can guess language, gender and kind of sound: "
    "`python -m sae_core guess --workspace {path}`"
)


def guesses_panel(view: SaeView) -> None:
    """The guesses of a workspace, where there are any; where clips have no labels, how to make some."""
    workspace = view.workspace
    guesses = workspace.guesses()
    if guesses is None:
        if not workspace.corpus.attributes:
            st.info(NO_GUESSES.format(path=workspace.path), icon=":material/auto_awesome:")
        return
    with st.container(border=True, key="guesses"):
        st.header("Guessed, not labelled", anchor=False, help=HELP)
        found = guesses.summary[guesses.summary["n_clips"] > 0]
        st.markdown(_sentence(found))
        _draw_table(guesses.summary)
        _draw_clips(view, guesses, found)
        csv_button(lambda: guesses.table, name="guessed-values", key="guesses_csv", label="All guesses")


def _sentence(found: pd.DataFrame) -> str:
    if found.empty:
        return "None of the named latents is active on these clips."
    parts = [f"{percent(line['fraction'])} {_words(line)}" for _, line in found.head(MAX_VALUES).iterrows()]
    return f"About **{', '.join(parts)}** (guessed)."


def _words(line: pd.Series) -> str:
    return plain(value_words(str(line["attribute"]), str(line["value"])))


def _draw_table(summary: pd.DataFrame) -> None:
    rows = ["| Value | Guessed clips | Encoder | F1 on unseen speakers of the demo | Precision | Recall |"]
    rows.append("|---|---:|---|---|---:|---:|")
    for _, line in summary.iterrows():
        reached = with_interval(line["f1"], line["f1_low"], line["f1_high"])
        counts = f"{line['n_clips']:,} ({percent(line['fraction'])})"
        encoder = plain(embeddings_words(str(line["embedder"])))
        cells = [_words(line), counts, encoder, reached, f"{line['precision']:.2f}", f"{line['recall']:.2f}"]
        rows.append("| " + " | ".join(cells) + " |")
    st.markdown("\n".join(rows))


def _draw_clips(view: SaeView, guesses: Guesses, found: pd.DataFrame) -> None:
    """The strongest clips of each value, each with the value it is guessed to have."""
    cards = []
    for _, line in found.head(MAX_VALUES).iterrows():
        for row in guesses.rows_of(str(line["attribute"]), str(line["value"]))[:N_HEARD]:
            cards.append(clip_cards.clip_card(view, int(row), note=f"guessed: {_words(line)}"))
    if not cards:
        return
    opened = clip_list(cards, key="guessed_clips", layout="fill")
    if opened is not None:
        links.open_clip(view, opened)
