"""The clips of the picked flow or group, to play."""

import re
from urllib.parse import unquote

import numpy as np
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.parts.movement.choice import N_AT_ONCE, PICK, SHOWN, MovementChoice
from pages.parts.movement.flow import flow_words
from pages.parts.movement.groups import MOVE_WORDS
from pages.shared import links
from pages.shared.heading import Heading
from pages.shared.tables import csv_bytes
from pages.shared.wording import counted, value_words
from sae_core.analysis.movement import order_by_activation
from sae_core.measures.movement import LEAVE, MOVES, STAY, Movement


def picked_clips(
    choice: MovementChoice, movement: Movement, attributes: tuple[str, ...]
) -> tuple[str, str, np.ndarray]:
    """What the URL picks, in words, and its clips; the lost ones, or else the kept ones, where it picks none."""
    wanted = links.chosen(PICK) or ""
    kind, *parts = map(unquote, wanted.split(":"))
    found: tuple[str, np.ndarray] | None = None
    if kind == "flow" and len(parts) == 3 and all(_is_number(part) for part in parts):
        found = _flow_clips(choice, movement, (int(parts[0]), int(parts[1]), int(parts[2])))
    if kind == "cell" and len(parts) == 1 + len(attributes) and parts[0] in MOVES:
        values = dict(zip(attributes, parts[1:], strict=True))
        rows = movement.rows_of_group(choice.stations[0].view.workspace.corpus, parts[0], values)
        found = f"{MOVE_WORDS[parts[0]]}: {', '.join(value_words(*pair) for pair in values.items())}", rows
    if found is not None and len(found[1]):
        return wanted, *found
    move = next((move for move in (LEAVE, STAY, *MOVES) if len(movement.rows_that(move))), LEAVE)
    return "", f"All {MOVE_WORDS[move].lower()} clips", movement.rows_that(move)


def _flow_clips(
    choice: MovementChoice, movement: Movement, flow: tuple[int, int, int]
) -> tuple[str, np.ndarray] | None:
    if not 0 <= flow[0] < len(choice.stations) - 1:
        return None
    return flow_words(choice, *flow), movement.rows_of_flow(*flow)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def draw_clips(choice: MovementChoice, words: str, rows: np.ndarray) -> None:
    """List clips, the most active first, more of them on demand, and all of them as CSV."""
    ordered, activations = order_by_activation(choice.stations, rows)
    n_shown = min(int(st.session_state.get(SHOWN, N_AT_ONCE)), len(ordered))
    view = choice.stations[-1].view
    top = float(activations.max()) if len(activations) else 1.0
    cards = [
        clip_cards.clip_card(
            view,
            int(row),
            value=float(activation),
            top=top,
            value_help="activation in the active set that holds it",
        )
        for row, activation in zip(ordered[:n_shown], activations[:n_shown], strict=True)
    ]
    heading = Heading(words, f"{counted(len(ordered), 'clip')}, most active first", "No clip moves this way.")
    opened = clip_list(cards, key="movement_clips_list", heading=heading)
    clip_cards.tell_silent(cards)
    with st.container(horizontal=True, vertical_alignment="center"):
        if n_shown < len(ordered):
            st.button(
                f"Show {min(N_AT_ONCE, len(ordered) - n_shown)} more", icon=":material/expand_more:",
                key="movement_more", on_click=lambda: st.session_state.update({SHOWN: n_shown + N_AT_ONCE}),
            )  # fmt: skip
        corpus = view.workspace.corpus
        st.download_button(
            "CSV of these clips", data=lambda: csv_bytes(corpus.table.iloc[ordered].assign(activation=activations)),
            file_name=csv_name(choice, words), mime="text/csv", icon=":material/download:", type="tertiary",
            on_click="ignore", key="movement_clips_csv", disabled=not len(ordered),
        )  # fmt: skip
    if opened is not None:
        links.open_clip(view, opened)


def csv_name(choice: MovementChoice, words: str) -> str:
    """What the list of clips is called when it is saved: the value, and which clips they are."""
    name = re.sub(r"[^\w.]+", "-", f"{choice.stations[0].value} {words}").strip("-").lower()
    return f"voxscope-movement-{name}.csv"
