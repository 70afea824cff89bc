"""Clips of the open workspace as cards that play; each sound is read and pictured once and then kept for everyone."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.figures.player.player import ClipCard, ClipSound, clip_list
from pages.shared import links, wording
from pages.shared.caching import cached
from pages.shared.heading import Heading
from pages.shared.wording import value_words
from sae_core.files.errors import VoxScopeError
from sae_core.measures.listening import ClipGroup
from sae_core.workspace.workspace import SaeView, Workspace

MAX_KEPT_SOUNDS = 1500
HIDDEN_ON_CARDS = {"source"}
N_LABELS = 3


@cached(keep=MAX_KEPT_SOUNDS)
def _read_sound(workspace: Workspace, row: int) -> ClipSound:
    content, mime = workspace.clip_audio(row)
    picture = workspace.mel_picture(row)
    return ClipSound(content, mime, picture.tobytes(), (picture.shape[0], picture.shape[1]))


def clip_sound(workspace: Workspace, row: int) -> ClipSound:
    """The sound and picture of one clip, or why there is none."""
    if not workspace.corpus.has_sound:
        return ClipSound(problem="No sound", is_mute=True)
    try:
        return _read_sound(workspace, row)
    except VoxScopeError as error:
        return ClipSound(problem=f"{error.what[:1].upper()}{error.what[1:]}")


def clip_labels(workspace: Workspace, row: int) -> tuple[str, ...]:
    """The first things known of a clip, as words: attribute values, then who speaks where its id does not say so."""
    clip = workspace.corpus.table.iloc[row]
    shown = [name for name in workspace.corpus.attributes if name not in HIDDEN_ON_CARDS]
    values = [value_words(name, str(clip[name])) for name in shown if not pd.isna(clip[name])]
    known = [value for value in dict.fromkeys(values) if value.lower() not in {"unknown", "null", "none", ""}]
    speaker = clip["speaker_id"]
    is_in_id = pd.isna(speaker) or str(clip["clip_id"]).startswith(str(speaker))
    return (*known[:N_LABELS], *([] if is_in_id else [f"speaker {speaker}"]))


def clip_card(
    view: SaeView,
    row: int,
    *,
    value: float | None = None,
    top: float = 1.0,
    value_help: str = "",
    note: str = "",
) -> ClipCard:
    """A card for one clip, with a bar for `value` against `top` where there is one; its title leads to the clip."""
    workspace = view.workspace
    clip = workspace.corpus.table.iloc[row]
    return ClipCard(
        opens=row,
        title=str(clip["clip_id"]),
        duration_s=float(clip["duration_s"]),
        sound=clip_sound(workspace, row),
        chips=(*_given_label(workspace, str(clip["clip_id"])), *clip_labels(workspace, row)),
        note=note,
        filled=0.0 if value is None else float(value) / max(top, 1e-9),
        value_text="" if value is None else f"{float(value):.2f}",
        value_help=value_help,
        href=links.clip_address(view, row),
        clip=str(clip["clip_id"]),
    )


def latent_card(view: SaeView, latent: int, *, shows_f1: bool = False) -> ClipCard:
    """A card for a latent that is active somewhere: it plays its strongest clip, and may show how well it detects its
    value on held-out speakers."""
    facts = view.latents.iloc[latent]
    row = int(view.index.top(latent, 1)[0][0])
    has_f1 = shows_f1 and not pd.isna(facts["best_f1"])
    candidate = wording.candidate(facts) if shows_f1 else ""
    return ClipCard(
        opens=latent,
        title=wording.latent_name(view, latent),
        duration_s=float(view.workspace.corpus.table["duration_s"].iloc[row]),
        sound=clip_sound(view.workspace, row),
        chips=(
            *filter(None, [candidate]),
            f"active on {wording.percent(facts['firing_rate'], 1)} of clips",
            wording.counted(int(facts["n_speakers"]), "speaker"),
        ),
        note="" if pd.isna(facts["warning"]) else str(facts["warning"]),
        filled=float(facts["best_f1"]) if has_f1 else 0.0,
        value_text=wording.with_interval(*facts[["best_f1", "best_f1_low", "best_f1_high"]])
        if has_f1
        else "",
        value_help=f"F1 on held-out speakers. {wording.TERMS['f1']} {wording.TERMS['interval']}"
        if has_f1
        else "",
        href=links.latent_address(view, latent),
    )


def _given_label(workspace: Workspace, clip_id: str) -> list[str]:
    label = workspace.notes.clip_labels().get(clip_id)
    return [f"“{label}”"] if label else []


def playable_clips(
    view: SaeView, group: ClipGroup, *, key: str, top: float, heading: Heading, layout: str = "grid"
) -> None:
    """List clips with their activations against `top`; a click on a title opens that clip."""
    cards = [
        clip_card(view, int(row), value=float(activation), top=top, value_help="activation")
        for row, activation in zip(group.rows, group.activations, strict=True)
    ]
    opened = clip_list(cards, key=key, heading=heading, layout=layout)
    tell_silent(cards)
    if opened is not None:
        links.open_clip(view, opened)


def tell_silent(cards: Sequence[ClipCard]) -> None:
    """Say once how many of these clips cannot be played, and what would help; of a workspace without any sound the head
    of the page says so."""
    silent = [card for card in cards if card.sound.problem and not card.sound.is_mute]
    if silent:
        st.caption(
            f":orange[:material/volume_off: {len(silent)} of {len(cards)} clips cannot be played] (first: "
            f"{silent[0].sound.problem}). Put the recordings back where they were imported from, or import again."
        )
