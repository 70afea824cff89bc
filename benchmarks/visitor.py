"""A visitor of the app in headless Chromium who does what people do and takes the time, and the server visited.

Times run inside the page: from the event a hand would cause to the first frame that shows the answer.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

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
PATIENCE_MS = 60_000
PAN_MS = 1_000
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
# waits, frame by frame, until `done()` is no longer what it was
TIMED = """async ([act, done, patience]) => {
  const read = new Function("return (" + done + ")");
  const before = JSON.stringify(read());
  const start = performance.now();
  await new Function("return (" + act + ")")();
  while (performance.now() - start < patience) {
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
  const step = Math.max(1, Math.floor(Number(node.dataset.points) / 4000));
  const places = [];
  for (let i = 0; i < Number(node.dataset.points); i += step) {
    const place = node.placeOf(i);
    if (inside(place)) places.push(place);
  }
  return places.filter((_, i) => i % Math.max(1, Math.floor(places.length / n)) === 0).slice(0, n);
}"""
FRAMES = """(milliseconds) => new Promise((resolve) => {
  const start = performance.now(), frames = [];
  let last = start;
  const next = () => {
    const now = performance.now();
    frames.push(now - last);
    last = now;
    if (now - start < milliseconds) requestAnimationFrame(next); else resolve(frames);
  };
  requestAnimationFrame(next);
})"""
PLAYER = "window.__voxscopePlayer"
SLIDER_LINES = (
    "[...deep('.st-key-steering_desk', 'svg').querySelectorAll('.after')]"
    ".map((line) => line.getAttribute('d')).join()"
)


class Server:
    """The app, served in a process of its own as people serve it."""

    def __init__(self, verb: list[str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "sae_core", *verb, "--port", str(port), "--headless"]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self) -> None:
        """Return once it answers; SystemExit after three minutes."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2),
            ):
                return
            time.sleep(0.02)
        raise SystemExit("the server did not come up")

    def memory_mb(self) -> tuple[float, float]:
        """What it holds now: memory of its own, and resident pages of mapped files, in MB (Linux)."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("utf-8").splitlines()
        kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        return float(kilobytes["RssAnon"]) / 1024, float(kilobytes["RssFile"]) / 1024

    def processor_s(self) -> tuple[float, float]:
        """Processor time since they began, of the server and of the whole machine, in seconds (Linux)."""
        tick = os.sysconf("SC_CLK_TCK")
        own = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
        total = Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:]
        idle_and_waiting = int(total[3]) + int(total[4])
        return (int(own[11]) + int(own[12])) / tick, (sum(map(int, total[:8])) - idle_and_waiting) / tick

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)


def verb_for(workspace: Path | None) -> list[str]:
    """What serves a workspace, or the demo."""
    return ["serve", "--workspace", str(workspace)] if workspace else ["demo", "open"]


@contextlib.contextmanager
def serving(workspace: Path | None) -> Iterator[Server]:
    """A server that is up, stopped at the end."""
    server = Server(verb_for(workspace))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium of the system."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        await browser.close()


@dataclass
class Visitor:
    """One person's window. times: milliseconds by what was done; frames of a pan count one by one."""

    page: Page
    address: str
    times: dict[str, list[float]] = field(default_factory=dict)
    _n_slides: int = 0
    _n_dots: int = 0

    @classmethod
    async def arrive(cls, browser: Browser, address: str) -> "Visitor":
        """Open a window of one's own on the app's first page."""
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.add_init_script(DEEP)
        await page.goto(address)
        visitor = cls(page, address)
        await visitor.settle()
        return visitor

    async def settle(self) -> None:
        """Wait until the app is idle."""
        await self.page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]')
        await self.page.wait_for_timeout(400)

    async def go(self, path: str, mark: str) -> None:
        """Be on a page that shows `mark`."""
        if not self.page.url.split("?")[0].endswith(f"/{path}"):
            await self.page.goto(f"{self.address}/{path}")
        await self.page.wait_for_selector(mark)
        await self.settle()

    def note(self, name: str, times: list[float]) -> None:
        """Keep some times."""
        self.times.setdefault(name, []).extend(times)

    async def timed(self, name: str, act: str, done: str) -> None:
        """Note the time from `act` to the first frame in which `done` has a new value; both are JavaScript."""
        self.note(name, [float(await self.page.evaluate(TIMED, [act, done, PATIENCE_MS]))])

    async def next_latent(self) -> None:
        """Next latent: until the heading is another latent's."""
        await self.go("latents", ".st-key-latent_heading h2")
        button = "[...document.querySelectorAll('button')].find((b) => b.innerText.includes('Next'))"
        await self.page.wait_for_function(f"() => {button}")
        click = f"{button}.click()"
        await self.timed(
            "latent change", click, "document.querySelector('.st-key-latent_heading h2')?.innerText ?? null"
        )
        await self.settle()

    async def other_page(self) -> None:
        """Latents → Clips, and back: until the first clip card of the other page stands."""
        if not any(f"/{name}" in self.page.url for name in ("latents", "clips")):
            await self.go("latents", ".st-key-clips_strongest")
        is_on_latents = "/latents" in self.page.url
        name, mark = ("Clips", "chosen_clip") if is_on_latents else ("Latents", "clips_strongest")
        link = f"[...document.querySelectorAll('a')].find((a) => a.innerText.trim().endsWith('{name}'))"
        await self.page.wait_for_function(f"() => {link}")
        click = f"{link}.click()"
        await self.timed("page change", click, f"deep('.st-key-{mark}', '.card') ? '{mark}' : null")
        await self.settle()

    async def slide(self) -> None:
        """A step of a steering slider: until the figure shows other numbers."""
        await self.go("steering", ".st-key-steering_desk .shift")
        self._n_slides += 1
        share = 0.05 + 0.9 * (self._n_slides * 0.381966 % 1)
        move = f"""(() => {{ const slider = deep('.st-key-steering_desk', '.range');
          slider.value = Number(slider.min) + {share} * (Number(slider.max) - Number(slider.min));
          slider.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"""
        await self.timed("slider to new figure", move, SLIDER_LINES)
        await self.page.wait_for_timeout(300)

    async def hear_dot(self) -> None:
        """A click on a dot of the map: until its sound runs. The first one also opens the audio device: left out."""
        await self.go("map", '.stage[data-state="ready"]')
        dots = await self.page.evaluate(DOTS, 40)
        self._n_dots += 1
        point = dots[self._n_dots * 7 % len(dots)]
        await self.page.evaluate(LISTEN)
        await self.page.mouse.click(point["x"], point["y"])
        await self.page.wait_for_function(
            f"() => {PLAYER} && !{PLAYER}.audio.paused && {PLAYER}.audio.currentTime > 0"
        )
        heard = await self.page.evaluate(
            "() => window.started === null ? null : window.started - window.clicked"
        )
        if heard is not None:
            self.note("dot to sound", [float(heard)])
        await self.settle()

    async def pan(self) -> None:
        """Drag the map about: the time between frames."""
        await self.go("map", '.stage[data-state="ready"]')
        box = await self.page.locator(".stage").bounding_box()
        assert box is not None
        middle = (box["x"] + box["width"] / 2, min(box["y"] + box["height"] / 2, 800))
        await self.page.mouse.move(*middle)
        await self.page.mouse.down()
        recording = asyncio.create_task(self.page.evaluate(FRAMES, PAN_MS))
        while not recording.done():
            for step in (*range(30), *reversed(range(30))):
                await self.page.mouse.move(middle[0] + 4 * step, middle[1] + 2 * step)
        await self.page.mouse.up()
        self.note("map pan, frame", [float(ms) for ms in await recording])
        await self.page.wait_for_selector('.stage[data-state="ready"]')
