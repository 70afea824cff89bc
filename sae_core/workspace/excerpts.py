"""Excerpts: the stretch of a recording that is heard when somebody probes it, read within bounds, kept only on request.

What a visitor brings stays in memory: it is decoded without a name and without a file, and the rest of it is dropped.
`keep_excerpt` alone writes it, into a folder of its own under the workspace, probes/<mark>/: sound.wav, vector.npy and,
last, probe.json.
"""

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32, UInt8

from sae_core.audio import reading
from sae_core.audio.recordings import MIX_DOWN, AudioInfo
from sae_core.corpus.clips import Corpus
from sae_core.files.artifacts import ArtifactMeta, fingerprint, read_array, write_array, writing
from sae_core.files.errors import ArtifactError, AudioError, VoxScopeError

MAX_RECORDING_BYTES = 64 * 1024 * 1024
MAX_HEARD_S = 120.0
"""Longer recordings are heard in stretches of this length."""
MAX_KEPT = 200
KEPT_FOLDER = "probes"
_MAX_NAME = 80
_MARK = re.compile(r"[0-9a-f]{16}")
_NOT_SOUND = "bring a recording or a video with sound: WAV, FLAC, MP3, M4A, OGG, Opus, WebM or MP4"
_NOT_USABLE = (
    "bring a second or more of clear speech; if the recording has several channels, choose another one; "
    "if you recorded it, check that the microphone is not muted"
)
_KEPT_REMEDY = "delete this kept recording and bring it again"


@dataclass(frozen=True)
class Excerpt:
    """The stretch of a recording that is heard, mono.

    name: what people call the recording. waveform: full scale 1, at `sample_rate_hz`. start_s: where the stretch begins
    in the recording. whole_s, n_channels: of the whole recording.
    """

    name: str
    waveform: Float32[np.ndarray, " t"]
    sample_rate_hz: int
    start_s: float
    whole_s: float
    n_channels: int

    @property
    def duration_s(self) -> float:
        """Length of the stretch."""
        return len(self.waveform) / self.sample_rate_hz

    def mp3(self) -> bytes:
        """The stretch as a browser plays it: just what the embedder hears."""
        return reading.encode_mp3(self.waveform, self.sample_rate_hz)

    def peaks(self, n: int = 800) -> UInt8[np.ndarray, " m"]:
        """How far the waveform swings in each of at most n equal stretches: 255 is full scale."""
        starts = np.linspace(0, len(self.waveform), min(n, len(self.waveform)), endpoint=False).astype(
            np.int64
        )
        swings = np.maximum.reduceat(np.abs(self.waveform), starts)
        return np.rint(255 * np.clip(swings, 0, 1)).astype(np.uint8)

    @cached_property
    def mark(self) -> str:
        """Sixteen hex digits that name this sound by its samples."""
        return fingerprint(self.waveform, self.sample_rate_hz)


@dataclass(frozen=True)
class KeptExcerpt:
    """A recording that somebody kept in a workspace. kept_at: ISO 8601, UTC. problem: why it cannot be used, if so."""

    mark: str
    name: str
    kept_at: str
    duration_s: float
    problem: str = ""


def read_excerpt(
    content: bytes,
    name: str,
    *,
    sample_rate_hz: int,
    start_s: float = 0.0,
    channel: int | None = None,
) -> Excerpt:
    """Return what is heard of a recording that somebody brought: at most `MAX_HEARD_S` from `start_s`.

    channel: one of them, from 0; None mixes all. Raises AudioError when it is too large, no sound that can be decoded,
    silent, too short or without such a channel.
    """
    name = plain_name(name)
    info = inspect_recording(content, name)
    # the end is often shorter by a few samples than a rounded start allows for
    start_s = min(max(0.0, start_s), max(0.0, info.duration_s - 1.0))
    with _as_file(content) as path:
        try:
            waveform = reading.read(
                path,
                start_s=start_s,
                duration_s=min(MAX_HEARD_S, info.duration_s - start_s),
                channel=MIX_DOWN if channel is None else channel,
                sample_rate_hz=sample_rate_hz,
            )
        except AudioError as error:
            raise AudioError(error.what, where=name, remedy=_NOT_SOUND) from error
    excerpt = Excerpt(
        name, waveform.astype(np.float32), sample_rate_hz, start_s, info.duration_s, info.n_channels
    )
    return _checked(excerpt)


def inspect_recording(content: bytes, name: str) -> AudioInfo:
    """Return what a recording is, by its content; AudioError when it is too large or no sound that can be decoded."""
    name = plain_name(name)
    if len(content) > MAX_RECORDING_BYTES:
        raise AudioError(
            f"has {len(content) / 2**20:.0f} MiB, and at most {MAX_RECORDING_BYTES / 2**20:.0f} can be probed",
            where=name,
            remedy="cut out the part you want to probe, or convert it to MP3 or FLAC",
        )
    with _as_file(content) as path:
        try:
            return reading.probe(path)
        except AudioError as error:
            raise AudioError(error.what, where=name, remedy=_NOT_SOUND) from error


def clip_excerpt(corpus: Corpus, row: int, *, sample_rate_hz: int, start_s: float = 0.0) -> Excerpt:
    """Return what is heard of one clip of a corpus, from `start_s` in it; AudioError when its recording is gone."""
    clip = corpus.table.iloc[row]
    whole_s, name = float(clip["duration_s"]), str(clip["clip_id"])
    start_s = min(max(0.0, start_s), max(0.0, whole_s - 1.0))
    waveform = reading.read(
        corpus.audio_file(row),
        start_s=float(clip["start_s"]) + start_s,
        duration_s=min(MAX_HEARD_S, whole_s - start_s),
        channel=int(clip["audio_channel"]),
        sample_rate_hz=sample_rate_hz,
    )
    return _checked(Excerpt(name, waveform.astype(np.float32), sample_rate_hz, start_s, whole_s, 1))


def _checked(excerpt: Excerpt) -> Excerpt:
    try:
        reading.check_usable(excerpt.waveform, excerpt.sample_rate_hz)
    except AudioError as error:
        raise AudioError(error.what, where=excerpt.name, remedy=_NOT_USABLE) from error
    return excerpt


def plain_name(name: str) -> str:
    """A file's name as it may stand on a page: without folders and odd characters, and not long."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^\w .,()+-]+", "_", last).strip()[:_MAX_NAME]
    return plain or "recording"


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[Path]:
    """The bytes as a file to read, in memory where the system can, else a temporary one that is gone afterwards."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("excerpt")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(content)
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "excerpt"
        path.write_bytes(content)
        yield path


def keep_excerpt(
    workspace: Path, excerpt: Excerpt, vector: Float32[np.ndarray, " d"], *, embedder: str, revision: str
) -> str:
    """Write an excerpt and its embedding into the workspace and return its mark; the same sound is kept once.

    Raises ArtifactError when `MAX_KEPT` are kept already or the folder cannot be written.
    """
    place = workspace / KEPT_FOLDER / excerpt.mark
    known = kept_excerpts(workspace)
    if len(known) >= MAX_KEPT and excerpt.mark not in {kept.mark for kept in known}:
        raise ArtifactError(
            f"holds {len(known)} kept recordings, and no more are kept",
            where=workspace / KEPT_FOLDER,
            remedy="delete some of the kept recordings first",
        )
    with writing(place / "sound.wav") as temporary:
        soundfile.write(temporary, excerpt.waveform, excerpt.sample_rate_hz, format="WAV", subtype="FLOAT")
    write_array(place / "vector.npy", vector)
    settings = {
        "name": excerpt.name,
        "kept_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "start_s": excerpt.start_s,
        "duration_s": excerpt.duration_s,
        "whole_s": excerpt.whole_s,
        "n_channels": excerpt.n_channels,
        "embedder": embedder,
        "revision": revision,
    }
    ArtifactMeta("probe", excerpt.mark, {}, settings).write(place / "probe.json")
    return excerpt.mark


def kept_excerpts(workspace: Path) -> list[KeptExcerpt]:
    """What is kept in a workspace, latest first; what is damaged is among them, with its problem."""
    folders = [path for path in (workspace / KEPT_FOLDER).glob("*") if _MARK.fullmatch(path.name)]
    found = [_kept(path) for path in folders]
    return sorted(found, key=lambda kept: (kept.kept_at, kept.mark), reverse=True)


def _kept(folder: Path) -> KeptExcerpt:
    try:
        said = ArtifactMeta.read(folder / "probe.json", kind="probe", remedy=_KEPT_REMEDY).settings
        return KeptExcerpt(
            folder.name, plain_name(str(said["name"])), str(said["kept_at"]), float(said["duration_s"])
        )
    except VoxScopeError as error:
        return KeptExcerpt(folder.name, folder.name, "", 0.0, error.what)
    except (KeyError, TypeError, ValueError):
        return KeptExcerpt(folder.name, folder.name, "", 0.0, "says too little of itself")


def open_kept(workspace: Path, mark: str, *, sample_rate_hz: int) -> Excerpt:
    """Return a kept excerpt, at this rate; ArtifactError or AudioError when it is not there or damaged."""
    folder = _folder_of(workspace, mark)
    meta = ArtifactMeta.read(folder / "probe.json", kind="probe", remedy=_KEPT_REMEDY)
    waveform = reading.read(folder / "sound.wav", sample_rate_hz=sample_rate_hz)
    try:
        said = meta.settings
        return Excerpt(
            plain_name(str(said["name"])),
            waveform.astype(np.float32),
            sample_rate_hz,
            float(said["start_s"]),
            float(said["whole_s"]),
            int(said["n_channels"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            "says too little of itself", where=folder / "probe.json", remedy=_KEPT_REMEDY
        ) from error


def kept_vector(
    workspace: Path, mark: str, *, embedder: str, revision: str
) -> Float32[np.ndarray, " d"] | None:
    """The embedding kept with an excerpt; None when another embedder, or other weights of it, made it."""
    folder = _folder_of(workspace, mark)
    said = ArtifactMeta.read(folder / "probe.json", kind="probe", remedy=_KEPT_REMEDY).settings
    if (said.get("embedder"), said.get("revision")) != (embedder, revision):
        return None
    return np.array(read_array(folder / "vector.npy", remedy=_KEPT_REMEDY), dtype=np.float32)


def forget_excerpt(workspace: Path, mark: str) -> None:
    """Delete a kept excerpt; nothing happens when it is gone already."""
    folder = _folder_of(workspace, mark)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ArtifactError(
            f"cannot be deleted ({error.strerror})",
            where=folder,
            remedy="check the permissions of this folder",
        ) from error


def _folder_of(workspace: Path, mark: str) -> Path:
    if not _MARK.fullmatch(mark):
        raise ArtifactError(
            "holds no such kept recording", where=workspace / KEPT_FOLDER, remedy="choose one from the list"
        )
    return workspace / KEPT_FOLDER / mark
