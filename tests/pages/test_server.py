"""The server of the app, and the sounds of dots: those of the map that was offered, in any part, and nothing else."""

import asyncio
import gc
import socket
from types import SimpleNamespace

import pytest
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from pages.figures.point_map import dot_sounds
from pages.serving import server
from pages.shared import media, session
from sae_core.build.workspace_maps import open_map
from sae_core.workspace.workspace import open_workspace
from tests.plain_maps import copy_with_maps


@pytest.fixture(scope="module")
def folder(small_workspace, tmp_path_factory):
    return copy_with_maps(small_workspace, tmp_path_factory.mktemp("maps"))


@pytest.fixture
def view(folder):
    workspace = open_workspace(folder)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture
def ask(monkeypatch):
    """`ask(token, point, range)` returns what the server answers."""
    monkeypatch.setattr(dot_sounds, "_desk", dot_sounds._Desk())
    monkeypatch.setattr(st, "session_state", {})
    dot_sounds.answer_from_now_on()
    (route,) = server.routes()

    def answer(address: str, point: int, wanted: str = "") -> Response:
        headers = [(b"range", wanted.encode())] if wanted else []
        scope = {"type": "http", "method": "GET", "headers": headers, "path": f"{address}/{point}"}
        match, found = route.matches(scope)
        assert match is Match.FULL, "the server answers at the address that was offered"
        return asyncio.run(route.endpoint(Request(scope | found)))

    return answer


@pytest.mark.parametrize("kind", ["codes", "directions"])
def test_every_dot_sounds_as_the_clip_it_stands_for(ask, view, kind):
    found = open_map(view, kind)
    address = dot_sounds.offer(view, found, "a map", are_latents=kind == "directions")
    assert address == dot_sounds.offer(view, found, "a map", are_latents=kind == "directions")
    for point in (0, len(found.rows) // 2, len(found.rows) - 1):
        row = int(found.rows[point])
        heard = row if kind == "codes" else int(view.index.top(row, 1)[0][0])
        answer = ask(address, point)
        assert (answer.body, answer.headers["content-type"]) == view.workspace.clip_audio(heard)


def test_a_browser_gets_the_part_it_asks_for(ask, view):
    address = dot_sounds.offer(view, open_map(view, "codes"), "a map", are_latents=False)
    whole = ask(address, 3).body
    part = ask(address, 3, "bytes=10-19")
    assert (part.status_code, part.body) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert ask(address, 3, "bytes=100-").body == whole[100:]
    assert ask(address, 3, f"bytes=5-{len(whole) + 5}").body == whole[5:]
    assert ask(address, 3, f"bytes={len(whole)}-").status_code == 416
    for odd in ("bytes=-5", "bytes=a-b", "lines=1-2", "bytes="):
        assert (ask(address, 3, odd).status_code, ask(address, 3, odd).body) == (200, whole)


def test_nothing_else_sounds(ask, view, monkeypatch):
    found = open_map(view, "codes")
    address = dot_sounds.offer(view, found, "a map", are_latents=False)
    assert ask(address, len(found.rows)).status_code == 404
    assert ask("/dot-sounds/guessed", 0).status_code == 404
    monkeypatch.setattr(dot_sounds, "MAX_OFFERED", 2)
    others = [dot_sounds.offer(view, found, f"map {n}", are_latents=False) for n in range(2)]
    assert len({address, *others}) == 3, "each map has an address of its own"
    assert ask(address, 0).status_code == 404, "the one opened longest ago was let go"
    assert ask(others[0], 0).status_code == 200


def test_a_recording_that_is_gone_is_silence_not_a_failure(ask, view, monkeypatch):
    monkeypatch.setattr(dot_sounds, "clip_sound", lambda *_: dot_sounds.ClipSound(problem="is gone"))
    address = dot_sounds.offer(view, open_map(view, "codes"), "a map", are_latents=False)
    assert ask(address, 0).status_code == 404


def test_a_workspace_that_was_closed_is_not_kept_open(ask, folder):
    workspace = open_workspace(folder)
    view = workspace.sae(workspace.sae_names()[0])
    address = dot_sounds.offer(view, open_map(view, "codes"), "a map", are_latents=False)
    assert ask(address, 0).status_code == 200
    del workspace, view
    gc.collect()
    assert ask(address, 0).status_code == 404


def test_a_sound_ends_with_the_visit_that_it_was_offered_to(ask, view, monkeypatch):
    lasting = {"a visit"}
    monkeypatch.setattr(media.runtime, "exists", lambda: True)
    monkeypatch.setattr(
        media.runtime, "get_instance", lambda: SimpleNamespace(is_active_session=lasting.__contains__)
    )
    monkeypatch.setattr(dot_sounds, "get_script_run_ctx", lambda: SimpleNamespace(session_id="a visit"))
    address = dot_sounds.offer(view, open_map(view, "codes"), "a map", are_latents=False)
    assert ask(address, 0).status_code == 200
    lasting.clear()
    assert ask(address, 0).status_code == 404


def test_without_this_server_no_address_is_offered(view, monkeypatch):
    monkeypatch.setattr(dot_sounds, "_desk", dot_sounds._Desk())
    assert dot_sounds.offer(view, open_map(view, "codes"), "a map", are_latents=False) == ""


def test_the_first_workspace_is_open_before_anyone_comes(folder, monkeypatch):
    monkeypatch.setattr(session, "_shelf", session._Shelf())
    monkeypatch.setenv("VOXSCOPE_WORKSPACE", str(folder))
    server.get_ready()
    opened = session._shelf.opened(folder)
    assert opened is not None and opened is session._shelf.open(folder)


def test_a_broken_workspace_keeps_no_server_from_starting(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXSCOPE_WORKSPACE", str(tmp_path))
    server.get_ready()
    assert session._shelf.opened(tmp_path) is None


def test_the_server_listens_to_this_machine_alone_and_sends_at_once():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with server.listen(port) as listening:
        assert listening.getsockname() == ("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            connection, _ = listening.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
