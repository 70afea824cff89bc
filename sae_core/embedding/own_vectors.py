"""Vectors that people bring, made ready: of norm 1, each id once, on disk, so that they need not fit in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from sae_core.corpus.columns import shown
from sae_core.embedding.vector_files import read_vectors
from sae_core.embedding.vector_files.pieces import MAX_VECTORS, check_kind, check_shape, ragged, refuse
from sae_core.files.artifacts import writing
from sae_core.files.progress import Progress, ignore

NOT_FINITE, ZERO = "its vector holds numbers that are not finite", "its vector is zero"
_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class OwnVectors:
    """The vectors of a file, each id once, in the order of the file.

    ids: n of them. units: f32[m, d], m ≥ n, mapped into memory, of norm 1, zeros where a vector cannot be used. rows:
    the row of each id. reasons: id → why its vector cannot be used. n_repeated: rows that said the same again.
    """

    ids: list[str]
    units: Float32[np.ndarray, "m d"]
    rows: Int64[np.ndarray, " n"]
    reasons: dict[str, str]
    n_repeated: int

    @property
    def dim(self) -> int:
        """d."""
        return int(self.units.shape[1])


def stage_vectors(
    path: Path, ids: str | Path | None, scratch: Path, *, progress: Progress = ignore
) -> OwnVectors:
    """The vectors of a file, written to the folder `scratch` as they will be kept; see `read_vectors` for `ids`.

    Raises CorpusError for a file that cannot be used, for vectors of several lengths, and where one id has several
    vectors; MissingDependencyError; ArtifactError where the disk is full.
    """
    names: list[str] = []
    reasons: dict[int, str] = {}
    dim = 0
    file = scratch / "units.f32"
    with writing(file) as temporary, temporary.open("wb") as stream:
        for some, rows in read_vectors(path, ids):
            dim = _check_piece(some, rows, path, dim=dim, n_before=len(names))
            units, bad = _units(rows)
            reasons |= {len(names) + place: why for place, why in bad.items()}
            names += some
            stream.write(units.data)
            progress(len(names), len(names), "reading vectors")
    if not names:
        raise refuse(path, "holds no vectors")
    units = np.memmap(file, np.float32, "r", shape=(len(names), dim))
    kept, n_repeated = _each_once(names, units, reasons, path)
    chosen = [names[row] for row in kept]
    why = {names[row]: reasons[row] for row in kept if row in reasons}
    return OwnVectors(chosen, units, np.asarray(kept, dtype=np.int64), why, n_repeated)


def _check_piece(names: list[str], rows: np.ndarray, path: Path, *, dim: int, n_before: int) -> int:
    """The length of the vectors of a piece; CorpusError where it is not that of those before it."""
    check_kind(rows.dtype, path)
    check_shape((max(len(rows), 1), *rows.shape[1:]), path)
    if n_before + len(names) > MAX_VECTORS:
        raise refuse(path, f"holds more than {MAX_VECTORS:,} vectors")
    if dim and rows.shape[1] != dim:
        raise ragged(path, names[0], rows.shape[1], dim)
    if "" in names:
        raise refuse(
            path, f"has no id for vector {n_before + names.index('') + 1:,}", remedy="give every vector an id"
        )
    return int(rows.shape[1])


def _units(rows: np.ndarray) -> tuple[Float32[np.ndarray, "n d"], dict[int, str]]:
    """Rows of norm 1, and why those that cannot be are zeros. Scaled by the largest number first, so that the squares
    of float64 neither overflow nor vanish."""
    wide = np.asarray(rows, dtype=np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True) if len(wide) else np.zeros((0, 1))
    is_finite = np.isfinite(largest[:, 0])
    is_good = is_finite & (largest[:, 0] > 0)
    scaled = np.zeros(wide.shape)
    np.divide(wide, largest, out=scaled, where=is_good[:, None])
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    units = np.divide(scaled, norms, out=np.zeros(wide.shape), where=is_good[:, None]).astype(np.float32)
    bad = {int(place): ZERO if is_finite[place] else NOT_FINITE for place in np.flatnonzero(~is_good)}
    return np.ascontiguousarray(units), bad


def _each_once(
    names: list[str], units: np.ndarray, reasons: dict[int, str], path: Path
) -> tuple[list[int], int]:
    """The first row of each id, and how many rows repeat one; CorpusError where a repeated id has another vector."""
    first: dict[str, int] = {}
    odd: list[str] = []
    for row, name in enumerate(names):
        before = first.setdefault(name, row)
        is_same = before == row or (
            reasons.get(before) == reasons.get(row) and np.array_equal(units[before], units[row])
        )
        if not is_same:
            odd.append(name)
    if odd:
        ids = list(dict.fromkeys(odd))
        raise refuse(
            path,
            f"has different vectors under one id, of {len(ids):,} {'ids' if len(ids) > 1 else 'id'}: {shown(ids)}",
            remedy="keep one vector an id",
        )
    return list(first.values()), len(names) - len(first)


def blocks_of(n: int) -> Iterable[slice]:
    """Rows 0 to n in blocks that fit in memory."""
    return (slice(start, min(n, start + _BLOCK_ROWS)) for start in range(0, n, _BLOCK_ROWS))
