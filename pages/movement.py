"""Movement: which clips the best latent for a value keeps, loses and gains from one SAE to another."""

import streamlit as st

from pages.parts.movement import views
from pages.parts.movement.choice import MovementChoice, choose_movement
from pages.parts.movement.clips import draw_clips, picked_clips
from pages.parts.movement.ends import draw_ends, file_name
from pages.parts.movement.flow import N_PLACES, draw_flow
from pages.parts.movement.groups import draw_groups, group_attributes
from pages.parts.movement.side_effects import draw_side_effects
from pages.parts.movement.splits import draw_splitting
from pages.shared.problems import part_of_page
from pages.shared.session import open_page, try_next
from pages.shared.value_choice import choose_value
from sae_core.workspace.workspace import Workspace

ONE_SAE = (
    "There is only one SAE here, so clips cannot move between SAEs. Train a second one "
    "(`python -m sae_core sweep --workspace {path}`), or compare two thresholds of one latent."
)


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Movement",
        "Which clips the best latent for an attribute value keeps, loses and gains from one SAE to another.",
        why="As an SAE grows, a latent for one language may split by gender or by speaker. Click a flow to hear its "
        "clips. Method: arXiv 2502.00127.",
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
            "pages/latents.py": ("Browse latents", ":material/hub:"),
        },
    )


@part_of_page
def draw_movement(workspace: Workspace, choice: MovementChoice) -> None:
    """What moved, as a diagram, by groups and as clips, and how the active set splits; a click redraws nothing else."""
    movement = views.movement_of(choice)
    attributes = group_attributes(workspace)
    gathered = movement.gather(N_PLACES)
    picked, words, rows = picked_clips(choice, gathered, attributes)
    splitting, within = views.splitting_of(choice)
    draw_ends(choice, movement)
    if choice.stations[-1].steering:
        draw_side_effects(choice)
    with st.container(border=True, key="movement_diagram"):
        draw_flow(choice, gathered, set() if choice.is_one_latent else set(splitting.rows), picked)
    if attributes:
        with st.container(border=True, key="movement_table"):
            table = views.groups_of(choice, attributes)
            draw_groups(table, attributes, picked, file_name(choice))
    with st.container(border=True, key="movement_clips"):
        draw_clips(choice, words, rows)
    if not choice.is_one_latent:
        with st.container(key="movement_splits"):
            draw_splitting(choice, splitting, within)


main()
