"""Which two clips are compared, and at which score they would count as one voice."""

from dataclasses import dataclass

import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.shared import links, tables, trial_choice
from pages.shared.row_table import row_table
from sae_core.analysis.match import telling_partners
from sae_core.analysis.trial_sets import OPERATING_POINTS
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import SaeView

SIDES = {links.FIRST: "First clip", links.SECOND: "Second clip"}
PARTNERS = {
    "other": ("Most alike, other voice", "The clip of another voice most like the first: the hardest impostor."),
    "same": ("Least alike, same voice", "The clip of the same voice least like the first: the hardest target."),
}  # fmt: skip
MAX_LISTED = 50
TABLE_HEIGHT_PX = 240


@dataclass(frozen=True)
class OperatingPoint:
    """Scores from `threshold` on are accepted as one voice. words: how it was set."""

    threshold: float
    words: str


def choose_pair(view: SaeView) -> tuple[int, int]:
    """Draw both clips with the means to choose others, and return their rows; the address carries both."""
    rows = _chosen_pair(view)
    with st.container(key="match_pair"):
        for column, side, row in zip(st.columns(2, gap="medium"), SIDES, rows, strict=True):
            with column.container(border=True, height="stretch", key=f"pair_{side}"):
                _draw_side(view, side, row, first=rows[0])
    return rows


def _chosen_pair(view: SaeView) -> tuple[int, int]:
    first = _named_row(view, links.FIRST)
    if first is None:
        striking = view.striking_latents(1)
        first = int(view.index.top(striking[0], 1)[0][0] if striking else view.embeddings.valid_rows[0])
    second = _named_row(view, links.SECOND)
    if second is None:
        partners = telling_partners(view, first)
        second = partners.get("other", partners.get("same", first))
    for side, row in zip(SIDES, (first, second), strict=True):
        links.choose(side, links.clip_id(view, row))
    return first, second


def _named_row(view: SaeView, side: str) -> int | None:
    wanted = links.chosen(side)
    if wanted is None:
        return None
    table = view.workspace.corpus.table
    named = table.index[table["clip_id"] == wanted]
    if not len(named):
        st.warning(
            f"No clip of this workspace is called `{wanted}`; another stands in.",
            icon=":material/search_off:",
        )
        return None
    return int(named[0])


def _draw_side(view: SaeView, side: str, row: int, *, first: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"choose_{side}"):
        st.markdown(f"**{SIDES[side]}**", width="content")
        with st.popover("Choose", icon=":material/search:", key=f"find_{side}_open"):
            _find_clip(view, side)
        if side == links.SECOND:
            for kind, (words, what) in PARTNERS.items():
                st.button(
                    words, key=f"partner_{kind}", help=what, on_click=_take_partner, args=(view, first, kind),
                    type="tertiary",
                )  # fmt: skip
        else:
            st.button("Swap", icon=":material/swap_horiz:", key="swap", type="tertiary", on_click=_swap)
    card = clip_cards.clip_card(view, row)
    opened = clip_list([card], key=f"pair_card_{side}", layout="wide")
    clip_cards.tell_silent([card])
    if opened is not None:
        links.open_clip(view, opened)


def _take_partner(view: SaeView, first: int, kind: str) -> None:
    found = telling_partners(view, first)
    if kind in found:
        links.choose(links.SECOND, links.clip_id(view, found[kind]))
    else:
        st.toast("This voice has no other clip here.", icon=":material/person_off:")


def _swap() -> None:
    first, second = (links.chosen(side) for side in SIDES)
    links.choose(links.FIRST, second)
    links.choose(links.SECOND, first)


def _find_clip(view: SaeView, side: str) -> None:
    """A search over all clips; a click on a row takes it."""
    text = st.text_input(
        "Search", key=f"find_{side}", placeholder="clip, voice, language …", icon=":material/search:", live=True
    )  # fmt: skip
    table = tables.clip_rows(view.workspace)
    keep = view.embeddings.is_valid & (tables.search_clips(view.workspace, text) if text else True)
    found = table[keep].head(MAX_LISTED)
    row_table(
        tables.in_words(found),
        key=f"found_{side}",
        chosen=None,
        on_choice=lambda row: links.choose(side, found["clip_id"].iloc[row]),
        height_px=TABLE_HEIGHT_PX,
        column_config={"duration_s": st.column_config.NumberColumn("Length", format="%.1f s")},
    )
    st.caption(f"The first {len(found):,} of {int(keep.sum()):,} clips · click a row to take it")


def choose_threshold(view: SaeView) -> OperatingPoint | None:
    """The threshold of the Verification page, trials and operating point to choose; None where none can be drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="match_settings"):
        point = st.selectbox(
            "Operating point", list(OPERATING_POINTS), key="point", bind="query-params", width=190,
            help="Pairs at least this similar are accepted as one voice. The threshold is set on trials, as on the "
            "page Verification.",
        )  # fmt: skip
        among = trial_choice.choose_among(view)
    try:
        trial_set = trial_choice.drawn_trials(view, among)
    except VoxScopeError as error:
        st.caption(f":orange[No threshold, so nothing can be decided: {error.what}.]")
        return None
    words = f"{point}, {len(trial_set.trials):,} trials of {trial_set.n_speakers:,} voices kept aside"
    return OperatingPoint(trial_set.threshold(str(point)), words)
