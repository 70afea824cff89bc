"""What is heard of a probed sound, and what can be done with it: keep it, discard it, open it."""

import streamlit as st

from pages.parts.probe import choice
from pages.parts.probe.choice import BRING, CLIP, Probe
from pages.shared import links
from pages.shared.person import need
from sae_core.files.errors import ArtifactError
from sae_core.workspace.excerpts import MAX_HEARD_S, keep_excerpt
from sae_core.workspace.workspace import SaeView


def draw_head(view: SaeView, probe: Probe) -> None:
    """What is heard, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{probe.name}** · {heard(probe)}")
        if probe.source == BRING:
            st.button("Keep it in this workspace", icon=":material/save:", on_click=lambda: keep(view, probe))
            st.button("Discard it", icon=":material/delete_forever:", on_click=choice.let_go)
        elif probe.source == CLIP and probe.found.row is not None:
            st.page_link(
                "pages/clips.py",
                label="Open in Clips",
                icon=":material/library_music:",
                query_params=links.query(view, {links.CLIP: links.clip_id(view, probe.found.row)}),
            )


def heard(probe: Probe) -> str:
    """How much of the sound is heard."""
    excerpt = probe.excerpt
    if excerpt is None:
        return "audio missing"
    if excerpt.whole_s - excerpt.duration_s < 1:
        return f"{excerpt.duration_s:.1f} s"
    end_s = excerpt.start_s + excerpt.duration_s
    return (
        f"analysed from {excerpt.start_s:.0f} s to {end_s:.0f} s of {excerpt.whole_s:.0f} s; "
        f"at most {MAX_HEARD_S:.0f} s at once"
    )


def keep(view: SaeView, probe: Probe) -> None:
    """Store the sound and its embedding, because the visitor said so."""
    if probe.excerpt is None:
        return
    made = view.embeddings
    try:
        need("annotate", view.workspace.path.name)
        mark = keep_excerpt(
            view.workspace.path,
            probe.excerpt,
            probe.found.vector,
            embedder=made.embedder,
            revision=made.revision,
        )
    except ArtifactError as error:
        st.toast(str(error), icon=":material/error:")
        return
    choice.open_kept_one(mark)
    st.toast(
        "Kept. It is listed under Kept recordings, for everyone who opens this workspace.",
        icon=":material/save:",
    )
