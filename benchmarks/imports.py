"""What starting costs: importing sae_core after torch, in fresh interpreters."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.rows import Row

N_ROUNDS = 7
TIMED = """
import time
marks = [time.perf_counter()]
import torch
marks.append(time.perf_counter())
import sae_core
marks.append(time.perf_counter())
for name in sae_core.__all__:
    getattr(sae_core, name)
marks.append(time.perf_counter())
print(*(after - before for before, after in zip(marks, marks[1:])))
"""


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Seconds that `import sae_core` takes once torch, which it computes with, is there; files warm."""
    found = []
    for _ in range(1 + (2 if is_quick else N_ROUNDS)):
        done = subprocess.run([sys.executable, "-c", TIMED], check=True, capture_output=True, text=True)
        found.append([float(seconds) for seconds in done.stdout.split()])
    torch_s, core_s, all_s = (statistics.median(column) for column in zip(*found[1:], strict=True))
    yield Row(
        "import sae_core",
        "importing torch alone",
        core_s,
        0.3,
        f"torch {torch_s:.2f} s; then every name that pages may use, with pandas and scipy, {all_s:.2f} s",
        unit="s more",
        is_limit=True,
    )
