"""The latents behind a score: what each adds, what the score would be without it, and how it sounds."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.parts.match.choice import OperatingPoint
from pages.parts.match.score_parts import signed
from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.row_table import row_table
from pages.shared.wording import TERMS, latent_name, latent_words, measured
from sae_core.analysis.match import MatchExplanation, is_accepted
from sae_core.workspace.workspace import SaeView

OUT = "out"
TABLE, TABLE_HEIGHT_PX = "match_table", 420
SHOWN = {"In both": "both", "First only": "first", "Second only": "second", "All": ""}
N_STRONGEST = 4
TURNED = {True: "would be rejected", False: "would be accepted"}


def draw_without(view: SaeView, match: MatchExplanation, point: OperatingPoint | None) -> None:
    """Let people take latents out of both clips, and say what the score and the decision would be."""
    with st.container(border=True, key="match_without"):
        st.subheader(
            "Without these latents", anchor=False,
            help="The chosen latents are switched off in both clips; the bias, the other latents and what the SAE "
            "cannot rebuild stay. The score is computed anew, exactly.",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = _choose_latents(view, match)
            if point is not None:
                together = match.flips_together(point.threshold)
                st.button(
                    "Turn the decision", icon=":material/swap_vert:", key="match_turn", disabled=not together,
                    on_click=_take_out, args=(together,),
                    help="Takes out a few latents that turn the decision, one after another the one that moves the "
                    "score furthest: seldom more than the fewest." if together else "No eight latents turn it.",
                )  # fmt: skip
        st.markdown(_without_words(view, match, chosen, point))


def _choose_latents(view: SaeView, match: MatchExplanation) -> list[int]:
    table = match.latent_table.set_index("latent")
    options = [int(latent) for latent in table.index]
    wanted = (links.chosen(OUT) or "").split(",")
    st.session_state["match_out"] = [latent for latent in options if str(latent) in wanted]
    chosen = st.multiselect(
        "Take out of both clips",
        options,
        format_func=lambda latent: f"{latent_name(view, latent)} ({signed(table['contribution'][latent])})",
        key="match_out",
        on_change=lambda: _take_out(st.session_state["match_out"]),
        placeholder="a latent, or several",
    )
    _take_out(chosen)
    return [int(latent) for latent in chosen]


def _take_out(latents: list[int]) -> None:
    if latents:
        links.choose(OUT, ",".join(map(str, latents)))
    else:
        links.forget(OUT)


def _without_words(
    view: SaeView, match: MatchExplanation, chosen: list[int], point: OperatingPoint | None
) -> str:
    """What the chosen latents decide; with none chosen, which would decide alone."""
    if chosen:
        after = match.score_without(chosen)
        words = f"Without {_names(view, chosen)} the score would be **{after:.3f}** ({signed(after - match.score)})"
        if point is None:
            return f"{words}.".replace("-", "−")
        was = is_accepted(match.score, point.threshold)
        if is_accepted(after, point.threshold) != was:
            return f"{words}: the decision flips, the pair **{TURNED[was]}**."
        return f"{words}: the decision stays, the pair {TURNED[not was]} as before."
    if point is None:
        return "Choose latents to see what the score would be without them."
    alone = match.flips_alone(point.threshold)
    if not alone:
        return "No single latent decides: without any one of them the decision stays as it is."
    was = is_accepted(match.score, point.threshold)
    return f"Any one of these alone decides; without it the pair {TURNED[was]}: {_names(view, alone)}."


def _names(view: SaeView, latents: list[int]) -> str:
    return ", ".join(f"**{latent_words(view, latent)}**" for latent in latents)


def draw_latents(
    view: SaeView, match: MatchExplanation, rows: tuple[int, int], point: OperatingPoint | None
) -> None:
    """The table of latents, those of both first, beside the chosen one to hear."""
    left, right = st.columns([7, 4], gap="medium")
    with left.container(border=True, height="stretch", key="match_latents"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader("The latents behind it", anchor=False, width="stretch")
            choice = st.segmented_control(
                "Active in", list(SHOWN), default="In both", required=True, key="match_shown", bind="query-params",
                label_visibility="collapsed",
            )  # fmt: skip
        part = SHOWN[str(choice)]
        table = match.latent_table
        table = table[table["active_on"] == part] if part else table
        latent = _chosen_latent(match, table)
        _draw_table(view, match, table, latent, point)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{len(table)} latents · click a row to hear it", width="stretch")
            csv_button(lambda: match.latent_table, name=f"{view.name}-match", key="match_csv")
    with right.container(border=True, height="stretch", key="match_listen"):
        if latent is None:
            st.info("No latent is active on either clip.", icon=":material/volume_off:")
        else:
            _draw_listening(view, match, latent, rows)


def _chosen_latent(match: MatchExplanation, table: pd.DataFrame) -> int | None:
    """The latent that the address names, if it is active on either clip, else the first in the table."""
    active = [int(latent) for latent in match.latents]
    wanted = links.chosen(links.LATENT) or ""
    chosen = int(wanted) if wanted.isdecimal() and int(wanted) in active else None
    if chosen is None and active:
        chosen = int((table if len(table) else match.latent_table)["latent"].iloc[0])
    if chosen is not None:
        links.choose(links.LATENT, chosen)
    return chosen


def _draw_table(
    view: SaeView,
    match: MatchExplanation,
    table: pd.DataFrame,
    chosen: int | None,
    point: OperatingPoint | None,
) -> None:
    latents = [int(latent) for latent in table["latent"]]
    shown = pd.DataFrame(
        {
            "name": [latent_name(view, latent) for latent in latents],
            "contribution": table["contribution"].to_numpy(),
            "without": table["without"].to_numpy(),
            "flips": [_flip_words(match.score, after, point) for after in table["without"]],
            "activation_first": table["activation_first"].to_numpy(),
            "activation_second": table["activation_second"].to_numpy(),
            "itself": table["itself"].to_numpy(),
        }
    )
    row_table(
        shown,
        key=TABLE,
        chosen=latents.index(chosen) if chosen in latents else None,
        on_choice=lambda row: links.choose(links.LATENT, latents[row]),
        height_px=TABLE_HEIGHT_PX,
        column_config=_columns(),
    )


def _flip_words(score: float, after: float, point: OperatingPoint | None) -> str:
    if point is None or is_accepted(after, point.threshold) == is_accepted(score, point.threshold):
        return ""
    return "rejected" if is_accepted(score, point.threshold) else "accepted"


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "name": text("Latent", pinned=True, width=180),
        "contribution": number("Adds", format="%+.3f", width=75, help="Its part of the score."),
        "without": number(
            "Without it", format="%.3f", width=90,
            help="The score if it were switched off in both clips. Its part is not simply missing then: the embeddings "
            "also change their length.",
        ),
        "flips": text("Decision then", width=100, help="Where the decision would turn without it."),
        "activation_first": number("In first", format="%.2f", width=80, help=TERMS["activation"]),
        "activation_second": number("In second", format="%.2f", width=85, help=TERMS["activation"]),
        "itself": number(
            "With itself", format="%+.3f", width=90,
            help="The term of this latent in one clip with the same latent in the other. The rest of what it adds "
            "comes from resembling other parts.",
        ),
    }  # fmt: skip


def _draw_listening(view: SaeView, match: MatchExplanation, latent: int, rows: tuple[int, int]) -> None:
    """Both clips, and the strongest clips of the latent, one after another."""
    line = match.latent_table.set_index("latent").loc[latent]
    strongest = view.examples(latent, n=N_STRONGEST + 2).strongest
    top = max(float(view.latents["max_activation"].iloc[latent]), 1e-9)
    others = [
        (int(row), float(value), "")
        for row, value in zip(strongest.rows, strongest.activations, strict=True)
        if int(row) not in rows
    ]
    own = [
        (row, float(line[f"activation_{side}"]), f"the {side}")
        for side, row in zip(("first", "second"), rows, strict=True)
    ]
    cards = [
        clip_cards.clip_card(view, row, value=value, top=top, value_help=TERMS["activation"], note=note)
        for row, value, note in [*own, *others[:N_STRONGEST]]
    ]
    heading = Heading(
        latent_name(view, latent), "in both clips, then where it is strongest; the bar is its activation"
    )
    opened = clip_list(cards, key="match_sounds", heading=heading)
    clip_cards.tell_silent(cards)
    st.caption(measured(view, latent))
    st.page_link(
        "pages/latents.py", label="Open this latent", icon=":material/hub:",
        query_params=links.query(view, {links.LATENT: str(latent)}),
    )  # fmt: skip
    if opened is not None:
        links.open_clip(view, opened)
