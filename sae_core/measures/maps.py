"""Maps: clips and decoder directions laid out in the plane by UMAP, made once, stored, and only read by pages.

UMAP: McInnes, Healy and Melville 2018 (arXiv 1802.03426), by the package umap-learn.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.sparse import csr_matrix

from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_array, write_array
from sae_core.files.errors import ArtifactError
from sae_core.sae.codes import SparseCodes

Metric = Literal["cosine", "euclidean"]
MIN_POINTS = 4
_ORDER_SEED = 0
_GRID = 2**16 - 1


@dataclass(frozen=True)
class MapSettings:
    """How a map is made.

    n_neighbors: how many nearest points each one is tied to, at most an eighth of all; more shows the whole, fewer the
        detail. With few clips a speaker, fewer than about twice as many leave every speaker an island far from all
    others. min_dist: how close points may lie, from 0 to 1. metric: how far apart they are before. seed: of the layout.
    max_points: how many points at most are placed, drawn by the seed; None places all.
    """

    n_neighbors: int = 60
    min_dist: float = 0.6
    metric: Metric = "cosine"
    seed: int = 0
    max_points: int | None = None

    def __post_init__(self) -> None:
        if self.n_neighbors < 2:
            raise ValueError(f"n_neighbors must be at least 2, not {self.n_neighbors}")
        if not 0 <= self.min_dist <= 1:
            raise ValueError(f"min_dist must lie between 0 and 1, not {self.min_dist}")
        if self.metric not in get_args(Metric):
            raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, not {self.metric!r}")
        if self.max_points is not None and self.max_points < MIN_POINTS:
            raise ValueError(f"max_points must be at least {MIN_POINTS}, not {self.max_points}")


@dataclass(frozen=True)
class PointMap:
    """Places of points, row by row.

    xy: f32[n, 2] within −1…1; points that have no place (clips without an embedding, silent latents) lie at 0 and are
    not `is_placed`. settings: what it was made with.
    """

    xy: Float32[np.ndarray, "n 2"]
    is_placed: Bool[np.ndarray, " n"]
    settings: dict[str, Any]

    @cached_property
    def rows(self) -> Int[np.ndarray, " m"]:
        """The placed rows in one fixed random order: any first part of them is a fair sample, and whoever draws them so
        buries no group under another."""
        return np.random.default_rng(_ORDER_SEED).permutation(np.flatnonzero(self.is_placed))

    @cached_property
    def places(self) -> Float32[np.ndarray, "m 2"]:
        """Where `rows` lie, in their order."""
        return np.asarray(self.xy[self.rows])

    def point_of(self, row: int) -> int | None:
        """The place of one row among `rows`; None when it is not placed."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None

    def packed(self) -> bytes:
        """Places of `rows` for a browser: u16 x and y by turns, little-endian, −1…1 as 0…65535, y upwards."""
        places = np.clip((self.places + 1) / 2, 0, 1)
        return np.rint(places * _GRID).astype("<u2").tobytes()

    def save(self, folder: Path, name: str, *, parents: dict[str, str]) -> None:
        """Write map_<name>.npy, map_<name>_placed.npy and, last, map_<name>.json."""
        (folder / f"map_{name}.json").unlink(missing_ok=True)
        write_array(folder / f"map_{name}.npy", self.xy)
        write_array(folder / f"map_{name}_placed.npy", self.is_placed)
        meta = ArtifactMeta("map", fingerprint(self.xy, self.settings), parents, self.settings)
        meta.write(folder / f"map_{name}.json", files=(f"map_{name}.npy", f"map_{name}_placed.npy"))

    @classmethod
    def load(cls, folder: Path, name: str, *, parents: dict[str, str], remedy: str) -> "PointMap":
        """Return a stored map; ArtifactError when missing or damaged, StaleArtifactError when made from other data."""
        meta = read_map_meta(folder, name, parents=parents, remedy=remedy)
        meta.check_files(folder, remedy=remedy)
        xy = read_array(folder / f"map_{name}.npy", remedy=remedy)
        is_placed = read_array(folder / f"map_{name}_placed.npy", remedy=remedy)
        fits = xy.dtype == np.float32 and is_placed.dtype == bool and xy.shape == (is_placed.size, 2)
        if not fits or not np.isfinite(xy).all():
            raise ArtifactError(
                "does not fit its table of places", where=folder / f"map_{name}.npy", remedy=remedy
            )
        return cls(xy, is_placed, meta.settings)


def read_map_meta(folder: Path, name: str, *, parents: dict[str, str], remedy: str) -> ArtifactMeta:
    """What a stored map says of itself; ArtifactError when missing, StaleArtifactError when made from other data."""
    meta = ArtifactMeta.read(folder / f"map_{name}.json", kind="map", remedy=remedy)
    meta.check_parents(parents, where=folder / f"map_{name}.json", remedy=remedy)
    return meta


def settings_of(settings: MapSettings) -> dict[str, Any]:
    """What is kept of how a map was made: its settings and the version of UMAP, which no import is needed for."""
    from importlib.metadata import version

    return {**asdict(settings), "umap": version("umap-learn")}


def lay_out(
    points: Float32[np.ndarray, "n d"] | SparseCodes, is_placed: Bool[np.ndarray, " n"], settings: MapSettings
) -> PointMap:
    """Return the UMAP of the placed points, centred and scaled into −1…1; the same seed gives the same map.

    Raises ValueError when fewer than `MIN_POINTS` points are to be placed.
    """
    rows = _drawn(np.flatnonzero(is_placed), settings)
    if len(rows) < MIN_POINTS:
        raise ValueError(f"a map needs at least {MIN_POINTS} points, not {len(rows)}")
    from umap import UMAP

    data = _sparse_rows(points, rows) if isinstance(points, SparseCodes) else np.asarray(points[rows])
    reducer = UMAP(
        n_neighbors=min(settings.n_neighbors, max(MIN_POINTS - 1, len(rows) // 8)),
        min_dist=settings.min_dist,
        metric=settings.metric,
        random_state=settings.seed,
        n_jobs=1,
        init="spectral" if len(rows) > 10 else "random",
    )
    found = np.asarray(reducer.fit_transform(data), dtype=np.float32)
    found -= (found.max(axis=0) + found.min(axis=0)) / 2
    xy = np.zeros((len(is_placed), 2), dtype=np.float32)
    xy[rows] = found / max(float(np.abs(found).max()), 1e-12)
    placed = np.zeros(len(is_placed), dtype=bool)
    placed[rows] = True
    return PointMap(xy, placed, settings_of(settings))


def _drawn(rows: np.ndarray, settings: MapSettings) -> np.ndarray:
    """All rows, or as many as may be placed, ascending."""
    if settings.max_points is None or len(rows) <= settings.max_points:
        return rows
    return np.sort(np.random.default_rng(settings.seed).choice(rows, settings.max_points, replace=False))


def _sparse_rows(codes: SparseCodes, rows: np.ndarray) -> csr_matrix:
    """Some clips' codes as a sparse m×L matrix, unused slots left out."""
    latents, activations = np.asarray(codes.latents[rows]), np.asarray(codes.activations[rows])
    starts = np.arange(0, activations.size + 1, codes.k)
    matrix = csr_matrix((activations.ravel(), latents.ravel(), starts), shape=(len(rows), codes.n_latents))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
