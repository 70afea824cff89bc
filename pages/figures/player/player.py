"""Lists of clips that play: one sound at a time over the whole page, with a small picture of each clip.

Sounds are handed to Streamlit's media files of the visitor's own session and named there by their content: a browser
can fetch what a page has shown to this session, and no request can name a file or a row.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pages.figures.mount import mount
from pages.figures.player.comparing import comparing_with, leave_if_asked, take_click
from pages.shared.heading import NO_HEADING, Heading
from pages.shared.media import media_url

_draw = mount(__file__, host="clip-list")


@dataclass(frozen=True)
class ClipSound:
    """What a browser needs to play and picture one clip.

    content, mime: the encoded sound. picture: u8 log-mel levels, row by row, the highest band first.
    problem: why there is no sound; the other fields are then empty. is_mute: whether there is none in the whole
    workspace, so that there is nothing to play or to picture.
    """

    content: bytes = b""
    mime: str = ""
    picture: bytes = b""
    picture_shape: tuple[int, int] = (0, 0)
    problem: str | None = None
    is_mute: bool = False


@dataclass(frozen=True)
class ClipCard:
    """One clip in a list.

    opens: what a click on the title asks for: a clip's row, or the latent that the clip stands for.
    filled: how far its bar is filled, 0 to 1, with `value_text` beside it; no bar where `value_text` is empty.
    note: a label that stands out. href: address of the title's link, opened in place on a plain click.
    clip: id of the clip, where it may be compared with another; "" where not.
    """

    opens: int
    title: str
    duration_s: float
    sound: ClipSound
    chips: tuple[str, ...] = field(default=())
    note: str = ""
    filled: float = 0.0
    value_text: str = ""
    value_help: str = ""
    href: str = ""
    clip: str = ""


def clip_list(
    cards: Sequence[ClipCard],
    *,
    key: str,
    heading: Heading = NO_HEADING,
    layout: str = "grid",
    shows_in: str = "",
    compare_with: str = "",
) -> int | None:
    """Draw `cards` and return what the card whose title was just clicked opens, if any.

    layout: "grid", "fill" (a grid that takes the whole width), "rows" or "wide" (one large card).
    shows_in: key of the container on this page that a click changes; it is scrolled into view.
    compare_with: id of the clip that ⇄ compares a card's clip with; by default whichever was kept by a click before.
    """
    comparing = comparing_with(compare_with)
    data = {
        "clips": [_as_json(card, slot=f"{key}-{number}") for number, card in enumerate(cards)],
        **asdict(heading),
        "layout": layout,
        "shows_in": shows_in,
        "kept": comparing.kept,
        "is_fixed": comparing.is_fixed,
    }
    opened = _draw(data, key=key, on={"compared": lambda clip: take_click(str(clip), compare_with)})
    leave_if_asked()
    return None if opened is None else int(opened)


def _as_json(card: ClipCard, *, slot: str) -> dict[str, Any]:
    sound = card.sound
    n_mels, n_frames = sound.picture_shape
    return {
        "opens": card.opens,
        "title": card.title,
        "duration_s": card.duration_s,
        "chips": list(card.chips),
        "note": card.note,
        "filled": card.filled,
        "value_text": card.value_text,
        "measure_help": card.value_help,
        "href": card.href,
        "clip": card.clip,
        "problem": sound.problem,
        "is_mute": sound.is_mute,
        "url": "" if sound.problem else media_url(sound.content, sound.mime, slot),
        "mel": base64.b64encode(sound.picture).decode("ascii"),
        "n_mels": n_mels,
        "n_frames": n_frames,
    }
