"""One recording at a time: what it is, its samples at any rate, what a browser plays of it, a small picture of it."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float, UInt8

from sae_core.audio.looks import SoundFacts, SoundLook
from sae_core.audio.recordings import (
    MIX_DOWN,
    REMEDY,
    SAMPLE_RATES_HZ,
    AudioInfo,
    Recording,
    open_recording,
)
from sae_core.files.errors import AudioError

__all__ = [
    "MAX_CLIP_S",
    "MIX_DOWN",
    "AudioInfo",
    "browser_audio",
    "check_usable",
    "encode_mp3",
    "mel_picture",
    "probe",
    "read",
    "read_and_look",
]

MAX_CLIP_S = 30 * 60.0
MAX_BROWSER_BYTES = 2_000_000
WHOLE_FILE_TOLERANCE_S = 0.05
SHORTFALL_S = 0.1
SILENCE_RMS = 1e-4
MP3_SAMPLE_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# (container, codec) → MIME type of what Chrome, Firefox and Safari all play; Safari learned Ogg and WebM too late.
_BROWSER_TYPES = {
    ("mp3", "mp3float"): "audio/mpeg",
    ("mp3", "mp3"): "audio/mpeg",
    ("wav", "pcm_16"): "audio/wav",
    ("mov", "aac"): "audio/mp4",
    ("flac", "pcm_16"): "audio/flac",
}

PICTURE_HZ = (60.0, 7_600.0)
PICTURE_RANGE_DB = 70.0
_PICTURE_WINDOW_S = 0.032


def probe(path: Path) -> AudioInfo:
    """What the recording in `path` is, detected from its content.

    The duration is measured: the end that the header names must decode, or else all that decodes is counted. AudioError
    when nothing does, or when its rate lies outside `SAMPLE_RATES_HZ`.
    """
    path = Path(path)
    with open_recording(path) as recording:
        _check_rate(recording, path)
        n_samples = recording.measure()
        if not n_samples:
            raise AudioError("holds no sound that can be decoded", where=path, remedy=REMEDY)
        return AudioInfo(
            recording.container,
            recording.codec,
            recording.sample_rate_hz,
            recording.n_channels,
            n_samples / recording.sample_rate_hz,
            recording.checksum(),
        )


def read(
    path: Path,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: int = MIX_DOWN,
    sample_rate_hz: int | None = None,
) -> Float[np.ndarray, " t"]:
    """The samples of one stretch of a recording: mono, full scale 1, at `sample_rate_hz` (its own rate where None).

    channel: a channel from 0, or `MIX_DOWN` for the mean of all. Only the stretch is decoded and resampled.
    A damaged recording gives what decodes when the whole is asked for. AudioError when nothing does, when the stretch
    ends more than `SHORTFALL_S` after the recording, lasts longer than `MAX_CLIP_S`, or the channel does not exist.
    """
    path, stretch = Path(path), _Stretch(start_s, duration_s, channel)
    stretch.check(path)
    with open_recording(path, is_seeking=start_s > 0) as recording:
        return _read_from(recording, path, stretch, sample_rate_hz or recording.sample_rate_hz)


def read_and_look(
    path: Path, *, start_s: float, duration_s: float, channel: int, sample_rate_hz: int
) -> tuple[Float[np.ndarray, " t"], SoundFacts]:
    """What `read` returns and raises, and what the samples look like before they are mixed and resampled."""
    path, stretch = Path(path), _Stretch(start_s, duration_s, channel)
    stretch.check(path)
    with open_recording(path, is_seeking=start_s > 0) as recording:
        look = SoundLook(recording.sample_rate_hz)
        waveform = _read_from(recording, path, stretch, sample_rate_hz, look)
    return waveform, look.facts()


def look_at_start(path: Path, *, within_s: float) -> SoundFacts:
    """What the first seconds of a recording look like, however short it is; AudioError where none can be decoded."""
    path = Path(path)
    with open_recording(path) as recording:
        _check_rate(recording, path)
        look = SoundLook(recording.sample_rate_hz)
        n_samples = round(within_s * recording.sample_rate_hz)
        if not any(len(block) for block in list(_take(recording.blocks(0), n_samples, MIX_DOWN, look))):
            raise AudioError("holds no sound that can be decoded", where=path, remedy=REMEDY)
    return look.facts()


@dataclass(frozen=True)
class _Stretch:
    start_s: float
    duration_s: float | None
    channel: int

    def check(self, path: Path) -> None:
        """ValueError where it can be none of any recording, AudioError where it is too long."""
        is_stretch = self.duration_s is None or 0 < self.duration_s < float("inf")
        if not (is_stretch and 0 <= self.start_s < float("inf")):
            raise ValueError(
                f"start_s {self.start_s} and duration_s {self.duration_s} name no stretch of a recording"
            )
        if self.duration_s is not None and self.duration_s > MAX_CLIP_S + SHORTFALL_S:
            raise _too_long(path)


def _read_from(
    recording: Recording,
    path: Path,
    stretch: _Stretch,
    sample_rate_hz: int,
    look: SoundLook | None = None,
) -> Float[np.ndarray, " t"]:
    """What `read` returns; `look` is shown the samples before they are mixed and resampled."""
    _check_rate(recording, path)
    _check_channel(recording, stretch.channel, path)
    rate, start_s = recording.sample_rate_hz, stretch.start_s
    start = round(start_s * rate)
    wanted = None if stretch.duration_s is None else max(1, round(stretch.duration_s * rate))
    limit = round(MAX_CLIP_S * rate) + rate if wanted is None else wanted
    native = _Counted(_take(recording.blocks(start), limit, stretch.channel, look))
    waveform = _resample(native, rate, sample_rate_hz)
    if not native.n_samples:
        raise AudioError(
            f"holds no sound at {start_s:.2f} s",
            where=path,
            remedy="correct the start of the clip, or: " + REMEDY,
        )
    if wanted is None and native.n_samples == limit:
        raise _too_long(path)
    if wanted is not None and native.n_samples < wanted - SHORTFALL_S * rate:
        end_s = start_s + native.n_samples / rate
        raise AudioError(
            f"ends at {end_s:.2f} s, but the clip at {start_s + wanted / rate:.2f} s",
            where=path,
            remedy="correct start and duration of the clip",
        )
    return waveform


def _too_long(path: Path) -> AudioError:
    return AudioError(
        f"a clip may last {MAX_CLIP_S / 60:.0f} minutes at most",
        where=path,
        remedy="import with --window-s 6 to cut long recordings into clips",
    )


def _check_rate(recording: Recording, path: Path) -> None:
    lowest, highest = SAMPLE_RATES_HZ
    if not lowest <= recording.sample_rate_hz <= highest:
        raise AudioError(f"claims a sample rate of {recording.sample_rate_hz} Hz", where=path, remedy=REMEDY)


def _check_channel(recording: Recording, channel: int, path: Path) -> None:
    if channel != MIX_DOWN and not 0 <= channel < recording.n_channels:
        raise AudioError(
            f"has {recording.n_channels} channel(s), counted from 0, and so no channel {channel}",
            where=path,
            remedy="choose another --channel, or none to mix all down",
        )


class _Counted:
    """Blocks on their way, and how many samples have passed."""

    def __init__(self, blocks: Iterator[Float[np.ndarray, " t"]]) -> None:
        self._blocks = blocks
        self.n_samples = 0

    def __iter__(self) -> Iterator[Float[np.ndarray, " t"]]:
        for block in self._blocks:
            self.n_samples += len(block)
            yield block


def _take(
    blocks: Iterator[Float[np.ndarray, "t c"]], n_samples: int, channel: int, look: SoundLook | None
) -> Iterator[Float[np.ndarray, " t"]]:
    """The first `n_samples` as mono blocks, each shown to `look` as it was."""
    for block in blocks:
        piece = block[:n_samples]
        if look is not None:
            look.add(piece if channel == MIX_DOWN else piece[:, channel : channel + 1])
        yield piece.mean(axis=1, dtype=np.float32) if channel == MIX_DOWN else piece[:, channel]
        n_samples -= len(piece)
        if not n_samples:
            return


def _resample(
    blocks: Iterable[Float[np.ndarray, " t"]], rate_hz: int, target_hz: int
) -> Float[np.ndarray, " u"]:
    if rate_hz == target_hz:
        pieces = list(blocks)
    else:
        stream = soxr.ResampleStream(rate_hz, target_hz, 1, dtype="float32")
        pieces = [stream.resample_chunk(np.ascontiguousarray(block)) for block in blocks]
        pieces.append(stream.resample_chunk(np.empty(0, np.float32), last=True))
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)


def check_usable(
    waveform: Float[np.ndarray, " t"], sample_rate_hz: int, *, min_duration_s: float = 0.4
) -> None:
    """Raise AudioError when a waveform cannot be embedded: too short, samples that are no numbers, or silence.

    Silence is an RMS below `SILENCE_RMS` (−80 dB of full scale) once a constant offset is taken away.
    """
    duration_s = len(waveform) / sample_rate_hz
    if duration_s < min_duration_s:
        raise AudioError(
            f"lasts {duration_s:.2f} s, less than {min_duration_s:g} s", remedy="choose a longer stretch"
        )
    level = float(np.std(waveform, dtype=np.float64))
    if not np.isfinite(level):
        raise AudioError("holds samples that are no numbers (NaN or infinite)", remedy=REMEDY)
    if level < SILENCE_RMS:
        raise AudioError(
            "is silent", remedy="take it out of the folder, or choose another channel or stretch"
        )


def encode_mp3(waveform: Float[np.ndarray, " t"], sample_rate_hz: int) -> bytes:
    """The waveform as a mono MP3, which every browser plays, at the lowest MP3 rate that is not below its own."""
    rate_hz = _mp3_rate_hz(sample_rate_hz)
    samples = np.nan_to_num(waveform, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)
    samples = _resample([samples], sample_rate_hz, rate_hz)
    samples /= max(1.0, float(np.abs(samples).max(initial=0.0)))  # quieter rather than distorted
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, format="MP3")
    return stream.getvalue()


def browser_audio(path: Path, *, start_s: float, duration_s: float, channel: int) -> tuple[bytes, str]:
    """What a browser plays for a clip: its bytes and their MIME type.

    A small recording that every browser plays and that is just the clip goes out as it is, anything else as an MP3 of
    the stretch. AudioError as `read` raises it.
    """
    path, stretch = Path(path), _Stretch(start_s, duration_s, channel)
    stretch.check(path)
    with open_recording(path, is_seeking=start_s > 0) as recording:
        rate_hz = _mp3_rate_hz(recording.sample_rate_hz)
        is_all = start_s == 0 and channel == MIX_DOWN and path.stat().st_size <= MAX_BROWSER_BYTES
        mime = _BROWSER_TYPES.get((recording.container, recording.codec))
        is_playable = mime is not None and recording.is_plain and recording.n_channels <= 2
        if mime and is_playable and is_all and _lasts(recording, duration_s):
            return recording.content(), mime
        waveform = _read_from(recording, path, stretch, rate_hz)
    return encode_mp3(waveform, rate_hz), "audio/mpeg"


def _lasts(recording: Recording, duration_s: float) -> bool:
    return abs(recording.measure() / recording.sample_rate_hz - duration_s) < WHOLE_FILE_TOLERANCE_S


def _mp3_rate_hz(rate_hz: int) -> int:
    return min((known for known in MP3_SAMPLE_RATES_HZ if known >= rate_hz), default=MP3_SAMPLE_RATES_HZ[-1])


def mel_picture(
    waveform: Float[np.ndarray, " t"], sample_rate_hz: int, *, n_mels: int = 32, n_frames: int = 96
) -> UInt8[np.ndarray, "n_mels n_frames"]:
    """A small mel-spectrogram to draw as it is: the highest band in row 0, time from left to right.

    255 is the loudest cell, 0 is `PICTURE_RANGE_DB` below it or nothing at all. The bands cover `PICTURE_HZ` at every
    sample rate, so a telephone recording is dark at the top. Frames of 32 ms are spread evenly over the clip.
    """
    n_window = 2 ** round(np.log2(_PICTURE_WINDOW_S * sample_rate_hz))
    samples = np.nan_to_num(waveform, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    samples = np.pad(samples, (0, max(0, n_window - len(samples))))
    starts = np.linspace(0, len(samples) - n_window, n_frames).round().astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_window)[starts] * _window(n_window)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2  # [n_frames, bins]
    bands = power @ _mel_filters(sample_rate_hz, n_window, n_mels)  # [n_frames, n_mels]
    loudest = float(bands.max())
    if loudest <= 0.0:
        return np.zeros((n_mels, n_frames), np.uint8)
    level_db = 10.0 * np.log10(np.maximum(bands / loudest, 1e-12))
    shade = 255.0 * (1.0 + level_db / PICTURE_RANGE_DB)
    return np.ascontiguousarray(shade.clip(0, 255).round().astype(np.uint8).T[::-1])


@lru_cache(maxsize=8)
def _window(n_window: int) -> Float[np.ndarray, " w"]:
    return np.hanning(n_window).astype(np.float32)


@lru_cache(maxsize=16)
def _mel_filters(sample_rate_hz: int, n_window: int, n_mels: int) -> Float[np.ndarray, "bins n_mels"]:
    """Triangles spaced evenly in mel (2595·log10(1 + f/700)), each of them of height 1, the lowest first."""
    lowest, highest = (2595.0 * float(np.log10(1.0 + limit_hz / 700.0)) for limit_hz in PICTURE_HZ)
    mels = np.linspace(lowest, highest, n_mels + 2)
    edges_hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins_hz = np.fft.rfftfreq(n_window, 1.0 / sample_rate_hz)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return np.asarray(np.minimum(rising, falling).clip(0.0), dtype=np.float32)
