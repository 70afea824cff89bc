"""Recordings told by their content and decoded from any place: libsndfile first, FFmpeg (through PyAV) for the rest.

Neither library sees a file's name, so a wrong suffix cannot mislead it, and FFmpeg may open nothing but the one file it
is given (playlists, and containers that name other files or addresses, are refused).
"""

import contextlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import av
import av.error
import numpy as np
import soundfile
from jaxtyping import Float

from sae_core.files.errors import AudioError

MIX_DOWN = -1
"""The channel number that stands for the mean of all channels."""
SAMPLE_RATES_HZ = (1_000, 768_000)
BLOCK_SAMPLES = 2**14
REMEDY = "convert it to WAV or FLAC, or take it out of the folder"

_FFMPEG_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "mxf,nut,ogg,qcp,rm,shn,tak,truehd,tta,voc,w64,wav,wv"
)
_FFMPEG_OPTIONS = {"format_whitelist": _FFMPEG_CONTAINERS, "protocol_whitelist": "none"}
# Full scale of FFmpeg's sample formats (planar ones carry a trailing p); u8 is centred on 128.
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
# An MP3 frame may lean on half a second of frames before it (the bit reservoir), other codecs on less.
_PREROLL_S = 0.6
_TAIL_S = 1.0


_FFMPEG_FAILURES = (av.error.FFmpegError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is, by its content: container and codec in lower case, rate, channels and measured length."""

    container: str
    codec: str
    sample_rate_hz: int
    n_channels: int
    duration_s: float


@runtime_checkable
class Recording(Protocol):
    """An open recording."""

    container: str
    codec: str
    sample_rate_hz: int
    n_channels: int

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        """Decoded pieces from sample `start` on, until the recording ends or can be decoded no further."""

    def measure(self) -> int:
        """How many samples a channel really has: the header is believed only where its end can be decoded."""


@contextlib.contextmanager
def open_recording(path: Path, *, is_seeking: bool = False) -> Iterator[Recording]:
    """Yield the recording in `path`; AudioError when it is no regular file or holds no sound that can be decoded.

    `is_seeking` asks for a decoder that gets to a later place without decoding all before it, where there is one.
    """
    _check_file(path)
    with contextlib.ExitStack() as stack:
        first, why = _try_libsndfile(path, stack)
        # libsndfile reads GSM from its beginning only; FFmpeg decodes the same samples from anywhere.
        if first is not None and not (is_seeking and first.codec == "gsm610"):
            yield first
            return
        try:
            second = _FfmpegRecording(stack.enter_context(_open(path)), stack)
        except _FFMPEG_FAILURES as error:
            if first is None:
                raise AudioError(
                    f"is not a recording that can be decoded ({why}FFmpeg: {_reason(error)})",
                    where=path,
                    remedy=REMEDY,
                ) from error
            yield first
        else:
            yield second


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except OSError as error:
        raise AudioError(
            f"cannot be opened ({error.strerror})", where=path, remedy="check the path and its permissions"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise AudioError("is not a regular file", where=path, remedy="take it out of the folder")
    if found.st_size == 0:
        raise AudioError(
            "is empty (0 bytes)", where=path, remedy="copy it again, or take it out of the folder"
        )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _try_libsndfile(path: Path, stack: contextlib.ExitStack) -> tuple["_SndfileRecording | None", str]:
    """The recording as libsndfile sees it, or None and why not."""
    stream = stack.enter_context(_open(path))
    head = stream.read(3)
    if head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        # MPEG audio: libsndfile believes an estimate where a variable bit rate has no index, and then stops early.
        return None, ""
    try:
        return _SndfileRecording(stream, stack), ""
    except soundfile.LibsndfileError as error:
        return None, f"libsndfile: {error.error_string.rstrip('.')}; "


def _open(path: Path) -> BinaryIO:
    try:
        # Unbuffered, so that the descriptor handed to libsndfile stands where the file object says.
        return path.open("rb", buffering=0)
    except OSError as error:
        raise AudioError(
            f"cannot be opened ({error.strerror})", where=path, remedy="check the path and its permissions"
        ) from error


class _SndfileRecording:
    def __init__(self, stream: BinaryIO, stack: contextlib.ExitStack) -> None:
        self._stream = stream
        self._file: soundfile.SoundFile | None = None
        stack.callback(self._close)
        file = self._open()
        self.container = file.format.lower()
        self.codec = file.subtype.lower()
        self.sample_rate_hz = int(file.samplerate)
        self.n_channels = int(file.channels)

    def _open(self) -> soundfile.SoundFile:
        self._close()
        self._stream.seek(0)
        # The descriptor instead of the path: given a name, libsndfile takes a suffix like .raw at its word.
        self._file = soundfile.SoundFile(self._stream.fileno(), closefd=False)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        n_unwanted = 0 if self._seek(start) else start
        for block in self._blocks_from_here():
            if n_unwanted < len(block):
                yield block[n_unwanted:]
            n_unwanted = max(0, n_unwanted - len(block))

    def measure(self) -> int:
        file = self._file or self._open()
        declared = int(file.frames)
        if not file.seekable():
            return declared
        if declared and self._seek(declared - 1) and any(len(block) for block in self._blocks_from_here()):
            return declared
        self._open()
        return sum(len(block) for block in self._blocks_from_here())

    def _seek(self, start: int) -> bool:
        """Go to a sample, or to the beginning and return False where the file cannot do better."""
        file = self._file
        if file is not None and file.seekable():
            try:
                file.seek(start)
                return True
            except soundfile.LibsndfileError:
                pass  # a failed seek leaves the decoder unusable
        self._open()
        return False

    def _blocks_from_here(self) -> Iterator[Float[np.ndarray, "t c"]]:
        """Pieces until the file ends or is damaged."""
        n_samples = max(1, BLOCK_SAMPLES // self.n_channels)
        while self._file is not None:
            # The error that damage raises hides how much was decoded before it: what is no longer NaN was.
            block = np.full((n_samples, self.n_channels), np.nan, dtype=np.float32)
            try:
                n_read = len(self._file.read(out=block))
            except soundfile.LibsndfileError:
                n_read = int(np.append(np.isfinite(block).all(axis=1), False).argmin())
            if n_read:
                yield block[:n_read]
            if n_read < n_samples:
                return


class _Unnamed:
    """A file without its name, which PyAV would hand on to FFmpeg."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read = stream.read
        self.tell = stream.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """Where the file then stands; -1 tells FFmpeg that a damaged header sent it to where nothing can be."""
        try:
            return self._stream.seek(offset, whence)
        except (OSError, ValueError):
            return -1


class _FfmpegRecording:
    """The default sound track of a container. Its time begins with the first sample that decodes."""

    _media: Any = None
    _track: Any = None
    _first: Any = None

    def __init__(self, stream: BinaryIO, stack: contextlib.ExitStack) -> None:
        self._stream = stream
        stack.callback(self._close)
        frame = self._open()
        if frame.format.name.removesuffix("p") not in _FULL_SCALE:
            raise ValueError(f"its sample format {frame.format.name} is unknown")
        self._origin: int | None = frame.pts
        self.container = str(self._media.format.name.split(",")[0])
        self.codec = str(self._track.codec_context.name)
        self.sample_rate_hz = int(frame.sample_rate)
        self.n_channels = int(frame.layout.nb_channels)

    def _open(self) -> Any:
        """Open the container at its beginning and decode one frame, which tells the true rate and where time begins."""
        self._close()
        self._stream.seek(0)
        self._media = av.open(_Unnamed(self._stream), options=_FFMPEG_OPTIONS)
        self._track = self._media.streams.best("audio")
        if self._track is None:
            raise ValueError("it has no sound track")
        self._rest = self._media.decode(self._track)
        self._first = next(self._rest, None)
        if self._first is None:
            raise ValueError("its sound track is empty")
        self._is_at_start = True
        return self._first

    def _close(self) -> None:
        if self._media is not None:
            self._media.close()

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        for place, block in self._placed_blocks(start):
            n_unwanted = max(0, start - place)
            if n_unwanted < len(block):
                yield block[n_unwanted:]

    def measure(self) -> int:
        declared_s = self._declared_s()
        end = 0
        if declared_s > 2 * _TAIL_S:
            for place, block in self._placed_blocks(round((declared_s - _TAIL_S) * self.sample_rate_hz)):
                end = place + len(block)
        if not end:
            for place, block in self._placed_blocks(0):
                end = place + len(block)
        return end

    def _declared_s(self) -> float:
        if self._track.duration:
            return float(self._track.duration * self._track.time_base)
        return float(self._media.duration or 0) / av.time_base

    def _placed_blocks(self, start: int) -> Iterator[tuple[int, Float[np.ndarray, "t c"]]]:
        """Blocks with the sample number at which each begins; the first begins at `start` or somewhat before."""
        place = self._seek(start) if start > 2 * _PREROLL_S * self.sample_rate_hz else None
        if place is None:
            if not self._is_at_start:
                self._open()
            place = 0
        self._is_at_start = False
        for frame in self._frames():
            if frame.sample_rate != self.sample_rate_hz or frame.layout.nb_channels != self.n_channels:
                return
            block = _samples(frame)
            yield place, block
            place += len(block)

    def _seek(self, start: int) -> int | None:
        """Go to somewhat before `start` and return to which sample; None where the container cannot tell."""
        if self._origin is None:
            return None
        self._is_at_start = False
        before_s = start / self.sample_rate_hz - _PREROLL_S
        try:
            self._media.seek(int(before_s / self._track.time_base) + self._origin, stream=self._track)
            self._rest = self._media.decode(self._track)
            self._first = next(self._rest, None)
        except _FFMPEG_FAILURES:
            return None
        if self._first is None or self._first.pts is None:
            return None
        place = round((self._first.pts - self._origin) * self._track.time_base * self.sample_rate_hz)
        return place if 0 <= place <= start else None

    def _frames(self) -> Iterator[Any]:
        """Decoded frames from where the container stands, until it ends or is damaged."""
        yield self._first
        try:
            yield from self._rest
        except _FFMPEG_FAILURES:
            return


def _samples(frame: Any) -> Float[np.ndarray, "t c"]:
    raw = frame.to_ndarray()
    samples = raw.T if frame.format.is_planar else raw.reshape(frame.samples, -1)
    kind = frame.format.name.removesuffix("p")
    centred = samples - np.float32(128) if kind == "u8" else samples
    return np.asarray(centred / np.float32(_FULL_SCALE[kind]), dtype=np.float32)
