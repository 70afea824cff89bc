"""The real clips that a clip is nearest to, before and after it is steered: the only way to hear a change."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.player.player import ClipCard, clip_list
from pages.shared import links
from pages.shared.heading import Heading
from pages.shared.problems import part_of_page
from pages.shared.wording import TERMS
from sae_core.analysis.steering_experiment import SteeringExperiment
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

N_NEIGHBOURS, N_OFFERED = 4, 24
CHOSEN = "steered_clip"


@part_of_page
def draw_listening(experiment: SteeringExperiment, changes: Sequence[Change]) -> None:
    """Draw one clip with its neighbours before and after; another clip redraws nothing else."""
    if not changes:
        return
    view = experiment.view
    st.header(
        "Nearest real clips before and after",
        anchor=False,
        help="Nothing is synthesised: an embedding cannot be turned back into sound. You hear which real clips lie "
        "nearest to the clip before it is steered, and which after.",
    )
    row = _choose_clip(experiment)
    before, after = experiment.neighbours(row, changes, n=N_NEIGHBOURS)
    clip, lists = st.columns([2, 7], gap="medium")
    with clip:
        opened = clip_list(
            [clip_cards.clip_card(view, row)],
            key="steered_card",
            layout="fill",
            heading=Heading("The clip", "original recording", level=3),
        )
    with lists:
        headings = {
            "before": Heading(
                "Before steering", "real clips nearest to it; the bar is their cosine similarity", level=3
            ),
            "after": Heading("After steering", _difference(before, after), level=3),
        }
        for name, near in (("before", before), ("after", after)):
            other = after if name == "before" else before
            note = "gone" if name == "before" else "new"
            cards = _cards(view, near, note=note, known=set(other["row"]))
            clicked = clip_list(cards, key=f"near_{name}", heading=headings[name])
            opened = clicked if opened is None else opened
    if opened is not None:
        links.open_clip(view, opened)


def _difference(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """How the nearest clips differ, in words."""
    if before.equals(after):
        return "the same: the steered latents do not change this clip"
    n_new = len(set(after["row"]) - set(before["row"]))
    if not n_new:
        return "the same clips, at other distances"
    return f"{n_new} of {len(after)} {'is' if n_new == 1 else 'are'} new"


def _cards(view: SaeView, near: pd.DataFrame, *, note: str, known: set[int]) -> list[ClipCard]:
    return [
        clip_cards.clip_card(
            view,
            int(row),
            value=float(cosine),
            value_help=TERMS["cosine"],
            note="" if row in known else note,
        )
        for row, cosine in zip(near["row"], near["cosine"], strict=True)
    ]


def _choose_clip(experiment: SteeringExperiment) -> int:
    """The clips on which the steered latents are strongest, and the one chosen on the page Clips."""
    view = experiment.view
    names = {links.clip_id(view, row): row for row in experiment.strongest_rows(N_OFFERED)}
    chosen = _row_of(view, links.chosen(links.CLIP))
    if chosen is not None:
        names[links.clip_id(view, chosen)] = chosen
    if not names:
        first = int(experiment.trial_set.rows[0])
        names[links.clip_id(view, first)] = first
    if st.session_state.get(CHOSEN) not in names:
        st.session_state[CHOSEN] = next(iter(names))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Clip",
            list(names),
            format_func=lambda name: (
                f"{name} · {', '.join(clip_cards.clip_labels(view.workspace, names[name])[:3])}"
            ),
            key=CHOSEN,
            width=520,
            help="Clips of these trials on which the steered latents are strongest, and the one last opened on Clips.",
        )
    return names[str(name)]


def _row_of(view: SaeView, clip_id: str | None) -> int | None:
    table = view.workspace.corpus.table
    found = table.index[table["clip_id"] == clip_id] if clip_id is not None else []
    if not len(found) or not view.embeddings.is_valid[int(found[0])]:
        return None
    return int(found[0])
