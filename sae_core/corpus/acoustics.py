"""Acoustic measures of every clip: made once, several clips at a time, kept beside the clips, and never half.

Row i of `acoustics.parquet` is clip i; what a clip does not have, such as the pitch of a noise, is null there. Row i of
`sound_checks.parquet` holds what its samples look like, seen in the same pass. Finished parts of a run that was stopped
are kept and not made again; where some recordings were replaced or added, only their clips are measured.
"""

import hashlib
import logging
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from sae_core.audio import reading
from sae_core.audio.looks import FACT_COLUMNS
from sae_core.audio.measures import SAMPLE_RATE_HZ, SOUND_COLUMNS, measure_sound
from sae_core.corpus.clips import NO_SOUND, SOUND_REMEDY, Corpus, clip_marks
from sae_core.corpus.sound_checks import sound_warnings
from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_table, write_table
from sae_core.files.contents import numbers, text, whole_numbers
from sae_core.files.errors import ArtifactError, StaleArtifactError, VoxScopeError
from sae_core.files.processes import end_with_parent
from sae_core.files.progress import Progress, ignore

METHOD = 1
"""Counts up whenever a measure is made in another way: earlier measures are then stale."""
MEASURED_S = 120.0
"""Of a longer clip the first two minutes are measured."""
PART_CLIPS = 64
ACOUSTIC_COLUMNS = (*SOUND_COLUMNS, "duration_s")

CHECKS_FILE = "sound_checks.parquet"
CHECK_COLUMNS = (*FACT_COLUMNS, "level_dbfs", "sound_digest", "clip_mark")
"""`SoundFacts`, the level of what embedders hear, a digest of it ("" where there is none), and what the clip was."""
_FACTS = (*FACT_COLUMNS, "level_dbfs")
_MEASURED = (*SOUND_COLUMNS, *_FACTS, "sound_digest")
_CHECK_KINDS = {
    name: numbers(may_lack=True) if name in _FACTS else text(may_lack=True) for name in CHECK_COLUMNS
}
_KINDS = dict.fromkeys(ACOUSTIC_COLUMNS, numbers(may_lack=True))
_PARTS = "acoustics_parts"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Acoustics:
    """The measures of every clip, row by row.

    table: one nullable Float32 column for each of `ACOUSTIC_COLUMNS`. failures: row, clip_id and reason of clips whose
    sound could not be had; they have a duration alone. fingerprint: of all of it. checks: `CHECK_COLUMNS` of every
    clip; None where an earlier version measured them.
    """

    table: pd.DataFrame
    failures: pd.DataFrame
    fingerprint: str
    checks: pd.DataFrame | None = None

    def warnings(self, corpus: Corpus) -> tuple[str, ...]:
        """What the sound of the clips gives reason to warn of, a sentence a kind; none where it was not looked at."""
        if self.checks is None:
            return ()
        return sound_warnings(corpus, pd.concat([self.table[["f0_median_hz"]], self.checks], axis=1))

    def values(self, column: str) -> np.ndarray:
        """One measure of every clip as f32[n], NaN where a clip has none: for arithmetic that asks `isfinite` first."""
        return np.asarray(self.table[column].to_numpy(dtype=np.float32, na_value=np.nan))


def measure_workspace(
    path: Path, *, n_processes: int | None = None, rebuild: bool = False, progress: Progress = ignore
) -> Acoustics:
    """Measure every clip of a workspace and save it there; what is finished is kept, failed clips are tried again.

    n_processes: how many clips at once, by default one a core. Raises CorpusError or ArtifactError where there is no
    corpus or it has no sound, ArtifactError when the workspace cannot be written or a process is ended from outside.
    """
    path, corpus = Path(path), Corpus.load(path)
    corpus.check_sound(path)
    table, rows, is_same = _begin(path, corpus, rebuild=rebuild)
    parts = [
        _Part(corpus, rows[start : start + PART_CLIPS], path) for start in range(0, len(rows), PART_CLIPS)
    ]
    reasons: dict[int, str] = {}
    n_done = 0
    for part, found in _each_part(parts, n_processes or os.cpu_count() or 1, rebuild=rebuild):
        table.loc[part.rows, list(_MEASURED)] = found[list(_MEASURED)].to_numpy()
        is_failed = found["reason"] != ""
        reasons |= dict(zip(part.rows[is_failed].tolist(), found["reason"][is_failed], strict=True))
        n_done += len(part.rows)
        progress(n_done, len(rows), "measuring")
    if not is_same or len(reasons) < len(rows):
        _save(path, corpus, table, reasons)
    shutil.rmtree(path / _PARTS, ignore_errors=True)
    return load_acoustics(path, corpus)


def _begin(
    path: Path, corpus: Corpus, *, rebuild: bool
) -> tuple[pd.DataFrame, Int64[np.ndarray, " m"], bool]:
    """The measures that are known already, the rows that have none, and whether they are of these very clips."""
    table, everything = _empty(corpus), np.arange(len(corpus))
    if rebuild:
        return table, everything, False
    known = _known(path, corpus)
    if known is not None:
        table[list(SOUND_COLUMNS)] = known.table[list(SOUND_COLUMNS)]
        if known.checks is not None:
            names = [*_FACTS, "sound_digest"]
            table[names] = known.checks[names]
        return table, known.failures["row"].to_numpy(dtype=np.int64), True
    return _take_over(path, corpus, table)


def _take_over(
    path: Path, corpus: Corpus, table: pd.DataFrame
) -> tuple[pd.DataFrame, Int64[np.ndarray, " m"], bool]:
    """The same from measures of other clips: those of clips that are the same stretch of the same recording."""
    everything = np.arange(len(corpus))
    try:
        meta = ArtifactMeta.read(path / "acoustics.json", kind="acoustics", remedy="")
        meta.check_files(path, remedy="", whole=True)
        measured = read_table(path / "acoustics.parquet", columns=SOUND_COLUMNS)
        checks = read_table(path / CHECKS_FILE, columns=CHECK_COLUMNS)
        failed = read_table(path / "acoustics_failures.parquet", columns=("row",))["row"]
    except ArtifactError:
        return table, everything, False
    if meta.settings != _SETTINGS or len(measured) != len(checks):
        return table, everything, False
    before = pd.concat([measured, checks], axis=1).drop(index=failed)
    places = (
        pd.Index(before["clip_mark"]).get_indexer(clip_marks(corpus))
        if before["clip_mark"].is_unique
        else None
    )
    if places is None:
        return table, everything, False
    is_there = places >= 0
    taken = before.iloc[places[is_there]][list(_MEASURED)]
    table.loc[is_there, list(_MEASURED)] = taken.to_numpy()
    return table, everything[~is_there], False


def load_acoustics(path: Path, corpus: Corpus) -> Acoustics:
    """Return the measures in a workspace folder; ArtifactError where there are none, StaleArtifactError where they are
    of other clips or made in another way."""
    remedy = measure_command(path)
    if not corpus.has_sound:
        raise ArtifactError(NO_SOUND, where=path, remedy=SOUND_REMEDY)
    if not (path / "acoustics.json").exists():
        raise ArtifactError("holds no acoustic measures yet", where=path, remedy=remedy)
    meta = ArtifactMeta.read(path / "acoustics.json", kind="acoustics", remedy=remedy)
    meta.check_parents({"audio": corpus.audio_fingerprint}, where=path / "acoustics.parquet", remedy=remedy)
    meta.check_files(path, remedy=remedy)
    failed = {"row": whole_numbers(0, len(corpus) - 1), "reason": text(may_lack=True)}
    table = read_table(path / "acoustics.parquet", columns=_KINDS, remedy=remedy)
    failures = read_table(path / "acoustics_failures.parquet", columns=failed, remedy=remedy)
    if meta.settings != _SETTINGS or len(table) != len(corpus):
        raise StaleArtifactError(
            "was measured in another way or of other clips", where=path / "acoustics.parquet", remedy=remedy
        )
    checks = None
    if (path / CHECKS_FILE).exists():
        checks = read_table(path / CHECKS_FILE, columns=_CHECK_KINDS, remedy=remedy)
        if len(checks) != len(corpus):
            raise ArtifactError("does not fit the clips", where=path / CHECKS_FILE, remedy=remedy)
    return Acoustics(table[list(ACOUSTIC_COLUMNS)].astype("Float32"), failures, meta.fingerprint, checks)


def stored_state(path: Path, corpus: Corpus) -> tuple[str, str, str | None] | None:
    """State, detail and command of the measures in a workspace folder, for people; None where there are none."""
    if not (path / "acoustics.json").exists():
        return None
    try:
        found = load_acoustics(path, corpus)
    except ArtifactError as error:
        state = "stale" if isinstance(error, StaleArtifactError) else "damaged"
        return state, error.what, (error.remedy or measure_command(path)).removeprefix("run: ")
    return "ready", f"{len(found.table):,} × {len(ACOUSTIC_COLUMNS)}, {len(found.failures):,} failures", None


def measure_command(path: Path) -> str:
    """What makes the measures of a workspace, or makes them anew."""
    return f"run: python -m sae_core measure --workspace {path}"


_SETTINGS = {"method": METHOD, "sample_rate_hz": SAMPLE_RATE_HZ, "measured_s": MEASURED_S}


@dataclass(frozen=True)
class _Part:
    """Some clips that one process measures and keeps in a file of their own until all are done."""

    corpus: Corpus
    rows: Int64[np.ndarray, " m"]
    workspace: Path

    def cut(self) -> "_Part":
        """The same part with no more clips than its own: what travels to another process."""
        clips = self.corpus.table.iloc[self.rows].reset_index(drop=True)
        return _Part(Corpus(clips, self.corpus.audio_root), self.rows, self.workspace)

    def measure(self, *, is_new: bool) -> pd.DataFrame:
        """The measures and the reason of each clip of a part that is cut; a finished file is believed unless
        `is_new`."""
        mark = fingerprint(_SETTINGS, self.corpus.audio_fingerprint, self.rows)
        file = self.workspace / _PARTS / f"{int(self.rows[0]):09d}-{mark}.parquet"
        if file.exists() and not is_new:
            try:
                return read_table(file, columns=(*_MEASURED, "reason"))
            except ArtifactError as error:
                _log.warning("%s is damaged and is made again (%s)", file, error)
        found = [_measure_clip(self.corpus, place) for place in range(len(self.rows))]
        table = pd.DataFrame(found, columns=[*_MEASURED, "reason"])
        table = table.astype(dict.fromkeys((*SOUND_COLUMNS, *_FACTS), "Float32"))
        write_table(file, table)
        return table


def _measure_clip(corpus: Corpus, place: int) -> tuple[float | str | None, ...]:
    """Every measure of one clip, then why it has none or ""."""
    clip = corpus.table.iloc[place]
    duration_s = MEASURED_S if pd.isna(clip["duration_s"]) else min(float(clip["duration_s"]), MEASURED_S)
    nothing = (*(None,) * len((*SOUND_COLUMNS, *_FACTS)), "")
    try:
        waveform, facts = reading.read_and_look(
            corpus.audio_file(place),
            start_s=0.0 if pd.isna(clip["start_s"]) else float(clip["start_s"]),
            duration_s=duration_s,
            channel=int(clip["audio_channel"]),
            sample_rate_hz=SAMPLE_RATE_HZ,
        )
    except VoxScopeError as error:
        return *nothing, f"{error.what} → {error.remedy}" if error.remedy else error.what
    if not np.isfinite(waveform).all():
        return *nothing, "holds samples that are no numbers (NaN or infinite)"
    found = measure_sound(waveform)
    level = float(10 * np.log10(max(np.var(waveform, dtype=np.float64), 1e-12)))
    heard = np.rint(waveform * 2**15).astype("<i4").tobytes()
    is_silent = np.std(waveform, dtype=np.float64) < reading.SILENCE_RMS
    digest = "" if is_silent else hashlib.blake2b(heard, digest_size=16).hexdigest()
    return (
        *(getattr(found, name) for name in SOUND_COLUMNS),
        *(getattr(facts, name) for name in FACT_COLUMNS),
        level,
        digest,
        "",
    )


def _each_part(
    parts: list[_Part], n_processes: int, *, rebuild: bool
) -> Iterator[tuple[_Part, pd.DataFrame]]:
    """Each part with what was found, in whatever order they finish; few clips are measured in this very process."""
    n_processes = min(n_processes, len(parts))
    if n_processes <= 1:
        for part in parts:
            yield part, part.cut().measure(is_new=rebuild)
        return
    # not forked: a fork of a process with threads, such as a server's, may hang
    pool = ProcessPoolExecutor(n_processes, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield from _in_turns(pool, iter(parts), 2 * n_processes, is_new=rebuild)
    except BrokenProcessPool as error:
        raise ArtifactError(
            "was left unfinished: a process was ended from outside, perhaps for want of memory",
            where=parts[0].workspace / _PARTS,
            remedy=f"{measure_command(parts[0].workspace)} --processes 1",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turns(
    pool: ProcessPoolExecutor, parts: Iterable[_Part], n_waiting: int, *, is_new: bool
) -> Iterator[tuple[_Part, pd.DataFrame]]:
    """Parts as they finish, with no more than `n_waiting` of them handed out."""
    todo, running = iter(parts), dict[Future[pd.DataFrame], _Part]()
    while True:
        for part in islice(todo, n_waiting - len(running)):
            running[pool.submit(part.cut().measure, is_new=is_new)] = part
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future.result()


def _known(path: Path, corpus: Corpus) -> Acoustics | None:
    try:
        return load_acoustics(path, corpus)
    except ArtifactError as error:
        _log.info("measuring anew: %s", error)
        return None


def _empty(corpus: Corpus) -> pd.DataFrame:
    n = len(corpus)
    columns = {name: pd.array([None] * n, dtype="Float32") for name in (*SOUND_COLUMNS, *_FACTS)}
    durations = corpus.table["duration_s"].astype("Float32").array
    return pd.DataFrame({**columns, "duration_s": durations, "sound_digest": pd.array([""] * n, dtype="str")})


def _save(path: Path, corpus: Corpus, table: pd.DataFrame, reasons: dict[int, str]) -> None:
    rows = np.array(sorted(reasons), dtype=np.int64)
    failures = pd.DataFrame(
        {
            "row": rows,
            "clip_id": corpus.table["clip_id"].iloc[rows].astype(str).to_numpy(),
            "reason": pd.Series([reasons[int(row)] for row in rows], dtype="str"),
        }
    )
    (path / "acoustics.json").unlink(missing_ok=True)
    write_table(path / "acoustics.parquet", table[list(ACOUSTIC_COLUMNS)])
    write_table(path / "acoustics_failures.parquet", failures)
    checks = table.assign(clip_mark=clip_marks(corpus))
    write_table(path / CHECKS_FILE, checks[list(CHECK_COLUMNS)])
    columns = [table[name].to_numpy(dtype=np.float32, na_value=np.nan) for name in ACOUSTIC_COLUMNS]
    mark = fingerprint(*columns, rows)
    ArtifactMeta("acoustics", mark, {"audio": corpus.audio_fingerprint}, dict(_SETTINGS)).write(
        path / "acoustics.json", files=("acoustics.parquet", "acoustics_failures.parquet", CHECKS_FILE)
    )
