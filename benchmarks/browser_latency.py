"""How long a person waits in the browser: slider to figure, page to page, latent to latent, dot to sound.

python -m benchmarks.browser_latency [--workspace W] [--tries 20]

Serves the workspace (by default the demo), opens it in headless Chromium and does each thing over and over. Times are
taken inside the page, from the event a hand would cause to the frame that shows the answer.
"""

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
AIMS_MS = {"slider to new figure": 150, "page change": 500, "latent change": 300, "dot to sound": 200}
# finds an element by selectors from the outside in, through the shadow roots of components
DEEP = """window.deep = (...selectors) => {
  const within = (root, selector) => {
    const found = root.querySelector(selector);
    if (found) return found;
    for (const node of root.querySelectorAll("*")) {
      const inside = node.shadowRoot && within(node.shadowRoot, selector);
      if (inside) return inside;
    }
    return null;
  };
  return selectors.reduce((root, selector) => root && within(root, selector), document);
};"""
# waits, frame by frame, until `done()` is no longer what it was; gives up after 20 s
TIMED = """async ([act, done]) => {
  const read = new Function("return (" + done + ")");
  const before = JSON.stringify(read());
  const start = performance.now();
  await new Function("return (" + act + ")")();
  while (performance.now() - start < 20000) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const now = read();
    if (now !== null && JSON.stringify(now) !== before) return performance.now() - start;
  }
  throw new Error("nothing happened");
}"""
# on a click, notes when it happened and when the page's player next begins to sound
LISTEN = """() => {
  window.started = window.clicked = null;
  addEventListener("pointerdown", () => { window.clicked = performance.now(); }, { capture: true, once: true });
  const audio = window.__voxscopePlayer?.audio;
  audio?.pause();
  audio?.addEventListener("playing", () => { window.started = performance.now(); }, { once: true });
}"""
DOTS = """(n) => {
  const node = deep(".stage"), box = node.getBoundingClientRect();
  const inside = (p) => p.x > box.left + 160 && p.x < box.right - 20
    && p.y > box.top + 60 && p.y < Math.min(box.bottom, innerHeight) - 20;
  const places = [...Array(Number(node.dataset.points)).keys()].map((i) => node.placeOf(i)).filter(inside);
  return places.filter((_, i) => i % Math.max(1, Math.floor(places.length / n)) === 0).slice(0, n);
}"""
PLAYER = "window.__voxscopePlayer"


def timed(page: Page, act: str, done: str) -> float:
    """Milliseconds from `act` to the first frame in which `done` has a new value; both are JavaScript expressions."""
    return float(page.evaluate(TIMED, [act, done]))


def settle(page: Page) -> None:
    """Wait until the app is idle."""
    page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_timeout(400)


def latent_changes(page: Page, address: str, tries: int) -> list[float]:
    """Next latent: until its heading and the first of its strongest clips are those of another latent."""
    page.goto(f"{address}/latents")
    settle(page)
    click = "[...document.querySelectorAll('button')].find((b) => b.innerText.includes('Next')).click()"
    heading = "document.querySelector('.st-key-latent_heading h2')?.innerText ?? null"
    times = []
    for _ in range(tries):
        times.append(timed(page, click, heading))
        settle(page)
    return times


def page_changes(page: Page, address: str, tries: int) -> list[float]:
    """Latents → Clips and back: until the first clip card of the other page stands."""
    page.goto(f"{address}/latents")
    settle(page)
    times = []
    for number in range(tries):
        name, mark = (("Clips", "chosen_clip"), ("Latents", "clips_strongest"))[number % 2]
        click = (
            f"[...document.querySelectorAll('a')].find((a) => a.innerText.trim().endsWith('{name}')).click()"
        )
        times.append(timed(page, click, f"deep('.st-key-{mark}', '.card') ? '{mark}' : null"))
        settle(page)
    return times


def slider_moves(page: Page, address: str, tries: int) -> list[float]:
    """A step of a steering slider: until the figure shows other numbers."""
    page.goto(f"{address}/steering")
    page.wait_for_selector(".st-key-steering_desk .shift", timeout=60_000)
    settle(page)
    lines = "deep('.st-key-steering_desk', 'svg').querySelectorAll('.after')"
    figure = f"[...{lines}].map((line) => line.getAttribute('d')).join()"
    times = []
    for number in range(tries):
        share = 0.05 + 0.9 * ((number * 7) % tries) / tries
        move = f"""(() => {{ const slider = deep('.st-key-steering_desk', '.range');
          slider.value = Number(slider.min) + {share} * (Number(slider.max) - Number(slider.min));
          slider.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"""
        times.append(timed(page, move, figure))
        page.wait_for_timeout(300)
    return times


def dots_to_sound(page: Page, address: str, tries: int) -> list[float]:
    """A click on a dot of the map: until its sound runs. The first one also opens the audio device and is left out."""
    page.goto(f"{address}/map")
    page.wait_for_selector('.stage[data-state="ready"]', timeout=60_000)
    settle(page)
    times = []
    for point in page.evaluate(DOTS, tries + 1):
        page.evaluate(LISTEN)
        page.mouse.click(point["x"], point["y"])
        page.wait_for_function(f"() => {PLAYER} && !{PLAYER}.audio.paused && {PLAYER}.audio.currentTime > 0")
        heard = page.evaluate("() => window.started === null ? null : window.started - window.clicked")
        if heard is not None:
            times.append(float(heard))
        settle(page)
    return times


MEASURES: dict[str, Callable[[Page, str, int], list[float]]] = {
    "slider to new figure": slider_moves,
    "page change": page_changes,
    "latent change": latent_changes,
    "dot to sound": dots_to_sound,
}


def main() -> None:
    """Serve, measure, print one line a measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--tries", type=int, default=20)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    verb = ["serve", "--workspace", str(options.workspace)] if options.workspace else ["demo", "open"]
    command = [sys.executable, "-m", "sae_core", *verb, "--port", str(port), "--headless"]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_up(address)
        measure_all(address, options.tries)
    finally:
        server.terminate()


def wait_until_up(address: str) -> None:
    """Ask for the server's health until it answers; give up after three minutes."""
    for _ in range(900):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not come up")


def measure_all(address: str, tries: int) -> None:
    """Print median, 95th percentile and aim of each measure."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(DEEP)
        page.goto(address)
        settle(page)
        print(f"{'':24}{'median':>10}{'p95':>10}{'aim':>10}{'tries':>8}")
        for name, measure in MEASURES.items():
            times = sorted(measure(page, address, tries))
            p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
            median = statistics.median(times)
            print(f"{name:24}{median:>7.0f} ms{p95:>7.0f} ms{AIMS_MS[name]:>7} ms{len(times):>8}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
