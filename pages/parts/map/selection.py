"""Below the map: the dots inside the drawn area, to hear, to compare with all others, and to export."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.figures.ranking.ranking import RankedBar, ranking
from pages.shared import links, map_choice, tables, wording
from pages.shared.announce import announce
from pages.shared.heading import Heading
from sae_core.analysis.map_selection import clips_table, in_turns, latents_apart, values_apart
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView

N_CARDS = 12
N_BARS = 10
PAGE = "map_selection_page"
APART = "bar: fraction of the selected clips; tick: of all clips; × lift with 95 % interval, grey where it reaches ×1"
ALL_SPLITS = (
    "All splits together. An area drawn by eye describes what lies there; it tests nothing. Whether a latent detects a "
    "value on unseen speakers is on its own page."
)


def draw_clips(view: SaeView, found: PointMap, rows: np.ndarray, *, name: str) -> None:
    """The chosen clips: what distinguishes them, and a list to play, speakers taking turns."""
    n_speakers = len(set(view.workspace.corpus.speaker_groups[rows].tolist()))
    with st.container(horizontal=True, vertical_alignment="center", key="map_selection_head"):
        words = f"{wording.counted(len(rows), 'clip')}, {wording.counted(n_speakers, 'speaker')} selected"
        st.header(words, anchor=False, width="stretch")
        announce(words, key="map selection")
        offer_csv("Clips", lambda: clips_table(view, rows, found.xy[rows]), f"{name}-clips")
        offer_csv("What distinguishes them", lambda: apart_table(view, rows), f"{name}-apart")
    values, latents = st.columns(2, gap="medium")
    with values.container(border=True, height="stretch"):
        draw_values(view, rows)
    with latents.container(border=True, height="stretch"):
        draw_latents(view, rows)
    st.caption(ALL_SPLITS)
    place = st.container()
    shown = one_page(in_turns(view.workspace.corpus, rows))
    cards = [clip_cards.clip_card(view, int(row)) for row in shown]
    with place:
        heading = Heading("Listen to them", "speakers taking turns")
        opened = clip_list(cards, key="map_selected_clips", heading=heading)
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)


def draw_values(view: SaeView, rows: np.ndarray) -> None:
    """Attribute values that are more frequent here; a click colours the map by one."""
    apart = values_apart(view, rows)
    apart = apart[apart["mcc"] > 0].head(N_BARS)
    pairs = all_values(view)
    bars = [
        value_bar(view, pairs.index((value.attribute, value.value)), value) for value in apart.itertuples()
    ]
    heading = Heading(
        "Over-represented attributes", APART, "No attribute value is more frequent here than elsewhere."
    )
    opened = ranking(bars, key="map_values_apart", heading=heading, shows_in="map_page")
    if opened is not None:
        attribute, only = pairs[opened]
        map_choice.colour_next(attribute, only=only)


def all_values(view: SaeView) -> list[tuple[str, str]]:
    """Every attribute and value of the corpus, in an order that no choice of clips changes."""
    corpus = view.workspace.corpus
    return [(name, value) for name in corpus.attributes for value in corpus.values_of(name)]


def value_bar(view: SaeView, number: int, value: Any) -> RankedBar:
    """One attribute value, known by its number among all: its fraction here against all clips."""
    low, high = value.share_low / value.base_rate, value.share_high / value.base_rate
    return RankedBar(
        label=wording.value_words(value.attribute, value.value),
        detail=value.attribute,
        filled=value.share,
        marker=value.base_rate,
        tone="" if low > 1 else "below",
        value_text=f"×{value.lift:.1f} ({low:.1f}–{high:.1f})",
        help=f"{wording.counted(value.n, 'clip')} by {wording.counted(value.n_speakers, 'speaker')}: "
        f"{wording.percent(value.share, 1)} ({wording.percent(value.share_low, 1)}–"
        f"{wording.percent(value.share_high, 1)}) of those selected, {wording.percent(value.base_rate, 1)} of all. "
        "Click to see it alone on the map.",
        opens=number,
        href=map_choice.address(view, str(value.attribute), only=str(value.value)),
    )


def draw_latents(view: SaeView, rows: np.ndarray) -> None:
    """Latents that are active here more often; a click opens one."""
    apart = latents_apart(view, rows)
    apart = apart[apart["mcc"] > 0].head(N_BARS)
    bars = [
        RankedBar(
            label=wording.latent_name(view, int(latent.latent)),
            detail=f"{latent.n:,} of {len(rows):,}",
            filled=latent.share,
            marker=latent.firing_rate,
            value_text=f"×{latent.lift:.1f}",
            help=f"Active on {wording.percent(latent.share, 1)} of those selected, "
            f"{wording.percent(latent.firing_rate, 1)} of all. {wording.measured(view, int(latent.latent))}",
            opens=int(latent.latent),
            href=links.latent_address(view, int(latent.latent)),
        )
        for latent in apart.itertuples()
    ]
    heading = Heading(
        "Over-represented latents",
        "bar: fraction of the selected clips; tick: of all clips",
        "No latent is active here more often than elsewhere.",
    )
    opened = ranking(bars, key="map_latents_apart", heading=heading)
    if opened is not None:
        links.open_latent(view, opened)


def draw_directions(view: SaeView, latents: np.ndarray, *, name: str) -> None:
    """The selected latents, best confirmed first, each playing its strongest clip."""
    table = view.latents.iloc[latents].sort_values(
        ["is_named", "best_mcc", "firing_rate"], ascending=False, kind="stable"
    )
    n_named = int(table["is_named"].sum())
    with st.container(horizontal=True, vertical_alignment="center", key="map_selection_head"):
        words = f"{wording.counted(len(table), 'latent')} selected, {n_named} with a name"
        st.header(words, anchor=False, width="stretch")
        announce(words, key="map selection")
        offer_csv("Latents", lambda: table, f"{name}-latents")
    detected = pd.Series([wording.short_meaning(view, int(latent)) for latent in table["latent"]])
    counts = detected[detected != ""].value_counts()
    if len(counts):
        st.caption("They detect " + ", ".join(f"{value} ({n})" for value, n in counts.items()) + ".")
    place = st.container()
    cards = [clip_cards.latent_card(view, int(latent)) for latent in one_page(table["latent"].to_numpy())]
    with place:
        heading = Heading(
            "Listen to them", "each plays the clip with its highest activation; named ones first"
        )
        opened = clip_list(cards, key="map_selected_clips", heading=heading)
    clip_cards.tell_silent(cards)
    if opened is not None:
        links.open_latent(view, opened)


def map_table(view: SaeView, found: PointMap, *, has_clips: bool) -> pd.DataFrame:
    """Every dot of a map with what is known of it and its place."""
    if has_clips:
        return clips_table(view, found.rows, found.places)
    return view.latents.iloc[found.rows].assign(map_x=found.places[:, 0], map_y=found.places[:, 1])


def one_page(rows: np.ndarray) -> np.ndarray:
    """The rows of the chosen page, with buttons to turn it where there is more than one."""
    n_pages = -(-len(rows) // N_CARDS)
    page = min(int(st.session_state.get(PAGE, 0)), n_pages - 1)
    if n_pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", key="map_pages"):
            first, last = page * N_CARDS + 1, min(len(rows), (page + 1) * N_CARDS)
            st.caption(f"{first:,}–{last:,} of {len(rows):,}", width="content")
            _turn("Previous", ":material/arrow_back:", page - 1, is_off=page == 0)
            _turn("Next", ":material/arrow_forward:", page + 1, is_off=page == n_pages - 1)
    return rows[page * N_CARDS : (page + 1) * N_CARDS]


def _turn(words: str, icon: str, page: int, *, is_off: bool) -> None:
    st.button(
        words,
        icon=icon,
        key=f"map_page_{words.lower()}",
        type="tertiary",
        disabled=is_off,
        on_click=lambda: st.session_state.update({PAGE: page}),
    )


def apart_table(view: SaeView, rows: np.ndarray) -> pd.DataFrame:
    """Attribute values and latents with their lift, in one table."""
    values, latents = values_apart(view, rows).assign(kind="value"), latents_apart(view, rows)
    latents = latents.rename(columns={"firing_rate": "base_rate"}).assign(kind="latent")
    latents["value"] = [view.name_of(int(latent)) for latent in latents["latent"]]
    return pd.concat([values, latents], ignore_index=True)


def offer_csv(words: str, make: Callable[[], pd.DataFrame], name: str) -> None:
    """A button that writes a table as CSV when it is clicked."""
    st.download_button(
        words,
        data=lambda: tables.csv_bytes(make()),
        file_name=f"voxscope-map-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=f"map_csv_{words}",
    )
