"""The feature index: for each latent, the clips it is active on, strongest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, Int64
from scipy.sparse import csr_matrix

from sae_core.artifacts import read_array, write_array
from sae_core.errors import ArtifactError
from sae_core.sparse_codes import SparseCodes

MAX_ENTRIES_AT_ONCE = 2**25
_CLIPS_AT_ONCE = 2**18

Postings = tuple[Int32[np.ndarray, " m"], Float32[np.ndarray, " m"]]


@dataclass(frozen=True)
class FeatureIndex:
    """Postings of every latent, by falling activation; equal activations by rising row.

    offsets: i64[L+1], where each latent's postings begin. rows: i32[nnz]. activations: f32[nnz], all above 0.
    """

    offsets: Int64[np.ndarray, " Lplus1"]
    rows: Int32[np.ndarray, " nnz"]
    activations: Float32[np.ndarray, " nnz"]

    @property
    def n_latents(self) -> int:
        """L, silent latents included."""
        return len(self.offsets) - 1

    def n_active(self) -> Int64[np.ndarray, " L"]:
        """How many clips each latent is active on."""
        return np.diff(self.offsets)

    def postings(self, latent: int) -> Postings:
        """All clips of one latent and their activations, strongest first; views, not copies."""
        if not 0 <= latent < self.n_latents:
            raise ValueError(f"latent {latent} is not in 0…{self.n_latents - 1}")
        part = slice(int(self.offsets[latent]), int(self.offsets[latent + 1]))
        return self.rows[part], self.activations[part]

    def top(self, latent: int, n: int) -> Postings:
        """The n strongest clips."""
        rows, activations = self.postings(latent)
        return rows[:n], activations[:n]

    def rows_active(self, latent: int, threshold: float = 0.0) -> Int32[np.ndarray, " m"]:
        """The index of a latent: clips with activation above `threshold`, strongest first."""
        rows, activations = self.postings(latent)
        return rows[: _count_above(activations, threshold)]

    def quantile_band(self, latent: int, low: float, high: float) -> Postings:
        """Clips whose rank among the active ones lies in [low, high): 0 is the weakest, 1 the strongest."""
        if not 0 <= low < high <= 1:
            raise ValueError(f"a band needs 0 ≤ low < high ≤ 1, not {low} and {high}")
        rows, activations = self.postings(latent)
        part = slice(round(len(rows) * (1 - high)), round(len(rows) * (1 - low)))
        return rows[part], activations[part]

    def near_threshold(self, latent: int, threshold: float, n: int) -> Postings:
        """The n clips just above `threshold`, strongest first."""
        rows, activations = self.postings(latent)
        end = _count_above(activations, threshold)
        return rows[max(0, end - n) : end], activations[max(0, end - n) : end]

    @classmethod
    def build(cls, codes: SparseCodes, *, max_entries: int = MAX_ENTRIES_AT_ONCE) -> "FeatureIndex":
        """Return the index of `codes`, built in ranges of latents that hold at most `max_entries` entries at once."""
        counts = np.zeros(codes.n_latents, dtype=np.int64)
        for _, latents, activations in _pieces(codes):
            counts += np.bincount(latents[activations > 0], minlength=codes.n_latents)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.empty(offsets[-1], dtype=np.int32)
        activations_by_latent = np.empty(offsets[-1], dtype=np.float32)
        for start, end in _latent_ranges(offsets, max_entries):
            part = slice(int(offsets[start]), int(offsets[end]))
            rows[part], activations_by_latent[part] = _sorted_range(codes, start, end)
        return cls(offsets, rows, activations_by_latent)

    def save(self, folder: Path) -> None:
        """Write index_offsets.npy, index_rows.npy and index_activations.npy."""
        write_array(folder / "index_offsets.npy", self.offsets)
        write_array(folder / "index_rows.npy", self.rows)
        write_array(folder / "index_activations.npy", self.activations)

    @classmethod
    def load(cls, folder: Path, *, remedy: str) -> "FeatureIndex":
        """Return the index in `folder`, memory-mapped; ArtifactError when missing or damaged."""
        offsets = np.asarray(read_array(folder / "index_offsets.npy", remedy=remedy))
        rows = read_array(folder / "index_rows.npy", remedy=remedy)
        activations = read_array(folder / "index_activations.npy", remedy=remedy)
        if not len(offsets) or not int(offsets[-1]) == len(rows) == len(activations):
            raise ArtifactError(
                "does not fit the postings beside it", where=folder / "index_offsets.npy", remedy=remedy
            )
        return cls(offsets, rows, activations)


def _count_above(falling: np.ndarray, threshold: float) -> int:
    return len(falling) - int(np.searchsorted(falling[::-1], threshold, side="right"))


def _pieces(codes: SparseCodes) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    for start in range(0, len(codes), _CLIPS_AT_ONCE):
        part = slice(start, start + _CLIPS_AT_ONCE)
        yield start, np.asarray(codes.latents[part]), np.asarray(codes.activations[part])


def _latent_ranges(offsets: np.ndarray, max_entries: int) -> Iterator[tuple[int, int]]:
    start, n_latents = 0, len(offsets) - 1
    while start < n_latents:
        end = int(np.searchsorted(offsets, offsets[start] + max_entries, side="right")) - 1
        end = min(max(end, start + 1), n_latents)
        yield start, end
        start = end


def _sorted_range(codes: SparseCodes, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and activations of latents start…end-1. A sparse transpose groups by latent in row order (a counting sort,
    linear in the entries); a stable sort inside each latent then keeps rows rising where activations are equal."""
    found_rows, found_latents, found_activations = [], [], []
    for first_row, latents, activations in _pieces(codes):
        clip, slot = np.nonzero((activations > 0) & (latents >= start) & (latents < end))
        found_rows.append((clip + first_row).astype(np.int32))
        found_latents.append(latents[clip, slot] - start)
        found_activations.append(activations[clip, slot])
    rows = np.concatenate(found_rows) if found_rows else np.empty(0, np.int32)
    latents = np.concatenate(found_latents) if found_latents else np.empty(0, np.int32)
    values = np.concatenate(found_activations) if found_activations else np.empty(0, np.float32)
    row_starts = np.searchsorted(rows, np.arange(len(codes) + 1))
    by_latent = csr_matrix((values, latents, row_starts), shape=(len(codes), end - start)).tocsc()
    sorted_rows, sorted_values = by_latent.indices.astype(np.int32), by_latent.data.astype(np.float32)
    for low, high in zip(by_latent.indptr[:-1], by_latent.indptr[1:], strict=True):
        order = np.argsort(-sorted_values[low:high], kind="stable")
        sorted_rows[low:high] = sorted_rows[low:high][order]
        sorted_values[low:high] = sorted_values[low:high][order]
    return sorted_rows, sorted_values
