"""Draw docs/images/pages.png again: four pages of the demo, as a headless Chromium shows them.

Run `.venv/bin/python docs/screenshots.py` after pages have changed. Set CHROMIUM where it is not found.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
PICTURE = DOCS / "images" / "pages.png"
MAX_BYTES = 400_000
WIDTH, HEIGHT, GAP = 1320, 900, 20
SHOWN_WIDTH = 1640
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
DRAWN_S = 12
"""Until figures have come to rest: their own code says nothing that all of them share."""
CHARTS_DRAWN = """() => [...document.querySelectorAll('[data-testid="stPlotlyChart"]')]
  .every((chart) => chart.querySelector('.main-svg'))"""


def main() -> None:
    """Serve the demo, look at four pages, and keep them as one picture."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "workspaces" / "demo") as address:
        first, second = two_clips_of_one_speaker(Path(folder) / "workspaces" / "demo")
        pages = ("latents", "map", "steering", f"match?a={first}&b={second}")
        shots = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in look_at(address, pages)]
    compose(shots).save(PICTURE, optimize=True)
    n_bytes = PICTURE.stat().st_size
    assert n_bytes <= MAX_BYTES, f"{PICTURE} has {n_bytes:,} bytes"


@contextmanager
def serve(workspace: Path) -> Iterator[str]:
    """The address of a server with a fresh copy of the demo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sae_core", "demo", "open", "--workspace", str(workspace)]
    process = subprocess.Popen([*command, "--port", str(port), "--headless"], cwd=DOCS.parent)
    address = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def two_clips_of_one_speaker(workspace: Path) -> tuple[str, str]:
    """The ids of two clips by the human speaker with the most of them."""
    sys.path.insert(0, str(DOCS.parent))
    import sae_core

    table = sae_core.clips(workspace)
    speech = table[table["kind"] == "speech"]
    ids = speech.loc[speech["speaker_id"] == speech["speaker_id"].mode()[0], "clip_id"]
    return str(ids.iloc[0]), str(ids.iloc[1])


def look_at(address: str, pages: tuple[str, ...]) -> Iterator[bytes]:
    """A picture of each page, once its figures are drawn."""
    names = (os.environ.get("CHROMIUM") or "", "chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        for page in pages:
            tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            tab.goto(f"{address}/{page}", timeout=120_000)
            tab.get_by_role("heading", level=1).first.wait_for(timeout=120_000)
            tab.wait_for_timeout(1000 * DRAWN_S)
            tab.locator('[data-testid="stStatusWidget"]').wait_for(state="detached", timeout=120_000)
            tab.wait_for_function(CHARTS_DRAWN, timeout=120_000)
            yield tab.screenshot()
            tab.close()
        browser.close()


def compose(shots: list[Image.Image]) -> Image.Image:
    """Two rows of two, with a gap between them; in levels of 8, which nobody sees and which halve the file."""
    size = (2 * WIDTH + GAP, 2 * HEIGHT + GAP)
    whole = Image.new("RGB", size, "#c9ccd6")
    for number, shot in enumerate(shots):
        whole.paste(shot, ((number % 2) * (WIDTH + GAP), (number // 2) * (HEIGHT + GAP)))
    shown = whole.resize((SHOWN_WIDTH, round(SHOWN_WIDTH * size[1] / size[0])), Image.Resampling.LANCZOS)
    return shown.point([min(255, (level + 4) // 8 * 8) for level in range(256)] * 3)


if __name__ == "__main__":
    main()
