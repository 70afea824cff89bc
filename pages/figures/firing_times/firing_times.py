"""When each latent is active in one sound: a heat map under its waveform, with the player's position running along."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pages.figures.mount import mount
from pages.shared.media import media_url

_draw = mount(__file__, host="firing-times")


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
    opened = _draw(data, key=key)
    return None if opened is None else int(opened)
