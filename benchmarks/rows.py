"""What a benchmark finds: rows of one table, each a figure beside the figure to reach."""

import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PASS, SHORT, FAILED, REPORTED = "PASS", "short", "FAILED", ""
PAUSE_S = 0.05
"""Between turns, so that the threads of whoever ran last are asleep."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    name: what was done. against: what it is compared with. measured, target: in `unit`; "×" says how many times as fast
        as `against`; without a target the figure is only reported. is_limit: the target is the most allowed, otherwise
        the least. detail: sizes, absolute figures and whatever a reader must know, such as what was extrapolated.
        failure: why there is no figure.
    """

    name: str
    against: str
    measured: float
    target: float | None
    detail: str = ""
    unit: str = field(default="×", kw_only=True)
    is_limit: bool = field(default=False, kw_only=True)
    failure: str = field(default="", kw_only=True)

    @property
    def verdict(self) -> str:
        """`PASS`, `SHORT`, `FAILED`, or `REPORTED` where nothing was to be reached."""
        if self.failure:
            return FAILED
        if self.target is None:
            return REPORTED
        reaches = self.measured <= self.target if self.is_limit else self.measured >= self.target
        return PASS if reaches else SHORT

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it, in the order of `HEADINGS`."""
        if self.failure:
            return self.name, self.against, "–", "–", FAILED, self.failure
        sign = "≤" if self.is_limit else "≥"
        wanted = "" if self.target is None else f"{sign} {_rounded(self.target)} {self.unit}".strip()
        return (
            self.name,
            self.against,
            f"{_rounded(self.measured)} {self.unit}".strip(),
            wanted,
            self.verdict,
            self.detail,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything about the row; what it was measured to be is a number."""
        return {**asdict(self), "verdict": self.verdict}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Row":
        """The row that `to_json` made."""
        return cls(**{name: value for name, value in stored.items() if name != "verdict"})


HEADINGS = ("what", "against", "measured", "to reach", "", "how")


def failed(name: str, reason: str) -> Row:
    """A row that says why there is no figure."""
    return Row(name, "", 0.0, 0.0, failure=reason)


def _rounded(figure: float) -> str:
    if figure != 0 and (abs(figure) < 0.001 or abs(figure) >= 1e6):
        return f"{figure:.1e}"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table whose columns stand below each other."""
    lines = [HEADINGS, *(row.cells for row in rows)]
    # the last column is prose and may run on
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)]
    texts = [
        "| " + " | ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[-1]]) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in [*widths, 3]) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def wall_s(run: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def in_turns(
    runs: Mapping[str, Callable[[], float | None]], n_rounds: int, *, is_warmed: bool = True
) -> dict[str, float]:
    """Median seconds of each run, all of them taking turns, so that a busy minute of the machine meets everyone.

    A run may return its own seconds (a peer times itself); otherwise its wall time counts. The first round warms up
    and is left out unless `is_warmed` is False.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(n_rounds + is_warmed):
        for name, run in runs.items():
            time.sleep(PAUSE_S)
            started = time.perf_counter()
            own = run()
            seconds = time.perf_counter() - started if own is None else own
            if number >= is_warmed:
                found[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def describe_machine(threads: int) -> dict[str, str]:
    """Processor, memory, graphics card and versions: what figures depend on, and nothing that names a machine."""
    import numpy as np
    import torch

    memory_gib = 0.0
    if Path("/proc/meminfo").exists():
        kib = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text("utf-8"))
        memory_gib = int(kib[1]) / 2**20 if kib else 0.0
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "processor": _processor(),
        "threads": str(threads),
        "memory": f"{memory_gib:.0f} GiB" if memory_gib else "",
        "graphics card": card,
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
    }


def _processor() -> str:
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
