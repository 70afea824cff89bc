"""Signing in: what nobody gets without a visit, how a visit begins and ends, and what a person may do with it."""

from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pages.serving import server
from pages.serving.sign_in import COOKIE, SIGN_IN, SIGN_OUT, SignIn
from pages.serving.visits import LASTS_S, MAX_FAILURES, Tries, Visits
from pages.shared.person import LINK, PERSON_HEADER, Invitations, to_header
from sae_core.files.errors import ArtifactError
from sae_core.workspace.people import EVERYWHERE, OWNER, People, Person

pytest.importorskip("argon2")

WORD = "correct horse battery"
TOKEN = "t0ken-" + "x" * 26


@pytest.fixture(scope="module")
def people():
    return People({}).with_person("ana", WORD, {"calls": "annotate", "demo": "read"})


async def echo(request):
    return PlainTextResponse(f"in {request.headers.get(PERSON_HEADER, 'nobody')}")


async def talk(socket):
    await socket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(f"{await socket.receive_text()} {socket.headers.get(PERSON_HEADER)}")


def client(**options):
    """A browser on the middleware around an app that tells whom it was asked by."""
    app = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", talk),
            Route("/{rest:path}", echo, methods=["GET", "POST", "PUT", "DELETE", "HEAD"]),
        ]
    )
    return TestClient(
        SignIn(app, invitations=options.pop("invitations", Invitations()), **options), follow_redirects=False
    )


def sign_in(browser, name="ana", password=WORD, **more):
    return browser.post(SIGN_IN, data={"name": name, "password": password, **more})


WITHOUT = [
    "/", "/latents", "/clips?clip=x", "/build", "/notes", "/media/0f3a.wav", "/media/0f3a.wav?download=1",
    "/dot-sounds/abc/0",
    "/_stcore/host-config", "/_stcore/upload_file/a/b",
    "/_stcore/metrics", "/static/js/index.js", "/index.html",
    "/component/x.js", "//media/0f3a.wav", "/./media/0f3a.wav", "/sign-in/../media/0f3a.wav", "/sign-in/media/0f3a.wav",
    "/sign-out/media/a.wav", "/_stcore/health/media/a.wav", "/%6dedia/0f3a.wav", "/media/0f3a.wav;x", "/MEDIA/0f3a.wav",
    "/?token=wrong", "/media/0f3a.wav?token=", f"/?{LINK}=forged", f"/media/a.wav?{LINK}=", "/app/static/x.png",
]  # fmt: skip


@pytest.mark.parametrize("address", WITHOUT)
def test_nothing_is_had_without_a_visit(people, address):
    with client(people=people, token=None) as browser:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            answer = browser.request(method, address)
            assert answer.status_code in (401, 403), (method, answer.status_code)
            assert "in nobody" not in answer.text and COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"{COOKIE}=guessed"}, {"cookie": f"{COOKIE}="}, {"cookie": f"other=1; {COOKIE}=" + "a" * 9_000},
        {PERSON_HEADER: to_header(Person("ana", {EVERYWHERE: "build"}))}, {"authorization": f"Bearer {WORD}"},
        {"x-forwarded-for": "127.0.0.1"}, {"x-forwarded-user": "ana"}, {"cookie": b"\xe9\xff"},
    ],
)  # fmt: skip
def test_no_header_stands_for_a_visit(people, headers):
    with client(people=people) as browser:
        assert browser.get("/media/a.wav", headers=headers).status_code == 401
        with (
            pytest.raises(WebSocketDisconnect),
            browser.websocket_connect("/_stcore/stream", headers=headers),
        ):
            pass


def test_a_name_and_a_password_begin_a_visit_that_ends_when_one_signs_out(people):
    with client(people=people) as browser:
        begun = sign_in(browser, back="latents?latent=3")
        assert begun.status_code == 303 and begun.headers["location"] == "/latents?latent=3"
        told = begun.headers["set-cookie"].lower()
        assert "httponly" in told and "samesite=lax" in told and WORD not in told
        assert browser.get("/media/a.wav").text == f"in {to_header(Person('ana', people.listed()['ana']))}"
        forged = browser.get("/", headers={PERSON_HEADER: "me"})
        assert forged.text.endswith(to_header(Person("ana", people.listed()["ana"])))
        with browser.websocket_connect("/_stcore/stream") as socket:
            socket.send_text("hello")
            assert socket.receive_text().startswith("hello ey")
            stolen = browser.cookies[COOKIE]
            assert browser.get(SIGN_OUT).status_code == 303
            socket.send_text("still there?")
            with pytest.raises(WebSocketDisconnect):
                socket.receive_text()
        browser.cookies.set(COOKIE, stolen)
        assert browser.get("/media/a.wav").status_code == 401


@pytest.mark.parametrize(
    "back",
    [
        "https://elsewhere.example",
        "//elsewhere.example",
        "\\\\elsewhere",
        "/\\elsewhere",
        "a\nb",
        "javascript:alert(1)",
    ],
)
def test_signing_in_leads_nowhere_else(people, back):
    with client(people=people) as browser:
        assert sign_in(browser, back=back).headers["location"] == "/"


def test_a_wrong_password_is_refused_and_many_stop_the_right_one_too(people):
    with client(people=people) as browser:
        for _ in range(MAX_FAILURES):
            assert sign_in(browser, password="not it, sorry").status_code == 403
        assert sign_in(browser).status_code == 429
    with client(people=people) as browser:
        for name in ("eve", "", "ANA", "ana\0"):
            assert sign_in(browser, name=name).status_code == 403
        assert browser.post(SIGN_IN, content=b"x" * 10_000).status_code == 413


def test_a_token_lets_in_by_its_address_once_and_vanishes_from_it():
    with client(token=TOKEN) as browser:
        assert browser.get("/?token=wrong").status_code == 403
        begun = browser.get(f"/latents?latent=3&token={TOKEN}")
        assert (begun.status_code, begun.headers["location"]) == (303, "/latents?latent=3")
        assert browser.get("/latents").text.endswith(to_header(Person("", {EVERYWHERE: "build"})))
    with client(token=TOKEN) as browser:
        for _ in range(MAX_FAILURES):
            browser.get("/?token=wrong")
        assert browser.get(f"/?token={TOKEN}").status_code == 403
    with client(token=TOKEN) as browser:
        assert sign_in(browser, name="Bo", password=TOKEN).status_code == 303
        assert browser.get("/").text.endswith(to_header(Person("Bo", {EVERYWHERE: "build"})))


def test_a_link_opens_one_workspace_to_read_until_it_ends(people):
    made = Invitations()
    with client(people=people, invitations=made) as browser:
        begun = browser.get(f"/steering?workspace=demo&{LINK}={made.token('demo', hours=1)}")
        assert begun.headers["location"] == "/steering?workspace=demo"
        guest = made.guest(made.token("demo", hours=1))[0]
        assert browser.get("/").text.endswith(to_header(guest))
    assert guest.may("read", "demo") and not guest.may("annotate", "demo") and not guest.may("read", "calls")
    assert made.guest(made.token("demo", hours=1e-9)) is None, "one that is over"
    assert made.guest(Invitations().token("demo", hours=1)) is None, "one of another server"
    word = made.token("demo", hours=1)
    assert all(
        made.guest(word[:at] + "x" + word[at + 1 :]) is None
        for at in range(0, len(word), 7)
        if word[at] != "x"
    )
    with pytest.raises(ValueError, match="up to"):
        made.token("demo", hours=10_000)


def test_health_alone_is_open(people):
    with client(people=people) as browser:
        assert (browser.get("/_stcore/health").status_code, browser.get(SIGN_IN).status_code) == (200, 200)


def test_visits_end_when_nobody_was_seen_and_links_when_their_time_is_over():
    now = [0.0]
    visits = Visits(clock=lambda: now[0])
    word, link = visits.begin(OWNER), visits.begin(OWNER, lasts_s=60)
    now[0] = 59
    assert visits.of(word) is OWNER and visits.of(link) is OWNER
    now[0] = LASTS_S + 58
    assert visits.of(word) is OWNER and visits.of(link) is None
    now[0] += LASTS_S
    assert visits.of(word) is None and word not in str(vars(visits))


def test_failures_are_forgotten_in_time_and_their_list_stays_short():
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    for _ in range(MAX_FAILURES):
        tries.failed("address 1", "name ana")
    assert tries.are_too_many("address 2", "name ana") and not tries.are_too_many("address 2")
    now[0] = 301
    assert not tries.are_too_many("address 1", "name ana")


def test_a_base_path_is_kept(people):
    with client(people=people, base="voices") as browser:
        answer = browser.get("/voices/latents")
        assert answer.status_code == 401 and 'action="/voices/sign-in"' in answer.text
        begun = browser.post(f"/voices{SIGN_IN}", data={"name": "ana", "password": WORD, "back": "clips"})
        assert (
            begun.headers["location"] == "/voices/clips"
            and "path=/voices/" in begun.headers["set-cookie"].lower()
        )


def test_beyond_this_machine_a_server_needs_somebody_to_sign_in():
    with pytest.raises(ValueError, match="nobody could sign in"):
        SignIn(None)
    assert [one.cls.__name__ for one in server.middleware()] == ["Guard", "Front"]
    assert [one.cls.__name__ for one in server.middleware(token=TOKEN)] == ["Guard", "SignIn", "Front"]


def test_roles_hold_where_they_were_given(app_test, small_workspace, words, monkeypatch):
    def seen_by(person, page):
        monkeypatch.setattr("pages.shared.person._header", lambda: to_header(person))
        return app_test(small_workspace, page).run()

    name = small_workspace.name
    stranger, reader = Person("ana", {"another": "build"}), Person("ana", {name: "read"})
    assert "ou may not open this workspace" in words(seen_by(stranger, "latents"))
    may_read = seen_by(reader, "latents")
    assert not may_read.exception and not [one for one in may_read.button if "star" in str(one.key)]
    assert "ou may not build" in words(seen_by(reader, "build"))
    assert [one for one in seen_by(OWNER, "latents").button if "star" in str(one.key)]


def test_what_is_written_needs_the_role(monkeypatch):
    from pages.shared import person

    monkeypatch.setattr(person, "_header", lambda: to_header(Person("ana", {"demo": "read"})))
    person.need("read", "demo")
    with pytest.raises(ArtifactError, match=r"look and listen.*annotate"):
        person.need("annotate", "demo")
