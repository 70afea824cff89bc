"""Opens every recording once: several at a time, and never again one that has not changed since.

What is found is kept in the workspace: what each recording is, a checksum of its bytes, and whether another one has
taken its place under the same path.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import monotonic

import numpy as np
import pandas as pd
from jaxtyping import Int64

from sae_core.audio.reading import AudioInfo, look_at_start, probe, read_and_look
from sae_core.audio.recordings import CHECKED_BYTES, MIX_DOWN
from sae_core.corpus.clips import Corpus
from sae_core.corpus.sound_checks import SPLIT_HINT
from sae_core.files.artifacts import read_table, write_table
from sae_core.files.errors import ArtifactError, AudioError
from sae_core.files.progress import Progress, ignore

CACHE = "import_probes.parquet"
INFO_COLUMNS = ("container", "codec", "sample_rate_hz", "n_channels", "duration_s", "checksum")
CACHE_COLUMNS = ("audio_path", "n_bytes", "mtime_ns", "version", "copy_of", *INFO_COLUMNS)
LATER_COLUMNS = ("version", "copy_of", "checksum")
"""Columns that caches of earlier versions lack; they count as empty."""
SAVE_EVERY_S = 15.0
N_WAITING = 64
N_AT_ONCE = 16
N_NAMED = 3
N_LOOKED_AT, LOOKED_AT_S = 32, 30.0
MAX_GLANCED_BYTES, GLANCED_S = 128 * 1024**2, 20.0

Stamp = tuple[int, int]


@dataclass(frozen=True)
class _Known:
    """One recording as it was seen.

    version: "" until another one takes its place, then what tells that one apart. copy_of: see `Probes`, else "".
    """

    stamp: Stamp
    info: AudioInfo
    version: str = ""
    copy_of: str = ""


class Probes(dict[str, AudioInfo | str]):
    """What each recording is, or why it cannot be read.

    copy_of: recording → the first recording with the same bytes, for each that is a copy. version_of: recording → what
    tells it from the one that lay under the same path before. replaced: those that were replaced since the last import.
    two_sided: two-channel recordings whose sides differ, of the first `N_LOOKED_AT` that were looked at.
    """

    def __init__(self, found: Mapping[str, AudioInfo | str] | None = None) -> None:
        super().__init__(found or {})
        self.copy_of: dict[str, str] = {}
        self.version_of: dict[str, str] = {}
        self.replaced: tuple[str, ...] = ()
        self.two_sided: tuple[str, ...] = ()

    def notices(self, *, channels: str = "mix") -> tuple[str, ...]:
        """What people should know about the recordings, a sentence each, with counts and the first names.

        channels: as they are imported, see `CutSettings`.
        """
        found = []
        if self.copy_of:
            pairs = [f"{copy} = {first}" for copy, first in islice(self.copy_of.items(), N_NAMED)]
            found.append(
                f"{_count(len(self.copy_of), 'recording is an exact copy', 'recordings are exact copies')} of another "
                f"(duplicates), such as {', '.join(pairs)}: copies are kept in one split and never make a trial"
            )
        if self.replaced:
            found.append(
                f"{_count(len(self.replaced), 'recording was', 'recordings were')} replaced under the same path since "
                f"the last import, such as {', '.join(self.replaced[:N_NAMED])}: what was made of them is made again"
            )
        if self.two_sided and channels == "mix":
            found.append(
                f"{_count(len(self.two_sided), 'recording has', 'recordings have')} {SPLIT_HINT}, such as "
                f"{', '.join(self.two_sided[:N_NAMED])} (the first {N_LOOKED_AT} with two channels were looked at)"
            )
        return tuple(found)


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def probe_all(root: Path, names: Iterable[str], workspace: Path, *, progress: Progress = ignore) -> Probes:
    """What each recording below `root` is, or why it cannot be read, and which are copies or were replaced.

    Finished probes are kept in the workspace now and then, so that an import that was stopped goes on where it was;
    they are believed while size and time of change of a file stay the same. ArtifactError when the workspace cannot
    be written, before anything is opened.
    """
    names = list(names)
    known = _read_cache(workspace / CACHE)
    _write_cache(workspace / CACHE, known)
    found, replaced = Probes(), []
    saved_at = monotonic()
    try:
        for name, stamp, info in _probe_each(root, names, known):
            found[name] = info
            if isinstance(info, AudioInfo) and stamp is not None:
                before, known[name] = known.get(name), _settle(known.get(name), stamp, info)
                if before is not None and before.version != known[name].version:
                    replaced.append(name)
            if len(found) % 50 == 0 or len(found) == len(names):
                progress(len(found), len(names), "opening recordings")
            if monotonic() - saved_at > SAVE_EVERY_S:
                _write_cache(workspace / CACHE, known)
                saved_at = monotonic()
    finally:
        _write_cache(workspace / CACHE, known)
    found.copy_of = _find_copies(root, found)
    _keep_copies(workspace / CACHE, known, found)
    found.version_of = {name: known[name].version for name in names if name in known and known[name].version}
    found.replaced = tuple(sorted(replaced))
    found.two_sided = look_at_sides(root, found)
    return found


def _settle(before: _Known | None, stamp: Stamp, info: AudioInfo) -> _Known:
    """A recording as it is now, with a new version where its bytes are others than before.

    Of a large file the checksum covers both ends alone, so that another time of change counts as other bytes.
    """
    if before is None or before.stamp == stamp:
        return _Known(stamp, info) if before is None else replace(before, info=info)
    is_same = before.info.checksum == info.checksum and stamp[0] <= CHECKED_BYTES
    return _Known(stamp, info, before.version if is_same else f"{info.checksum}-{stamp[1]:x}")


def changed_recordings(root: Path, workspace: Path) -> list[str]:
    """The recordings whose size or time of change is not what the last import saw; gone ones are not among them."""
    changed = []
    for name, known in _read_cache(workspace / CACHE).items():
        try:
            if _stamp(root / name) != known.stamp:
                changed.append(name)
        except OSError:
            continue
    return changed


def _find_copies(root: Path, found: Mapping[str, AudioInfo | str]) -> dict[str, str]:
    """Recording → the first one with the same bytes. Equal checksums only hint at it; the bytes decide."""
    groups: dict[str, list[str]] = {}
    for name, info in found.items():
        if isinstance(info, AudioInfo) and info.checksum:
            groups.setdefault(info.checksum, []).append(name)
    copies: dict[str, str] = {}
    for names in groups.values():
        firsts: dict[str, str] = {}
        for name in sorted(names) if len(names) > 1 else ():
            digest = _digest(root / name)
            if digest is not None and firsts.setdefault(digest, name) != name:
                copies[name] = firsts[digest]
    return dict(sorted(copies.items()))


def find_two_sided(root: Path, names: Iterable[str], *, within_s: float = 2.0) -> tuple[str, ...]:
    """Which of some recordings have two different sides, by their first seconds; stops after `within_s` seconds.

    What cannot be read, or is too large to be read in a moment, is passed over.
    """
    until = monotonic() + within_s
    found = []
    for name in names:
        if monotonic() > until:
            break
        with contextlib.suppress(AudioError, ValueError, OSError):
            path = root / name
            if (
                path.stat().st_size <= MAX_GLANCED_BYTES
                and look_at_start(path, within_s=GLANCED_S).has_two_sides
            ):
                found.append(name)
    return tuple(found)


def look_at_sides(root: Path, infos: Mapping[str, AudioInfo | str]) -> tuple[str, ...]:
    """Which of the first `N_LOOKED_AT` two-channel recordings have two different sides, as both ends of a call."""
    stereo = [name for name, info in infos.items() if isinstance(info, AudioInfo) and info.n_channels == 2]
    two_sided = []
    for name in stereo[:N_LOOKED_AT]:
        info = infos[name]
        assert isinstance(info, AudioInfo)
        with contextlib.suppress(AudioError, ValueError):
            duration_s = min(info.duration_s, LOOKED_AT_S)
            _, facts = read_and_look(
                root / name,
                start_s=0.0,
                duration_s=duration_s,
                channel=MIX_DOWN,
                sample_rate_hz=info.sample_rate_hz,
            )
            if facts.has_two_sides:
                two_sided.append(name)
    return tuple(two_sided)


def _keep_copies(cache: Path, known: dict[str, _Known], found: Probes) -> None:
    changed = [name for name in found if name in known and known[name].copy_of != found.copy_of.get(name, "")]
    for name in changed:
        known[name] = replace(known[name], copy_of=found.copy_of.get(name, ""))
    if changed:
        _write_cache(cache, known)


def copy_groups(workspace: Path, corpus: Corpus) -> Int64[np.ndarray, " n"]:
    """A number per clip, equal where clips are the same stretch of recordings of the same bytes; -1 for all others."""
    try:
        table = read_table(workspace / CACHE, columns=("audio_path", "copy_of"))
    except ArtifactError:
        return np.full(len(corpus), -1)
    copies = table[table["copy_of"].fillna("") != ""]
    first_of = dict(zip(copies["audio_path"], copies["copy_of"], strict=True))
    clips = corpus.table[["audio_path", "start_s", "duration_s", "audio_channel"]]
    sources = clips["audio_path"].map(lambda name: first_of.get(name, name))
    groups = clips.assign(audio_path=sources).groupby(list(clips.columns), dropna=False).ngroup().to_numpy()
    return np.where(sources.isin(set(first_of.values())), groups, -1).astype(np.int64)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _probe_each(
    root: Path, names: list[str], known: Mapping[str, _Known]
) -> Iterator[tuple[str, Stamp | None, AudioInfo | str]]:
    def probe_one(name: str) -> tuple[str, Stamp | None, AudioInfo | str]:
        path = root / name
        try:
            stamp = _stamp(path)
            if name in known and known[name].stamp == stamp:
                return name, stamp, known[name].info
            return name, stamp, probe(path)
        except AudioError as error:
            return name, None, error.what
        except OSError as error:
            return name, None, f"cannot be opened ({error.strerror})"

    def probe_some(some: list[str]) -> list[tuple[str, Stamp | None, AudioInfo | str]]:
        return [probe_one(name) for name in some]

    n_workers = min(8, 2 * (os.cpu_count() or 1))
    parts = (names[start : start + N_AT_ONCE] for start in range(0, len(names), N_AT_ONCE))
    waiting: set[Future[list[tuple[str, Stamp | None, AudioInfo | str]]]] = set()
    with ThreadPoolExecutor(n_workers, thread_name_prefix="probe") as pool:
        try:
            while True:
                waiting |= {pool.submit(probe_some, part) for part in islice(parts, N_WAITING - len(waiting))}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            for future in waiting:
                future.cancel()


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _read_cache(path: Path) -> dict[str, _Known]:
    """Finished probes by name; none when there are none yet or the file is damaged, for it can always be made again."""
    needed = [name for name in CACHE_COLUMNS if name not in LATER_COLUMNS]
    try:
        table = read_table(path, columns=needed)
    except ArtifactError:
        return {}
    columns = [table[name].tolist() if name in table else [""] * len(table) for name in CACHE_COLUMNS]
    return {
        name: _Known((n_bytes, mtime_ns), AudioInfo(*info), version, copy_of)
        for name, n_bytes, mtime_ns, version, copy_of, *info in zip(*columns, strict=True)
    }


def _write_cache(path: Path, known: Mapping[str, _Known]) -> None:
    rows = [
        (name, *one.stamp, one.version, one.copy_of, *(getattr(one.info, column) for column in INFO_COLUMNS))
        for name, one in known.items()
    ]
    write_table(path, pd.DataFrame(rows, columns=list(CACHE_COLUMNS)))
