"""The server of the app: Streamlit's own, which answers for the sounds of dots too, and gets ready before anyone comes.

`python -m pages.components.server ADDRESS PORT` is what `python -m sae_core serve` starts. While the first visitor's
browser still loads Streamlit, the code of the first page is loaded here and the workspace opened.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit.starlette import App

SCRIPT = Path(__file__).resolve().parents[2] / "app.py"


def get_ready() -> None:
    """Load what the first page needs, and open the workspace that it will show."""
    from pages.components import dot_sounds, health, method, reach, session, tables  # noqa: F401 - for the first page
    from sae_core import VoxScopeError

    dot_sounds.answer_from_now_on()
    # what is wrong with the workspace, the page says itself
    with suppress(VoxScopeError):
        session.open_first()


@asynccontextmanager
async def _running(_: App) -> AsyncIterator[None]:
    Thread(target=get_ready, name="get ready", daemon=True).start()
    yield


async def dot_sound(request: Request) -> Response:
    """What is heard at a dot of a map."""
    from pages.components import dot_sounds  # not sooner: the server is up before this is loaded

    return await dot_sounds.answer(request)


def routes() -> list[Route]:
    """What is answered beside Streamlit's own."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return [Route(f"{f'/{base}' if base else ''}/dot-sounds/{{token}}/{{point:int}}", dot_sound)]


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")
    options = parser.parse_args()
    app = App(SCRIPT, lifespan=_running, routes=routes())
    app.run(
        config={
            "server.address": options.address,
            "server.port": options.port,
            "server.headless": options.headless,
        }
    )


if __name__ == "__main__":
    main()
