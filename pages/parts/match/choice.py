"""Which two clips are compared, and at which score they would be accepted as one speaker."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import clip_list
from pages.shared import links, tables, trial_choice
from pages.shared.caching import cached
from pages.shared.choices import nearest, tell_unknown
from pages.shared.row_table import row_table
from pages.shared.wording import column_words
from sae_core.analysis.match import hardest_partners, opening_pair
from sae_core.analysis.trial_sets import OPERATING_POINTS, TrialSet, usual_among
from sae_core.corpus.values import AttributeValue
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import SaeView

SIDES = {links.FIRST: "First clip", links.SECOND: "Second clip"}
PARTNERS = {
    "other": ("Hardest impostor", "The clip of another speaker with the highest score against the first."),
    "same": ("Hardest target", "The clip of the same speaker with the lowest score against the first."),
}  # fmt: skip
FIRST_COLUMNS = ["clip_id", "language", "gender", "kind", "speaker_id"]
MAX_LISTED = 50
TABLE_HEIGHT_PX = 240


@dataclass(frozen=True)
class OperatingPoint:
    """Scores from `threshold` on are accepted as one speaker.

    words: how it was set. among: the attribute value that all clips of its trials carry; None for any clip.
    """

    threshold: float
    words: str
    among: AttributeValue | None


def first_trials(view: SaeView) -> TrialSet | None:
    """The trials that the page opens on a pair of; None where none can be drawn."""
    try:
        return trial_choice.drawn_trials(view, usual_among(view.workspace.corpus))
    except VoxScopeError:
        return None


def choose_pair(view: SaeView, trial_set: TrialSet | None) -> tuple[int, int]:
    """Draw both clips with the means to choose others, and return their rows; the address carries both."""
    rows = _chosen_pair(view, trial_set)
    with st.container(key="match_pair"):
        for column, side, row in zip(st.columns(2, gap="medium"), SIDES, rows, strict=True):
            with column.container(border=True, height="stretch", key=f"pair_{side}"):
                _draw_side(view, side, row, pair=rows)
    return rows


def _chosen_pair(view: SaeView, trial_set: TrialSet | None) -> tuple[int, int]:
    first, second = named = [_named_row(view, side) for side in SIDES]
    unknown = [links.chosen(side) is not None and row is None for side, row in zip(SIDES, named, strict=True)]
    if first is None and second is None:
        first, second = _opening_pair(view, trial_set)
    elif first is None or second is None:
        partner = _partner(view, int((first if first is not None else second) or 0))
        first, second = (first if first is not None else partner), (second if second is not None else partner)
    for side, row, is_unknown in zip(SIDES, (first, second), unknown, strict=True):
        if not is_unknown:  # else the address stays as it is until somebody chooses
            links.choose(side, links.clip_id(view, row))
    return first, second


def _opening_pair(view: SaeView, trial_set: TrialSet | None) -> tuple[int, int]:
    if trial_set is not None:
        return _opening_pair_of(view, trial_set)
    first = int(view.embeddings.valid_rows[0])
    return first, _partner(view, first)


@cached(keep=16, spinner="Looking for a pair worth hearing …")
def _opening_pair_of(view: SaeView, trial_set: TrialSet) -> tuple[int, int]:
    return opening_pair(view, trial_set)


def _partner(view: SaeView, row: int) -> int:
    found = _partners(view, row)
    return found.get("other", found.get("same", row))


def _partners(view: SaeView, row: int) -> dict[str, int]:
    """The hardest trials of a clip; of a speech clip among speech, since music is outside verification."""
    corpus = view.workspace.corpus
    among = usual_among(corpus)
    carries = None if among is None else corpus.has_value(*among)
    is_offered = carries if carries is not None and carries[row] else None
    return hardest_partners(view, row, is_offered=is_offered)


def _named_row(view: SaeView, side: str) -> int | None:
    wanted = links.chosen(side)
    if wanted is None:
        return None
    table = view.workspace.corpus.table
    named = table.index[table["clip_id"] == wanted]
    if not len(named):
        tell_unknown(
            side, wanted, noun="the clip", shown="another clip", near=nearest(wanted, table["clip_id"])
        )
        return None
    return int(named[0])


def _draw_side(view: SaeView, side: str, row: int, *, pair: tuple[int, int]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"choose_{side}"):
        st.markdown(f"**{SIDES[side]}**", width="content")
        with st.popover("Choose", icon=":material/search:", key=f"find_{side}_open"):
            _find_clip(view, side)
        if side == links.SECOND:
            for kind, (words, what) in PARTNERS.items():
                st.button(
                    words, key=f"partner_{kind}", help=what, on_click=_take_partner, args=(view, pair[0], kind),
                    type="tertiary",
                )  # fmt: skip
        else:
            st.button(
                "Swap",
                icon=":material/swap_horiz:",
                key="swap",
                type="tertiary",
                on_click=_swap,
                args=(view, pair),
            )
    card = clip_cards.clip_card(view, row)
    opened = clip_list([card], key=f"pair_card_{side}", layout="wide")
    clip_cards.tell_silent([card])
    if opened is not None:
        links.open_clip(view, opened)


def _take_partner(view: SaeView, first: int, kind: str) -> None:
    found = _partners(view, first)
    if kind in found:
        links.choose(links.SECOND, links.clip_id(view, found[kind]))
    else:
        st.toast("There is no such clip.", icon=":material/person_off:")


def _swap(view: SaeView, pair: tuple[int, int]) -> None:
    for side, row in zip(SIDES, pair[::-1], strict=True):
        links.choose(side, links.clip_id(view, row))


def _find_clip(view: SaeView, side: str) -> None:
    """A search over all clips; a click on a row takes it."""
    text = st.text_input(
        "Search", key=f"find_{side}", placeholder="clip, speaker, language …", icon=":material/search:", live=True
    )  # fmt: skip
    table = tables.clip_rows(view.workspace)
    keep = view.embeddings.is_valid & (tables.search_clips(view.workspace, text) if text else True)
    found = table[keep].head(MAX_LISTED)
    row_table(
        tables.in_words(found[_columns_of(found)]),
        key=f"found_{side}",
        chosen=None,
        on_choice=lambda row: links.choose(side, found["clip_id"].iloc[row]),
        height_px=TABLE_HEIGHT_PX,
        column_config={
            **{name: st.column_config.Column(column_words(name)) for name in found},
            "clip_id": st.column_config.TextColumn("Clip", width=170, pinned=True),
            "duration_s": st.column_config.NumberColumn("Length", format="%.1f s"),
        },
    )
    then = "; it can be played on its card" if view.workspace.corpus.has_sound else ""
    st.caption(f"The first {len(found):,} of {int(keep.sum()):,} clips · click a row to choose it{then}")


def _columns_of(clips: pd.DataFrame) -> list[str]:
    """Its columns, those first by which people tell clips apart."""
    first = [name for name in FIRST_COLUMNS if name in clips]
    return [*first, *(name for name in clips if name not in first)]


def choose_threshold(view: SaeView) -> OperatingPoint | None:
    """The threshold, its trials and operating point to choose as on Verification; None where no trials can be drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="match_settings"):
        point = st.selectbox(
            "Operating point", list(OPERATING_POINTS), key="point", bind="query-params", width=190,
            help="Decides the threshold: pairs at least this similar are accepted as one speaker. It is set on "
            "trials, as on "
            "the page Verification.",
        )  # fmt: skip
        among = trial_choice.choose_among(view)
    try:
        trial_set = trial_choice.drawn_trials(view, among)
    except VoxScopeError as error:
        st.caption(f":orange[No threshold and no decision: {error.what}.]")
        return None
    words = f"{point}, {len(trial_set.trials):,} trials of {trial_set.n_speakers:,} unseen speakers"
    return OperatingPoint(trial_set.threshold(str(point)), words, among)
