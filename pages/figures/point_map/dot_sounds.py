"""The sounds of a map's dots by their numbers, so that a click is heard before Python has drawn what it opened.

A page hands its map an address of its own that nobody can guess; behind it lie that map's dots and nothing else, and
only as long as the visit lasts that it was made for. The server of `pages.serving.server` answers there. Under another
server maps do without: the page then plays the sound.
"""

import secrets
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.figures.player.clip_cards import clip_sound
from pages.figures.player.player import ClipSound
from pages.shared.media import DOT_SOUNDS, in_app, lasts
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView

MAX_OFFERED = 512
"""Maps whose dots sound at once; the one opened longest ago is let go, and its clicks are played by the page."""


@dataclass(frozen=True)
class _Dots:
    """The dots of one map. It keeps no workspace open: once the last page has left it, nothing sounds."""

    view: weakref.ref[SaeView]
    found: PointMap
    are_latents: bool
    session: str

    def sound(self, point: int) -> ClipSound | None:
        """What is heard at a dot, if it is one, its workspace is open and the visit that it was offered to lasts."""
        view = self.view()
        if view is None or not lasts(self.session) or not 0 <= point < len(self.found.rows):
            return None
        row = heard_row(view, int(self.found.rows[point]), is_latent=self.are_latents)
        return clip_sound(view.workspace, row)


class _Desk:
    """Which address leads to which map's dots."""

    def __init__(self) -> None:
        self.is_open = False
        self._lock = threading.Lock()
        self._offered: OrderedDict[str, _Dots] = OrderedDict()

    def put(self, token: str, dots: _Dots) -> None:
        with self._lock:
            self._offered[token] = dots
            self._offered.move_to_end(token)
            while len(self._offered) > MAX_OFFERED:
                self._offered.popitem(last=False)

    def find(self, token: str) -> _Dots | None:
        with self._lock:
            return self._offered.get(token)


_desk = _Desk()


def _visit() -> str:
    """The session that a page is drawn for; "" outside a running server."""
    context = get_script_run_ctx()
    return context.session_id if context is not None else ""


def heard_row(view: SaeView, row: int, *, is_latent: bool) -> int:
    """The clip that is heard at a dot: the clip itself, or the latent's strongest."""
    return int(view.index.top(row, 1)[0][0]) if is_latent else row


def offer(view: SaeView, found: PointMap, map_id: str, *, are_latents: bool) -> str:
    """The address below which this visit finds the sound of each dot by its number; "" where no server answers."""
    if not _desk.is_open:
        return ""
    tokens: dict[str, str] = st.session_state.setdefault("addresses of dot sounds", {})
    token = tokens.setdefault(map_id, secrets.token_urlsafe(18))
    _desk.put(token, _Dots(weakref.ref(view), found, are_latents, _visit()))
    return in_app(f"{DOT_SOUNDS}/{token}")


def answer_from_now_on() -> None:
    """Say that a server answers for dots; maps drawn before have no address."""
    _desk.is_open = True


async def answer(request: Request) -> Response:
    """The sound of the dot `point` of the map `token`, or the part of it that is asked for; 404 where there is none."""
    dots = _desk.find(request.path_params["token"])
    sound = None if dots is None else await run_in_threadpool(dots.sound, request.path_params["point"])
    if sound is None or sound.problem:
        return Response(status_code=404)
    return _part_of(sound, request.headers.get("range", ""))


def _part_of(sound: ClipSound, wanted: str) -> Response:
    """The sound, or the bytes of it that were asked for: without them a browser cannot move about in it."""
    content, n = sound.content, len(sound.content)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
    unit, _, edges = wanted.partition("=")
    first, _, last = edges.partition("-")
    if unit != "bytes" or not first.isdecimal() or (last and not last.isdecimal()):
        return Response(content, media_type=sound.mime, headers=headers)
    start, stop = int(first), min(n, int(last) + 1 if last else n)
    if start >= stop:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{n}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{n}"
    return Response(content[start:stop], status_code=206, media_type=sound.mime, headers=headers)
