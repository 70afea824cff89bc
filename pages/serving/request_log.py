"""A log of requests for machines: one line of JSON each, with an id that the answer carries, and nothing of people's.

No query, no names of clips or workspaces, no addresses of visitors and no tokens: of a path only its first part stays.
"""

import json
import re
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
_PART = re.compile(r"[a-z_-]{1,30}")
_GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestLog:
    """An ASGI middleware that writes a line once a request is answered, or a visit over a web socket has ended.

    Fields: time (UTC), id, event (`request` or `visit`), method, part (first part of the path below `base`), status,
    ms, and error (the name of its type) where the app failed. An id that a proxy gave is kept.
    """

    def __init__(self, app: ASGIApp, *, base: str = "", write: Callable[[str], object] | None = None) -> None:
        self._app, self._base, self._write = app, base.strip("/"), write or _to_stderr

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on to the app, and write down how it ended."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        uid = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": uid,
            "event": "request" if scope["type"] == "http" else "visit",
            "method": scope.get("method", "GET"),
            "part": self._part(scope["path"]),
            "status": 0,
        }
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                line["status"] = message["status"]
                message = {**message, "headers": list(message.get("headers", ()))}
                MutableHeaders(scope=message)[REQUEST_ID] = uid
            elif message["type"] == "websocket.accept":
                line["status"] = 101
            elif message["type"] == "websocket.close" and line["status"] == 0:
                line["status"] = 403
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except BaseException as error:
            line["error"] = type(error).__name__
            raise
        finally:
            line["ms"] = round(1000 * (time.perf_counter() - began), 1)
            self._write(json.dumps(line) + "\n")

    def _part(self, path: str) -> str:
        """The first part of a path, or `other` for what is no name of a page or of what Streamlit serves."""
        within = f"{path.strip('/')}/".removeprefix(f"{self._base}/").strip("/")
        part = within.partition("/")[0]
        return part if not part or _PART.fullmatch(part) else "other"


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
