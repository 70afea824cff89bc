"""The log of requests: a line of JSON each, with the id of the answer, and nothing of what people looked at."""

import json

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pages.serving import server
from pages.serving.guard import Guard
from pages.serving.request_log import REQUEST_ID, RequestLog


async def _page(request):
    if request.url.path.endswith("boom"):
        raise RuntimeError("secret")
    return PlainTextResponse("the app")


async def _socket(websocket):
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def ask(lines):
    inner = Starlette(routes=[WebSocketRoute("/_stcore/stream", _socket), Route("/{rest:path}", _page)])
    app = RequestLog(Guard(inner, hosts=[], base="voices"), base="/voices", write=lines.append)
    return TestClient(app, base_url="http://127.0.0.1:8501", raise_server_exceptions=False)


def test_each_request_has_a_line_and_an_id(ask, lines):
    answer = ask.get(
        "/latents?latent=7&q=secret&token=secret", headers={"cookie": "secret", "user-agent": "secret"}
    )
    (line,) = map(json.loads, lines)
    assert line["id"] == answer.headers[REQUEST_ID] and len(line["id"]) == 16
    assert (line["event"], line["method"], line["part"], line["status"]) == ("request", "GET", "latents", 200)
    assert line["ms"] >= 0 and "secret" not in lines[0] and lines[0].endswith("}\n")


@pytest.mark.parametrize(
    ("path", "part"),
    [("/voices/clips", "clips"), ("/voices", ""), ("/media/0a1b.mp3", "media"), ("/Secret%0aName", "other")],
)
def test_of_a_path_only_its_first_part_is_kept(ask, lines, path, part):
    ask.get(path)
    assert json.loads(lines[0])["part"] == part


def test_what_is_refused_or_fails_is_written_down_too(ask, lines):
    assert ask.get("/", headers={"host": "evil.example"}).status_code == 421
    ask.get("/boom")
    with ask.websocket_connect("/_stcore/stream", headers={"host": "127.0.0.1:8501"}):
        pass
    with (
        pytest.raises(WebSocketDisconnect),
        ask.websocket_connect("/_stcore/stream", headers={"host": "evil.example"}),
    ):
        pass
    refused, failed, visit, turned_away = map(json.loads, lines)
    assert turned_away["status"] == 403
    assert refused["status"] == 421
    assert failed["status"] == 500 and failed["error"] == "RuntimeError" and "secret" not in lines[1]
    assert (visit["event"], visit["status"], visit["part"]) == ("visit", 101, "_stcore")


@pytest.mark.parametrize(("given", "is_kept"), [("abc-12345678", True), ("x", False), ("a\tb{}" * 4, False)])
def test_the_id_of_a_proxy_is_kept_where_it_is_one(ask, given, is_kept):
    assert (ask.get("/", headers={REQUEST_ID: given}).headers[REQUEST_ID] == given) is is_kept


def test_it_stands_before_all_else_where_it_is_asked_for():
    assert [one.cls.__name__ for one in server.middleware(has_log=True)] == ["RequestLog", "Guard", "Front"]
    assert [one.cls.__name__ for one in server.middleware()] == ["Guard", "Front"]
