"""The parts of the benchmark in the order they run: what may not be missing first. Importing this loads no torch."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.rows import Row, describe_machine

LIMITS_S = {
    "answers": 60,
    "encoders": 60,
    "memory": 45,
    "steps": 110,
    "passes": 50,
    "anatomy": 40,
    "together": 75,
}
"""Part, a module of this package with `measure(bench)` → the most seconds it may take."""


class Request(NamedTuple):
    """What every part is told: the device by its name, whether sizes are small, and where files go, if anywhere."""

    device: str
    is_quick: bool
    out: Path | None = None


def measure_part(name: str, request: Request) -> Iterator[Row]:
    """The rows of one part, as they are found."""
    from benchmarks.gpu.device import Bench

    yield from importlib.import_module(f"benchmarks.gpu.{name}").measure(Bench.of(request))


def describe(request: Request) -> dict[str, str]:
    """The machine, once the device has been seen to compute."""
    import torch

    from sae_core.embedding.embedders import choose_device

    device = choose_device(request.device)
    return describe_machine(torch.get_num_threads()) | {"device": str(device)}
