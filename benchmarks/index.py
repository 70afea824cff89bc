"""The feature index of 1,000,000 × 32 codes: building it, and the 20 strongest clips of a latent."""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers import Peer
from benchmarks.rows import Row, in_turns, wall_s
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import MEMORY_MB, FeatureIndex

N_CLIPS, N_QUICK, N_LATENTS, K = 1_000_000, 50_000, 8192, 32
N_TOP = 20
LARGE_MB = 2048
N_LOOKUPS = 2000
REMEDY = "run the benchmark again"


def measure(*, is_quick: bool) -> Iterator[Row]:
    """Building against `numpy.lexsort`, memory against its setting, look-ups against DuckDB and a scan."""
    n_clips = N_QUICK if is_quick else N_CLIPS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plant_codes(n_clips).save(folder)
        codes = SparseCodes.load(folder, n_latents=N_LATENTS, remedy=REMEDY)
        yield compare_builds(codes, folder)
        yield bound_memory(n_clips, folder)
        index = FeatureIndex.load(folder, remedy=REMEDY)
        yield from compare_lookups(codes, index, folder)


def plant_codes(n_clips: int) -> SparseCodes:
    """Random codes, some latents ten times as frequent as others; the latents of a clip differ."""
    random = np.random.default_rng(0)
    a_slot = N_LATENTS // K
    latents = (a_slot * random.random((n_clips, K), dtype=np.float32) ** 2).astype(np.int32)
    latents += a_slot * random.permutation(K).astype(np.int32)
    activations = random.exponential(size=(n_clips, K)).astype(np.float32) + np.float32(1e-6)
    return SparseCodes(latents, -np.sort(-activations, axis=1), N_LATENTS)


def lexsort_index(codes: SparseCodes) -> FeatureIndex:
    """The same index by sorting all entries at once, latent first, then falling activation; rows stay in order."""
    latents, activations = codes.latents.ravel(), codes.activations.ravel()
    order = np.lexsort((-activations, latents))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(latents, minlength=codes.n_latents))])
    return FeatureIndex(offsets, (order // codes.k).astype(np.int32), activations[order])


def compare_builds(codes: SparseCodes, folder: Path) -> Row:
    """Both in memory, by turns, with the same result; and once straight into files, as `index` does."""
    found: dict[str, FeatureIndex] = {}
    runs = {
        "ours": lambda: found.update(ours=FeatureIndex.build(codes)),
        "lexsort": lambda: found.update(lexsort=lexsort_index(codes)),
    }
    took = in_turns(runs, 3, is_warmed=False)
    for name in ("offsets", "rows", "activations"):
        assert np.array_equal(getattr(found["ours"], name), getattr(found["lexsort"], name)), name
    found.clear()
    written_s = {
        budget: wall_s(partial(FeatureIndex.write, codes, folder, memory_mb=budget))
        for budget in (MEMORY_MB, LARGE_MB)
    }
    return Row(
        f"feature index of {len(codes):,} × {K} codes, L {N_LATENTS}",
        "numpy.lexsort",
        took["lexsort"] / took["ours"],
        3,
        f"{took['ours']:.2f} s, lexsort {took['lexsort']:.2f} s, equal results, one thread each; "
        f"into files {written_s[MEMORY_MB]:.2f} s within {MEMORY_MB} MB, {written_s[LARGE_MB]:.2f} s within "
        f"{LARGE_MB:,} MB",
    )


def bound_memory(n_clips: int, folder: Path) -> Row:
    """What building into files adds to resident memory, mapped pages included, for all codes and for a quarter."""
    grown_mb, took_s = [], []
    for part in (n_clips // 4, n_clips):
        with Peer("index_memory", is_ours=True) as fresh:
            reply = fresh.call("build", folder=str(folder), n_clips=part, memory_mb=MEMORY_MB)
        grown_mb.append(reply.value)
        took_s.append(reply.seconds)
    return Row(
        f"memory while building with a budget of {MEMORY_MB} MB",
        "the budget",
        grown_mb[1],
        MEMORY_MB,
        f"{grown_mb[0]:.0f} MB for {n_clips // 4:,} clips ({took_s[0]:.1f} s), {grown_mb[1]:.0f} MB for {n_clips:,} "
        f"({took_s[1]:.1f} s); resident, beyond what the process had at its start",
        unit="MB",
        is_limit=True,
    )


def compare_lookups(codes: SparseCodes, index: FeatureIndex, folder: Path) -> Iterator[Row]:
    """The strongest clips of random latents: from the index, by scanning the codes, and by DuckDB from Parquet."""
    some = np.random.default_rng(1).integers(0, N_LATENTS, N_LOOKUPS).tolist()
    by_clip, by_latent = write_parquet(codes, folder / "by_clip.parquet"), folder / "by_latent.parquet"
    write_postings(index, by_latent)
    latents = iter(some * 100)

    def look_up() -> float:
        started = time.perf_counter()
        for latent in some:
            index.top(latent, N_TOP)
        return (time.perf_counter() - started) / len(some)

    with Peer("duckdb_lookup") as peer:
        peer.call("open", path=str(by_clip))
        for latent in some[:3]:
            theirs = peer.call("top", path=str(by_clip), latent=latent, n=N_TOP).value
            assert theirs == index.top(latent, N_TOP)[0].tolist() == scan(codes, latent).tolist()
        runs = {
            "ours": look_up,
            "scan": lambda: void(scan(codes, next(latents))),
            "by clip": lambda: peer.seconds("top", path=str(by_clip), latent=next(latents), n=N_TOP),
            "by latent": lambda: peer.seconds("top", path=str(by_latent), latent=next(latents), n=N_TOP),
        }
        took = in_turns(runs, 11)
    ms = {name: f"{1e3 * seconds:.3g} ms" for name, seconds in took.items()}
    name = f"{N_TOP} strongest clips of a latent"
    yield Row(name, "20 µs", 1e6 * took["ours"], 20, "warm, from the mapped files", unit="µs", is_limit=True)
    yield Row(
        name,
        "DuckDB over Parquet",
        took["by clip"] / took["ours"],
        100,
        f"{1e6 * took['ours']:.1f} µs, DuckDB {ms['by clip']} over the codes clip by clip; over a file sorted by "
        f"latent {ms['by latent']}, {took['by latent'] / took['ours']:,.0f}×",
    )
    yield Row(
        name, "linear scan", took["scan"] / took["ours"], 100, f"numpy over the mapped codes {ms['scan']}"
    )


def void(_: object) -> None:
    """Nothing: the clock of `in_turns` is to count."""


def scan(codes: SparseCodes, latent: int) -> np.ndarray:
    """The rows of one latent's strongest clips without an index."""
    place = np.flatnonzero(codes.latents.ravel() == latent)
    activations = codes.activations.ravel()[place]
    place = place[activations > 0]
    return place[np.argsort(-activations[activations > 0], kind="stable")[:N_TOP]] // codes.k


def write_parquet(codes: SparseCodes, path: Path) -> Path:
    """The codes as a table of row, latent and activation, clip by clip."""
    schema = pa.schema([("row", pa.int32()), ("latent", pa.int32()), ("activation", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(codes), 32_768):
            part = slice(start, start + 32_768)
            latents, activations = codes.latents[part].ravel(), codes.activations[part].ravel()
            rows = np.repeat(np.arange(start, start + len(latents) // codes.k, dtype=np.int32), codes.k)
            writer.write_table(pa.table([rows, latents, activations], schema=schema))
    return path


def write_postings(index: FeatureIndex, path: Path) -> None:
    """The same table sorted by latent, so that a reader may skip all row groups but one."""
    latents = np.repeat(np.arange(index.n_latents, dtype=np.int32), index.n_active())
    columns = {"row": index.rows, "latent": latents, "activation": index.activations}
    pq.write_table(pa.table(columns), path, row_group_size=2**17)
