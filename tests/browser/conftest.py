"""The real app on the small workspace, and a real Chromium that looks at it.

A browser test fails, whatever else it checks, when the page logged an error or asked any host but this machine.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect, sync_playwright

REPOSITORY = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 90
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",  # WebGL in software, where there is no GPU
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=user-gesture-required",  # as people have it: a click, then sound
)
# opened on a deep link, Streamlit first looks for its server below that link, then above it
DEEP_LINK_GUESS = re.compile(r"/\w+/_stcore/(health|host-config)$")
NO_BROWSER = (
    "NO CHROMIUM, BROWSER TESTS SKIPPED: install it (apt install chromium) or set CHROMIUM=/path/to/it"
)

expect.set_options(timeout=20_000)


def _find_browser() -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM") or "", *BROWSERS))), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, where everyone sees it, that the browser tests did not run."""
    if _find_browser() is None:
        terminalreporter.write_line(f"*** {NO_BROWSER} ***", red=True, bold=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running headless Chromium; skips where there is none."""
    executable = _find_browser()
    if executable is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        yield from _launch(playwright, executable)


def _launch(playwright: Playwright, executable: str) -> Iterator[Browser]:
    running = playwright.chromium.launch(executable_path=executable, args=list(BROWSER_FLAGS))
    yield running
    running.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """A function that serves a workspace as people do and returns the app's address; servers stop with the tests."""
    with contextlib.ExitStack() as servers:
        yield lambda workspace: servers.enter_context(
            _serving(workspace, tmp_path_factory.mktemp("server") / "log")
        )


@contextlib.contextmanager
def _serving(workspace: Path, log: Path) -> Iterator[str]:
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "sae_core",
        "serve",
        "--workspace",
        str(workspace),
        "--port",
        str(port),
        "--headless",
    ]
    with log.open("wb") as stream:
        server = subprocess.Popen(command, cwd=REPOSITORY, stdout=stream, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(
                f"the server ended with code {server.returncode}:\n{log.read_text('utf-8', 'replace')[-4000:]}"
            )
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2),
        ):
            return
        time.sleep(0.2)
    pytest.fail(
        f"the server was not up after {START_TIMEOUT_S} s:\n{log.read_text('utf-8', 'replace')[-4000:]}"
    )


@pytest.fixture(scope="session")
def app_address(serve: Callable[[Path], str], small_workspace: Path) -> str:
    """Where the app on `small_workspace` is served, like http://127.0.0.1:40123."""
    return serve(small_workspace)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser window of 1440 × 900; the test fails on logged errors and on requests to other hosts."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    window = context.new_page()
    complaints: list[str] = []

    def note_console(message: ConsoleMessage) -> None:
        url = str(message.location.get("url", ""))
        # a sound that was asked for while its page was left is gone by then, and heard by nobody
        is_left_behind = "/media/" in url and "404" in message.text
        if message.type == "error" and not is_left_behind and not DEEP_LINK_GUESS.search(url):
            complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def note_address(url: str) -> None:
        if urlsplit(url).scheme not in {"data", "blob"} and urlsplit(url).hostname != "127.0.0.1":
            complaints.append(f"asked another host: {url}")

    window.on("console", note_console)
    window.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
    window.on("request", lambda request: note_address(request.url))
    window.on("websocket", lambda websocket: note_address(websocket.url))
    yield window
    context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def wait_for_app() -> Callable[[Page], None]:
    """A function that returns once the app has drawn everything and is waiting for people."""

    def wait(page: Page) -> None:
        app = page.get_by_test_id("stApp")
        expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
        expect(app).to_have_attribute("data-test-script-state", re.compile("notRunning"))
        expect(page.get_by_test_id("stAppSkeleton")).to_have_count(0)
        expect(page.get_by_test_id("stException")).to_have_count(0)

    return wait


@pytest.fixture
def click_row() -> Callable[..., None]:
    """`click_row(page, table, row=…)` clicks into a row of a table by its key; its cells are painted, not elements."""

    def click(page: Page, table: str, *, row: int, x: int = 180) -> None:
        canvas = page.locator(f".st-key-{table} canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + x, box["y"] + 36 + 33 * row + 16)

    return click


@pytest.fixture
def visit(page: Page, app_address: str, wait_for_app: Callable[[Page], None]) -> Callable[..., Page]:
    """`visit(path)` opens a page of the app and returns once everything is drawn."""

    def go(path: str = "") -> Page:
        page.goto(f"{app_address}/{path}")
        wait_for_app(page)
        return page

    return go
