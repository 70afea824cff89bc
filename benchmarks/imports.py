"""What starting costs: importing sae_core beyond torch, each in fresh interpreters by turns."""

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.rows import Row, in_turns

N_ROUNDS = 7


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Seconds that everything `sae_core` exports adds to what torch, which it computes with, takes to import."""
    everything = "import sae_core; [getattr(sae_core, name) for name in sae_core.__all__]"
    codes = {"torch": "import torch", "core": "import torch, sae_core", "all": f"import torch; {everything}"}

    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)

    runs = {name: lambda code=code: start(code) for name, code in codes.items()}
    took = in_turns(runs, 2 if is_quick else N_ROUNDS)
    extra_s, all_s = took["core"] - took["torch"], took["all"] - took["torch"]
    yield Row(
        "import sae_core",
        "importing torch alone",
        max(extra_s, 0.0),
        0.3,
        f"torch {took['torch']:.2f} s; with every name that pages may use {all_s:.2f} s more",
        unit="s more",
        is_limit=True,
    )
