"""What is written into every page: once, in its head, and into nothing else."""

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.serving.front import Front, furniture

PAGE = f"<html><head><title>Streamlit</title></head><body>{'é' * 3000}<head></body></html>"
BROWSER = {"accept": "text/html,application/xhtml+xml", "accept-encoding": "gzip"}


@pytest.fixture
def ask():
    def page(request):
        return HTMLResponse(PAGE, headers={"etag": '"1"', "last-modified": "today"})

    inner = Starlette(
        routes=[Route("/data", lambda request: JSONResponse({"a": 1})), Route("/{rest:path}", page)]
    )
    inner.add_middleware(GZipMiddleware)
    return TestClient(Front(inner), base_url="http://127.0.0.1:8501")


def test_a_page_carries_script_and_style_once_and_says_its_new_length(ask):
    answer = ask.get("/latents", headers={**BROWSER, "if-none-match": '"1"', "range": "bytes=0-3"})
    added = furniture().decode()
    assert answer.text == PAGE.replace("<head>", f"<head>{added}", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert not {"etag", "last-modified", "content-encoding"} & set(answer.headers)


@pytest.mark.parametrize(("path", "headers"), [("/data", BROWSER), ("/latents", {"accept": "*/*"})])
def test_what_is_no_page_or_is_not_asked_for_by_a_browser_stays_as_it_is(ask, path, headers):
    assert furniture() not in ask.get(path, headers=headers).content
