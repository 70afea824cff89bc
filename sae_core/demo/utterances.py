"""From files of any length to clips of a few seconds: trimmed, cut at pauses, joined with silence, levelled, encoded.

MP3 is what every browser plays, Safari before 2025 included, which lacks Ogg. Measured on three clips (a telephone
prompt at 8 kHz, a game's line and music at 16 kHz) as the cosine of their GE2E vectors before and after: MP3 at
16.7 kbit/s 0.96 and at 18–20 kbit/s 0.96–0.99; Opus at 14–18 kbit/s 0.95–0.99; Vorbis at its lowest, 19–41 kbit/s,
0.98–0.99. Opus is smaller for the same likeness, but one format that plays everywhere is worth a few megabytes.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from sae_core.audio import reading
from sae_core.audio.measures import SAMPLE_RATE_HZ, pitch_summary, pitch_track
from sae_core.files.errors import AudioError

SHORTEST_S = 2.5
LONGEST_S = 8.0
PIECE_S = 3.2
UNCUT_S = 5.1
GAP_S = 0.1
MUSIC_PIECE_S = 4.0
TELEPHONE_HZ = 8_000
WIDEBAND_HZ = 16_000
LEVEL_DBFS = -23.0
PEAK = 0.85

_FRAME_S = 0.01
_TRIM_DB = 40.0
_MARGIN_FRAMES = 3
_LEAST_SOUND_S = 0.12
# libsndfile's knob for average-bitrate MP3: 0.90 gives 16.7 kbit/s at 8 kHz, 0.95 gives 17.5 kbit/s at 16 kHz.
_COMPRESSION = {TELEPHONE_HZ: 0.90, WIDEBAND_HZ: 0.95}
# Headerless recordings: suffix → libsndfile subtype and sample rate.
_HEADERLESS = {".als": ("PCM_U8", 11_025), ".gsm": ("GSM610", 8_000)}


def read_sound(path: Path, sample_rate_hz: int) -> Float[np.ndarray, " t"]:
    """The whole recording, mono at `sample_rate_hz`; headerless formats are told by their suffix.

    AudioError where nothing can be decoded.
    """
    headerless = _HEADERLESS.get(path.suffix.lower())
    if headerless is None:
        return reading.read(path, sample_rate_hz=sample_rate_hz)
    subtype, rate_hz = headerless
    try:
        samples, _ = soundfile.read(
            path, dtype="float32", format="RAW", subtype=subtype, samplerate=rate_hz, channels=1
        )
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(
            f"cannot be decoded as {subtype}: {error}",
            where=path,
            remedy="remove the package's folder from the cache and build again",
        ) from error
    return resample(samples, rate_hz, sample_rate_hz)


def resample(samples: Float[np.ndarray, " t"], rate_hz: int, target_hz: int) -> Float[np.ndarray, " u"]:
    """The samples at another rate."""
    import soxr

    return (
        samples
        if rate_hz == target_hz
        else np.asarray(soxr.resample(samples, rate_hz, target_hz), np.float32)
    )


def in_fixed_order(paths: Iterable[Path], root: Path) -> list[Path]:
    """The paths shuffled the same way on every machine: by a hash of their place below `root`."""
    return sorted(paths, key=lambda path: hashlib.sha1(path.relative_to(root).as_posix().encode()).digest())


def trim_silence(samples: Float[np.ndarray, " t"], sample_rate_hz: int) -> Float[np.ndarray, " u"]:
    """The samples without what is `_TRIM_DB` below the loud parts at either end; empty where nothing is heard."""
    levels = _frame_levels(samples, sample_rate_hz)
    if not len(levels) or not levels.max() > 0:
        return samples[:0]
    loud = np.flatnonzero(levels > np.percentile(levels, 95) * 10 ** (-_TRIM_DB / 10))
    n_frame = int(_FRAME_S * sample_rate_hz)
    first = max(0, int(loud[0]) - _MARGIN_FRAMES) * n_frame
    return samples[first : (int(loud[-1]) + 1 + _MARGIN_FRAMES) * n_frame]


def cut_at_pauses(samples: Float[np.ndarray, " t"], sample_rate_hz: int) -> list[Float[np.ndarray, " _"]]:
    """Pieces of `SHORTEST_S` to `PIECE_S` in order, each cut at the quietest place; a short recording is one piece.

    Only what lasts longer than `UNCUT_S` is cut, so that every piece is an utterance of its own.
    """
    n_frame = int(_FRAME_S * sample_rate_hz)
    levels = np.convolve(_frame_levels(samples, sample_rate_hz), np.ones(9), mode="same")
    pieces, start = [], 0
    while len(samples) - start > UNCUT_S * sample_rate_hz:
        earliest = start // n_frame + round(SHORTEST_S / _FRAME_S) + 1
        latest = min(start // n_frame + round(PIECE_S / _FRAME_S), len(levels) - round(SHORTEST_S / _FRAME_S))
        cut = (earliest + int(np.argmin(levels[earliest:latest]))) * n_frame
        pieces.append(samples[start:cut])
        start = cut
    return [*pieces, samples[start:]]


def join_pieces(
    pieces: Iterable[Float[np.ndarray, " _"]], sample_rate_hz: int
) -> Iterator[Float[np.ndarray, " _"]]:
    """Utterances of `SHORTEST_S` to `LONGEST_S`: pieces joined with `GAP_S` of silence until long enough.

    A rest that stays too short is left out, and so is a piece longer than `LONGEST_S`.
    """
    gap = np.zeros(round(GAP_S * sample_rate_hz), np.float32)
    held: list[Float[np.ndarray, " _"]] = []
    for piece in pieces:
        if len(piece) > LONGEST_S * sample_rate_hz:
            continue
        held += [gap, piece] if held else [piece]
        n_held = sum(map(len, held))
        if n_held > LONGEST_S * sample_rate_hz:
            held = [piece]
        if sum(map(len, held)) >= SHORTEST_S * sample_rate_hz:
            yield np.concatenate(held)
            held = []


def speech_utterances(paths: Iterable[Path], sample_rate_hz: int) -> Iterator[Float[np.ndarray, " _"]]:
    """Utterances of one voice from its files, in the order given; files in which nothing is heard are passed over."""

    def pieces() -> Iterator[Float[np.ndarray, " _"]]:
        for path in paths:
            for piece in cut_at_pauses(
                trim_silence(read_sound(path, sample_rate_hz), sample_rate_hz), sample_rate_hz
            ):
                trimmed = trim_silence(piece, sample_rate_hz)
                if len(trimmed) >= _LEAST_SOUND_S * sample_rate_hz:
                    yield set_level(trimmed)

    return join_pieces(pieces(), sample_rate_hz)


def cut_music(
    samples: Float[np.ndarray, " t"], sample_rate_hz: int, n_pieces: int
) -> list[Float[np.ndarray, " _"]]:
    """At most `n_pieces` of `MUSIC_PIECE_S`, spread evenly over the track, with 10 ms fades, near silence left out."""
    n_piece, n_fade = round(MUSIC_PIECE_S * sample_rate_hz), sample_rate_hz // 100
    n_pieces = min(n_pieces, len(samples) // n_piece)
    if n_pieces < 1:
        return []
    fade = np.ones(n_piece, np.float32)
    fade[:n_fade] = np.linspace(0, 1, n_fade)
    fade[-n_fade:] = fade[:n_fade][::-1]
    starts = np.linspace(0, len(samples) - n_piece, n_pieces).round().astype(int)
    pieces = [samples[start : start + n_piece] for start in starts]
    return [set_level(piece) * fade for piece in pieces if float(np.std(piece)) > 10 ** (-50 / 20)]


def set_level(samples: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """The samples with an RMS of `LEVEL_DBFS`, or less where a peak would pass `PEAK`; silence stays as it is."""
    centred = np.asarray(samples - samples.mean(), np.float32)
    level, peak = float(np.std(centred)), float(np.abs(centred).max())
    if not level > 0:
        return samples
    return centred * np.float32(min(10 ** (LEVEL_DBFS / 20) / level, PEAK / peak))


def encode(samples: Float[np.ndarray, " t"], sample_rate_hz: int) -> bytes:
    """The samples as mono MP3 at about 17 kbit/s (8 kHz) or 18 kbit/s (16 kHz)."""
    if sample_rate_hz not in _COMPRESSION:
        raise ValueError(f"sample_rate_hz must be one of {sorted(_COMPRESSION)}, not {sample_rate_hz}")
    stream = io.BytesIO()
    soundfile.write(
        stream,
        samples,
        sample_rate_hz,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="AVERAGE",
        compression_level=_COMPRESSION[sample_rate_hz],
    )
    return stream.getvalue()


def median_pitch_hz(samples: Float[np.ndarray, " t"], sample_rate_hz: int) -> float | None:
    """The median pitch of the voiced frames as `measure` finds it; None where hardly any frame is voiced."""
    at_rate = resample(samples, sample_rate_hz, SAMPLE_RATE_HZ)
    return pitch_summary(pitch_track(np.ascontiguousarray(at_rate, np.float32)))[0]


def _frame_levels(samples: Float[np.ndarray, " t"], sample_rate_hz: int) -> Float[np.ndarray, " f"]:
    """The power of each whole 10 ms frame."""
    n = int(_FRAME_S * sample_rate_hz)
    whole = samples[: len(samples) // n * n].astype(np.float64).reshape(-1, n)
    return np.asarray((whole**2).mean(axis=1))
