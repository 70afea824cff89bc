"""What every page of the app carries besides Streamlit's own: a style sheet and a script, see `front.js`.

They are written into the page as it is sent, so they are there before anything is drawn and need no request of their
own.
"""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HERE = Path(__file__)
_HEAD = b"<head>"
_ASKS_FOR = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
"""What a browser asks of an answer that could not be rewritten then."""


def furniture() -> bytes:
    """The style sheet and the script, as they stand in the head of a page."""
    style, script = (_HERE.with_suffix(suffix).read_text("utf-8") for suffix in (".css", ".js"))
    return f"<style>{style}</style><script>{script}</script>".encode()


class Front:
    """An ASGI middleware that writes `furniture` into every HTML page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._added = furniture()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on to the app, and rewrite its answer where that is a page."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        asked = [pair for pair in scope["headers"] if pair[0].lower() not in _ASKS_FOR]
        await self._app({**scope, "headers": asked}, receive, _Rewriting(send, self._added))


class _Rewriting:
    """A `send` that holds a page back until it is whole; whatever is no page passes as it is."""

    def __init__(self, send: Send, added: bytes) -> None:
        self._send, self._added = send, added
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)

    async def _send_page(self, start: Message) -> None:
        body = self._body.replace(_HEAD, _HEAD + self._added, 1)
        headers = MutableHeaders(raw=list(start["headers"]))
        for name in ("etag", "last-modified"):
            if name in headers:
                del headers[name]
        if self._body:  # an answer to HEAD has none
            headers["content-length"] = str(len(body))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
