"""The server of the app: Streamlit's own App under uvicorn, made quick.

It sends every answer at once (see `listen`), answers for the sounds of dots, and gets ready before anyone comes: while
the first visitor's browser still loads Streamlit, the code of the first page is loaded here and the workspace opened.
`python -m pages.serving.server PORT` is what `python -m sae_core serve` starts.
"""

import argparse
import gc
import os
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit import net_util
from streamlit.starlette import App

from pages.serving.front import Front
from pages.serving.guard import Guard
from pages.serving.request_log import RequestLog
from pages.serving.sign_in import TOKEN, SignIn
from pages.shared.media import DOT_SOUNDS, in_app, is_left_over
from sae_core.workspace.people import People
from sae_core.workspace.places import TOKEN_VARIABLE, is_loopback

PING_S = 30
SCRIPT = Path(__file__).resolve().parents[2] / "app.py"


def get_ready() -> None:
    """Load what the first page needs, and open the workspace that it will show."""
    try:
        from pages.figures.point_map import dot_sounds
        from pages.shared import session, tables  # noqa: F401
        from sae_core.files.errors import VoxScopeError

        dot_sounds.answer_from_now_on()
        # what is wrong with the workspace, the page says itself
        with suppress(VoxScopeError):
            session.open_first()
    finally:
        gc.enable()


@asynccontextmanager
async def _running(_: App) -> AsyncIterator[None]:
    Thread(target=get_ready, name="get ready", daemon=True).start()
    yield


def show(address: str) -> None:
    """Open the app in the browser of whoever started it, where there is a screen."""
    if sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        webbrowser.open(address)


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A socket, for this machine alone unless another address is given, whose connections send small pieces at once.

    Streamlit's own waits, before it sends the rest of an answer, until the browser has acknowledged the first piece,
    which a browser puts off: 40 ms for every file (Nagle's algorithm against delayed acknowledgements).
    """
    found = socket.create_server((host, port), backlog=2048)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections take it over
    return found


async def dot_sound(request: Request) -> Response:
    """What is heard at a dot of a map."""
    from pages.figures.point_map import dot_sounds  # not sooner: the server is up before this is loaded

    return await dot_sounds.answer(request)


def routes() -> list[Route]:
    """What is answered beside Streamlit's own."""
    return [Route(in_app(f"{DOT_SOUNDS}/{{token}}/{{point:int}}"), dot_sound)]


def middleware(
    *,
    names: Sequence[str] = (),
    people: People | None = None,
    token: str | None = None,
    has_log: bool = False,
) -> list[Middleware]:
    """What every request passes first.

    names: hosts that the server is known by, beside this machine's and those that Streamlit's options give. people,
    token: who may sign in; with neither, whoever reaches the server may do everything. has_log: write down requests.
    """
    names = [
        *names,
        st.get_option("browser.serverAddress") or "",
        *(st.get_option("server.corsAllowedOrigins") or ()),
    ]
    hosts = [urlsplit(name if "//" in name else f"//{name}").hostname or "" for name in names if name]
    base = str(st.get_option("server.baseUrlPath") or "")
    is_shared = people is not None or token is not None
    guard = Middleware(Guard, hosts=hosts, base=base, is_left_over=is_left_over, is_shared=is_shared)
    sign_in = [Middleware(SignIn, people=people, token=token, base=base)] if is_shared else []
    log = [Middleware(RequestLog, base=base)] if has_log else []
    return [*log, guard, *sign_in, Middleware(Front)]


def ask_nobody() -> None:
    """Keep Streamlit from looking up this machine's addresses, the outside one by a request to the internet."""
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Serve the app.")
    parser.add_argument("port", type=int)
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--name", action="append", default=[], help="a host that the server is known by")
    parser.add_argument("--people", type=Path, help="the file of people who may sign in")
    parser.add_argument("--log", choices=["json"], help="write a line a request to the standard error")
    options = parser.parse_args()
    token = os.environ.pop(TOKEN_VARIABLE, None) or None
    people = None if options.people is None else People.load(options.people)
    if not is_loopback(options.host) and token is None and people is None:
        parser.error("beyond this machine somebody has to sign in: start it with python -m sae_core serve")
    ask_nobody()
    # while only code is loaded there is no garbage to look for; `get_ready` turns it on again
    gc.disable()
    settings = uvicorn.Config(
        App(
            SCRIPT,
            lifespan=_running,
            routes=routes(),
            middleware=middleware(
                names=options.name, people=people, token=token, has_log=options.log is not None
            ),
        ),
        ws="websockets-sansio",
        ws_max_size=int(st.get_option("server.maxMessageSize")) * 10**6,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
    )
    with listen(options.port, options.host) as listening:
        if not options.headless:
            query = f"?{TOKEN}={token}" if token else ""
            base = str(st.get_option("server.baseUrlPath") or "").strip("/")
            show(f"http://127.0.0.1:{options.port}/{base}{query}")
        uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    main()
