"""Why: the latents that a gap between two groups rests on, and the one whose removal helps."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.figures.player.clip_cards import latent_card, tell_silent
from pages.figures.player.player import clip_list
from pages.parts.verification.groups_of_clips import groups_of
from pages.shared import links
from pages.shared.announce import announce
from pages.shared.caching import cached
from pages.shared.choices import choose_one
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.long_work import Result
from pages.shared.steering_state import steering_query
from pages.shared.wording import latent_name, latent_words, percent, plain
from sae_core.analysis.fairness import Gap, explain_gap
from sae_core.analysis.trial_sets import TrialSet
from sae_core.workspace.workspace import SaeView

N_CARDS = 6


@cached(keep=32)
def _gap_place(
    view: SaeView,  # noqa: ARG001 - the key
    trial_set: TrialSet,  # noqa: ARG001
    by: tuple[str, ...],  # noqa: ARG001
    pair: tuple[str, str],  # noqa: ARG001
) -> Result[Gap]:
    return Result()


def draw_gap(view: SaeView, trial_set: TrialSet, by: tuple[str, ...], tested: pd.DataFrame) -> None:
    """The latents that a gap in false rejections between two groups rests on."""
    table = tested.sort_values("frr", ascending=False, kind="stable")
    options = {str(name): str(name) for name in table["group"]}
    with st.container(border=True, key="gap"):
        st.header(
            "Why",
            anchor=False,
            help="Each latent is taken out of all clips alone; the threshold then accepts as many impostors as "
            "before, so a shift of all scores counts for nothing. Where the gap changes much, it rests on "
            "that latent.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            names = list(options)
            worse = choose_one("worse", options, usual=names[0], label="More often rejected", width=230)
            better = choose_one("better", options, usual=names[-1], label="Compared with", width=230)
        if worse == better:
            st.caption("Choose two different groups.")
            return
        gap = _gap_place(view, trial_set, by, (worse, better)).get(
            lambda progress: explain_gap(
                view, trial_set, groups_of(view, by), worse=worse, better=better, progress=progress
            ),
            words="Taking out one latent after another",
        )
        said = _gap_words(view, gap)
        st.markdown(said)
        announce(said, key="gap")
        _draw_remedy(view, gap)
        _draw_latents(view, gap)


def _gap_words(view: SaeView, gap: Gap) -> str:
    table = gap.table
    said = (
        f"Where as many impostors are accepted as at equal errors, false rejections of **{plain(gap.worse)}** less "
        f"those of **{plain(gap.better)}** are **{_points(gap.frr_gap)} points**."
    )
    clear = table[(table["low"] > 0) | (table["high"] < 0)]
    if clear.empty:
        return f"{said} No single latent changes this gap clearly."
    falls, rises = int((clear["high"] < 0).sum()), int((clear["low"] > 0).sum())
    most = clear.iloc[int(np.argmax(np.abs(clear["change"])))]
    return (
        f"{said} Of the {len(table)} latents that change it most, {falls} make it clearly smaller when off and {rises} "
        f"clearly larger; most {latent_words(view, int(most['latent']))}, by {_points(most['change'])} points."
    )


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _draw_remedy(view: SaeView, gap: Gap) -> None:
    """The latent without which the worse group gains at no cost to the rest, as a steering."""
    remedy = gap.remedy()
    if not remedy:
        st.caption("No single latent off helps this group without a cost to the others.")
        return
    line = gap.table[gap.table["latent"] == remedy[0].latent].iloc[0]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{latent_words(view, remedy[0].latent)} off** improves {plain(gap.worse)}: false rejections "
            f"{percent(line['worse_before'], 1)} → **{percent(line['worse'], 1)}**, all others "
            f"{percent(line['rest_before'], 1)} → {percent(line['rest'], 1)}.",
            width="content",
        )
        st.page_link(
            "pages/steering.py",
            label="Open as a steering",
            icon=":material/tune:",
            query_params=steering_query(view, remedy),
        )


def _draw_latents(view: SaeView, gap: Gap) -> None:
    """The latents that change the gap most: a table, and the first few to hear and to open."""
    if gap.table.empty:
        return
    _draw_table(view, gap)
    latents, change = gap.table["latent"].to_numpy(), gap.table["change"].to_numpy()
    by_size = latents[np.argsort(-np.abs(change), kind="stable")][:N_CARDS]
    cards = [latent_card(view, int(latent), shows_f1=True) for latent in by_size]
    words = "the largest change first; each plays its strongest clip"
    opened = clip_list(cards, key="gap_latents", heading=Heading("Latents it rests on", words, level=3))
    tell_silent(cards)
    if opened is not None:
        links.open_latent(view, opened)


def _draw_table(view: SaeView, gap: Gap) -> None:
    table, number, text = gap.table, st.column_config.NumberColumn, st.column_config.TextColumn
    bounds = zip(100 * table["low"], 100 * table["high"], strict=True)
    shown = pd.DataFrame(
        {
            "name": [latent_name(view, int(latent)) for latent in table["latent"]],
            "gap": 100 * table["gap"],
            "change": 100 * table["change"],
            "interval": [f"{low:+.2f} … {high:+.2f}".replace("-", "−") for low, high in bounds],
            "worse": 100 * table["worse"],
            "rest": 100 * table["rest"],
            "helps": table["helps"].astype(bool),
        }
    )
    st.dataframe(
        shown, key="gap_table", hide_index=True, placeholder="",
        column_config={
            "name": text("Latent off", pinned=True, width="medium"),
            "gap": number("Gap", format="%.2f pts"),
            "change": number("Change", format="%+.2f pts"),
            "interval": text("95 %", width=130, help="Of the change."),
            "worse": number(f"FRR {gap.worse}", format="%.1f %%"),
            "rest": number("FRR others", format="%.1f %%"),
            "helps": st.column_config.CheckboxColumn("Helps", help="The group gains clearly, others do not lose."),
        },
    )  # fmt: skip
    csv_button(lambda: table, name="gap", key="gap_csv")
