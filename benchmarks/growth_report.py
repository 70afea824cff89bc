"""What was timed as clips grow, and the table that says so."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.growth_picture import last_exponent

N_LATENTS, K = 2048, 32
N_ASKED = 5


@dataclass
class Timings:
    """Seconds by what was done and for how many clips; `pages` are what one request asks for. `bytes_a_clip` of each
    kind of file at the largest size; `peak_mb`: the most memory this process held up to the end of each size."""

    stages: dict[str, dict[int, float]] = field(default_factory=dict)
    pages: dict[str, dict[int, float]] = field(default_factory=dict)
    bytes_a_clip: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, n_clips: int) -> Iterator[None]:
        """Time one run of a stage."""
        started = time.perf_counter()
        yield
        self._note(self.stages, name, n_clips, time.perf_counter() - started)

    def page(self, name: str, n_clips: int, ask: Callable[[int], object]) -> None:
        """Time what a page asks for: the median of some requests, each for something else; the first one warms up."""
        took = []
        for number in range(N_ASKED + 1):
            started = time.perf_counter()
            ask(number)
            took.append(time.perf_counter() - started)
        self._note(self.pages, name, n_clips, statistics.median(took[1:]))

    def _note(self, found: dict[str, dict[int, float]], name: str, n_clips: int, seconds: float) -> None:
        found.setdefault(name, {})[n_clips] = seconds
        print(f"{n_clips:>9,} {plain(seconds):>8} {name}", file=sys.stderr, flush=True)


def fitted_exponent(seconds: dict[int, float]) -> float:
    """The slope over all sizes, by least squares."""
    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def report(timings: Timings, machine: dict[str, str]) -> str:
    """The figures as Markdown: seconds at each size, exponents, and what 100 million clips would come to."""
    lines = [
        f"{machine['processor']}, {machine['threads']} threads, {machine['memory']}; {machine['versions']}; "
        f"L {N_LATENTS}, k {K}.",
        "",
        "| stage | measured | exponent over all sizes | in the last step | a million clips | 100 million, carried on |",
        "|---|---|---|---|---|---|",
    ]
    for name, seconds in timings.stages.items():
        ends = [_long(extrapolate(seconds, n)) for n in (1_000_000, 100_000_000)]
        lines.append(f"| {name} | {cells(seconds)} | {' | '.join([_exponents(seconds), *ends])} |")
    lines += [
        "",
        "| data behind a page | measured | exponent over all sizes | in the last step |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {cells(found)} | {_exponents(found)} |" for name, found in timings.pages.items()]
    lines += ["", "| files | bytes a clip | 100 million clips |", "|---|---|---|"]
    lines += [
        f"| {kind} | {n_bytes:,.0f} | {n_bytes * 1e8 / 1e9:,.1f} GB |"
        for kind, n_bytes in timings.bytes_a_clip.items()
    ]
    peaks = ", ".join(f"{n:,} clips: {peak:,.0f} MB" for n, peak in timings.peak_mb.items())
    return "\n".join(
        [*lines, "", f"Most memory held by the one process that did all of this, up to {peaks}."]
    )


def extrapolate(seconds: dict[int, float], n_clips: int) -> float:
    """What was measured for so many clips; else the largest size carried on, at its last exponent or in proportion,
    whichever is more."""
    if n_clips in seconds:
        return seconds[n_clips]
    largest = max(seconds)
    power = 1.0 if n_clips < largest else max(1.0, last_exponent(seconds))
    return float(seconds[largest] * (n_clips / largest) ** power)


def cells(seconds: dict[int, float]) -> str:
    """What was measured at each size."""
    return ", ".join(f"{n:,}: {plain(value)}" for n, value in sorted(seconds.items()))


def _exponents(seconds: dict[int, float]) -> str:
    return f"{fitted_exponent(seconds):.2f} | {last_exponent(seconds):.2f}"


def _long(seconds: float) -> str:
    return (
        plain(seconds)
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )


def plain(seconds: float) -> str:
    """Seconds as people read them."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.2g} ms"
