"""Maps: clips and decoder directions laid out in the plane by UMAP, made once, stored, and only read by pages."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32
from scipy.sparse import csr_matrix

from sae_core.artifacts import ArtifactMeta, fingerprint, read_array, write_array
from sae_core.errors import ArtifactError
from sae_core.sparse_codes import SparseCodes

Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class MapSettings:
    """How a map is made.

    n_neighbors: how many nearest points each one is tied to; more shows the whole, fewer the detail.
    min_dist: how close points may lie, from 0 to 1. metric: how far apart they are before. seed: of the layout.
    """

    n_neighbors: int = 15
    min_dist: float = 0.1
    metric: Metric = "cosine"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_neighbors < 2:
            raise ValueError(f"n_neighbors must be at least 2, not {self.n_neighbors}")
        if not 0 <= self.min_dist <= 1:
            raise ValueError(f"min_dist must lie between 0 and 1, not {self.min_dist}")
        if self.metric not in get_args(Metric):
            raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, not {self.metric!r}")


@dataclass(frozen=True)
class PointMap:
    """Places of points, row by row.

    xy: f32[n, 2]; points that have no place (clips without an embedding, silent latents) lie at 0 and are not
    `is_placed`. settings: what it was made with.
    """

    xy: Float32[np.ndarray, "n 2"]
    is_placed: Bool[np.ndarray, " n"]
    settings: dict[str, Any]

    def save(self, folder: Path, name: str, *, parents: dict[str, str]) -> None:
        """Write map_<name>.npy, map_<name>_placed.npy and, last, map_<name>.json."""
        (folder / f"map_{name}.json").unlink(missing_ok=True)
        write_array(folder / f"map_{name}.npy", self.xy)
        write_array(folder / f"map_{name}_placed.npy", self.is_placed)
        meta = ArtifactMeta("map", fingerprint(self.xy, self.settings), parents, self.settings)
        meta.write(folder / f"map_{name}.json")

    @classmethod
    def load(cls, folder: Path, name: str, *, parents: dict[str, str], remedy: str) -> "PointMap":
        """Return a stored map; ArtifactError when missing or damaged, StaleArtifactError when made from other data."""
        meta = ArtifactMeta.read(folder / f"map_{name}.json", kind="map", remedy=remedy)
        meta.check_parents(parents, where=folder / f"map_{name}.json", remedy=remedy)
        xy = read_array(folder / f"map_{name}.npy", remedy=remedy)
        is_placed = read_array(folder / f"map_{name}_placed.npy", remedy=remedy)
        if xy.ndim != 2 or xy.shape != (len(is_placed), 2):
            raise ArtifactError(
                "does not fit its table of places", where=folder / f"map_{name}.npy", remedy=remedy
            )
        return cls(xy, is_placed, meta.settings)


def lay_out(
    points: Float32[np.ndarray, "n d"] | SparseCodes, is_placed: Bool[np.ndarray, " n"], settings: MapSettings
) -> PointMap:
    """Return the UMAP of the placed points, centred and scaled into −1…1; the same seed gives the same map.

    Raises ValueError when fewer than 4 points are to be placed.
    """
    rows = np.flatnonzero(is_placed)
    if len(rows) < 4:
        raise ValueError(f"a map needs at least 4 points, not {len(rows)}")
    from umap import UMAP

    data = _sparse_rows(points, rows) if isinstance(points, SparseCodes) else np.asarray(points[rows])
    reducer = UMAP(
        n_neighbors=min(settings.n_neighbors, len(rows) - 1),
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
    return PointMap(xy, is_placed, asdict(settings))


def _sparse_rows(codes: SparseCodes, rows: np.ndarray) -> csr_matrix:
    """Some clips' codes as a sparse m×L matrix; every row keeps at least its first slot, so none is empty."""
    latents, activations = np.asarray(codes.latents[rows]), np.asarray(codes.activations[rows])
    starts = np.arange(0, activations.size + 1, codes.k)
    matrix = csr_matrix((activations.ravel(), latents.ravel(), starts), shape=(len(rows), codes.n_latents))
    matrix.sum_duplicates()
    return matrix
