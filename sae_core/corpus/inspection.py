"""Opens every recording once: several at a time, and never again one that has not changed since."""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from time import monotonic

import pandas as pd

from sae_core.audio.reading import AudioInfo, probe
from sae_core.files.artifacts import read_table, write_table
from sae_core.files.errors import ArtifactError, AudioError
from sae_core.files.progress import Progress, ignore

CACHE = "import_probes.parquet"
INFO_COLUMNS = ("container", "codec", "sample_rate_hz", "n_channels", "duration_s")
CACHE_COLUMNS = ("audio_path", "n_bytes", "mtime_ns", *INFO_COLUMNS)
SAVE_EVERY_S = 15.0
N_WAITING = 256

Stamp = tuple[int, int]


def probe_all(
    root: Path, names: Iterable[str], workspace: Path, *, progress: Progress = ignore
) -> dict[str, AudioInfo | str]:
    """What each recording below `root` is, or why it cannot be read.

    Finished probes are kept in the workspace now and then, so that an import that was stopped goes on where it was;
    they are believed while size and time of change of a file stay the same. ArtifactError when the workspace cannot
    be written, before anything is opened.
    """
    names = list(names)
    known = _read_cache(workspace / CACHE)
    _write_cache(workspace / CACHE, known)
    found: dict[str, AudioInfo | str] = {}
    saved_at = monotonic()
    try:
        for name, stamp, info in _probe_each(root, names, known):
            found[name] = info
            if isinstance(info, AudioInfo) and stamp is not None:
                known[name] = (stamp, info)
            if len(found) % 50 == 0 or len(found) == len(names):
                progress(len(found), len(names), "opening recordings")
            if monotonic() - saved_at > SAVE_EVERY_S:
                _write_cache(workspace / CACHE, known)
                saved_at = monotonic()
    finally:
        _write_cache(workspace / CACHE, known)
    return found


def _probe_each(
    root: Path, names: list[str], known: Mapping[str, tuple[Stamp, AudioInfo]]
) -> Iterator[tuple[str, Stamp | None, AudioInfo | str]]:
    def probe_one(name: str) -> tuple[str, Stamp | None, AudioInfo | str]:
        path = root / name
        try:
            stamp = _stamp(path)
            if name in known and known[name][0] == stamp:
                return name, stamp, known[name][1]
            return name, stamp, probe(path)
        except AudioError as error:
            return name, None, error.what
        except OSError as error:
            return name, None, f"cannot be opened ({error.strerror})"

    n_workers = min(8, 2 * (os.cpu_count() or 1))
    with ThreadPoolExecutor(n_workers, thread_name_prefix="probe") as pool:
        todo = iter(names)
        waiting: set[Future[tuple[str, Stamp | None, AudioInfo | str]]] = set()
        try:
            while True:
                waiting |= {pool.submit(probe_one, name) for name in islice(todo, N_WAITING - len(waiting))}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in waiting:
                future.cancel()


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _read_cache(path: Path) -> dict[str, tuple[Stamp, AudioInfo]]:
    """Finished probes by name; none when there are none yet or the file is damaged, for it can always be made again."""
    try:
        table = read_table(path, columns=CACHE_COLUMNS)
    except ArtifactError:
        return {}
    columns = [table[name].tolist() for name in CACHE_COLUMNS]
    return {
        name: ((n_bytes, mtime_ns), AudioInfo(*info))
        for name, n_bytes, mtime_ns, *info in zip(*columns, strict=True)
    }


def _write_cache(path: Path, known: Mapping[str, tuple[Stamp, AudioInfo]]) -> None:
    rows = [
        (name, *stamp, *(getattr(info, column) for column in INFO_COLUMNS))
        for name, (stamp, info) in known.items()
    ]
    write_table(path, pd.DataFrame(rows, columns=list(CACHE_COLUMNS)))
