"""The feature index: for each latent, the clips it is active on, strongest first."""

import mmap
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt64
from scipy.sparse import csr_matrix

from sae_core.files.artifacts import read_array, rows_to_check, write_array, writing_in_pieces
from sae_core.files.errors import ArtifactError
from sae_core.sae.codes import SparseCodes

MEMORY_MB = 256
"""What building an index into files holds at most, unless told otherwise; with more it took longer."""
_BYTES_AN_ENTRY = 40
_SPILLED = np.dtype([("latent", "<i4"), ("key", "<u8")])

Postings = tuple[Int32[np.ndarray, " m"], Float32[np.ndarray, " m"]]
Add = Callable[[np.ndarray], None]


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
    def build(cls, codes: SparseCodes) -> "FeatureIndex":
        """Return the index of `codes`, made and held in memory: some `_BYTES_AN_ENTRY` bytes an entry for a moment."""
        latents, keys = _entries(codes, 0, len(codes))
        offsets, keys = _sorted_by_latent(latents, keys, codes.n_latents)
        return cls(offsets, *_postings_of(keys))

    @classmethod
    def write(cls, codes: SparseCodes, folder: Path, *, memory_mb: int = MEMORY_MB) -> "FeatureIndex":
        """Write the index of `codes` as `save` does and return it memory-mapped; it and the codes may outgrow memory.

        Codes that `memory_mb` has room for are simply built. Others are read twice: to count, and to hand every entry
        to a file of its range of latents, ranges being as large as fits. Then one range after another is sorted and
        written. All that is held is one range (or one latent, should its postings alone be more) or a piece of codes.
        """
        max_entries = max(1, memory_mb * 2**20 // _BYTES_AN_ENTRY)
        if codes.latents.size <= max_entries:
            cls.build(codes).save(folder)
            return cls.load(folder, remedy="index again")
        offsets = _count(codes, max_entries)
        starts = range_starts(offsets, max_entries)
        with ExitStack() as stack:
            spilled = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".index.", dir=folder)))
            shape = (int(offsets[-1]),)
            add_rows = stack.enter_context(writing_in_pieces(folder / "index_rows.npy", shape, np.int32))
            add_activations = stack.enter_context(
                writing_in_pieces(folder / "index_activations.npy", shape, np.float32)
            )
            _spill(codes, starts, spilled, max_entries=max_entries)
            for start, end in pairwise(starts):
                _add_range(spilled / str(start), start, end, add=(add_rows, add_activations))
        write_array(folder / "index_offsets.npy", offsets)
        return cls.load(folder, remedy="index again")

    def holds_rows_of(self, n_clips: int) -> bool:
        """Whether the index names only clips that are there, each with an activation above 0, as far as
        `rows_to_check` looks."""
        if not len(self.rows):
            return True
        looked_at = rows_to_check(self.rows)
        rows, activations = self.rows[looked_at], self.activations[looked_at]
        are_rows = rows.min() >= 0 and rows.max() < n_clips
        return bool(are_rows and np.isfinite(activations).all() and activations.min() > 0)

    def save(self, folder: Path) -> None:
        """Write index_offsets.npy, index_rows.npy and index_activations.npy."""
        write_array(folder / "index_offsets.npy", self.offsets)
        write_array(folder / "index_rows.npy", self.rows)
        write_array(folder / "index_activations.npy", self.activations)

    @classmethod
    def load(cls, folder: Path, *, remedy: str) -> "FeatureIndex":
        """Return the index in `folder`, memory-mapped; ArtifactError when missing or damaged."""
        # as plain arrays over the mapped files: a slice of a `memmap` takes ten times as long
        offsets, rows, activations = (
            np.asarray(read_array(folder / f"index_{name}.npy", remedy=remedy))
            for name in ("offsets", "rows", "activations")
        )
        for name, array, kind in (
            ("offsets", offsets, np.int64), ("rows", rows, np.int32), ("activations", activations, np.float32)
        ):  # fmt: skip
            if array.dtype != kind or array.ndim != 1:
                raise ArtifactError(
                    f"is {array.dtype} of shape {array.shape}, not one row of {np.dtype(kind)}",
                    where=folder / f"index_{name}.npy",
                    remedy=remedy,
                )
        if not len(offsets) or not int(offsets[-1]) == len(rows) == len(activations):
            raise ArtifactError(
                "does not fit the postings beside it", where=folder / "index_offsets.npy", remedy=remedy
            )
        if offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise ArtifactError("does not rise from 0", where=folder / "index_offsets.npy", remedy=remedy)
        return cls(offsets, rows, activations)


def _count_above(falling: np.ndarray, threshold: float) -> int:
    return len(falling) - int(np.searchsorted(falling[::-1], threshold, side="right"))


def _pieces(codes: SparseCodes, max_entries: int) -> Iterator[tuple[int, int]]:
    """Ranges of clips with at most `max_entries` entries, but one clip at least."""
    step = max(1, max_entries // max(codes.k, 1))
    for start in range(0, len(codes), step):
        yield start, min(start + step, len(codes))


def _count(codes: SparseCodes, max_entries: int) -> Int64[np.ndarray, " Lplus1"]:
    """Where each latent's postings will begin."""
    counts = np.zeros(codes.n_latents, dtype=np.int64)
    for start, end in _pieces(codes, max_entries):
        used = codes.activations[start:end] > 0
        counts += np.bincount(codes.latents[start:end][used], minlength=codes.n_latents)
        _let_go(codes)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def range_starts(offsets: Int64[np.ndarray, " Lplus1"], max_entries: int) -> list[int]:
    """First latents of consecutive ranges with at most `max_entries` postings, or one latent each; then L."""
    starts, n_latents = [0], len(offsets) - 1
    while starts[-1] < n_latents:
        end = int(np.searchsorted(offsets, offsets[starts[-1]] + max_entries, side="right")) - 1
        starts.append(min(max(end, starts[-1] + 1), n_latents))
    return starts


def _spill(codes: SparseCodes, starts: list[int], folder: Path, *, max_entries: int) -> None:
    """Append every entry to the file of its range, which is named by the range's first latent."""
    for first, last in _pieces(codes, max_entries):
        latents, keys = _entries(codes, first, last)
        _let_go(codes)
        offsets, keys = _grouped(latents, keys, codes.n_latents)
        for start, end in pairwise(starts):
            entries = np.empty(offsets[end] - offsets[start], _SPILLED)
            entries["latent"] = np.repeat(np.arange(start, end), np.diff(offsets[start : end + 1]))
            entries["key"] = keys[offsets[start] : offsets[end]]
            with (folder / str(start)).open("ab") as stream:
                stream.write(entries.tobytes())


def _add_range(spilled: Path, start: int, end: int, *, add: tuple[Add, Add]) -> None:
    """Sort the entries of latents start…end-1 and append their rows and activations."""
    entries = np.fromfile(spilled, _SPILLED)
    latents, keys = entries["latent"] - np.int32(start), entries["key"].copy()
    del entries
    for append, postings in zip(
        add, _postings_of(_sorted_by_latent(latents, keys, end - start)[1]), strict=True
    ):
        append(postings)


def _let_go(codes: SparseCodes) -> None:
    """Drop pages of mapped files that were read: they would count as ours until the system wants them back."""
    for array in (codes.latents, codes.activations):
        owner: object = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def _entries(
    codes: SparseCodes, start: int, end: int
) -> tuple[Int32[np.ndarray, " m"], UInt64[np.ndarray, " m"]]:
    """Latents and keys of some clips' active slots, by rising row.

    A key orders the postings of a latent as a plain number: the inverted bits of the activation (bits of positive
    floats rise as they do) before the bits of the row.
    """
    latents, activations = (np.asarray(part[start:end]) for part in (codes.latents, codes.activations))
    halves = np.empty((*activations.shape, 2), "<u4")
    halves[..., 0] = np.arange(start, end, dtype=np.uint32)[:, None]
    np.invert(activations.view(np.uint32), out=halves[..., 1])
    keys, used = halves.view("<u8")[..., 0], activations > 0
    if used.all():
        return latents.ravel(), keys.ravel()
    return latents[used], keys[used]


def _postings_of(keys: UInt64[np.ndarray, " m"]) -> Postings:
    """Rows and activations that are in the keys."""
    halves = keys.view("<u4").reshape(-1, 2)
    return halves[:, 0].astype(np.int32), (~halves[:, 1]).view(np.float32)


def _grouped(latents: np.ndarray, values: np.ndarray, n_latents: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each latent's values begin, and the values by latent, each in the order it came: a sparse transpose, which
    is a counting sort and linear in their number."""
    line = csr_matrix((values, latents, [0, len(values)]), shape=(1, n_latents)).tocsc()
    return line.indptr.astype(np.int64), line.data


def _sorted_by_latent(latents: np.ndarray, keys: np.ndarray, n_latents: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each latent's keys begin, and the keys by latent, ascending in each: short sorts that stay in the cache."""
    offsets, keys = _grouped(latents, keys, n_latents)
    for start, end in pairwise(offsets.tolist()):
        keys[start:end].sort()
    return offsets, keys
