"""Sparse codes: for each clip, which latents are active and how strongly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32

from sae_core.files.artifacts import read_array, rows_to_check, write_array
from sae_core.files.errors import ArtifactError


@dataclass(frozen=True)
class SparseCodes:
    """The active latents of n clips, strongest first in each row.

    latents: i32[n, k]. activations: f32[n, k], 0 in an unused slot (its latent number is then meaningless).
    n_latents: L, the size of the SAE.
    """

    latents: Int32[np.ndarray, "n k"]
    activations: Float32[np.ndarray, "n k"]
    n_latents: int

    def __post_init__(self) -> None:
        if self.latents.shape != self.activations.shape or self.latents.ndim != 2:
            raise ValueError(
                f"latents {self.latents.shape} and activations {self.activations.shape} must be n×k alike"
            )

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def k(self) -> int:
        """Slots a clip."""
        return int(self.latents.shape[1])

    def active(self, row: int) -> tuple[Int32[np.ndarray, " a"], Float32[np.ndarray, " a"]]:
        """Latents active on one clip and their activations, strongest first."""
        used = self.activations[row] > 0
        return self.latents[row][used], self.activations[row][used]

    def take(self, rows: np.ndarray) -> "SparseCodes":
        """The codes of some clips, in memory."""
        return SparseCodes(np.asarray(self.latents[rows]), np.asarray(self.activations[rows]), self.n_latents)

    def activations_of(self, chosen: Sequence[int]) -> Float32[np.ndarray, "n m"]:
        """Activations of m different latents on every clip, in one pass over the codes."""
        column = np.full(self.n_latents, -1, dtype=np.int64)
        column[list(chosen)] = np.arange(len(chosen))
        places = column[self.latents]
        clip, slot = np.nonzero((places >= 0) & (self.activations > 0))
        found = np.zeros((len(self), len(chosen)), dtype=np.float32)
        found[clip, places[clip, slot]] = self.activations[clip, slot]
        return found

    def dense(self, rows: np.ndarray | slice = slice(None)) -> Float32[np.ndarray, "m L"]:
        """A dense m×L array of some rows: for small pieces only."""
        latents, activations = np.asarray(self.latents[rows]), np.asarray(self.activations[rows])
        full = np.zeros((len(latents), self.n_latents), dtype=np.float32)
        clip, slot = np.nonzero(activations > 0)
        full[clip, latents[clip, slot]] = activations[clip, slot]
        return full

    def save(self, folder: Path) -> None:
        """Write code_latents.npy and code_activations.npy."""
        write_array(folder / "code_latents.npy", np.asarray(self.latents))
        write_array(folder / "code_activations.npy", np.asarray(self.activations))

    @classmethod
    def load(cls, folder: Path, *, n_latents: int, remedy: str) -> "SparseCodes":
        """Return the codes in `folder`, memory-mapped; ArtifactError when missing, damaged or out of range."""
        latents = read_array(folder / "code_latents.npy", remedy=remedy)
        activations = read_array(folder / "code_activations.npy", remedy=remedy)
        is_right = latents.dtype == np.int32 and activations.dtype == np.float32
        if not is_right or latents.shape != activations.shape:
            raise ArtifactError(
                "does not match code_activations.npy", where=folder / "code_latents.npy", remedy=remedy
            )
        if latents.ndim != 2:
            raise ArtifactError("is no n×k array", where=folder / "code_latents.npy", remedy=remedy)
        if latents.size:
            rows = rows_to_check(latents)
            which, how_much = latents[rows], activations[rows]
            is_sound = 0 <= which.min() and which.max() < n_latents and np.isfinite(how_much).all()
            if not is_sound or how_much.min() < 0:
                raise ArtifactError(
                    f"holds latents beyond 0 to {n_latents - 1:,}, or activations that are no positive numbers",
                    where=folder / "code_latents.npy",
                    remedy=remedy,
                )
        return cls(latents, activations, n_latents)
