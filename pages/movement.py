"""Movement: which clips stay with the latent of a value from one SAE to another, which leave, which enter."""

import streamlit as st

from pages.parts.movement import views
from pages.parts.movement.choice import MovementChoice, choose_movement
from pages.parts.movement.clips import draw_clips, picked_clips
from pages.parts.movement.flow import N_PLACES, draw_flow
from pages.parts.movement.groups import draw_groups, group_attributes
from pages.parts.movement.splits import draw_splitting
from pages.shared import links
from pages.shared.problems import part_of_page
from pages.shared.session import open_page, try_next
from pages.shared.value_choice import choose_value, evidence_badge
from pages.shared.wording import EVIDENCE, latent_words, value_words, with_interval
from sae_core.analysis.movement import IndexChoice
from sae_core.measures.movement import ENTER, LEAVE, STAY, Movement
from sae_core.workspace.workspace import Workspace

ONE_SAE = (
    "There is only one SAE here, and nothing to move to. Train a second one "
    "(`python -m sae_core sweep --workspace {path}`), or compare two thresholds of one latent."
)


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Movement",
        "The clips of one value, followed from SAE to SAE: who stays with its latent, who leaves, who enters.",
        why="As an SAE grows, one latent for a language may split by voice or gender. Click a flow to hear who went.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="movement_choices"):
        value = choose_value(view)
        choice = None if value is None else choose_movement(workspace, view, value)
    if choice is None:
        if value is not None:
            st.info(ONE_SAE.format(path=workspace.path), icon=":material/moving:")
        return
    draw_movement(workspace, choice)
    try_next(
        view,
        {
            "pages/sweep.py": ("Compare the whole grid", ":material/grid_view:"),
            "pages/latents.py": ("Browse all latents by ear", ":material/hub:"),
        },
    )


@part_of_page
def draw_movement(workspace: Workspace, choice: MovementChoice) -> None:
    """What moved, as a diagram, by groups, as clips, and how the index splits; a click redraws nothing else."""
    movement = views.movement_of(choice)
    attributes = group_attributes(workspace)
    gathered = movement.gather(N_PLACES)
    picked, words, rows = picked_clips(choice, gathered, attributes)
    splitting, within = views.splitting_of(choice)
    draw_ends(choice, movement)
    with st.container(border=True, key="movement_diagram"):
        draw_flow(choice, gathered, set(splitting.rows), picked)
    if attributes:
        with st.container(border=True, key="movement_table"):
            table = views.groups_of(choice, attributes)
            draw_groups(table, attributes, picked, file_name(choice))
    with st.container(border=True, key="movement_clips"):
        draw_clips(choice, words, rows)
    if not choice.is_one_latent:
        with st.container(key="movement_splits"):
            draw_splitting(choice, splitting, within)


def draw_ends(choice: MovementChoice, movement: Movement) -> None:
    """The first and the last index, and how many clips stay, leave and enter between them."""
    n = {move: len(movement.rows_that(move)) for move in (STAY, LEAVE, ENTER)}
    before, after = n[STAY] + n[LEAVE], n[STAY] + n[ENTER]
    with st.container(border=True, key="movement_ends"):
        words, stay, leave, enter = st.columns([7, 1, 1, 1], vertical_alignment="center")
        with words:
            for label, station in (("From", choice.stations[0]), ("To", choice.stations[-1])):
                st.markdown(
                    f"{label} {end_words(station)}",
                    help=EVIDENCE[str(views.facts_of(station)["evidence"])],
                )
        stay.metric(
            "Stay", f"{n[STAY]:,}", help=f"Of {before:,} clips in the first index, {share(n[STAY], before)}."
        )
        leave.metric(
            "Leave",
            f"{n[LEAVE]:,}",
            help=f"Of {before:,} clips in the first index, {share(n[LEAVE], before)}.",
        )
        enter.metric(
            "Enter", f"{n[ENTER]:,}", help=f"Of {after:,} clips in the last index, {share(n[ENTER], after)}."
        )
        counted = (
            "all embedded clips, training voices among them"
            if choice.split is None
            else "held-out voices only"
        )
        st.caption(
            f"Counted: {counted}. Latents and thresholds were chosen on selection clips, F1 is from held-out ones."
        )


def end_words(station: IndexChoice) -> str:
    """One end of the movement: SAE, latent and how well it tells the value."""
    facts = views.facts_of(station)
    address = links.latent_address(station.view, station.latent)
    told = with_interval(facts["f1"], facts["f1_low"], facts["f1_high"])
    value = value_words(station.attribute, station.value)
    name = f"[{station.view.name} {latent_words(station.view, station.latent)}]({address})"
    badge = evidence_badge(str(facts["evidence"]))
    if station.steering:
        return f"{name} above {station.threshold:.2f}, every clip steered and encoded again"
    return f"{badge} {name} above {station.threshold:.2f} tells {value} with F1 {told}"


def share(part: int, whole: int) -> str:
    """A share in words."""
    return f"{100 * part / whole:.0f} %" if whole else "none"


def file_name(choice: MovementChoice) -> str:
    """What the table of groups is called when it is saved."""
    first, last = choice.stations[0], choice.stations[-1]
    return f"voxscope-movement-{first.value}-{first.view.name}-{last.view.name}.csv"


main()
