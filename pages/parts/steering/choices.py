"""What is steered and how: presets, a search for any latent, which clips are changed, and the operating point."""

import streamlit as st

from pages.shared import links, trial_choice
from pages.shared.steering_state import ERASED, SteeringState
from pages.shared.wording import latent_name, plain, value_words, with_interval
from sae_core.analysis.first_value import first_value
from sae_core.analysis.steering_experiment import MAX_STEERED, SteeringPreset, steering_presets
from sae_core.analysis.trial_sets import OPERATING_POINTS
from sae_core.corpus.values import AttributeValue
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView


def take_first_preset(view: SaeView) -> None:
    """Steer something at first sight: the value that pages open on, or else the first that is confirmed."""
    steering = SteeringState.of(view)
    if (unknown := steering.unknown) is not None:
        st.warning(
            f"The address asks to steer **{plain(unknown)}**, which is not here. Shown instead: what is offered first.",
            icon=":material/link_off:",
        )
        steering.settled = None
    if steering.settled is not None:
        steering.show()
        return
    presets, first = steering_presets(view), first_value(view)
    of_first = [preset for preset in presets if (preset.attribute, preset.value) == first]
    if presets:
        is_first = bool(of_first) and (of_first[0].is_confirmed or not presets[0].is_confirmed)
        ablate(view, of_first[0] if is_first else presets[0])


def ablate(view: SaeView, preset: SteeringPreset) -> None:
    """Ablate the latents of one attribute value and nothing else."""
    links.choose(ERASED, f"{preset.attribute}={preset.value}")
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
            placeholder="number or attribute …",
            key="add_latent",
            on_change=add_latent,
            args=(view,),
            width=210,
            help=f"At most {MAX_STEERED} at once. A latent carries the name of an attribute value only where held-out "
            "speakers confirm it.",
        )
        st.markdown(
            "Ablate latents of",
            width="content",
            help="Grey with a question mark: the best candidate, not confirmed on held-out speakers.",
        )
        for preset in presets:
            words = plain(value_words(preset.attribute, preset.value))
            st.button(
                words if preset.is_confirmed else f":gray[{words}?]",
                key=f"preset_{preset.attribute}_{preset.value}",
                on_click=ablate,
                args=(view, preset),
                help=_what_it_does(preset, words),
            )
        st.button(
            "Reset", icon=":material/restart_alt:", key="steer_nothing", type="tertiary",
            on_click=steer_nothing, args=(view,), help="Leave every clip as it is.",
        )  # fmt: skip


def steer_nothing(view: SaeView) -> None:
    """Leave every clip as it is."""
    links.forget(ERASED)
    SteeringState.of(view).settle([])


def _what_it_does(preset: SteeringPreset, words: str) -> str:
    latents = ", ".join(f"#{latent}" for latent in preset.latents)
    f1 = f"F1 {with_interval(preset.f1, preset.f1_low, preset.f1_high)} on held-out speakers"
    if not preset.is_confirmed:
        return f"Ablates {latents}, the best candidate for {words}; not confirmed: {f1}."
    if len(preset.latents) == 1:
        return f"Ablates {latents}, which detects {words}: {f1}."
    return f"Ablates {latents}, which detect {words}: {f1} for #{preset.latents[0]}."


def add_latent(view: SaeView) -> None:
    """Add the latent that was just picked, as it is, to be moved."""
    latent = st.session_state["add_latent"]
    st.session_state["add_latent"] = None
    steering = SteeringState.of(view)
    if latent is not None and latent not in steering.latents:
        steering.settle([*steering.changes[: MAX_STEERED - 1], Change(latent, "scale", 1.0)])


def choose_settings(view: SaeView) -> tuple[AttributeValue | None, str, bool]:
    """Which clips are changed, the operating point, and whether the reconstruction error is kept."""
    steered = trial_choice.choose_steered(view)
    point = st.selectbox(
        "Operating point", list(OPERATING_POINTS), key="point", bind="query-params", width=190,
        help="Decides the threshold: pairs at least this similar are accepted as one speaker. It is set on the "
        "embeddings before steering and then stays, as it would in a deployed system.",
    )  # fmt: skip
    keeps_error = st.toggle(
        "Keep reconstruction error", value=True, key="error", bind="query-params",
        help="What the SAE could not reconstruct is added back, so without any change the embedding is exactly the "
        "original. Switched off, the loss of the SAE shows as if it were an effect of steering.",
    )  # fmt: skip
    return steered, point, keeps_error


def choose_figure() -> tuple[bool, bool]:
    """Whether the figure shows relative change, and only affected pairs."""
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.segmented_control(
            "Show", ["similarity", "relative change"], default="similarity", required=True, key="shown",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        only_touched = st.toggle(
            "Affected pairs only", key="touched", bind="query-params",
            help="Leaves out pairs of two unchanged clips. A latent that is active on few clips affects few pairs, "
            "which are hard to see among all. The numbers below are over all pairs.",
        )  # fmt: skip
    return shown == "relative change", only_touched
