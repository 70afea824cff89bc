"""What every request passes first: hosts and origins of others, closed answers, endless numbers, headers."""

import socket

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit import net_util
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.web.server.server_util import is_url_from_allowed_origins
from streamlit.web.server.starlette.starlette_routes import create_media_routes

from pages.serving import server
from pages.serving.front import Front
from pages.serving.guard import CLOSED, HEADERS, MAX_PATH_BYTES, Guard
from pages.shared import media


async def _page(request):
    return PlainTextResponse("the app")


async def _socket(websocket):
    await websocket.accept()
    await websocket.send_text("the app")
    await websocket.close()


@pytest.fixture
def ask():
    """A client of an app behind the guard, asking as a browser on this machine does."""
    inner = Starlette(routes=[WebSocketRoute("/_stcore/stream", _socket), Route("/{rest:path}", _page)])
    return TestClient(Guard(inner, hosts=["voices.example"]), base_url="http://127.0.0.1:8501")


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "voices.example"])
def test_this_machine_and_named_hosts_are_served(ask, host):
    answer = ask.get("/latents", headers={"host": host, "origin": f"http://{host}"})
    assert (answer.status_code, answer.text) == (200, "the app")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "[", "localhost.evil"]
)
def test_a_name_that_was_pointed_here_is_refused(ask, host):
    assert ask.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil", "http://[", ""])
def test_pages_of_others_may_not_ask(ask, origin):
    assert ask.get("/", headers={"origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        ask.websocket_connect("/_stcore/stream", headers={"origin": origin}),
    ):
        pass
    assert closed.value.code == 1008


def test_a_page_of_this_machine_gets_its_socket(ask):
    with ask.websocket_connect(
        "/_stcore/stream", headers={"origin": "http://localhost:8501", "host": "localhost:8501"}
    ) as websocket:
        assert websocket.receive_text() == "the app"


@pytest.mark.parametrize("path", [*CLOSED, "/_stcore/agent/openapi.json", "/_stcore/agent/mcp"])
def test_answers_about_the_server_are_closed(ask, path):
    assert ask.get(path).status_code == 404
    assert ask.get("/_stcore/health").status_code == 200


def test_closed_answers_are_closed_below_a_base_path_too():
    client = TestClient(
        Guard(Starlette(routes=[Route("/{p:path}", _page)]), base="/vox/"), "http://localhost"
    )
    assert client.get("/vox/_stcore/metrics").status_code == 404
    assert client.get("/vox/latents").status_code == 200


def test_endless_numbers_are_refused_before_anyone_reads_them(ask):
    assert ask.get(f"/dot-sounds/x/{'9' * 5000}").status_code == 414
    assert ask.get("/media/x", headers={"range": f"bytes={'9' * 5000}-"}).status_code == 416
    assert ask.get(f"/{'a' * (MAX_PATH_BYTES - 1)}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/_stcore/metrics"])
def test_every_answer_says_what_a_browser_may_do_with_it(ask, path):
    answer = ask.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.headers["content-security-policy"], "no other host is allowed anything"


def test_an_unknown_origin_asks_nobody_outside(monkeypatch):
    def forbidden(*args, **kwargs):
        pytest.fail(f"the network was asked: {args}")

    for name in ("get_external_ip", "get_internal_ip"):
        monkeypatch.setattr(net_util, name, getattr(net_util, name))  # put back afterwards
    server.ask_nobody()
    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    assert not is_url_from_allowed_origins("http://evil.example")
    assert is_url_from_allowed_origins("http://127.0.0.1:8501")


def test_the_app_is_served_behind_the_guard(monkeypatch):
    options = {
        "browser.serverAddress": "voices.example",
        "server.corsAllowedOrigins": ["https://other.example:8443"],
        "server.baseUrlPath": "vox",
    }
    monkeypatch.setattr(server.st, "get_option", options.get)
    guard, front = server.middleware()
    assert (guard.cls, front.cls) == (Guard, Front)
    assert guard.kwargs.pop("is_left_over") is media.is_left_over
    assert guard.kwargs == {"hosts": ["voices.example", "other.example"], "base": "vox", "is_shared": False}


class _Runtime:
    """A runtime with Streamlit's own media files, whose visits are those in `active`."""

    def __init__(self) -> None:
        self.active = {"a", "b"}
        self.storage = MemoryMediaFileStorage("/media")
        self.media_file_mgr = MediaFileManager(self.storage)

    def is_active_session(self, session: str) -> bool:
        return session in self.active


@pytest.fixture
def visits(monkeypatch):
    """A running server that two visits, `a` and `b`, have opened."""
    found = _Runtime()
    monkeypatch.setattr(media.runtime, "exists", lambda: True)
    monkeypatch.setattr(media.runtime, "get_instance", lambda: found)
    return found


def add_sound(visits, monkeypatch, visit, content):
    monkeypatch.setattr("streamlit.runtime.media_file_manager._get_session_id", lambda: visit)
    return media.media_url(content, "audio/wav", content.decode())


def test_a_sound_answers_only_while_a_visit_that_holds_it_lasts(visits, monkeypatch):
    routes = create_media_routes(visits.storage, None)
    client = TestClient(Guard(Starlette(routes=routes), is_left_over=media.is_left_over), "http://localhost")
    own = add_sound(visits, monkeypatch, "a", b"of a alone")
    shared = {add_sound(visits, monkeypatch, visit, b"of both") for visit in "ab"}
    assert len(shared) == 1
    (shared,) = shared
    assert (client.get(own).content, client.get(shared).content) == (b"of a alone", b"of both")
    visits.active.remove("a")  # Streamlit still keeps its files, for two minutes or longer
    assert client.get(own).status_code == client.head(own).status_code == 404
    assert client.get(own, headers={"range": "bytes=0-3"}).status_code == 404
    assert client.get(shared).content == b"of both"
    visits.active.add("a")  # taken up again
    assert client.get(own, headers={"range": "bytes=0-3"}).content == b"of a"
    assert client.get("/media/unknown.wav").status_code == 404
    visits.active.clear()
    assert client.get(shared).status_code == 404


def test_below_a_base_path_sounds_end_too(visits, monkeypatch):
    routes = create_media_routes(visits.storage, "vox")
    app = Guard(Starlette(routes=routes), base="vox", is_left_over=media.is_left_over)
    own = add_sound(visits, monkeypatch, "a", b"of a alone")
    assert TestClient(app, "http://localhost").get(f"/vox{own}").status_code == 200
    visits.active.clear()
    assert TestClient(app, "http://localhost").get(f"/vox{own}").status_code == 404
