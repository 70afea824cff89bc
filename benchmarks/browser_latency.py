"""How long people wait in the browser, alone and ten at a time, and what memory the server takes.

python -m benchmarks.browser_latency [--workspace W] [--tries 30] [--users 10] [--minutes 2]

Serves the workspace (by default the demo) and opens it in headless Chromium, app and browser on the same machine. One
visitor does each thing `--tries` times; then `--users` at once, each with a window of their own, do things at random
for `--minutes`. `--users 1 --minutes 60` is an hour of random use. Cold starts are timed from the command to the first
latent that can be heard on the Overview.

Ten browsers on one machine wait above all for each other. So the same is done once more with all visitors but one in a
browser of the lowest priority: that one then waits for the server alone, as people with computers of their own do.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error

from benchmarks.visitor import DEEP, REPOSITORY, Server, Visitor, chromium, serving, verb_for

AIMS_MS = {
    "cold start": 3000,
    "page change": 500,
    "latent change": 300,
    "slider to new figure": 100,
    "dot to sound": 150,
}
Act = Callable[[Visitor], Coroutine[Any, Any, None]]
ACTS: dict[str, Act] = {
    "page change": Visitor.other_page,
    "latent change": Visitor.next_latent,
    "slider to new figure": Visitor.slide,
    "dot to sound": Visitor.hear_dot,
    "map pan, frame": Visitor.pan,
}
ACTS_IN_A_ROW = 4
CROWD_ARRIVES_S = 30
Times = dict[str, list[float]]
FIRST_LATENT = "() => deep('.st-key-striking', '.card')"


async def cold_start(browser: Browser, workspace: Path | None) -> float:
    """Milliseconds from the command that serves to the first latent that can be heard."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.add_init_script(DEEP)
    started = time.perf_counter()
    server = Server(verb_for(workspace))
    try:
        await asyncio.to_thread(server.wait)
        await page.goto(server.address)
        await page.wait_for_function(FIRST_LATENT, timeout=120_000)
        return 1000 * (time.perf_counter() - started)
    finally:
        await context.close()
        server.stop()


async def alone(browser: Browser, server: Server, tries: int) -> tuple[Times, dict[str, float]]:
    """One visitor does each thing `tries` times; the first time of each, which opens what it needs, is left out.

    Also returns the milliseconds of processor time that each thing cost the server.
    """
    visitor = await Visitor.arrive(browser, server.address)
    for act in ACTS.values():
        await act(visitor)
    visitor.times.clear()
    cost_ms = {}
    for name, act in ACTS.items():
        n, busy_s = 3 if name.startswith("map pan") else tries, server.processor_s()[0]
        for _ in range(n):
            await act(visitor)
        cost_ms[name] = 1000 * (server.processor_s()[0] - busy_s) / n
    await visitor.page.context.close()
    return visitor.times, cost_ms


async def together(
    browser: Browser, server: Server, n_users: int, minutes: float
) -> tuple[Times, list[tuple[float, float]], list[str]]:
    """Times of all visitors, what the server held every ten seconds, and what did not happen in time."""
    ends = time.monotonic() + 60 * minutes
    memory: list[tuple[float, float]] = [server.memory_mb()]

    async def watch() -> None:
        while time.monotonic() < ends:
            await asyncio.sleep(10)
            memory.append(server.memory_mb())

    visits = [wander(browser, server.address, seed, ends) for seed in range(n_users)]
    *found, _ = await asyncio.gather(*visits, watch())
    times: Times = {}
    for visited, _ in found:
        for name, some in visited.items():
            times.setdefault(name, []).extend(some)
    return times, memory, [what for _, failed in found for what in failed]


async def wander(browser: Browser, address: str, seed: int, ends: float) -> tuple[Times, list[str]]:
    """Do things at random until the time is over: the times, and what did not happen in time."""
    choices, failed = random.Random(seed), list[str]()
    visitor = await Visitor.arrive(browser, address)
    while time.monotonic() < ends:
        name, act = choices.choice(list(ACTS.items()))
        try:
            for _ in range(ACTS_IN_A_ROW):
                await act(visitor)
        except Error as error:
            failed.append(f"{name}: {error.message.splitlines()[0]}")
    await visitor.page.context.close()
    return visitor.times, failed


@contextlib.contextmanager
def crowd(address: str, n_users: int) -> Iterator[None]:
    """So many visitors in a browser that gets what processor time the rest of the machine leaves over."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.browser_latency",
        "--crowd",
        address,
        "--users",
        str(n_users),
    ]
    process = subprocess.Popen(["nice", "-n", "19", *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


async def be_crowd(address: str, n_users: int) -> None:
    """Visit until told to end."""
    async with chromium() as browser:
        await asyncio.gather(*(wander(browser, address, seed + 1, math.inf) for seed in range(n_users)))


async def beside_crowd(
    browser: Browser, server: Server, n_users: int, minutes: float
) -> tuple[Times, list[str]]:
    """Times of one visitor while the others of `n_users` are a crowd, and what did not happen in time."""
    with crowd(server.address, n_users - 1):
        await asyncio.sleep(CROWD_ARRIVES_S)
        return await wander(browser, server.address, 0, time.monotonic() + 60 * minutes)


def summary(times: Times) -> dict[str, dict[str, float]]:
    """Median, 95th percentile, aim (where there is one) and number of tries of everything."""
    found = {}
    for name in [*AIMS_MS, *(other for other in times if other not in AIMS_MS)]:
        if some := sorted(times.get(name, [])):
            p95 = some[min(len(some) - 1, round(0.95 * len(some)))]
            found[name] = {"median": statistics.median(some), "p95": p95, "tries": len(some)}
    return found


def print_table(title: str, found: dict[str, dict[str, float]]) -> None:
    """One line a thing."""
    print(f"\n{title:32}{'median':>10}{'95 %':>10}{'aim':>10}{'tries':>8}")
    for name, line in found.items():
        aim = f"{AIMS_MS[name]} ms" if name in AIMS_MS else ""
        print(
            f"{name:32}{line['median']:>7.0f} ms{line['p95']:>7.0f} ms{aim:>10}{line['tries']:>8}", flush=True
        )


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, printed as it comes."""
    async with chromium() as browser:
        starts = [await cold_start(browser, options.workspace) for _ in range(options.starts)]
        with serving(options.workspace) as server:
            at_rest = server.memory_mb()
            times, cost_ms = await alone(browser, server, options.tries)
            one = summary({"cold start": starts, **times})
            print_table("one visitor", one)
            print("server's processor, each: ", end="")
            print("; ".join(f"{name} {cost:.0f} ms" for name, cost in cost_ms.items()), flush=True)
            before, busy = server.memory_mb(), server.processor_s()
            found, memory, failed = await together(browser, server, options.users, options.minutes)
            own_s, all_s = (now - then for now, then in zip(server.processor_s(), busy, strict=True))
            apart, apart_failed = (
                await beside_crowd(browser, server, options.users, options.minutes)
                if options.users > 1
                else ({}, [])
            )
    many = summary(found)
    print_table(f"{options.users} at once, {options.minutes:g} min", many)
    print(f"did not happen in time: {len(failed)}", *failed, sep="\n  ")
    print(f"processor: the server {own_s:.0f} s, all else, browsers above all, {all_s - own_s:.0f} s")
    print("server, own memory (mapped files) in MB: ", end="")
    places = {"started": at_rest, "after one visitor": before, "at the end": memory[-1]}
    print("; ".join(f"{name} {own:.0f} ({mapped:.0f})" for name, (own, mapped) in places.items()))
    third = max(1, len(memory) // 3)
    early, late = (statistics.mean(own for own, _ in part) for part in (memory[:third], memory[-third:]))
    print(f"mean own memory, first third {early:.0f}, last third {late:.0f}")
    if apart:
        print_table(f"one of {options.users}, processor of its own", summary(apart))
        print(f"did not happen in time: {len(apart_failed)}", *apart_failed, sep="\n  ")
    return {
        "one": one,
        "server_ms": cost_ms,
        "many": many,
        "apart": summary(apart),
        "memory_mb": memory,
        "failed": failed,
        "processor_s": [own_s, all_s],
    }


def main() -> None:
    """Read the options, measure, and keep the result where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--tries", type=int, default=30)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--crowd", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        asyncio.run(be_crowd(options.crowd, options.users))
        return
    found = asyncio.run(measure(options))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
