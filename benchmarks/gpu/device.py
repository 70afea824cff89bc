"""The device that is measured: how to wait for it, time it, and what it can do at most."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu.parts import Request

Run = Callable[[], object]


@dataclass(frozen=True)
class Bench:
    """What every part of the benchmark is told.

    device: cpu, cuda or cuda:1. is_quick: small sizes, to see that everything runs. out: where files go, if anywhere.
    """

    device: torch.device
    is_quick: bool
    out: Path | None = None

    @classmethod
    def of(cls, request: Request) -> "Bench":
        """The device that is asked for."""
        device = torch.device(request.device)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", 0)  # some of torch's functions want a card by its number
        return cls(device, request.is_quick, request.out)

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.device.type == "cuda"

    def pick(self, full: int, quick: int) -> int:
        """A size: the full one, or the quick one."""
        return quick if self.is_quick else full

    def wait(self) -> None:
        """Return when the device has done all it was given."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def median_s(self, run: Run, *, n_turns: int = 5, n_a_turn: int = 1) -> float:
        """Median seconds of one call, over turns of `n_a_turn` calls each; one turn more warms up."""
        found = []
        for turn in range(n_turns + 1):
            self.wait()
            started = time.perf_counter()
            for _ in range(n_a_turn):
                run()
            self.wait()
            if turn:
                found.append((time.perf_counter() - started) / n_a_turn)
        return statistics.median(found)

    def held_bytes(self) -> int:
        """Bytes in use: of the GPU by tensors, of the process where there is none."""
        if self.is_gpu:
            self.wait()
            return torch.cuda.memory_allocated(self.device)
        pages = Path("/proc/self/statm")
        return int(pages.read_text("utf-8").split()[1]) * 4096 if pages.exists() else 0

    def peak_gb(self, run: Run) -> float:
        """The most that tensors held on the GPU during one call, in GB; 0 on a processor."""
        if not self.is_gpu:
            run()
            return 0.0
        torch.cuda.reset_peak_memory_stats(self.device)
        run()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) / 1e9


@dataclass(frozen=True)
class Limits:
    """What a device reaches here at most: bytes a second of a copy (read and written), operations a second of a large
    matrix product in float32, tf32 and bfloat16."""

    bytes_s: float
    operations_s: dict[str, float]


PRECISIONS = ("float32", "tf32", "bfloat16")


@contextmanager
def precision(name: str) -> Iterator[torch.dtype]:
    """Let float32 products take tf32 where `name` says so; yield the type that a product is rounded to."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    try:
        yield torch.bfloat16 if name == "bfloat16" else torch.float32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def measure_limits(bench: Bench) -> Limits:
    """Copy a gigabyte and multiply large random matrices, a few times each."""
    numbers = torch.empty(bench.pick(2**28, 2**20), device=bench.device).normal_()
    copy = torch.empty_like(numbers)
    copy_s = bench.median_s(lambda: copy.copy_(numbers), n_turns=9)
    side, found = bench.pick(8192, 256), {}
    for name in PRECISIONS:
        with precision(name) as dtype:
            left, right = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
            found[name] = 2 * side**3 / bench.median_s(lambda a=left, b=right: a @ b)
    return Limits(2 * numbers.nbytes / copy_s, found)
