"""The table of all latents with its filters, and which of them is chosen."""

import random
from functools import partial

import pandas as pd
import streamlit as st

from pages.parts.latents import table as latents_table
from pages.shared import links, tables
from pages.shared.announce import announce
from pages.shared.choices import nearest_latents, number_below, tell_unknown
from pages.shared.problems import part_of_page
from pages.shared.row_table import row_table
from pages.shared.wording import EVIDENCE, TERMS, value_words
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

TABLE, IN_ORDER, PICKED = "latents_table", "latents_in_order", "latent_picked"
TABLE_HEIGHT_PX = 286
STARRED_HELP = "Only those that somebody gave a star, in the notes of a latent."
EVIDENCE_WORDS = {UNSEEN_SPEAKERS: "Unseen speakers", SEEN_SPEAKERS: "Seen speakers"}


@part_of_page
def find_latents(view: SaeView) -> int:
    """Draw filters and table and return the chosen latent; a change of filters redraws nothing else."""
    if st.session_state.pop(PICKED, False):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="bottom", key="latent_filters"):
        text = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            placeholder="attribute, label, speaker …",
            icon=":material/search:",
            live=True,
            width=210,
        )
        evidence = _choose_evidence(view)
        table = latents_table.latent_table(view, evidence)
        values = _choose_values(table)
        only_starred = st.toggle("Starred", key="starred", bind="query-params", help=STARRED_HELP)
        has_stability = latents_table.STABILITY in table
        order = st.selectbox("Order", _orders(has_stability), key="order", bind="query-params", width=150)
        limits = _choose_limits(has_stability)
    found = _filter(table, text=text or "", values=values, limits=limits)
    if only_starred:
        found = found[found["star"] != ""]
    column, is_ascending = latents_table.ORDERS[order or "Best F1"]
    found = found.sort_values(column, ascending=is_ascending, kind="stable", na_position="last")
    found = found.sort_values("found_by", kind="stable")
    numbers = [int(latent) for latent in found["latent"]]
    before = st.session_state.get(IN_ORDER)
    st.session_state[IN_ORDER] = numbers
    if numbers and before is not None and set(before) != set(numbers):
        _leave_what_is_hidden(numbers)
    chosen = _chosen_latent(view, numbers)
    if numbers:
        _draw_table(found, numbers, chosen)
    else:
        st.info("No latent passes. Clear the search or one of the filters.", icon=":material/filter_alt_off:")
    _draw_footer(found, view)
    announce(f"{len(found):,} of {view.n_latents:,} latents listed.", key="latents")
    return chosen


def step_latent(latent: int, by: int | None) -> None:
    """Choose the latent `by` places further down the filtered table, round its ends, or any of them."""
    numbers = st.session_state.get(IN_ORDER) or [latent]
    place = numbers.index(latent) if latent in numbers else -1
    chosen = random.choice(numbers) if by is None else numbers[(place + by) % len(numbers)]
    links.choose(links.LATENT, chosen)


def _choose_evidence(view: SaeView) -> str:
    """Unseen speakers, unless nothing could be measured on them and something on seen speakers."""
    facts = view.latents
    has_unseen, has_seen = (bool(facts[f"{prefix}_f1"].notna().any()) for prefix in ("best", "seen"))
    usual = SEEN_SPEAKERS if has_seen and not has_unseen else UNSEEN_SPEAKERS
    choice = st.segmented_control(
        "Evaluated on",
        list(EVIDENCE_WORDS),
        default=usual,
        required=True,
        format_func=EVIDENCE_WORDS.__getitem__,
        key="evidence",
        bind="query-params",
        help="\n\n".join(EVIDENCE.values()),
    )
    return str(choice or usual)


def _choose_values(table: pd.DataFrame) -> list[str]:
    known = table.loc[table["value"].notna(), ["attribute", "value"]].drop_duplicates()
    words = {f"{a}={v}": f"{a}: {value_words(str(a), str(v))}" for a, v in known.itertuples(index=False)}
    return st.multiselect(
        "Best attribute",
        sorted(words, key=words.__getitem__),
        format_func=lambda choice: words.get(choice, choice),
        key="told",
        bind="query-params",
        placeholder="any",
        width=260,
    )


def _orders(has_stability: bool) -> list[str]:
    columns = {name: column for name, (column, _) in latents_table.ORDERS.items()}
    return [name for name, column in columns.items() if has_stability or column != latents_table.STABILITY]


def _choose_limits(has_stability: bool) -> dict[str, float | bool]:
    with st.popover("More filters", icon=":material/tune:"):
        least_f1 = st.slider("F1 at least", 0.0, 1.0, 0.0, 0.05, key="f1", bind="query-params")
        most_fires = st.slider(
            "Active on at most (% of clips)", 1, 100, 100, key="fires", bind="query-params"
        )
        min_speakers = st.slider("Speakers at least", 0, 20, 0, key="voices", bind="query-params")
        least_stable = 0.0
        if has_stability:
            least_stable = st.slider(
                "Stability at least",
                0.0,
                1.0,
                0.0,
                0.05,
                key="stable",
                bind="query-params",
                help=TERMS["stability"],
            )
        without_cautions = st.toggle(
            "Hide latents tied to one speaker or source, and dead ones", key="sure", bind="query-params"
        )
    return {
        "f1": least_f1, "fires": most_fires / 100, "voices": min_speakers, "sure": without_cautions,
        latents_table.STABILITY: least_stable,
    }  # fmt: skip


def _filter(
    table: pd.DataFrame, *, text: str, values: list[str], limits: dict[str, float | bool]
) -> pd.DataFrame:
    table = table.assign(found_by=latents_table.search_latents(table, text))
    keep = table["found_by"] != latents_table.NOT_FOUND
    if values:
        keep &= (table["attribute"].astype("object") + "=" + table["value"].astype("object")).isin(values)
    if limits["f1"]:
        keep &= table["f1"].fillna(0) >= limits["f1"]
    if least := limits[latents_table.STABILITY]:
        keep &= table[latents_table.STABILITY] >= least
    if limits["sure"]:
        keep &= table["warning"] == ""
    keep &= (table["firing_rate"] <= limits["fires"]) & (table["n_speakers"] >= limits["voices"])
    return table[keep]


def _chosen_latent(view: SaeView, numbers: list[int]) -> int:
    """The latent that the URL names, else the first in the table."""
    wanted, first = links.chosen(links.LATENT), numbers[0] if numbers else 0
    chosen = number_below(wanted, view.n_latents)
    if chosen is None and wanted is not None:
        tell_unknown(
            links.LATENT, wanted, noun="the latent", shown=f"#{first}",
            near=nearest_latents(wanted, view.n_latents), on_choice=lambda near: _choose(int(near)),
        )  # fmt: skip
        return first
    links.choose(links.LATENT, first if chosen is None else chosen)
    return first if chosen is None else chosen


def _leave_what_is_hidden(numbers: list[int]) -> None:
    """After a change of filters: go on with the first latent in the table where the chosen one is no longer in it."""
    wanted = links.chosen(links.LATENT)
    if wanted is not None and wanted not in map(str, numbers):
        links.choose(links.LATENT, numbers[0])
        st.rerun()


def _draw_table(found: pd.DataFrame, numbers: list[int], chosen: int) -> None:
    row_table(
        found[latents_table.shown_columns(found)],
        key=TABLE,
        chosen=numbers.index(chosen) if chosen in numbers else None,
        on_choice=lambda row: _choose(numbers[row]),
        height_px=TABLE_HEIGHT_PX,
        column_config=latents_table.latent_columns(),
    )


def _choose(latent: int) -> None:
    links.choose(links.LATENT, latent)
    st.session_state[PICKED] = True


def _draw_footer(found: pd.DataFrame, view: SaeView) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="latent_footer"):
        what_for = "to hear it" if view.workspace.corpus.has_sound else "to open it"
        st.caption(f"{len(found):,} of {view.n_latents:,} latents · click a row {what_for}", width="stretch")
        for words, suffix, mime, write in (
            ("CSV", "csv", "text/csv", tables.csv_bytes),
            ("Parquet", "parquet", "application/vnd.apache.parquet", tables.parquet_bytes),
        ):
            st.download_button(
                words,
                data=partial(write, found.drop(columns=["note_words", "found_by"])),
                file_name=f"voxscope-{view.name}-latents.{suffix}",
                mime=mime,
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key=f"latents_{suffix}",
            )
