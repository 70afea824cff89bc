"""What every request passes before Streamlit sees it: which hosts may be named, what is closed, what answers carry.

The server usually listens to this machine alone, but a browser on it carries pages of others too. A page elsewhere may
not speak to the app (its Origin is refused), a name that was pointed at this machine may not stand for it (its Host is
refused), and no page may show the app in a frame. Nothing here asks anybody outside: Streamlit's own check would look
up the machine's outside address for an Origin that it does not know.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1"})
MAX_PATH_BYTES = 2_048
MAX_RANGE_BYTES = 128
MEDIA = "/media/"
"""Below it Streamlit answers for the files of visits: sounds, dots of maps, downloads."""
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
"""Streamlit's own answers about the server; they serve nobody here and tell what is open and how much of it."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        # the page's start-up script is inline, figures are modules made in the browser
        "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-src 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # the form for signing in would have no origin under no-referrer
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


class Guard:
    """An ASGI middleware: refuses what `refusal` names and files of visits that have ended, and adds `HEADERS` to every
    answer. `is_left_over` says of a media file by its name whether nobody holds it any more."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] = (),
        base: str = "",
        is_left_over: Callable[[str], bool] = lambda _: False,
        is_shared: bool = False,
    ) -> None:
        self._app, self._is_shared = app, is_shared
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._is_left_over = is_left_over
        self._base = f"/{base.strip('/')}" if base.strip("/") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the app."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(self._base)
        refused = refusal(path, _headers(scope), self._hosts, is_shared=self._is_shared)
        if refused is None and path.startswith(MEDIA) and self._is_left_over(path.removeprefix(MEDIA)):
            refused = 404, "the visit that this was made for has ended"
        if refused is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        elif refused is not None:
            await PlainTextResponse(f"{refused[1]}\n", refused[0])(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, _with_headers(send))


def refusal(
    path: str, headers: Mapping[str, str], hosts: frozenset[str], *, is_shared: bool = False
) -> tuple[int, str] | None:
    """Status and reason where a request is refused: another host or origin, something closed, an endless number.

    is_shared: the server listens beyond this machine. It may then be asked by its number, which no name can be pointed
    at; pages that ask must come from the host that is asked.
    """
    host = _name_in(f"//{headers.get('host', '')}")
    if host not in hosts and not (is_shared and _is_number(host)):
        return 421, "this server answers under another name"
    origin = headers.get("origin")
    if origin is not None and _name_in(origin) not in (hosts if host in hosts else {host}):
        return 403, "pages of other hosts may not ask here"
    if len(path) > MAX_PATH_BYTES:
        return 414, "this address is too long"
    if len(headers.get("range", "")) > MAX_RANGE_BYTES:
        return 416, "this range is too long"
    if any(path == closed or path.startswith(f"{closed}/") for closed in CLOSED):
        return 404, "there is nothing here"
    return None


def _name_in(address: str) -> str:
    """The host that an address names, in lower case; "" where it names none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_number(host: str) -> bool:
    """Whether a host is given by its address in numbers."""
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _with_headers(send: Send) -> Send:
    added = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in HEADERS.items()]

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_more
