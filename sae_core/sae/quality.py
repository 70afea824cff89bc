"""How good an autoencoder is, in numbers that hold over a whole split.

Every function takes numpy arrays and goes through them in pieces, so memory does not grow with the number of clips.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from sae_core.sae.codes import SparseCodes

PIECE = 65_536
CACHED_PIECE = 512


@dataclass(frozen=True)
class ReconstructionMetrics:
    """How well embeddings are rebuilt.

    explained_variance: 1 − FVU, with FVU = Σ‖x − x̂‖² / Σ‖x − x̄‖², both sums over the whole split.
    reconstruction_bias: E‖x̂‖² / E[x · x̂], both centred on x̄; below 1, reconstructions are too short (arXiv 2404.16014).
    cosine_mean, cosine_p05: cosine between an embedding and its reconstruction: mean, and the value 5 % stay below.
    """

    explained_variance: float
    reconstruction_bias: float
    cosine_mean: float
    cosine_p05: float


def reconstruction_metrics(
    pairs: Iterable[tuple[Float32[np.ndarray, "m d"], Float32[np.ndarray, "m d"]]],
) -> ReconstructionMetrics:
    """Return the metrics of a split that comes as pieces of (embeddings, their reconstructions).

    Raises ValueError when there is no row, or all embeddings are the same.
    """
    n, error, norms, rebuilt_norms, products = 0, 0.0, 0.0, 0.0, 0.0
    total = rebuilt_total = np.zeros(0)
    cosines = []
    for x, y in _in_double(pairs):
        n += len(x)
        total, rebuilt_total = _add(total, x.sum(0)), _add(rebuilt_total, y.sum(0))
        error, norms = error + ((x - y) ** 2).sum(), norms + (x**2).sum()
        rebuilt_norms, products = rebuilt_norms + (y**2).sum(), products + (x * y).sum()
        cosines.append(_row_cosines(x, y))
    if n == 0:
        raise ValueError("there is no clip to measure reconstruction on")
    centre, rebuilt_centre = total / n, rebuilt_total / n
    variance = norms / n - centre @ centre
    if variance <= 1e-12:
        raise ValueError("all embeddings are the same, so no variance can be explained")
    shared = products / n - centre @ rebuilt_centre
    spread = rebuilt_norms / n - 2 * centre @ rebuilt_centre + centre @ centre
    every = np.concatenate(cosines)
    bias = spread / shared if abs(shared) > 1e-12 else 0.0
    return ReconstructionMetrics(
        float(1 - error / n / variance), float(bias), float(every.mean()), float(np.quantile(every, 0.05))
    )


def _in_double(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same pairs in double precision, so few rows at a time that they stay in the processor's cache."""
    for original, rebuilt in pairs:
        for piece in _pieces(len(original), CACHED_PIECE):
            yield original[piece].astype(np.float64), rebuilt[piece].astype(np.float64)


def _add(total: np.ndarray, part: np.ndarray) -> np.ndarray:
    return total + part if len(total) else part


def _row_cosines(x: np.ndarray, y: np.ndarray) -> Float64[np.ndarray, " m"]:
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return (x * y).sum(1) / np.where(lengths > 0, lengths, 1)


@dataclass(frozen=True)
class ActivityMetrics:
    """How latents fire on a split.

    l0: mean number of active latents a clip. dead_fraction: share of latents that fire on no clip.
    fraction_above_1_percent, fraction_above_10_percent: share of latents that fire on more than 1 % and 10 % of clips.
    """

    l0: float
    dead_fraction: float
    fraction_above_1_percent: float
    fraction_above_10_percent: float


def activity_metrics(codes: SparseCodes) -> ActivityMetrics:
    """Return how the latents fire on these clips; ValueError when there is none."""
    if not len(codes):
        raise ValueError("there is no clip to measure activity on")
    counts = firing_counts(codes)
    rates = counts / len(codes)
    return ActivityMetrics(
        float(counts.sum() / len(codes)),
        float((counts == 0).mean()),
        float((rates > 0.01).mean()),
        float((rates > 0.1).mean()),
    )


def firing_counts(codes: SparseCodes) -> np.ndarray:
    """Return on how many clips each latent is active: i64[L]."""
    counts = np.zeros(codes.n_latents, dtype=np.int64)
    for piece in _pieces(len(codes)):
        latents, activations = np.asarray(codes.latents[piece]), np.asarray(codes.activations[piece])
        counts += np.bincount(latents[activations > 0], minlength=codes.n_latents)
    return counts


def mean_and_std(vectors: Float32[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " d"], float]:
    """Return the mean μ of the rows and ‖σ‖ = √(E‖x − μ‖²), in two passes; ValueError when there is no row."""
    if not len(vectors):
        raise ValueError("there is no vector to measure")
    mean = sum(vectors[piece].sum(0, dtype=np.float64) for piece in _pieces(len(vectors))) / len(vectors)
    squares = sum(float(((vectors[piece] - mean) ** 2).sum()) for piece in _pieces(len(vectors)))
    return np.asarray(mean, np.float64), float(np.sqrt(squares / len(vectors)))


def gamma(vectors: Float32[np.ndarray, "n d"]) -> float:
    """Return γ = ‖μ‖ / ‖σ‖: how far off-centre embeddings are; large γ foretells dead latents (arXiv 2605.31518)."""
    mean, std = mean_and_std(vectors)
    if std <= 0:
        raise ValueError("all embeddings are the same, so γ is not defined")
    return float(np.linalg.norm(mean) / std)


def max_decoder_cosine(directions: Float32[np.ndarray, "L d"]) -> Float32[np.ndarray, " L"]:
    """Return each unit direction's highest cosine with another one (−1 where there is no other)."""
    highest = np.full(len(directions), -1.0, dtype=np.float32)
    for piece in _pieces(len(directions), 1024):
        cosines = directions[piece] @ directions.T
        cosines[np.arange(len(cosines)), np.arange(piece.start, piece.start + len(cosines))] = -1
        highest[piece] = cosines.max(1)
    return highest


def mean_max_cosine(truth: Float32[np.ndarray, "g d"], found: Float32[np.ndarray, "L d"]) -> float:
    """Return the mean over true unit directions of the highest cosine with a found one (MMCS): 1 when all are found."""
    return float(
        np.concatenate([(truth[piece] @ found.T).max(1) for piece in _pieces(len(truth), 1024)]).mean()
    )


def mean_pairwise_cosine(vectors: Float32[np.ndarray, "n d"]) -> float:
    """Return the mean cosine over all pairs of different rows: (‖Σ ê‖² − n) / (n² − n) of unit rows ê."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    total, n = unit.sum(0, dtype=np.float64), len(unit)
    return float((total @ total - n) / (n * n - n))


def effective_rank(vectors: Float32[np.ndarray, "n d"]) -> float:
    """Return exp of the entropy of the covariance's eigenvalues, scaled to sum to 1: how many dimensions are in use."""
    values = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    shares = np.clip(values, 0, None) / np.clip(values, 0, None).sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _pieces(n: int, size: int = PIECE) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
