"""Nothing without signing in: pages, sounds, downloads, uploads and the socket of the app ask for a visit first.

A server beyond this machine is opened by a token that is printed when it starts, by people's names and passwords, or by
links that let somebody look at one workspace for some time. Whoever is signed in bears a cookie that scripts cannot
read and other sites cannot send; what it stands for is kept here.
"""

import hmac
from html import escape
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.serving.visits import Tries, Visits
from pages.shared.person import INVITATIONS, LINK, PERSON_HEADER, Invitations, to_header
from sae_core.workspace.people import EVERYWHERE, People, Person

COOKIE = "voxscope-visit"
SIGN_IN, SIGN_OUT, HEALTH = "/sign-in", "/sign-out", "/_stcore/health"
TOKEN = "token"
MAX_FORM_BYTES = 4_096
MAX_WORD = 400


class SignIn:
    """An ASGI middleware. people: who may sign in by name. token: lets in whoever has it, to do everything."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        people: People | None = None,
        token: str | None = None,
        base: str = "",
        invitations: Invitations = INVITATIONS,
    ) -> None:
        if people is None and token is None:
            raise ValueError("without people and token nobody could sign in")
        self._app, self._people, self._token = app, people, token
        self._base = f"/{base.strip('/')}" if base.strip("/") else ""
        self._invitations = invitations
        self._visits, self._tries = Visits(), Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the app with the person's name."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(self._base)
        word = _cookie(scope)
        person = self._visits.of(word) if word else None
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, person, word)
            return
        answer = await self._own_answer(Request(scope, receive), path, person, word)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._app(_bearing(scope, person), receive, send)

    async def _own_answer(
        self, request: Request, path: str, person: Person | None, word: str
    ) -> Response | None:
        """What is answered here; None for what the app may answer."""
        if path == HEALTH:
            return PlainTextResponse("ok")
        if path == SIGN_OUT:
            return self._signed_out(word)
        if path == SIGN_IN and request.method == "POST":
            return await self._signed_in(request)
        entered = self._by_address(request)
        if entered is not None or (person is not None and path != SIGN_IN):
            return entered
        if request.method not in ("GET", "HEAD") or not _is_page(path):
            return PlainTextResponse("sign in first\n", 401)
        return self._form("", back=_back(request, path), status=200 if path == SIGN_IN else 401)

    def _signed_out(self, word: str) -> Response:
        self._visits.end(word)
        answer = RedirectResponse(f"{self._base}{SIGN_IN}", 303)
        answer.delete_cookie(COOKIE, path=f"{self._base}/")
        return answer

    def _by_address(self, request: Request) -> Response | None:
        """Where an address bears the token or an invitation: a visit, and the address again without it."""
        asked = dict(parse_qsl(request.url.query))
        given, invited = asked.pop(TOKEN, None), asked.pop(LINK, None)
        if given is None and invited is None:
            return None
        found: tuple[Person, float | None] | None = None
        if given is not None and self._is_token(given, request):
            found = Person("", {EVERYWHERE: "build"}), None
        elif invited is not None:
            found = self._invitations.guest(invited[:MAX_WORD])
        if found is None:
            return self._form("This link is not valid any more.", back="", status=403)
        path = request.url.path + (f"?{urlencode(asked)}" if asked else "")
        return self._welcome(request, RedirectResponse(path, 303), *found)

    async def _signed_in(self, request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM_BYTES:
                return PlainTextResponse("this form is too long\n", 413)
        form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        name, password = form.get("name", "")[:100], form.get("password", "")
        back = _safe_back(form.get("back", ""))
        keys = f"address {_client(request)}", f"name {name.casefold()}"
        if self._tries.are_too_many(*keys):
            return self._form("Too many tries. Wait five minutes.", back=back, status=429)
        person = await self._person(name, password, request)
        if person is None:
            self._tries.failed(*keys)
            return self._form("This name and password do not belong together.", back=back, status=403)
        return self._welcome(request, RedirectResponse(f"{self._base}/{back}", 303), person, None)

    async def _person(self, name: str, password: str, request: Request) -> Person | None:
        if self._people is None:
            is_it = self._is_token(password, request)
            return Person(name.strip()[:64], {EVERYWHERE: "build"}) if is_it else None
        return await run_in_threadpool(self._people.person, name, password)

    def _is_token(self, given: str, request: Request) -> bool:
        key = f"token {_client(request)}"
        if self._token is None or self._tries.are_too_many(key):
            return False
        is_it = hmac.compare_digest(given.encode(), self._token.encode())
        if not is_it:
            self._tries.failed(key)
        return is_it

    def _welcome(self, request: Request, answer: Response, person: Person, lasts_s: float | None) -> Response:
        word = self._visits.begin(person, lasts_s=lasts_s)
        answer.set_cookie(
            COOKIE, word, httponly=True, samesite="lax", secure=request.url.scheme == "https", path=f"{self._base}/"
        )  # fmt: skip
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _form(self, trouble: str, *, back: str, status: int) -> Response:
        by_name = self._people is not None
        page = PAGE.format(
            trouble=f'<p class="trouble" role="alert">{escape(trouble)}</p>' if trouble else "",
            action=escape(f"{self._base}{SIGN_IN}"),
            back=escape(back),
            name="Name" if by_name else "Your name (stands beside your notes)",
            required="required" if by_name else "",
            password="Password" if by_name else "Token (printed where the server was started)",
        )
        return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})

    async def _socket(
        self, scope: Scope, receive: Receive, send: Send, person: Person | None, word: str
    ) -> None:
        """Hand a socket on for as long as its visit lasts."""
        if person is None:
            await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})
            return

        async def receive_while_visiting() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._visits.of(word) is None:
                await send({"type": "websocket.close", "code": 1008, "reason": "this visit has ended"})
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        await self._app(_bearing(scope, person), receive_while_visiting, send)


def _bearing(scope: Scope, person: Person | None) -> Scope:
    """The scope with the person's header, and without any that the browser sent under its name."""
    name = PERSON_HEADER.encode("ascii")
    headers = [(key, value) for key, value in scope["headers"] if key.lower() != name]
    if person is not None:
        headers.append((name, to_header(person).encode("ascii")))
    return {**scope, "headers": headers}


def _cookie(scope: Scope) -> str:
    for key, value in scope["headers"]:
        if key.lower() == b"cookie":
            for part in value.decode("latin-1").split(";"):
                name, _, word = part.strip().partition("=")
                if name == COOKIE:
                    return word[:MAX_WORD]
    return ""


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _is_page(path: str) -> bool:
    """Whether somebody may have typed this address: a page of the app, no file of it."""
    return path.count("/") <= 1 and "." not in path


def _back(request: Request, path: str) -> str:
    """Where to go after signing in: the page that was asked for, with its choices."""
    if path == SIGN_IN:
        return ""
    query = request.url.query
    return _safe_back(path.lstrip("/") + (f"?{query}" if query else ""))


def _safe_back(back: str) -> str:
    """A page of this app, or the first one where an address leads elsewhere."""
    parts = urlsplit(back)
    is_own = not parts.scheme and not parts.netloc and not back.startswith(("/", "\\")) and len(back) < 2_000
    return back if is_own and back.isprintable() and "\\" not in back else ""


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · VoxScope</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c2030; --paper: #ffffff; --line: #8b93a9; --act: #5046e4; --on: #ffffff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e7e9f3; --paper: #0f1219; --line: #7d869c; --act: #8f88ff; --on: #0f1219; }}
}}
body {{ background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; margin: 12vh auto;
  max-width: 22rem; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }}
label {{ display: block; margin: 1rem 0 .25rem; }}
input {{ background: none; border: 1px solid var(--line); border-radius: 8px; box-sizing: border-box; color: inherit;
  font: inherit; padding: .5rem .75rem; width: 100%; }}
button {{ background: var(--act); border: 0; border-radius: 8px; color: var(--on); cursor: pointer; font: inherit;
  margin-top: 1.5rem; padding: .6rem 1.2rem; }}
:focus-visible {{ outline: 3px solid var(--act); outline-offset: 2px; }}
.trouble {{ border-left: 4px solid #c0306b; padding-left: .75rem; }}
</style>
</head>
<body>
<main>
<h1>Sign in to VoxScope</h1>
{trouble}
<form method="post" action="{action}">
<input type="hidden" name="back" value="{back}">
<label for="name">{name}</label>
<input id="name" name="name" autocomplete="username" maxlength="64" {required} autofocus>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="200" required>
<button>Sign in</button>
</form>
</main>
</body>
</html>
"""
