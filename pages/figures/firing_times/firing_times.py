"""When each latent fires on one sound: a heat map under its waveform, with the player's position running along."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from pages.shared.media import media_url

_HERE = Path(__file__).parent
_mount_times = st.components.v2.component(
    "voxscope_firing_times",
    html='<div class="firing-times">\n</div>',
    css=(_HERE / "firing_times.css").read_text("utf-8"),
    js=(_HERE.parent / "player" / "shared_player.js").read_text("utf-8")
    + (_HERE / "firing_times.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class PlayedSound:
    """A sound to play and to draw. peaks: u8, how loud it is at evenly spaced places."""

    title: str
    content: bytes
    mime: str
    duration_s: float
    peaks: bytes


@dataclass(frozen=True)
class Window:
    """One stretch that was embedded alone. is_silent: whether there was nothing to embed."""

    start_s: float
    end_s: float
    is_silent: bool


@dataclass(frozen=True)
class LatentRow:
    """One latent over the windows.

    values: its activation in each. top: the activation that is drawn darkest. is_on_whole: whether it is active on the
    whole sound. opens, href: what clicking its name opens, and its address.
    """

    label: str
    values: Sequence[float]
    top: float
    is_on_whole: bool
    opens: int
    href: str
    help: str = ""


def firing_times(
    sound: PlayedSound, windows: Sequence[Window], rows: Sequence[LatentRow], *, key: str
) -> int | None:
    """Draw the figure and return the latent whose name was just clicked, if any."""
    data = {
        "title": sound.title,
        "url": media_url(sound.content, sound.mime, key),
        "duration_s": sound.duration_s,
        "peaks": base64.b64encode(sound.peaks).decode("ascii"),
        "starts_s": [round(window.start_s, 4) for window in windows],
        "ends_s": [round(window.end_s, 4) for window in windows],
        "silent": [window.is_silent for window in windows],
        "rows": [{**asdict(row), "values": [round(float(value), 4) for value in row.values]} for row in rows],
    }
    opened = _mount_times(key=key, data=data, on_opened_change=_stay).get("opened")
    return None if opened is None else int(opened)


def _stay() -> None:
    """The page reads the click itself, once it runs."""
