"""Overview: what this is, what the corpus holds, how good the SAE is, and five latents to hear first."""

import streamlit as st

from pages.figures.method.method import method_figure
from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.parts.overview import corpus
from pages.parts.overview.card import card_panel
from pages.parts.overview.guesses import guesses_panel
from pages.parts.overview.health import health_panel
from pages.parts.overview.reach import reach_panel
from pages.shared import links, wording
from pages.shared.heading import Heading
from pages.shared.reports import report_button
from pages.shared.session import open_page, try_next
from pages.shared.story_bar import story_link
from sae_core.analysis.first_value import first_value
from sae_core.workspace.workspace import SaeView, Workspace

N_STRIKING = 5


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Hear what a speaker embedding encodes",
        "A speaker embedding is a vector that distinguishes speakers. A **sparse autoencoder** (SAE) rewrites it as a "
        "few active *latents* out of many.",
        why="Listen to the clips on which a latent is active, and you hear what it detects: a language, a gender, hold "
        "music … The method: arXiv 2502.00127; TopK SAEs: arXiv 2406.04093.",
    )
    story_link(view.workspace)
    draw_method(view)
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, height="stretch", key="corpus"):
        draw_corpus(workspace)
        corpus.tell_quality(view)
    with right.container(border=True, height="stretch", key="health"):
        health_panel(view)
    guesses_panel(view)
    draw_striking(view)
    with st.container(border=True, key="reach"):
        reach_panel(view)
    card_panel(view)
    draw_report(view)
    try_next(
        view,
        {
            "pages/latents.py": ("Browse latents", ":material/hub:"),
            "pages/clips.py": ("Inspect a clip", ":material/library_music:"),
        },
    )


def draw_method(view: SaeView) -> None:
    """The figure e → v → ê for one clip that plays."""
    example = view.method_example(example_row(view))
    with st.container(border=True, key="method"):
        st.header("One clip through the autoencoder", anchor=False)
        clip, figure = st.columns([2, 7], gap="medium", vertical_alignment="center")
        with clip:
            opened_clip = clip_list(
                [clip_cards.clip_card(view, example.row)], key="method_clip", layout="fill"
            )
            st.caption(
                "Its embedding **e** becomes a few active latents **v**; these alone rebuild it as **ê**."
            )
        with figure:
            opened = method_figure(view, example, key="method_figure")
    if opened is not None:
        links.open_latent(view, opened)
    if opened_clip is not None:
        links.open_clip(view, opened_clip)


def example_row(view: SaeView) -> int | None:
    """The strongest clip of the latent that is confirmed for the value that pages open on; None where none is."""
    confirmed = [latent for latent in heard_first(view) if wording.short_meaning(view, latent)]
    opened = first_value(view)
    values = view.latents["best_attribute"], view.latents["best_value"]
    meant = [latent for latent in confirmed if tuple(column.iloc[latent] for column in values) == opened]
    rows = [row for latent in meant for row in view.index.top(latent, 1)[0] if view.embeddings.is_valid[row]]
    return int(rows[0]) if rows else None


def draw_corpus(workspace: Workspace) -> None:
    """Who and what was recorded."""
    summary = workspace.summary()
    st.header("Corpus", anchor=False)
    clips, hours, speakers = st.columns(3)
    clips.metric("Clips", f"{summary.n_clips:,}")
    if workspace.corpus.has_sound:
        is_long = summary.hours >= 1
        length = f"{summary.hours if is_long else 60 * summary.hours:.1f}"
        hours.metric("Hours" if is_long else "Minutes", length)
    else:
        hours.metric("Sound", "none", help="This workspace was made of vectors, without recordings.")
    n_named = workspace.corpus.table["speaker_id"].nunique()
    speakers.metric(
        "Speakers",
        f"{n_named:,}" if n_named else "unknown",
        help="Named speakers. Recordings of unknown speaker count as one speaker each in all statistics.",
    )
    grid = corpus.corpus_grid(summary)
    if len(grid):
        st.dataframe(
            grid,
            hide_index=True,
            height=212,
            placeholder="",
            key="corpus_grid",
            column_config=corpus.corpus_columns(grid),
        )


def draw_report(view: SaeView) -> None:
    """The way to hand all this on."""
    with st.container(horizontal=True, vertical_alignment="center", key="report_row"):
        report_button(view, key="report")


def heard_first(view: SaeView) -> list[int]:
    """The striking latents, the one for the value that pages open on among them."""
    striking = view.striking_latents(N_STRIKING)
    table, opened = view.predominant_latents(), first_value(view)
    is_it = [] if opened is None else (table["attribute"] == opened[0]) & (table["value"] == opened[1])
    first = [int(latent) for latent in table["latent"][is_it & table["is_confirmed"]]] if opened else []
    return list(dict.fromkeys([*striking[:1], *first, *striking]))[:N_STRIKING]


def draw_striking(view: SaeView) -> None:
    """A card for each of a few latents, playing its strongest clip."""
    cards = [clip_cards.latent_card(view, latent, shows_f1=True) for latent in heard_first(view)]
    opened = clip_list(
        cards,
        key="striking",
        layout="fill",
        heading=Heading(
            "Five latents to hear first",
            "each plays the clip with its highest activation; the bar is its F1 on held-out speakers",
            "No latent is active on any clip.",
        ),
    )
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_latent(view, opened)


main()
