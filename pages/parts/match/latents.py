"""The latents of a score: the contribution of each, the score without it, and clips to hear it on."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.parts.match.choice import OperatingPoint
from pages.parts.match.score_parts import signed
from pages.shared import links
from pages.shared.choices import nearest_latents, number_below, tell_unknown
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.row_table import row_table
from pages.shared.wording import TERMS, latent_name, latent_words, measured, plain
from sae_core.analysis.match import MatchExplanation, is_accepted
from sae_core.workspace.workspace import SaeView

OUT = "out"
TABLE, TABLE_HEIGHT_PX = "match_table", 420
SHOWN = {"In both": "both", "First only": "first", "Second only": "second", "All": ""}
N_STRONGEST = 4
FLIPPED = {True: "would be rejected", False: "would be accepted"}


def draw_without(view: SaeView, match: MatchExplanation, point: OperatingPoint | None) -> None:
    """Let people ablate latents in both clips, and say what the score and the decision would be."""
    with st.container(border=True, key="match_without"):
        st.header(
            "Latents ablated", anchor=False,
            help="The chosen latents are ablated in both clips; bias, other latents and residual are kept. The score "
            "is "
            "computed again, exactly.",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = _choose_latents(view, match)
            if point is not None:
                together = match.flips_together(point.threshold)
                st.button(
                    "Find smallest flip", icon=":material/swap_vert:", key="match_turn", disabled=not together,
                    on_click=_ablate, args=(together,),
                    help="Ablates a few latents that together flip the decision, found greedily: each is the one that "
                    "moves "
                    "the score furthest." if together else "No eight latents found greedily flip it.",
                )  # fmt: skip
        st.markdown(_without_words(view, match, chosen, point))


def _choose_latents(view: SaeView, match: MatchExplanation) -> list[int]:
    table = match.latent_table.set_index("latent")
    options = [int(latent) for latent in table.index]
    wanted = (links.chosen(OUT) or "").split(",")
    st.session_state["match_out"] = [latent for latent in options if str(latent) in wanted]
    chosen = st.multiselect(
        "Ablate in both clips",
        options,
        format_func=lambda latent: f"{latent_name(view, latent)} ({signed(table['contribution'][latent])})",
        key="match_out",
        on_change=lambda: _ablate(st.session_state["match_out"]),
        placeholder="one or more latents",
    )
    _ablate(chosen)
    return [int(latent) for latent in chosen]


def _ablate(latents: list[int]) -> None:
    if latents:
        links.choose(OUT, ",".join(map(str, latents)))
    else:
        links.forget(OUT)


def _without_words(
    view: SaeView, match: MatchExplanation, chosen: list[int], point: OperatingPoint | None
) -> str:
    """What ablating the chosen latents changes; with none chosen, which single ones would flip the decision."""
    if chosen:
        after = match.score_without(chosen)
        words = f"Without {_names(view, chosen)} the score would be **{after:.3f}** ({signed(after - match.score)})"
        if point is None:
            return f"{words}.".replace("-", "−")
        was = is_accepted(match.score, point.threshold)
        if is_accepted(after, point.threshold) != was:
            return f"{words}: the decision flips, the pair **{FLIPPED[was]}**."
        return f"{words}: the decision stays, the pair {FLIPPED[not was]} as before."
    if point is None:
        return "Choose latents to see the score without them."
    alone = match.flips_alone(point.threshold)
    if not alone:
        return "No single latent flips the decision when it is ablated."
    was = is_accepted(match.score, point.threshold)
    return f"Ablating any one of these flips the decision, the pair {FLIPPED[was]}: {_names(view, alone)}."


def _names(view: SaeView, latents: list[int]) -> str:
    return ", ".join(f"**{latent_words(view, latent)}**" for latent in latents)


def draw_latents(
    view: SaeView, match: MatchExplanation, rows: tuple[int, int], point: OperatingPoint | None
) -> None:
    """The table of latents, those active on both clips first, beside the chosen one to hear."""
    left, right = st.columns([7, 4], gap="medium")
    with left.container(border=True, height="stretch", key="match_latents"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header("Latents", anchor=False, width="stretch")
            choice = st.segmented_control(
                "Active in", list(SHOWN), default="In both", required=True, key="match_shown", bind="query-params",
                label_visibility="collapsed",
            )  # fmt: skip
        part = SHOWN[str(choice)]
        table = match.latent_table
        table = table[table["active_on"] == part] if part else table
        latent = _chosen_latent(view, match, table)
        _draw_table(view, match, table, latent, point)
        with st.container(horizontal=True, vertical_alignment="center"):
            what_for = "to hear it" if view.workspace.corpus.has_sound else "to open it"
            st.caption(f"{len(table)} latents · click a row {what_for}", width="stretch")
            csv_button(lambda: match.latent_table, name=_csv_name(view, rows), key="match_csv")
    with right.container(border=True, height="stretch", key="match_listen"):
        if latent is None:
            st.info("No latent is active on either clip.", icon=":material/volume_off:")
        else:
            _draw_listening(view, match, latent, rows)


def _csv_name(view: SaeView, rows: tuple[int, int]) -> str:
    first, second = (links.clip_id(view, row) for row in rows)
    return f"{view.name}-match-{first}-and-{second}"


def _chosen_latent(view: SaeView, match: MatchExplanation, table: pd.DataFrame) -> int | None:
    """The latent that the address names, if it is active on either clip, else the first in the table."""
    active = [int(latent) for latent in match.latents]
    wanted = links.chosen(links.LATENT) or ""
    chosen = int(wanted) if wanted.isdecimal() and int(wanted) in active else None
    if chosen is None and active:
        chosen = int((table if len(table) else match.latent_table)["latent"].iloc[0])
        if wanted and number_below(wanted, view.n_latents) is None:
            near = nearest_latents(wanted, view.n_latents)
            tell_unknown(links.LATENT, wanted, noun="the latent", shown=f"#{chosen}", near=near)
            return chosen
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
        "contribution": number("Contribution", format="%+.3f", width=95, help="To the score."),
        "without": number(
            "Score without", format="%.3f", width=100,
            help="The score with this latent ablated in both clips. It is not simply the score minus the "
            "contribution: the "
            "embeddings also change their length.",
        ),
        "flips": text("Flips to", width=80, help="The decision without it, where that differs."),
        "activation_first": number("In first", format="%.2f", width=80, help=TERMS["activation"]),
        "activation_second": number("In second", format="%.2f", width=85, help=TERMS["activation"]),
        "itself": number(
            "Self term", format="%+.3f", width=85,
            help="The product of this latent in one clip with the same latent in the other. The rest of its "
            "contribution "
            "comes from products with other parts.",
        ),
    }  # fmt: skip


def _draw_listening(view: SaeView, match: MatchExplanation, latent: int, rows: tuple[int, int]) -> None:
    """Both clips, then the strongest clips of the latent."""
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
        latent_name(view, latent), "on both clips, then its strongest clips; the bar is its activation"
    )
    opened = clip_list(cards, key="match_sounds", heading=heading)
    clip_cards.tell_silent(cards)
    st.caption(plain(measured(view, latent)))
    st.page_link(
        "pages/latents.py", label="Open this latent", icon=":material/hub:",
        query_params=links.query(view, {links.LATENT: str(latent)}),
    )  # fmt: skip
    if opened is not None:
        links.open_clip(view, opened)
