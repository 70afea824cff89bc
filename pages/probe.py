"""Probe: any recording, analysed as the clips of the corpus are, with a timeline of its latents."""

from pathlib import Path

import streamlit as st

from pages.parts.probe import choice, keeping, map, result
from pages.parts.probe.choice import BRING, Probe
from pages.shared.problems import say_remedy
from pages.shared.session import open_page, try_next
from pages.shared.wording import plain
from sae_core.files.errors import ArtifactError, AudioError, VoxScopeError
from sae_core.workspace.workspace import SaeView

PRIVATE = (
    ":material/lock: Your recording is held in memory for this visit only, and discarded when you upload another "
    "or leave. It is written nowhere unless you press **Keep it in this workspace**."
)


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Probe",
        "Analyse any recording: which latents are active, when, and which speakers are closest.",
        why="A recording without labels is the best test of what a latent detects.",
    )
    with st.container(border=True, key="probe_choice"):
        source = choice.choose_source(view)
        probe = choose(view, source)
    if probe is not None:
        with st.container(key="probe_result"):
            draw(view, probe)
    elif source == BRING:
        choice.offer_examples(view)
    try_next(
        view,
        {
            "pages/latents.py": ("Find a latent by what it detects", ":material/hub:"),
            "pages/clips.py": ("Inspect a clip of the corpus", ":material/library_music:"),
            "pages/map.py": ("See all clips on the map", ":material/scatter_plot:"),
        },
    )


def choose(view: SaeView, source: str) -> Probe | None:
    """The chosen sound, analysed; where it cannot be, why and what to do."""
    try:
        probe = choice.chosen_probe(view, source)
    except (AudioError, ArtifactError) as error:
        tell_trouble(error)
        return None
    if source == BRING:
        st.caption(PRIVATE)
    return probe


def tell_trouble(error: VoxScopeError) -> None:
    """Why a sound cannot be probed, and what would help."""
    place = f"**{plain(Path(error.where).name)}**" if error.where else "It"
    with st.container(key="probe_trouble"):
        st.error(f"{place} {plain(error.what)}.", icon=":material/mic_off:")
        say_remedy(error.remedy, after="try again")
    st.session_state.pop(choice.PROBED, None)


def draw(view: SaeView, probe: Probe) -> None:
    """Everything that is known of it."""
    with st.container(border=True, key="probe_times"):
        keeping.draw_head(view, probe)
        result.draw_times(view, probe)
    latents, near = st.columns([4, 3], gap="medium")
    with latents.container(border=True, height="stretch", key="probe_active"):
        result.draw_latents(view, probe)
    with near.container(border=True, height="stretch", key="probe_near"):
        result.draw_speakers(view, probe)
    with st.container(border=True, key="probe_map"):
        map.draw_place(view, probe)
    result.draw_clips(view, probe)


main()
