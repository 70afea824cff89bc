"""A map of 100,000 codes, against umap-learn called plainly on the same codes."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.rows import Row, in_turns
from sae_core.measures.maps import MapSettings, lay_out
from sae_core.sae.codes import SparseCodes

N_CLIPS, N_QUICK, N_LATENTS, K = 100_000, 3_000, 2048, 32
N_GROUPS = 50
N_COMPILING = 5_000
"""umap-learn compares all pairs of fewer, and compiles its search for neighbours at the first call with more."""
AS_FAST = 0.95
"""Both sides do the same work, and single runs of minutes differ by a few percent."""
SETTINGS = MapSettings(n_neighbors=15, min_dist=0.1)


def measure(*, is_quick: bool) -> Iterator[Row]:
    """One layout each after a small one that compiles: the same sparse rows, neighbours, distance and seed."""
    from umap import UMAP

    small, codes = plant_groups(N_COMPILING), plant_groups(N_QUICK if is_quick else N_CLIPS)
    found: dict[str, np.ndarray] = {}

    def ours(some: SparseCodes) -> None:
        found["ours"] = lay_out(some, np.ones(len(some), dtype=bool), SETTINGS).xy

    def plain(some: SparseCodes) -> None:
        starts = np.arange(0, some.latents.size + 1, some.k)
        parts = (some.activations.ravel(), some.latents.ravel(), starts)
        rows = csr_matrix(parts, shape=(len(some), some.n_latents))
        settings = {"n_neighbors": SETTINGS.n_neighbors, "min_dist": SETTINGS.min_dist, "metric": "cosine"}
        found["plain"] = UMAP(**settings, random_state=SETTINGS.seed).fit_transform(rows)

    ours(small)
    plain(small)
    took = in_turns({"ours": lambda: ours(codes), "plain": lambda: plain(codes)}, 1, is_warmed=False)
    yield Row(
        f"UMAP of {len(codes):,} codes, L {N_LATENTS}, k {K}",
        "umap-learn called plainly",
        took["plain"] / took["ours"],
        AS_FAST,
        f"{took['ours']:.0f} s and {took['plain']:.0f} s, seeded, once each; of a clip's 15 nearest on the map, of "
        f"its group: {same_group(found['ours']):.0%} and {same_group(found['plain']):.0%}",
    )


def plant_groups(n_clips: int) -> SparseCodes:
    """Codes of clips in groups: half of a clip's latents are its group's, the others anyone's."""
    random = np.random.default_rng(0)
    half = K // 2
    group = np.arange(n_clips) % N_GROUPS
    own = group[:, None] * half + np.arange(half)
    a_slot = (N_LATENTS - N_GROUPS * half) // half
    others = N_GROUPS * half + np.arange(half) * a_slot + random.integers(0, a_slot, (n_clips, half))
    activations = random.exponential(size=(n_clips, K)).astype(np.float32) + np.float32(1e-3)
    return SparseCodes(np.hstack([own, others]).astype(np.int32), -np.sort(-activations, axis=1), N_LATENTS)


def same_group(xy: np.ndarray) -> float:
    """How often the nearest 15 dots of some dots are of their own group."""
    from scipy.spatial import cKDTree

    some = np.arange(0, len(xy), max(1, len(xy) // 2000))
    _, near = cKDTree(xy).query(xy[some], k=16)
    return float((near[:, 1:] % N_GROUPS == some[:, None] % N_GROUPS).mean())
