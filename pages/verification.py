"""Verification: error rates by representation, by group and without each latent; scores, identification, fairness."""

import streamlit as st

from pages.parts.verification.fairness import draw_fairness
from pages.parts.verification.forms import draw_det, draw_error_rates
from pages.parts.verification.groups import draw_groups
from pages.parts.verification.identification import draw_identification
from pages.parts.verification.latents import draw_latents
from pages.parts.verification.scores import draw_scores
from pages.shared import links, trial_choice
from pages.shared.choices import choose_one
from pages.shared.problems import part_of_page
from pages.shared.session import open_page
from pages.shared.steering_state import SteeringState
from pages.shared.wording import plain
from sae_core.analysis.trial_sets import TrialSet
from sae_core.analysis.verification_forms import Comparison
from sae_core.workspace.workspace import SaeView

ERRORS, SCORES, IDENTIFICATION, FAIRNESS = "Error rates", "Scores", "Identification", "Fairness"


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Verification",
        "Do two clips come from one speaker? Error rates of the embedding, of its reconstruction and of the sparse "
        "codes.",
        why="What is lost on the way through the SAE shows how much speaker identity the latents keep, for whom, and "
        "in "
        "which latents. EER, minDCF and DET curves as in the NIST speaker recognition evaluations.",
    )
    trial_set = choose_trials(view)
    if trial_set is None:
        return
    st.caption(trial_choice.describe_trials(trial_set))
    SteeringState.of(view).show()
    {ERRORS: draw_errors, SCORES: draw_scores, IDENTIFICATION: draw_identification, FAIRNESS: draw_fairness}[
        choose_part()
    ](view, trial_set)
    draw_next(view)


def choose_part() -> str:
    """Which part of the page is looked at; the others are not worked out."""
    options = {name: name for name in (ERRORS, SCORES, IDENTIFICATION, FAIRNESS)}
    return choose_one(
        "part", options, usual=ERRORS, noun="the part", draw=st.segmented_control, label="Part", required=True,
        label_visibility="collapsed",
    )  # fmt: skip


def draw_errors(view: SaeView, trial_set: TrialSet) -> None:
    """Error rates of the representations, by group, and without each latent."""
    comparison = compare(view, trial_set)
    draw_error_rates(comparison)
    left, right = st.columns(2, gap="medium")
    with left:
        draw_det(comparison)
    with right:
        draw_groups(comparison)
    ranked_latents(view, trial_set)


def choose_trials(view: SaeView) -> TrialSet | None:
    """Trials as drawn, from a list that came with the corpus, or from the visitor's own, which overrides the draw."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="verification_settings"):
        kept = trial_choice.choose_list(view)
        if kept is not None:
            return trial_choice.kept_trials(view, kept)
        drawing = st.container(horizontal=True, vertical_alignment="bottom", width="content", key="drawing")
        with st.popover("Own trial list", icon=":material/upload_file:"):
            listed = st.file_uploader(
                "A list of trials",
                key="trial_list",
                max_upload_size=trial_choice.MAX_LIST_MIB,
                help="One trial per line: `1 enrol test` for one speaker, `0 enrol test` for two, or `enrol test "
                "target` and `nontarget`; commas and tabs will do; clips by clip_id or path. At most 200,000 lines. "
                "The list is kept for this visit only.",
            )
    if listed is not None:
        with drawing:
            st.markdown(
                f"Trials from **{plain(listed.name)}**; remove it to draw trials again.", width="content"
            )
        return trial_choice.listed_trials(view, listed.getvalue(), name=listed.name)
    with drawing:
        among = trial_choice.choose_among(view)
        seed = st.number_input(
            "Random seed",
            min_value=0,
            max_value=9999,
            key="seed",
            bind="query-params",
            width=120,
            help="Another seed draws other pairs. What changes with it is chance.",
        )
    return trial_choice.drawn_trials(view, among, seed=int(seed))


def compare(view: SaeView, trial_set: TrialSet) -> Comparison:
    """Every representation on these trials; the steered embedding too where the address or the session steers."""
    steering = SteeringState.of(view)
    if not steering.changes:
        return trial_choice.form_comparison(view, trial_set)
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
            label="Ablate a latent and compare the steered embedding here",
            icon=":material/tune:",
            query_params=links.query(view),
        )
        st.page_link(
            "pages/erasure.py",
            label="What erasing an attribute costs verification",
            icon=":material/ink_eraser:",
            query_params=links.query(view),
        )


main()
