"""What is steered and how: presets, a search for any latent, whose clips are changed, and what counts as accepted."""

import streamlit as st

from pages.shared import trial_choice
from pages.shared.steering_state import SteeringState
from pages.shared.wording import latent_name, value_words, with_interval
from sae_core.analysis.steering_experiment import MAX_STEERED, SteeringPreset, steering_presets
from sae_core.analysis.trial_sets import OPERATING_POINTS
from sae_core.corpus.values import AttributeValue
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

USUAL_ATTRIBUTES = ("language", "gender")


def take_first_preset(view: SaeView) -> None:
    """Steer something at first sight: the language or gender confirmed most surely on held-out speakers."""
    steering = SteeringState.of(view)
    if steering.settled is not None:
        steering.show()
        return
    presets = [preset for preset in steering_presets(view) if preset.attribute in USUAL_ATTRIBUTES]
    if presets:
        switch_off(view, max(presets, key=_surely_told))


def _surely_told(preset: SteeringPreset) -> tuple[bool, float]:
    return preset.is_confirmed, preset.f1_low or 0.0


def switch_off(view: SaeView, preset: SteeringPreset) -> None:
    """Ablate the latents of one attribute value and nothing else."""
    SteeringState.of(view).settle([Change(latent, "ablate") for latent in preset.latents])


def choose_latents(view: SaeView) -> None:
    """Presets, and a search for any latent to add."""
    presets = steering_presets(view)
    with st.container(horizontal=True, vertical_alignment="bottom", key="steering_presets"):
        st.selectbox(
            "Add a latent",
            range(view.n_latents),
            index=None,
            format_func=lambda latent: latent_name(view, latent),
            placeholder="number or value …",
            key="add_latent",
            on_change=add_latent,
            args=(view,),
            width=210,
            help=f"At most {MAX_STEERED} at once. A latent is named after a value only where it is confirmed.",
        )
        for preset in presets:
            words = value_words(preset.attribute, preset.value)
            st.button(
                f"{words} off" if preset.is_confirmed else f":gray[{words} off?]",
                key=f"preset_{preset.attribute}_{preset.value}",
                on_click=switch_off,
                args=(view, preset),
                help=_what_it_does(preset, words),
            )
        st.button(
            "Nothing", icon=":material/restart_alt:", key="steer_nothing", type="tertiary",
            on_click=steer_nothing, args=(view,), help="Steer nothing.",
        )  # fmt: skip


def steer_nothing(view: SaeView) -> None:
    """Leave every clip as it is."""
    SteeringState.of(view).settle([])


def _what_it_does(preset: SteeringPreset, words: str) -> str:
    latents = ", ".join(f"#{latent}" for latent in preset.latents)
    measured = f"on voices kept aside F1 is {with_interval(preset.f1, preset.f1_low, preset.f1_high)}"
    if preset.is_confirmed:
        return f"Switches off {latents}, which tell {words}: {measured} for the first."
    return f"Switches off {latents}, the best there is for {words}. Held-out speakers do not confirm it: {measured}."


def add_latent(view: SaeView) -> None:
    """Add the latent that was just picked, as it is, to be moved."""
    latent = st.session_state["add_latent"]
    st.session_state["add_latent"] = None
    steering = SteeringState.of(view)
    if latent is not None and latent not in steering.latents:
        steering.settle([*steering.changes[: MAX_STEERED - 1], Change(latent, "scale", 1.0)])


def choose_settings(view: SaeView) -> tuple[AttributeValue | None, str, bool]:
    """Whose clips are changed, the operating point, and whether the reconstruction error is kept."""
    steered = trial_choice.choose_steered(view)
    point = st.selectbox(
        "Operating point", list(OPERATING_POINTS), key="point", bind="query-params", width=190,
        help="Pairs at least this similar are accepted as one voice. The threshold is set on the embeddings as they "
        "are and then stays, as it would in a running system.",
    )  # fmt: skip
    keeps_error = st.toggle(
        "Keep reconstruction error", value=True, key="error", bind="query-params",
        help="What the SAE could not rebuild is added back, so that no change is exactly the original embedding. "
        "Without it, everything that the SAE loses counts as steering.",
    )  # fmt: skip
    return steered, point, keeps_error


def choose_figure() -> tuple[bool, bool]:
    """Whether the figure shows relative change, and only pairs that steering touches."""
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.segmented_control(
            "Show", ["similarity", "relative change"], default="similarity", required=True, key="shown",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        only_touched = st.toggle(
            "Only pairs it touches", key="touched", bind="query-params",
            help="Leaves out pairs neither of whose clips is changed: a latent that is active on few clips moves few "
            "pairs, and they drown among the others. The numbers below are over all pairs.",
        )  # fmt: skip
    return shown == "relative change", only_touched
