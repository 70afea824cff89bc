"""What is probed: a sound that the visitor brings, a clip of the corpus, or one that somebody kept here.

What is brought lives in the visit alone: its bytes and what was computed from them are held in one slot of the session,
replaced by the next sound and gone with the visit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from pages.shared import clip_finder, links, media
from pages.shared.caching import VIEW, cached
from pages.shared.choices import choose_one
from pages.shared.person import need
from pages.shared.wording import plain, short_meaning
from sae_core.analysis.probe import (
    Examination,
    Examiner,
    FiringTimes,
    embedder_choice,
    examine,
    examine_excerpt,
    open_examiner,
    time_latents,
)
from sae_core.audio.recordings import AudioInfo
from sae_core.embedding.embeddings import OWN_VECTORS
from sae_core.files.errors import ArtifactError, AudioError, VoxScopeError
from sae_core.workspace.excerpts import (
    MAX_HEARD_S,
    MAX_RECORDING_BYTES,
    Excerpt,
    KeptExcerpt,
    clip_excerpt,
    forget_excerpt,
    inspect_recording,
    kept_excerpts,
    kept_vector,
    open_kept,
    read_excerpt,
)
from sae_core.workspace.workspace import SaeView

KEPT, SOURCE = "kept", "sound"
BRING, CLIP, STORED = "yours", "corpus", "kept"
SOURCES = {BRING: "Your recording", CLIP: "A clip of the corpus", STORED: "Kept recordings"}
PROBED = "probed sound"
N_STRIKING, N_EXAMPLES = 12, 3
_BROUGHT, _COUNT = "brought sound", "brought sounds"


@dataclass(frozen=True)
class Brought:
    """A file as the visitor gave it. number: counts what was brought in this visit. info: what it is, once known."""

    name: str
    content: bytes
    number: int
    info: AudioInfo | None = None


@dataclass(frozen=True)
class Probe:
    """A sound, ready to be shown.

    source: one of `SOURCES`. excerpt, times: what is heard and when latents fire on it; None, with the reason in
    `silence`, where the sound itself is not to be had. mp3: what plays. mark: of a kept one.
    """

    source: str
    name: str
    found: Examination
    excerpt: Excerpt | None = None
    times: FiringTimes | None = None
    mp3: bytes = b""
    mark: str = ""
    silence: VoxScopeError | None = None


def _embedder_behind(view: SaeView) -> tuple[str, ...]:
    made = view.embeddings
    return made.embedder, made.revision, str(embedder_choice(view))


@cached(keep=2, spinner="Opening the embedder …", by={VIEW: _embedder_behind})
def examiner_of(view: SaeView) -> Examiner:
    """The embedder behind an SAE, loaded once for the whole server."""
    return open_examiner(view)


def choose_source(view: SaeView) -> str:
    """Let people choose where the sound comes from; the address may name it, or a clip, or a kept recording."""
    names = [BRING, CLIP, *([STORED] if kept_excerpts(view.workspace.path) else [])]
    usual = CLIP if view.embeddings.embedder == OWN_VECTORS else BRING
    implied = STORED if KEPT in st.query_params else CLIP if links.CLIP in st.query_params else usual
    if SOURCE not in st.query_params:
        links.choose(SOURCE, implied)
    options = {name: SOURCES[name] for name in names}
    return choose_one(
        SOURCE, options, usual=BRING, noun="the source", draw=st.segmented_control, label="Probe",
        label_visibility="collapsed", required=True,
    )  # fmt: skip


def offer_examples(view: SaeView) -> None:
    """Clips to try the page on, while nothing was brought: the strongest of some latents with a name."""
    named = {short_meaning(view, latent): latent for latent in view.striking_latents(N_STRIKING)[::-1]}
    named.pop("", None)
    if not named:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="probe_examples"):
        st.markdown("Or see what it shows on a clip of the corpus:", width="content")
        for meaning, latent in list(named.items())[-N_EXAMPLES:][::-1]:
            clip = links.clip_id(view, int(view.index.top(latent, 1)[0][0]))
            st.button(plain(meaning), key=f"probe_example_{latent}", on_click=_take_example, args=(clip,))


def _take_example(clip: str) -> None:
    links.choose(links.CLIP, clip)
    links.choose(SOURCE, CLIP)


def chosen_probe(view: SaeView, source: str) -> Probe | None:
    """Draw the choice of a sound and return it analysed; None while nothing is chosen.

    Raises AudioError for what cannot be probed.
    """
    if source == CLIP:
        return _clip_probe(view, clip_finder.find_clip(view.workspace))
    return _kept_probe(view) if source == STORED else _brought_probe(view)


def _once(key: tuple[Any, ...], make: Callable[[], Probe]) -> Probe:
    """What was made last in this visit, if it was made for the same; one at a time is held."""
    known_key, known = st.session_state.get(PROBED, (None, None))
    if known is None or known_key != key:
        st.session_state.pop(PROBED, None)
        with st.spinner("Embedding window by window …"):
            known = make()
        st.session_state[PROBED] = (key, known)
    return known


def _clip_probe(view: SaeView, row: int | None) -> Probe | None:
    if row is None:
        return None
    name = links.clip_id(view, row)

    def make() -> Probe:
        if not view.embeddings.is_valid[row]:
            raise AudioError("has no embedding", where=name, remedy="choose another clip")
        found = examine(view, np.array(view.embeddings.vectors[row]), row=row)
        try:
            examiner = examiner_of(view)
            excerpt = clip_excerpt(view.workspace.corpus, row, sample_rate_hz=examiner.sample_rate_hz)
        except VoxScopeError as error:
            return Probe(CLIP, name, found, silence=error)
        times = time_latents(view, examiner, excerpt, found)
        return Probe(CLIP, name, found, excerpt, times, excerpt.mp3())

    return _once((view.name, view.fingerprint, CLIP, row), make)


def _kept_probe(view: SaeView) -> Probe | None:
    path = view.workspace.path
    kept = {each.mark: each for each in kept_excerpts(path)}
    if not kept:
        return None
    mark = _choose_kept(view, kept)

    def make() -> Probe:
        examiner = examiner_of(view)
        excerpt = open_kept(path, mark, sample_rate_hz=examiner.sample_rate_hz)
        vector = kept_vector(path, mark, embedder=examiner.name, revision=examiner.revision)
        found = examine_excerpt(view, examiner, excerpt) if vector is None else examine(view, vector)
        times = time_latents(view, examiner, excerpt, found)
        return Probe(STORED, excerpt.name, found, excerpt, times, excerpt.mp3(), mark)

    return _once((view.name, view.fingerprint, STORED, mark), make)


def _choose_kept(view: SaeView, kept: Mapping[str, KeptExcerpt]) -> str:
    """Which of the kept recordings; any of them can be deleted, damaged ones too."""
    options = {mark: _kept_words(each) for mark, each in kept.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mark = choose_one(
            KEPT, options, usual=next(iter(kept)), noun="the kept recording", label="Kept recordings"
        )
        with st.popover("Delete …", icon=":material/delete_forever:", key="delete_kept"):
            st.markdown(
                "Delete this recording for everyone who opens this workspace? It cannot be brought back."
            )
            st.button("Delete it for everyone", type="primary", on_click=lambda: _delete_kept(view, mark))
    return mark


def _kept_words(kept: KeptExcerpt) -> str:
    if kept.problem:
        return f"{kept.name} · damaged: {kept.problem}"
    return f"{kept.name} · {kept.duration_s:.1f} s · kept {kept.kept_at[:16].replace('T', ' ')} UTC"


def _delete_kept(view: SaeView, mark: str) -> None:
    try:
        need("annotate", view.workspace.path.name)
        forget_excerpt(view.workspace.path, mark)
    except ArtifactError as error:
        st.toast(str(error), icon=":material/error:")
        return
    let_go()
    st.session_state.pop(f"choice of {KEPT}", None)
    st.query_params.pop(KEPT, None)
    st.query_params[SOURCE] = STORED if kept_excerpts(view.workspace.path) else BRING


def _brought_probe(view: SaeView) -> Probe | None:
    if view.embeddings.embedder == OWN_VECTORS:
        open_examiner(view)  # says why nothing new can be brought, before anything is
    count = st.session_state.setdefault(_COUNT, 0)
    upload, record = st.columns(2, gap="medium")
    upload.file_uploader(
        "Upload a recording, or a video with sound",
        key=f"probe_upload_{count}",
        max_upload_size=MAX_RECORDING_BYTES // 2**20,
        on_change=lambda: _take(f"probe_upload_{count}"),
    )
    record.audio_input(
        "Or record", key=f"probe_record_{count}", on_change=lambda: _take(f"probe_record_{count}")
    )
    brought: Brought | None = st.session_state.get(_BROUGHT)
    return None if brought is None else _probe_of(view, brought)


def _take(widget: str) -> None:
    """Hold what was just uploaded or recorded in place of what was held.

    Both ways of bringing begin anew: the bytes are then held once, and only the figure below plays them.
    """
    given = st.session_state.get(widget)
    let_go()
    if given is not None:
        name = "your recording" if "record" in widget else given.name
        st.session_state[_BROUGHT] = Brought(name, media.take_over(given), st.session_state[_COUNT])


def let_go() -> None:
    """Free what was brought, and clear both ways of bringing."""
    for slot in (_BROUGHT, PROBED):
        st.session_state.pop(slot, None)
    st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1


def open_kept_one(mark: str) -> None:
    """Go on with a recording that was just kept."""
    let_go()
    links.choose(KEPT, mark)
    st.query_params[SOURCE] = STORED


def _probe_of(view: SaeView, brought: Brought) -> Probe:
    examiner = examiner_of(view)
    if brought.info is None:
        brought = replace(brought, info=inspect_recording(brought.content, brought.name))
        st.session_state[_BROUGHT] = brought
    channel, start_s = _choose_stretch(brought)

    def make() -> Probe:
        excerpt = read_excerpt(
            brought.content,
            brought.name,
            sample_rate_hz=examiner.sample_rate_hz,
            start_s=start_s,
            channel=channel,
        )
        found = examine_excerpt(view, examiner, excerpt)
        times = time_latents(view, examiner, excerpt, found)
        return Probe(BRING, excerpt.name, found, excerpt, times, excerpt.mp3())

    return _once((view.name, view.fingerprint, BRING, brought.number, channel, start_s), make)


def _choose_stretch(brought: Brought) -> tuple[int | None, float]:
    """Which channel and from which second, where there is a choice."""
    channel, start_s = None, 0.0
    if brought.info is None:
        return channel, start_s
    n_channels, whole_s = brought.info.n_channels, brought.info.duration_s
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if n_channels > 1:
            channel = st.selectbox(
                "Channel",
                [None, *range(n_channels)],
                format_func=lambda n: "all, mixed" if n is None else f"channel {n + 1}",
                key=f"probe_channel_{brought.number}",
                width=170,
                help=f"It has {n_channels} channels; calls often have one speaker on each.",
            )
        if whole_s > MAX_HEARD_S:
            start_s = st.slider(
                "Start at (s)",
                0,
                int(whole_s - MAX_HEARD_S) + 1,
                key=f"probe_start_{brought.number}",
                help=f"A long recording is analysed {MAX_HEARD_S:.0f} s at a time.",
            )
    return channel, float(start_s)
