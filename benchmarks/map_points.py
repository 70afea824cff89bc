"""How long a map of many dots takes to appear, to move, to recolour and to answer a lasso, in a headless Chromium.

Run `python -m benchmarks.map_points 20000 100000 1000000`; it serves itself as a small app of random dots. WebGL runs
on the processor there (SwiftShader), so a machine with a graphics card is faster.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
N_ISLANDS, N_GROUPS = 300, 12
FLAGS = ("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
DEFAULT_SIZES = ("20000", "100000", "1000000")
PIXELS = (1440, 1000)
STROKE_MS = 1500
RECORD_FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  window.isRecording = true;
  const next = () => {
    const now = performance.now();
    window.frames_ms.push(now - last);
    last = now;
    if (window.isRecording) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}"""


def draw_app() -> None:
    """The app: a map of random dots, and what was chosen on it."""
    import streamlit as st

    sys.path.insert(0, str(REPOSITORY))
    from pages.figures.point_map.point_map import (
        DotFiles,
        Legend,
        LegendEntry,
        MapEvents,
        MapState,
        point_map,
    )
    from sae_core.analysis.map_selection import rows_inside

    st.set_page_config(layout="wide")
    n_points = int(st.query_params.get("n", "1000"))
    found, codes, counts = st.cache_resource(make_points)(n_points)
    entries = [
        LegendEntry(f"group-{code}", f"Group {code}", "value", code, code, int(counts[code]))
        for code in range(N_GROUPS)
    ]
    state = MapState(str(n_points), "groups", area=st.session_state.get("corners", []))
    events = MapEvents(
        lambda point: st.session_state.update(dot=point),
        lambda corners: st.session_state.update(corners=corners),
        lambda _: None,
    )
    point_map(DotFiles(found.packed()), Legend("Group", entries, codes), state, events, key="dots")
    st.text(f"dot {st.session_state.get('dot', 'none')}")
    corners = st.session_state.get("corners", [])
    st.text(f"chosen {len(rows_inside(found, np.array(corners))) if len(corners) > 2 else 'none'}")


def make_points(n_points: int) -> tuple[Any, bytes, np.ndarray]:
    """Dots in islands of one group each: the map, its codes, and how many dots each group has."""
    from sae_core.measures.maps import PointMap

    random = np.random.default_rng(0)
    centres = random.uniform(-0.85, 0.85, (N_ISLANDS, 2))
    island = random.integers(0, N_ISLANDS, n_points)
    spread = random.uniform(0.005, 0.05, N_ISLANDS)[island, None]
    xy = np.clip(centres[island] + spread * random.normal(size=(n_points, 2)), -1, 1).astype(np.float32)
    found = PointMap(xy, np.ones(n_points, dtype=bool), {})
    codes = (island % N_GROUPS).astype(np.uint8)[found.rows]
    return found, codes.tobytes(), np.bincount(codes, minlength=N_GROUPS)


def main(sizes: list[str]) -> None:
    """Serve the app, drive it with a browser, and print a table."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", __file__, "--server.port", str(port)]
    server = subprocess.Popen(
        [*command, "--server.headless", "true"], cwd=REPOSITORY, stdout=subprocess.DEVNULL, env=os.environ
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
            window = browser.new_page(viewport={"width": PIXELS[0], "height": PIXELS[1]})
            open_map(window, port, 1000)
            for size in sizes:
                report(int(size), measure(window, port, int(size)))
            browser.close()
    finally:
        server.terminate()


def wait_for(url: str) -> None:
    """Return once the server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the server did not start")


def open_map(window: Any, port: int, n_points: int) -> float:
    """Open a map and return the seconds until all its dots are drawn."""
    started = time.perf_counter()
    window.goto(f"http://127.0.0.1:{port}/?n={n_points}")
    window.locator(f".stage[data-state=ready][data-points='{n_points}']").wait_for(timeout=120_000)
    return time.perf_counter() - started


def measure(window: Any, port: int, n_points: int) -> dict[str, str]:
    """Everything that is measured of one map; the first visit prepares the dots on the server, the second counts."""
    open_map(window, port, n_points)
    found = {"opened s": f"{open_map(window, port, n_points):.2f}"}
    box = window.locator(".stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    window.mouse.move(*middle)
    found |= stroke(window, "pan", lambda step: window.mouse.move(middle[0] + 3 * step, middle[1] + 2 * step))
    window.locator(".tool.whole").click()
    settle(window)
    window.mouse.move(*middle)
    found |= stroke(window, "zoom", lambda _: window.mouse.wheel(0, -30), is_drag=False)
    window.locator(".tool.whole").click()
    settle(window)
    started = time.perf_counter()
    window.locator(".entry").nth(3).click()
    found["isolate ms"] = f"{1000 * (settle(window) - started):.0f}"
    window.locator(".show-all").click()
    settle(window)
    place = window.locator(".stage").evaluate("node => node.placeOf(5)")
    started = time.perf_counter()
    window.mouse.click(place["x"], place["y"])
    window.get_by_text("dot", exact=False).filter(has_not_text="none").first.wait_for()
    found["click to server and back ms"] = f"{1000 * (time.perf_counter() - started):.0f}"
    window.locator(".tool.lasso").click()
    found |= lasso(window, middle)
    found["dots drawn while it moves"] = f"{int(window.locator('.stage').get_attribute('data-at-once')):,}"
    return found


def stroke(window: Any, name: str, move: Any, *, is_drag: bool = True) -> dict[str, str]:
    """Time between frames while dots are moved, and how long after it all of them are there again."""
    window.evaluate(RECORD_FRAMES)
    if is_drag:
        window.mouse.down()
    started = time.perf_counter()
    step = 0
    while 1000 * (time.perf_counter() - started) < STROKE_MS:
        move(step % 60)
        step += 1
        window.wait_for_timeout(8)
    if is_drag:
        window.mouse.up()
    ended = time.perf_counter()
    window.evaluate("() => { window.isRecording = false; }")
    settled = settle(window)
    frames = sorted(window.evaluate("() => window.frames_ms"))
    return {
        f"{name} frame ms (median)": f"{statistics.median(frames):.0f}",
        f"{name} frame ms (95 %)": f"{frames[int(0.95 * len(frames))]:.0f}",
        f"{name} whole again ms": f"{1000 * (settled - ended):.0f}",
    }


def settle(window: Any) -> float:
    """Wait until every dot is drawn and return the time."""
    window.locator(".stage[data-state=ready]").wait_for(timeout=120_000)
    return time.perf_counter()


def lasso(window: Any, middle: tuple[float, float]) -> dict[str, str]:
    """Draw round a good part of the dots."""
    angles = np.linspace(0, 2 * np.pi, 60)
    corners = [(middle[0] + 200 * np.cos(angle), middle[1] + 200 * np.sin(angle)) for angle in angles]
    window.mouse.move(*corners[0])
    window.mouse.down()
    for corner in corners[1:]:
        window.mouse.move(*corner)
    started = time.perf_counter()
    window.mouse.up()
    chosen = window.get_by_text("chosen", exact=False).filter(has_not_text="none")
    chosen.wait_for()
    return {
        "lasso ms": f"{1000 * (time.perf_counter() - started):.0f}",
        "lasso chose": chosen.inner_text().removeprefix("chosen "),
    }


def report(n_points: int, found: dict[str, str]) -> None:
    """Print one map's figures."""
    print(f"\n{n_points:,} dots")
    for name, value in found.items():
        print(f"  {name:30} {value}")


if __name__ == "__main__":
    from streamlit import runtime

    if runtime.exists():
        draw_app()
    else:
        main(sys.argv[1:] or list(DEFAULT_SIZES))
