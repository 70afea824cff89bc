"""The clips an autoencoder is trained on, batch by batch: centred, scaled, shuffled anew for every epoch."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

MEMORY_BYTES = 4 * 2**30
"""Inputs up to this size are kept on the device, on a GPU up to half of what is free there; larger ones are read from
the mapped file, batch by batch."""

TINY = 1e-12
_PIECE = 65_536


class TrainingInputs:
    """x = (vector − mean) / scale of some rows, with scale such that ‖x‖² is d on average.

    Vectors may be memory-mapped: then no more than a batch of them is held when they exceed `max_bytes`.
    """

    def __init__(
        self,
        vectors: Float32[np.ndarray, "n d"],
        rows: Int[np.ndarray, " t"],
        *,
        device: torch.device,
        max_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.vectors, self.rows, self.device = vectors, rows, device
        self.mean, self.scale = _mean_and_scale(vectors, rows)
        self._mean = torch.as_tensor(self.mean, dtype=torch.float32, device=device)
        is_small = len(rows) * vectors.shape[1] * vectors.itemsize <= min(max_bytes, _spare_bytes(device))
        self._kept = self._standardised(torch.from_numpy(vectors[rows]).to(device)) if is_small else None

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, places: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """The inputs at these places, on the device."""
        if self._kept is not None:
            # on a CPU several times as fast as [places]
            return self._kept.index_select(0, _sent(places, self.device))
        rows = self.rows[places.numpy()]
        # in the order of the file, so that a disk is read forwards
        order = np.argsort(rows)
        found = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        found[order] = self.vectors[rows[order]]
        return self._standardised(_sent(torch.from_numpy(found), self.device))

    def _standardised(self, inputs: Float32[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return inputs.sub_(self._mean).div_(self.scale)


def _sent(part: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device. To a GPU it goes from pinned memory: from any other, the copy would wait for all that the
    GPU still has to do, and so would whoever queues the next step."""
    if device.type != "cuda":
        return part.to(device)
    return part.pin_memory().to(device, non_blocking=True)


def _spare_bytes(device: torch.device) -> float:
    """How much of a device's memory training inputs may take."""
    if device.type != "cuda":
        return float("inf")
    n_free, _ = torch.cuda.mem_get_info(device)
    return n_free / 2


def _mean_and_scale(
    vectors: Float32[np.ndarray, "n d"], rows: Int[np.ndarray, " t"]
) -> tuple[Float[np.ndarray, " d"], float]:
    """The mean of some rows, and √(E‖x − mean‖² / d), in two passes that hold one piece at a time."""
    pieces = [rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE)]
    mean = sum(vectors[piece].sum(0, dtype=np.float64) for piece in pieces) / len(rows)
    squares = sum(float(((vectors[piece] - mean) ** 2).sum()) for piece in pieces)
    spread = float(np.sqrt(squares / len(rows)))
    return np.asarray(mean, np.float64), max(spread, TINY) / vectors.shape[1] ** 0.5


def shuffled_batches(
    n: int, batch_size: int, *, seed: int, first_step: int = 0
) -> Iterator[Int[Tensor, " b"]]:
    """Yield batches of places without end: each epoch in an order of its own, known from seed and epoch alone."""
    epoch, place = divmod(first_step, n // batch_size)
    while True:
        generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        order = torch.randperm(n, generator=generator)
        yield from order[: n // batch_size * batch_size].view(-1, batch_size)[place:]
        epoch, place = epoch + 1, 0
