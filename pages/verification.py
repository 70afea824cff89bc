"""Verification: how well voices are told apart, in which form, for whom, and which latents that rests on."""

import streamlit as st

from pages.parts.verification.forms import draw_forms
from pages.parts.verification.groups import draw_groups
from pages.parts.verification.latents import draw_latents
from pages.shared import links, trial_choice
from pages.shared.problems import part_of_page
from pages.shared.session import open_page
from pages.shared.steering_state import SteeringState
from sae_core.analysis.trial_sets import TrialSet
from sae_core.analysis.verification_forms import Comparison
from sae_core.workspace.workspace import SaeView


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Verification",
        "Are two clips by one voice? The embedding was made to answer that.",
        why="What the answer loses on its way through the SAE shows what the latents keep of a voice, and what each "
        "of them is good for.",
    )
    trial_set = choose_trials(view)
    if trial_set is None:
        return
    st.caption(trial_choice.describe_trials(trial_set))
    comparison = compare(view, trial_set)
    draw_forms(comparison)
    draw_groups(comparison)
    ranked_latents(view, trial_set)
    draw_next(view)


def choose_trials(view: SaeView) -> TrialSet | None:
    """Trials as drawn, as listed in a file of the visitor's own, or in a list that came with the corpus."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="verification_settings"):
        kept = trial_choice.choose_list(view)
        if kept is not None:
            return trial_choice.kept_trials(view, kept)
        among = trial_choice.choose_among(view)
        seed = st.number_input(
            "Draw",
            min_value=0,
            max_value=9999,
            key="seed",
            bind="query-params",
            width=120,
            help="Another number draws other pairs: what changes with it is chance.",
        )
        with st.popover("Own trial list", icon=":material/upload_file:"):
            listed = st.file_uploader(
                "A list in VoxCeleb's format",
                type=["txt", "csv", "lst"],
                key="trial_list",
                max_upload_size=trial_choice.MAX_LIST_MIB,
                help="A line a trial: `1 enrol test` for one voice, `0 enrol test` for two; clips by their clip_id or "
                "path. At most 200,000 lines; it stays in this visit.",
            )
    if listed is not None:
        return trial_choice.listed_trials(view, listed.getvalue(), name=listed.name)
    return trial_choice.drawn_trials(view, among, seed=int(seed))


def compare(view: SaeView, trial_set: TrialSet) -> Comparison:
    """Every form of the voices on these trials; the steered one too where the address or the session steers."""
    steering = SteeringState.of(view)
    if not steering.changes:
        return trial_choice.form_comparison(view, trial_set)
    steering.show()
    steered = trial_choice.chosen_steered(view)
    experiment = trial_choice.steering_experiment(view, trial_set, (steering.latents, steered, True))
    return trial_choice.form_comparison(view, trial_set, experiment, steering.changes)


@part_of_page
def ranked_latents(view: SaeView, trial_set: TrialSet) -> None:
    """The ranked table, drawn after everything else because it takes longest."""
    draw_latents(view, trial_choice.latent_ranking(view, trial_set), trial_set)


def draw_next(view: SaeView) -> None:
    """Where to go from here."""
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        st.markdown("**Try next**")
        st.page_link(
            "pages/steering.py",
            label="Switch a latent off and see it here as a fourth form",
            icon=":material/tune:",
            query_params=links.query(view),
        )


main()
