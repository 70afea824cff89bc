"""Recordings decoded from any place: libsndfile first, FFmpeg (through PyAV) for the rest.

Formats are detected from content, not from the extension: neither library sees a file's name. FFmpeg may open nothing
but the one file it is given (playlists, and containers that name other files or addresses, are refused). A file of
several recordings one behind the other, or whose rate or number of channels changes, is read to its end, at the rate
and with the channels that it begins with.
"""

import contextlib
import io
import os
import stat
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import av
import av.error
import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from sae_core.audio.sections import Bytes, FileBytes, Section, find_sections, is_one_form, sample_bits
from sae_core.files.errors import AudioError

MIX_DOWN = -1
"""The channel number that stands for the mean of all channels."""
SAMPLE_RATES_HZ = (1_000, 768_000)
BLOCK_SAMPLES = 2**14
SMALL_BYTES = 2**24
CHECKED_BYTES = 2**20
MENDED_SAMPLES, MENDED_PIECES = 4_096, 16
"""Behind damage the next place to decode from is looked for in so many steps of so many samples."""
MAX_GAP_S = 60.0
"""Longer leaps in the times of a container are damage; shorter ones are sound that was lost or never sent."""
MAX_FLOAT_PEAK = 16.0
"""No float recording with full scale 1 peaks higher (24 dB): beyond it the samples are integers kept as floats."""
REMEDY = "convert it to WAV or FLAC, or take it out of the folder"

_FFMPEG_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "mxf,nut,ogg,qcp,rm,shn,tak,truehd,tta,voc,w64,wav,wv"
)
_FFMPEG_OPTIONS = {"format_whitelist": _FFMPEG_CONTAINERS, "protocol_whitelist": "none"}
# Containers of mere packets in a row: their times and lengths are guesses, and any packet may be of another kind.
_WITHOUT_INDEX = ("ac3", "dts", "eac3", "loas", "mpeg", "mpegts", "truehd")
# Full scale of FFmpeg's sample formats (planar ones carry a trailing p); u8 is centred on 128.
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
# An MP3 frame may lean on half a second of frames before it (the bit reservoir), other codecs on less.
_PREROLL_S = 0.6
_TAIL_S = 1.0
_PLAIN_CONTAINERS = ("wav", "wavex", "rf64", "aiff", "au", "w64")
_UNCOMPRESSED = ("pcm_s8", "pcm_u8", "pcm_16", "pcm_24", "pcm_32", "float", "double", "ulaw", "alaw")
_LOOKED_AT_PIECES, _LOOKED_AT_SAMPLES = 64, 4_096


_FFMPEG_FAILURES = (av.error.FFmpegError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is, by its content: container and codec in lower case, rate, channels and measured length."""

    container: str
    codec: str
    sample_rate_hz: int
    n_channels: int
    duration_s: float
    checksum: str = ""
    """Of the bytes of the file: equal where they are, of a file above `CHECKED_BYTES` its beginning and its end."""


@runtime_checkable
class Recording(Protocol):
    """An open recording."""

    container: str
    codec: str
    sample_rate_hz: int
    n_channels: int

    @property
    def is_plain(self) -> bool:
        """Whether other programs hear the same: one recording, as its header says, its samples in their usual range."""

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        """Decoded pieces from sample `start` on, until the recording ends or can be decoded no further."""

    def measure(self) -> int:
        """How many samples a channel really has: the header is believed only where its end can be decoded."""

    def content(self) -> bytes:
        """The bytes of the file, read without opening it again."""

    def checksum(self) -> str:
        """See `AudioInfo.checksum`."""


@contextlib.contextmanager
def open_recording(path: Path, *, is_seeking: bool = False) -> Iterator[Recording]:
    """Yield the recording in `path`; AudioError when it is no regular file or holds no sound that can be decoded.

    `is_seeking` asks for a decoder that gets to a later place without decoding all before it, where there is one.
    """
    with contextlib.ExitStack() as stack:
        file = _File.of(stack.enter_context(_open(path)), path)
        first, *others = _sections_of(file)
        try:
            recording = _open_section(file, first, stack, is_seeking=is_seeking)
        except _UndecodableError as error:
            raise AudioError(
                f"is not a recording that can be decoded ({error})", where=path, remedy=REMEDY
            ) from error
        yield _Joined(file, recording, _open_sections(file, others, stack)) if others else recording


def _open(path: Path) -> BinaryIO:
    try:
        # not waiting for somebody to write into a pipe; unbuffered, so that the descriptor handed to libsndfile stands
        # where the file object says
        return open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except IsADirectoryError as error:
        raise _not_regular(path) from error
    except OSError as error:
        raise AudioError(
            f"cannot be opened ({error.strerror})", where=path, remedy="check the path and its permissions"
        ) from error


def _not_regular(path: Path) -> AudioError:
    return AudioError("is not a regular file", where=path, remedy="take it out of the folder")


@dataclass(frozen=True)
class _File:
    """An open file; equal where device, inode, size and time of change are, so that what was found in its bytes is
    found again without them."""

    device: int
    inode: int
    n_bytes: int
    changed_ns: int
    stream: BinaryIO = field(compare=False, repr=False)

    @classmethod
    def of(cls, stream: BinaryIO, path: Path) -> "_File":
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _not_regular(path)
        if found.st_size == 0:
            raise AudioError(
                "is empty (0 bytes)", where=path, remedy="copy it again, or take it out of the folder"
            )
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, stream)


_kept = threading.local()


class _OfFile:
    """What a recording knows of the file it lies in."""

    _recorded: _File

    def content(self) -> bytes:
        """The bytes of the file, read without opening it again."""
        return os.pread(self._recorded.stream.fileno(), self._recorded.n_bytes, 0)

    def checksum(self) -> str:
        """See `AudioInfo.checksum`."""
        n_bytes = self._recorded.n_bytes
        n_first = min(n_bytes, CHECKED_BYTES // 2)
        n_last = min(n_bytes - n_first, CHECKED_BYTES // 2)
        found = self._checksum_of(0, n_first, 0)
        return f"{n_bytes:x}-{self._checksum_of(n_bytes - n_last, n_last, found) if n_last else found:08x}"

    def _checksum_of(self, start: int, n_bytes: int, before: int) -> int:
        """Goes on from the checksum `before`; the buffer is kept, since fresh memory costs more than the checksum."""
        if not hasattr(_kept, "buffer"):
            _kept.buffer = memoryview(bytearray(CHECKED_BYTES // 2))
        held = _kept.buffer[:n_bytes]
        n_read = os.preadv(self._recorded.stream.fileno(), [held], start)
        return zlib.crc32(held[:n_read], before)


def _bytes_of(file: _File) -> Bytes:
    descriptor = file.stream.fileno()
    is_small = file.n_bytes <= SMALL_BYTES
    return os.pread(descriptor, file.n_bytes, 0) if is_small else FileBytes(descriptor)


@lru_cache(maxsize=4_096)
def _sections_of(file: _File) -> tuple[Section, ...]:
    return find_sections(FileBytes(file.stream.fileno()))


@lru_cache(maxsize=4_096)
def _is_one_form(file: _File) -> bool:
    return is_one_form(_bytes_of(file))


class _UndecodableError(Exception):
    """Neither library finds sound in a section."""


class _View(io.RawIOBase):
    """One section of an open file as a file of its own, with its patches, read at a place of its own.

    It has no name, which PyAV would hand on to FFmpeg.
    """

    def __init__(self, file: _File, section: Section) -> None:
        self._descriptor, self._section = file.stream.fileno(), section
        self._place = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        """The place then; -1 tells FFmpeg that a damaged header sent it to where nothing can be."""
        base = (0, self._place, self._section.end - self._section.start)[whence]
        if not 0 <= base + offset < 2**62:
            return -1
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """How many bytes were read into `buffer`."""
        place = self._section.start + self._place
        n_bytes = max(0, min(len(buffer), self._section.end - place))
        found = os.pread(self._descriptor, n_bytes, place)
        buffer[: len(found)] = found
        for start, patch in self._section.patches:
            first, last = max(start, self._place), min(start + len(patch), self._place + len(found))
            if first < last:
                buffer[first - self._place : last - self._place] = patch[first - start : last - start]
        self._place += len(found)
        return len(found)


def _open_section(
    file: _File, section: Section, stack: contextlib.ExitStack, *, is_seeking: bool
) -> Recording:
    """The recording in one section; _UndecodableError, with the reasons, where no library finds sound there.

    libsndfile comes first. FFmpeg is asked where that finds nothing, and to go on where it stops early.
    """

    def ask_ffmpeg() -> "_FfmpegRecording":
        return _FfmpegRecording(file, section, stack)

    first, why = _try_libsndfile(file, section, stack, ask_ffmpeg)
    # libsndfile reads GSM from its beginning only; FFmpeg decodes the same samples from anywhere.
    if first is not None and first.n_declared and not (is_seeking and first.codec == "gsm610"):
        return first
    try:
        return ask_ffmpeg()
    except _FFMPEG_FAILURES as error:
        if first is None:
            raise _UndecodableError(f"{why}FFmpeg: {_reason(error)}") from error
        return first


def _open_sections(
    file: _File, sections: Iterable[Section], stack: contextlib.ExitStack
) -> Iterator[Recording]:
    """The recordings in sections, opened one after another; what cannot be decoded is no recording."""
    for section in sections:
        with contextlib.suppress(_UndecodableError):
            yield _open_section(file, section, stack, is_seeking=False)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _try_libsndfile(
    file: _File, section: Section, stack: contextlib.ExitStack, second: Callable[[], Recording]
) -> tuple["_SndfileRecording | None", str]:
    """The recording as libsndfile sees it, or None and why not."""
    head = os.pread(file.stream.fileno(), 3, section.start)
    if head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        # MPEG audio: libsndfile believes an estimate where a variable bit rate has no index, and then stops early.
        return None, ""
    try:
        return _SndfileRecording(file, section, stack, second), ""
    except soundfile.LibsndfileError as error:
        return None, f"libsndfile: {error.error_string.rstrip('.')}; "


class _Joined(_OfFile):
    """A recording and those behind it in the same file, at the rate and with the channels of the first."""

    is_plain = False

    def __init__(self, file: _File, first: Recording, others: Iterator[Recording]) -> None:
        self._recorded = file
        self._first, self._unopened = first, others
        self._opened: list[Recording] = []
        self.container, self.codec = first.container, first.codec
        self.sample_rate_hz, self.n_channels = first.sample_rate_hz, first.n_channels

    def _others(self) -> Iterator[Recording]:
        yield from list(self._opened)
        for recording in self._unopened:
            self._opened.append(recording)
            yield recording

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        """Decoded pieces from sample `start` on, through all recordings."""
        place = 0
        for recording in (self._first, *self._others()):
            n_samples = self._length(recording)
            if start < place + n_samples:
                blocks = ((recording.sample_rate_hz, block) for block in recording.blocks(0))
                begins = max(0, start - place)
                if recording is self._first:
                    yield from recording.blocks(begins)
                else:
                    yield from _from(begins, _fitted(blocks, self.sample_rate_hz, self.n_channels))
            place += n_samples

    def measure(self) -> int:
        """How many samples all of them have at the rate of the first."""
        return sum(map(self._length, (self._first, *self._others())))

    def _length(self, recording: Recording) -> int:
        return round(recording.measure() * self.sample_rate_hz / recording.sample_rate_hz)


def _from(n_unwanted: int, blocks: Iterable[Float[np.ndarray, "t c"]]) -> Iterator[Float[np.ndarray, "t c"]]:
    """Blocks without the first samples."""
    for block in blocks:
        if n_unwanted < len(block):
            yield block[n_unwanted:]
        n_unwanted = max(0, n_unwanted - len(block))


def _fitted(
    blocks: Iterable[tuple[int, Float[np.ndarray, "t _"]]], rate_hz: int, n_channels: int
) -> Iterator[Float[np.ndarray, "t c"]]:
    """Blocks, each with its own rate and channels, at one rate and with one number of channels.

    Where the number of channels differs, each channel becomes the mean of all.
    """
    stream, current_hz = None, rate_hz
    nothing = np.empty((0, n_channels), np.float32)
    for own_hz, samples in blocks:
        block = samples
        if samples.shape[1] != n_channels:
            block = np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), n_channels, axis=1)
        if own_hz != current_hz:
            if stream is not None:
                yield stream.resample_chunk(nothing, last=True)
            current_hz = own_hz
            is_same = own_hz == rate_hz
            stream = None if is_same else soxr.ResampleStream(own_hz, rate_hz, n_channels, dtype="float32")
        yield block if stream is None else stream.resample_chunk(np.ascontiguousarray(block))
    if stream is not None:
        yield stream.resample_chunk(nothing, last=True)


class _SndfileRecording(_OfFile):
    def __init__(
        self, file: _File, section: Section, stack: contextlib.ExitStack, second: Callable[[], Recording]
    ) -> None:
        self._recorded, self._is_whole = file, section == Section(0, file.n_bytes)
        self._source, self._view, self._second = file.stream, _View(file, section), second
        self._file: soundfile.SoundFile | None = None
        stack.callback(self._close)
        opened = self._open()
        self.container = opened.format.lower()
        self.codec = opened.subtype.lower()
        self.sample_rate_hz = int(opened.samplerate)
        self.n_channels = int(opened.channels)
        self.n_declared = int(opened.frames)
        self._gain = np.float32(1.0)
        if self.codec in ("float", "double"):
            self._gain = np.float32(self._gain_of_floats())
        elif self.codec == "pcm_32" and sample_bits(FileBytes(file.stream.fileno())) == 24:
            self._gain = np.float32(self._gain_of_24_bits())

    @property
    def is_plain(self) -> bool:
        """Whether other programs hear the same."""
        return self._is_whole and bool(self._gain == 1)

    def _open(self) -> soundfile.SoundFile:
        self._close()
        if self._is_whole:
            self._source.seek(0)
            # The descriptor instead of the path: given a name, libsndfile takes a suffix like .raw at its word.
            self._file = soundfile.SoundFile(self._source.fileno(), closefd=False)
        else:
            self._view.seek(0)
            self._file = soundfile.SoundFile(self._view)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _gain_of_floats(self) -> float:
        """What brings samples to full scale 1: less than 1 where floats hold integers, as some programs write them.

        They are told by their peak, or by being whole numbers beyond 1; of a long recording pieces are looked at.
        """
        peak, are_whole = 0.0, True
        for piece in self._pieces_to_look_at():
            sound = piece[np.isfinite(piece)]
            peak = max(peak, float(np.abs(sound).max(initial=0.0)))
            are_whole = are_whole and bool((sound == np.rint(sound)).all())
        self._open()
        if peak <= 1.0 or not (are_whole or peak > MAX_FLOAT_PEAK):
            return 1.0
        # a factor of two above full scale still counts as overdriven and not as the next larger integers
        return 1.0 / next((scale for scale in (2.0**15, 2.0**23) if peak <= 2 * scale), 2.0**31)

    def _gain_of_24_bits(self) -> float:
        """256 where the 24 bits of a sample stand at the low end of its 32, else 1."""
        pieces = [np.abs(piece) for piece in self._pieces_to_look_at()]
        self._open()
        highest = max((float(piece.max(initial=0.0)) for piece in pieces), default=0.0)
        are_high = all(bool((piece * 2.0**23 % 1 == 0).all()) for piece in pieces)
        return 1.0 if are_high or highest > 2.0**-8 else 2.0**8

    def _pieces_to_look_at(self) -> Iterator[Float[np.ndarray, "t c"]]:
        file = self._file or self._open()
        n_piece = max(1, _LOOKED_AT_SAMPLES // self.n_channels)
        n_pieces = min(_LOOKED_AT_PIECES, -(-self.n_declared // n_piece))
        last = max(0, self.n_declared - n_piece)
        with contextlib.suppress(soundfile.LibsndfileError):
            for start in np.linspace(0, last, n_pieces).round().astype(int):
                file.seek(int(start))
                yield file.read(n_piece, dtype="float32", always_2d=True)

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        place = start if self._seek(start) else 0
        yield from _from(start - place, self._to_the_end(place))

    def _to_the_end(self, place: int) -> Iterator[Float[np.ndarray, "t c"]]:
        """Pieces from sample `place`, where the file stands, to the declared end; what is damaged is silent."""
        for block in self._blocks_from_here():
            yield block
            place += len(block)
        while place < self.n_declared:
            found = self._behind_damage(place)
            if found is None:
                yield from self._beyond(place)
                return
            yield np.zeros((found[0] - place, self.n_channels), np.float32)
            yield found[1]
            place = found[0] + len(found[1])
            for block in self._blocks_from_here():
                yield block
                place += len(block)

    def _behind_damage(self, place: int) -> tuple[int, Float[np.ndarray, "t c"]] | None:
        """The next sample that can be decoded and the piece that begins there; None where none is near."""
        for later in range(place + MENDED_SAMPLES, self.n_declared, MENDED_SAMPLES)[:MENDED_PIECES]:
            if self._seek(later):
                block = next(self._blocks_from_here(), None)
                if block is not None:
                    return later, block
        return None

    def _beyond(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        """What FFmpeg decodes where libsndfile stopped before the end."""
        with contextlib.suppress(*_FFMPEG_FAILURES):
            second = self._second()
            if (second.sample_rate_hz, second.n_channels) == (self.sample_rate_hz, self.n_channels):
                yield from second.blocks(start)

    def measure(self) -> int:
        file = self._file or self._open()
        is_sized = self.container in _PLAIN_CONTAINERS and self.codec in _UNCOMPRESSED
        if is_sized or not file.seekable():
            return (
                self.n_declared
            )  # of samples of a fixed size libsndfile counts those that the file has room for
        is_all = self.n_declared and self._seek(self.n_declared - 1)
        if is_all and any(len(block) for block in self._blocks_from_here(n_at_once=1)):
            return self.n_declared
        return sum(len(block) for block in self.blocks(0))

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

    def _blocks_from_here(self, *, n_at_once: int = BLOCK_SAMPLES) -> Iterator[Float[np.ndarray, "t c"]]:
        """Pieces until the file ends or is damaged."""
        n_samples = max(1, n_at_once // self.n_channels)
        while self._file is not None:
            # The error that damage raises hides how much was decoded before it: what is no longer NaN was.
            block = np.full((n_samples, self.n_channels), np.nan, dtype=np.float32)
            try:
                n_read = len(self._file.read(out=block))
            except soundfile.LibsndfileError:
                n_read = int(np.append(np.isfinite(block).all(axis=1), False).argmin())
            if n_read:
                yield block[:n_read] if self._gain == 1 else block[:n_read] * self._gain
            if n_read < n_samples:
                return


class _FfmpegRecording(_OfFile):
    """The default sound track of a container. Its time begins with the first sample that decodes."""

    _media: Any = None
    _track: Any = None
    _first: Any = None

    def __init__(self, file: _File, section: Section, stack: contextlib.ExitStack) -> None:
        self._recorded, self._view = file, _View(file, section)
        self._is_whole = section == Section(0, file.n_bytes)
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
        self._view.seek(0)
        self._media = av.open(self._view, options=_FFMPEG_OPTIONS)
        self._track = self._media.streams.best("audio")
        if self._track is None:
            raise ValueError("it has no sound track")
        self._begin()
        if self._first is None:
            raise ValueError("its sound track is empty")
        self._is_at_start = True
        return self._first

    def _begin(self) -> None:
        """Decode the frame at which the container stands."""
        self._rest = self._decode()
        self._first = next(self._rest, None)

    def _decode(self) -> Iterator[Any]:
        """Frames to the end of the container; a packet that cannot be decoded is passed over."""
        for packet in self._media.demux(self._track):
            with contextlib.suppress(av.error.InvalidDataError):
                yield from packet.decode()

    def _close(self) -> None:
        if self._media is not None:
            self._media.close()

    @property
    def is_plain(self) -> bool:
        """Whether other programs hear the same."""
        return self._is_whole and self._has_index

    @property
    def _has_index(self) -> bool:
        """Whether times and lengths that the container tells can be believed."""
        if self.container in ("mp3", "aac"):
            return _is_one_form(self._recorded)
        return self.container not in _WITHOUT_INDEX

    def blocks(self, start: int) -> Iterator[Float[np.ndarray, "t c"]]:
        for place, block in self._placed_blocks(start):
            n_unwanted = max(0, start - place)
            if n_unwanted < len(block):
                yield block[n_unwanted:]

    def measure(self) -> int:
        declared_s = self._declared_s() if self._has_index else 0.0
        is_long = declared_s > 2 * _TAIL_S
        end = self._end_from(round((declared_s - _TAIL_S) * self.sample_rate_hz)) if is_long else 0
        return end or self._end_from(0)

    def _end_from(self, start: int) -> int:
        """How many samples there are, counted from `start` or somewhat before on; 0 where none follows."""
        place, n_by_rate = self._start_at(start), dict[int, int]()
        for frame in self._frames():
            rate_hz = self.sample_rate_hz if isinstance(frame, int) else int(frame.sample_rate)
            n_samples = frame if isinstance(frame, int) else frame.samples
            n_by_rate[rate_hz] = n_by_rate.get(rate_hz, 0) + n_samples
        n_more = sum(round(n * self.sample_rate_hz / rate_hz) for rate_hz, n in n_by_rate.items())
        return place + n_more if n_more else 0

    def _declared_s(self) -> float:
        if self._track.duration:
            return float(self._track.duration * self._track.time_base)
        return float(self._media.duration or 0) / av.time_base

    def _placed_blocks(self, start: int) -> Iterator[tuple[int, Float[np.ndarray, "t c"]]]:
        """Blocks with the sample number at which each begins; the first begins at `start` or somewhat before."""
        place = self._start_at(start)
        for block in _fitted(self._pieces(), self.sample_rate_hz, self.n_channels):
            yield place, block
            place += len(block)

    def _start_at(self, start: int) -> int:
        """Go to `start` or somewhat before and return to which sample."""
        is_far = start > 2 * _PREROLL_S * self.sample_rate_hz
        place = self._seek(start) if is_far and self._has_index else None
        if place is None:
            if not self._is_at_start:
                self._open()
            place = 0
        self._is_at_start = False
        return place

    def _seek(self, start: int) -> int | None:
        """Go to somewhat before `start` and return to which sample; None where the container cannot tell."""
        if self._origin is None:
            return None
        self._is_at_start = False
        before_s = start / self.sample_rate_hz - _PREROLL_S
        try:
            self._media.seek(int(before_s / self._track.time_base) + self._origin, stream=self._track)
            self._begin()
        except _FFMPEG_FAILURES:
            return None
        if self._first is None or self._first.pts is None:
            return None
        place = self._place_of(self._first)
        return place if 0 <= place <= start else None

    def _frames(self) -> Iterator[Any]:
        """Frames from where the container stands to its end; among them, where one or more are missing by the times of
        the others, how many samples they had."""
        yield self._first
        has_index, end = self._has_index, self._end_of(self._first)
        with contextlib.suppress(*_FFMPEG_FAILURES):
            for frame in self._rest:
                if frame.format.name.removesuffix("p") not in _FULL_SCALE:
                    continue
                if has_index and end is not None and frame.pts is not None:
                    n_missing = self._place_of(frame) - end
                    if frame.samples <= n_missing <= MAX_GAP_S * self.sample_rate_hz:
                        yield n_missing
                yield frame
                end = self._end_of(frame)

    def _place_of(self, frame: Any) -> int:
        """The sample at which a frame begins, by its time."""
        return round((frame.pts - (self._origin or 0)) * self._track.time_base * self.sample_rate_hz)

    def _end_of(self, frame: Any) -> int | None:
        return None if frame.pts is None else self._place_of(frame) + int(frame.samples)

    def _pieces(self) -> Iterator[tuple[int, Float[np.ndarray, "t _"]]]:
        """The rate and samples of each frame; silence for what is lost."""
        rate_hz, n_channels = self.sample_rate_hz, self.n_channels
        for frame in self._frames():
            if isinstance(frame, int):
                yield rate_hz, np.zeros((frame, n_channels), np.float32)
            else:
                rate_hz, n_channels = int(frame.sample_rate), int(frame.layout.nb_channels)
                yield rate_hz, _samples(frame)


def _samples(frame: Any) -> Float[np.ndarray, "t c"]:
    raw = frame.to_ndarray()
    samples = raw.T if frame.format.is_planar else raw.reshape(frame.samples, -1)
    kind = frame.format.name.removesuffix("p")
    centred = samples - np.float32(128) if kind == "u8" else samples
    return np.asarray(centred / np.float32(_FULL_SCALE[kind]), dtype=np.float32)
