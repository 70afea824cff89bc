"""The latents of an SAE and where else they are: a table, and the chosen one beside its counterparts, to hear."""

from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from pages.figures.player.clip_cards import playable_clips
from pages.parts.universality.choice import WITH, Compared
from pages.parts.universality.fractions import threshold_in
from pages.shared import links
from pages.shared.caching import cached
from pages.shared.choices import number_below
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.problems import part_of_page
from pages.shared.row_table import row_table
from pages.shared.wording import TERMS, best_value, bounds, latent_words, plain, with_interval
from sae_core.analysis.universality import Clips, latents_elsewhere
from sae_core.measures.listening import strongest_clips
from sae_core.workspace.workspace import SaeView

N_CLIPS, TABLE_HEIGHT_PX = 3, 320
IN_ALL, IN_SOME, IN_NONE, ANY = "In all", "In some", "Only here", "Any"
FOUND_HELP = (
    "*In all*: universal, all other SAEs have a counterpart. *In some*: some have one, others not. "
    "*Only here*: none has."
)
NONE_SO = "No latent is found so. Choose another part of the list, or other SAEs."


@cached(keep=32, shows_notes=True, spinner="Matching the latents …")
def found_elsewhere(view: SaeView, others: tuple[SaeView, ...], clips: Clips) -> pd.DataFrame:
    """Every active latent with its counterparts, its best value on unseen speakers and that value's F1; not to be
    changed."""
    table = latents_elsewhere(view, others, clips=clips)
    facts = view.latents.iloc[table["latent"]].reset_index(drop=True)
    table["value"] = [best_value(line) if line["is_named"] else "" for _, line in facts.iterrows()]
    table["f1"] = facts["best_f1"].where(facts["is_named"])
    table["f1_interval"] = [
        bounds(low, high) if is_named else ""
        for low, high, is_named in zip(
            facts["best_f1_low"], facts["best_f1_high"], facts["is_named"], strict=True
        )
    ]
    return table


@part_of_page
def draw_latents(compared: Compared, table: pd.DataFrame) -> None:
    """The table by where latents are found, and the chosen one with its counterparts; a click redraws nothing else."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="universal_filters"):
        st.header("Latents of this SAE", anchor=False, width="stretch")
        kinds = [IN_ALL, IN_SOME, IN_NONE, ANY] if len(compared.others) > 1 else [IN_ALL, IN_NONE, ANY]
        kind = st.segmented_control(
            "Found in the other SAEs", kinds, default=IN_ALL, required=True, key="found", bind="query-params",
            persist_state="session", help=FOUND_HELP,
        )  # fmt: skip
    shown = of_kind(table, str(kind or IN_ALL), len(compared.others))
    if shown.empty:
        st.info(NONE_SO, icon=":material/filter_alt_off:")
    else:
        chosen = _choose_latent(compared.view, shown)
        row_table(
            _for_people(compared, shown),
            key="universal_latents",
            chosen=chosen,
            on_choice=lambda row: links.choose(links.LATENT, int(shown["latent"].iloc[row])),
            height_px=TABLE_HEIGHT_PX,
            column_config=_columns(compared),
        )
    with st.container(horizontal=True, vertical_alignment="center", key="universal_footer"):
        st.caption(
            f"{len(shown):,} of {len(table):,} active latents · click a row to hear it", width="stretch"
        )
        csv_button(lambda: table, name=f"{compared.view.name}-elsewhere", key="universal_csv")
    if not shown.empty:
        draw_pair(compared, shown.iloc[chosen])
    _draw_other_way(compared)


def of_kind(table: pd.DataFrame, kind: str, n_others: int) -> pd.DataFrame:
    """The latents that are found in all, in some or in none of the others."""
    n_found = table["n_found"]
    keep = {
        IN_ALL: n_found == n_others,
        IN_SOME: (n_found > 0) & (n_found < n_others),
        IN_NONE: n_found == 0,
    }
    return table[keep[kind]].reset_index(drop=True) if kind in keep else table


def _choose_latent(view: SaeView, shown: pd.DataFrame) -> int:
    """The row of the latent that the address names, else the first, which is then named there."""
    wanted = number_below(links.chosen(links.LATENT), view.n_latents)
    places = (shown["latent"] == (-1 if wanted is None else wanted)).to_numpy().nonzero()[0]
    chosen = int(places[0]) if len(places) else 0
    links.choose(links.LATENT, int(shown["latent"].iloc[chosen]))
    return chosen


def _for_people(compared: Compared, shown: pd.DataFrame) -> pd.DataFrame:
    columns = shown[["latent", "value", "f1", "f1_interval"]].copy()
    for other in compared.others:
        columns[f"in_{other.name}"] = [
            "–" if best < 0 else other.name_of(int(best)) for best in shown[other.name]
        ]
        columns[f"r_{other.name}"] = shown[f"{other.name}_correlation"]
    return columns


def _columns(compared: Compared) -> dict[str, Any]:
    column = st.column_config
    shown: dict[str, Any] = {
        "latent": column.NumberColumn("Latent", help=TERMS["latent"], format="#%d", width=70, pinned=True),
        "value": column.TextColumn(
            "Detects", help="The attribute value that held-out speakers confirm for it."
        ),
        "f1": column.ProgressColumn(
            "F1", help=TERMS["f1"], format="%.2f", min_value=0, max_value=1, width=110
        ),
        "f1_interval": column.TextColumn("F1, 95 %", help=TERMS["interval"], width=95),
    }
    for other in compared.others:
        words = compared.words[other.name]
        shown[f"in_{other.name}"] = column.TextColumn(
            f"In {words}", help="The latent there that correlates most; – where it is not beyond chance."
        )
        shown[f"r_{other.name}"] = column.NumberColumn(
            "r", help=f"{TERMS['correlation']} In {words}.", format="%.2f", width=60
        )
    return shown


def draw_pair(compared: Compared, line: pd.Series) -> None:
    """A latent and its counterparts side by side, each with its strongest clips."""
    with st.container(key="universal_pair"):
        columns = st.columns(len(compared.views), gap="medium")
        for place, (view, column) in enumerate(zip(compared.views, columns, strict=True)):
            latent = int(line["latent"] if place == 0 else line[view.name])
            with column.container(border=True, height="stretch"):
                if latent < 0:
                    _draw_missing(compared, view, float(line[f"{view.name}_correlation"]))
                else:
                    r = None if place == 0 else float(line[f"{view.name}_correlation"])
                    _draw_side(compared, view, latent, r)


def _draw_side(compared: Compared, view: SaeView, latent: int, correlation: float | None) -> None:
    words = plain(compared.words[view.name])
    st.subheader(
        f"{words}: [{latent_words(view, latent)}]({links.latent_address(view, latent)})", anchor=False
    )
    facts = view.latents.iloc[latent]
    said = [] if correlation is None else [f"r {correlation:.2f}"]
    if facts["is_named"]:
        f1 = with_interval(*facts[["best_f1", "best_f1_low", "best_f1_high"]])
        said.append(f"{plain(best_value(facts))}, F1 {f1}")
    st.caption(" · ".join(said) or "no value confirmed on held-out speakers")
    clips = strongest_clips(view.workspace.corpus, view.index, latent, N_CLIPS)
    heading = Heading("Strongest clips", level=3)
    top = float(facts["max_activation"])
    playable_clips(view, clips, key=f"universal_{view.name}", top=top, heading=heading, layout="fill")


def _draw_missing(compared: Compared, view: SaeView, correlation: float) -> None:
    st.subheader(f"{plain(compared.words[view.name])}: none", anchor=False)
    st.caption(
        f"No counterpart beyond chance: the best correlates {correlation:.2f}, and "
        f"{threshold_in(compared, view.name):.2f} is needed."
    )


def _draw_other_way(compared: Compared) -> None:
    """The way to what the other SAEs have and this one has not."""
    ways = []
    for other in compared.others:
        rest = ",".join(view.name for view in compared.views if view is not other)
        address = urlencode(links.query(other, {WITH: rest, "found": IN_NONE}))
        ways.append(f"[{plain(compared.words[other.name])}](universality?{address})")
    st.caption(f"Latents that are only there: {', '.join(ways)}.")
