"""Several processes that train one autoencoder: each takes a share of every batch, and all hold the same weights.

Started by `torchrun`, which says who is who in the environment. What a step divides by or sums over, it sums over all
processes, so the gradient is that of the whole batch: the same as of one process but for the order of additions.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

from sae_core.files.errors import ArtifactError


@dataclass(frozen=True)
class Team:
    """Who trains together: `rank` of `size` processes. The first one leads: only it writes and reports."""

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, batch: Int[Tensor, " b"]) -> Int[Tensor, " s"]:
        """Every size-th of a batch, so that the first part of all shares is the first part of the batch.

        What cannot be dealt out evenly is left out: choose batches that the processes divide.
        """
        return batch[: len(batch) // self.size * self.size][self.rank :: self.size]

    def share_of_first(self, n: int) -> int:
        """How many of the first n clips of a batch this process holds."""
        return len(range(self.rank, n, self.size))

    def total(self, part: Tensor) -> Tensor:
        """The sum over all processes of a tensor without gradient; alone, the tensor itself."""
        if self.size == 1:
            return part
        total = part.detach().clone()
        dist.all_reduce(total)
        return total

    def gather(self, part: Float[Tensor, "..."]) -> Tensor:
        """What every process holds, one after another: each of one shape, which is that of all."""
        if self.size == 1:
            return part
        held = part.new_zeros(self.size, *part.shape)
        held[self.rank] = part.detach()
        return self.total(held)

    def variance(self, rows: Float[Tensor, "s d"]) -> Tensor:
        """Σ‖r − r̄‖² over the rows of all processes, r̄ their mean."""
        if self.size == 1:
            return (rows - rows.mean(0)).square().sum()
        exact = rows.double()
        count = exact.new_tensor([float(len(rows))])
        sums = self.total(torch.cat([count, exact.square().sum()[None], exact.sum(0)]))
        return (sums[1] - sums[2:].square().sum() / sums[0]).to(rows.dtype)

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradients by their sums over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [part.grad for part in parameters if part.grad is not None]
        sums = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, total in zip(gradients, sums.split([part.numel() for part in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def check_same(self, number: int, what: str) -> None:
        """Raise ArtifactError unless all processes have the same number."""
        here = torch.tensor([number, number * number])
        total, squares = self.total(here).tolist()
        if total * total != squares * self.size:
            raise ArtifactError(
                f"the processes differ in {what} ({number} here)",
                remedy="let all of them see the same workspace, on a file system that they share",
            )

    def wait(self) -> None:
        """Return when every process has come to this point."""
        if self.size > 1:
            dist.barrier()


ALONE = Team()


@contextmanager
def together(device: str | None) -> Iterator[Team]:
    """Yield the team that `torchrun` started this process in, connected while the block runs; else `ALONE`.

    On GPUs each process takes the one of its own number on its machine.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    is_on_gpu = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
    if is_on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cuda:nccl,cpu:gloo" if is_on_gpu else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
