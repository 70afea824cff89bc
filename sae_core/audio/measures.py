"""What one waveform is like to a phonetician: pitch, noise, bandwidth, loudness, rate of speech; each None where there
is none.

All is measured at `SAMPLE_RATE_HZ`, the rate at which embedders hear, so no bandwidth exceeds half of it.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Float32, Float64

SAMPLE_RATE_HZ = 16_000
STEP = SAMPLE_RATE_HZ // 100
"""Samples from one frame to the next: 10 ms."""

PITCH_RANGE_HZ = (75.0, 500.0)
FEWEST_VOICED = 8
SPREAD_QUANTILES = (0.1, 0.9)
NOISE_QUANTILE = 0.05
FEWEST_FRAMES = 10
SILENT_POWER = 1e-10
SNR_RANGE_DB = (-10.0, 60.0)
BANDWIDTH_FRACTION = 0.99
ACTIVE_RANGE_DB = 30.0
SYLLABLE_DIP_DB = 2.0
SYLLABLE_RANGE_DB = 25.0
GATE_S = 0.4

_N_CANDIDATES = 6
_VOICING, _SILENCE, _OCTAVE_COST, _OCTAVE_JUMP_COST, _VOICED_UNVOICED_COST = 0.45, 0.03, 0.01, 0.35, 0.14


@dataclass(frozen=True)
class SoundMeasures:
    """The acoustic measures of one clip.

    f0_median_hz, f0_range_semitones: the median pitch of voiced frames, and the range from their 10th to their 90th
        percentile.
    snr_db: see `snr_db`. bandwidth_hz: see `bandwidth_hz`. loudness_lufs: integrated, after ITU-R BS.1770-4.
    syllables_per_s: see `syllables_per_s`.
    """

    f0_median_hz: float | None
    f0_range_semitones: float | None
    snr_db: float | None
    bandwidth_hz: float | None
    loudness_lufs: float | None
    syllables_per_s: float | None


SOUND_COLUMNS = tuple(field.name for field in fields(SoundMeasures))


def measure_sound(waveform: Float[np.ndarray, " t"]) -> SoundMeasures:
    """Every measure of one waveform at `SAMPLE_RATE_HZ`; None for what it does not have."""
    sound = np.ascontiguousarray(waveform, dtype=np.float32)
    pitch = pitch_track(sound)
    median, spread = pitch_summary(pitch)
    return SoundMeasures(
        median,
        spread,
        snr_db(sound),
        bandwidth_hz(sound),
        loudness_lufs(sound),
        syllables_per_s(sound, pitch),
    )


def pitch_track(sound: Float32[np.ndarray, " t"]) -> Float64[np.ndarray, " f"]:
    """The fundamental frequency every 10 ms, 0 where unvoiced; empty for a sound shorter than 40 ms.

    By the autocorrelation of Hann windows of three periods of the lowest pitch, divided by the window's own, and the
    cheapest path through the candidates of all frames: Boersma (1993), Proceedings of the Institute of Phonetic
    Sciences 17, 97-110, with Praat's usual costs.
    """
    n = round(3 * SAMPLE_RATE_HZ / PITCH_RANGE_HZ[0])
    if len(sound) < n:
        return np.zeros(0)
    frames = _frames(sound - sound.mean(), n)
    frames = frames - frames.mean(axis=1, keepdims=True)
    peak = np.abs(frames).max(axis=1)
    loudest = float(np.abs(sound - sound.mean()).max())
    if loudest**2 <= SILENT_POWER:
        return np.zeros(len(frames))
    hz, strength = _pitch_candidates(_autocorrelation(frames))
    unvoiced = _VOICING + np.maximum(0.0, 2.0 - (peak / loudest) * (1.0 + _VOICING) / _SILENCE)
    hz = np.column_stack([np.zeros(len(hz)), hz])
    return _cheapest_path(hz, np.column_stack([unvoiced, strength]))


def _frames(sound: np.ndarray, n: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(sound, n)[::STEP]


def _autocorrelation(frames: Float[np.ndarray, "f n"]) -> Float[np.ndarray, "f lags"]:
    """Of each frame under a Hann window, against the window's own; lag 0 is 1. Lags up to the lowest pitch's period."""
    n, n_lags = frames.shape[1], round(SAMPLE_RATE_HZ / PITCH_RANGE_HZ[0]) + 2
    window = np.hanning(n + 2)[1:-1].astype(np.float32)
    size = 1 << (n + n_lags - 1).bit_length()
    raw = np.fft.irfft(np.abs(np.fft.rfft(frames * window, size)) ** 2, size)[:, :n_lags]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)[:n_lags]
    return raw / np.maximum(raw[:, :1], 1e-20) / (own / own[0])


def _pitch_candidates(
    likeness: Float[np.ndarray, "f lags"],
) -> tuple[Float[np.ndarray, "f c"], Float[np.ndarray, "f c"]]:
    """Frequency and strength of the strongest peaks of each frame; where there are fewer, a strength of -1."""
    lowest, highest = PITCH_RANGE_HZ
    first = int(np.ceil(SAMPLE_RATE_HZ / highest))
    middle, before, after = likeness[:, first:-1], likeness[:, first - 1 : -2], likeness[:, first + 1 :]
    curve = before - 2 * middle + after
    is_peak = (middle > before) & (middle >= after) & (middle > 0.5 * _VOICING)
    shift = np.where(is_peak, 0.5 * (before - after) / np.where(is_peak, curve, 1.0), 0.0)
    height = middle - 0.25 * (before - after) * shift
    height = np.where(height > 1, 1 / np.maximum(height, 1), height)
    hz = SAMPLE_RATE_HZ / (first + np.arange(middle.shape[1]) + shift)
    strength = np.where(is_peak, height - _OCTAVE_COST * np.log2(lowest / hz), -1.0)
    best = np.argpartition(-strength, _N_CANDIDATES, axis=1)[:, :_N_CANDIDATES]
    return np.take_along_axis(hz, best, 1), np.take_along_axis(strength, best, 1)


def _cheapest_path(
    hz: Float[np.ndarray, "f c"], strength: Float[np.ndarray, "f c"]
) -> Float[np.ndarray, " f"]:
    """The candidate of each frame on the path of most strength less what its jumps cost (Viterbi)."""
    is_voiced, octave = hz > 0, np.log2(np.maximum(hz, 1.0))
    change = is_voiced[:-1, :, None] != is_voiced[1:, None, :]
    both = is_voiced[:-1, :, None] & is_voiced[1:, None, :]
    jump = np.abs(octave[:-1, :, None] - octave[1:, None, :])
    costs = np.where(change, _VOICED_UNVOICED_COST, np.where(both, _OCTAVE_JUMP_COST * jump, 0.0))
    best, origins = strength[0], np.empty(hz.shape, dtype=np.int64)
    for frame in range(1, len(hz)):
        total = best[:, None] - costs[frame - 1]
        origins[frame] = total.argmax(axis=0)
        best = total.max(axis=0) + strength[frame]
    place = int(best.argmax())
    found = np.empty(len(hz))
    for frame in range(len(hz) - 1, -1, -1):
        found[frame] = hz[frame, place]
        place = int(origins[frame, place]) if frame else place
    return found


def pitch_summary(pitch: Float64[np.ndarray, " f"]) -> tuple[float | None, float | None]:
    """Median in Hz and 10th to 90th percentile in semitones of the voiced frames; None below `FEWEST_VOICED`."""
    voiced = pitch[pitch > 0]
    if len(voiced) < FEWEST_VOICED:
        return None, None
    low, high = np.quantile(voiced, SPREAD_QUANTILES)
    return float(np.median(voiced)), float(12 * np.log2(high / low))


def snr_db(sound: Float32[np.ndarray, " t"]) -> float | None:
    """Signal over noise, where the noise is what is left in the quietest frames: 10·log10((P - N) / N).

    P is the mean power, N the 5th percentile of the power of 30 ms frames every 10 ms; the ratio is kept within
    `SNR_RANGE_DB`. A clip without any pause counts too low. None for silence and below `FEWEST_FRAMES` frames.
    """
    steps = sound[: len(sound) // STEP * STEP].astype(np.float64).reshape(-1, STEP)
    if len(steps) < FEWEST_FRAMES:
        return None
    power = np.convolve((steps**2).mean(axis=1), np.full(3, 1 / 3), mode="valid")
    whole, noise = float(power.mean()), float(np.quantile(power, NOISE_QUANTILE))
    if whole <= SILENT_POWER:
        return None
    ratio = max(whole - noise, 1e-20) / max(noise, 1e-20)
    return float(np.clip(10 * np.log10(ratio), *SNR_RANGE_DB))


def bandwidth_hz(sound: Float32[np.ndarray, " t"]) -> float | None:
    """Up to where the sound reaches: below it lies `BANDWIDTH_FRACTION` of the energy of the sound's derivative.

    The derivative (power times f²) makes up for the fall of speech spectra towards high frequencies. Each 32 ms frame
    within `ACTIVE_RANGE_DB` of the loudest weighs the same, so that vowels do not drown consonants. A telephone line
    shows about 3400 Hz at any sample rate; None for silence.
    """
    n = SAMPLE_RATE_HZ * 32 // 1000
    if len(sound) < n:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(sound, n)[:: n // 2] * np.hanning(n).astype(np.float32)
    level = np.einsum("ft,ft->f", frames, frames) / n
    if level.max() <= SILENT_POWER:
        return None
    active = frames[level > level.max() * 10 ** (-ACTIVE_RANGE_DB / 10)]
    bins_hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ)
    power = np.abs(np.fft.rfft(active, axis=1)) ** 2 * bins_hz**2
    power /= np.maximum(power.sum(axis=1, keepdims=True), 1e-30)
    below = np.cumsum(power.sum(axis=0))
    return float(np.interp(BANDWIDTH_FRACTION * below[-1], below, bins_hz))


def loudness_lufs(sound: Float32[np.ndarray, " t"]) -> float | None:
    """Integrated loudness after ITU-R BS.1770-4; None where no block reaches the -70 LUFS of its absolute gate.

    A sound shorter than the standard's blocks of 400 ms is one block of its own length.
    """
    from pyloudnorm import Meter

    if not len(sound) or float(np.mean(sound.astype(np.float64) ** 2)) <= SILENT_POWER:
        return None
    # rounded down: a block a trace longer than the sound is refused
    whole_s = np.nextafter(len(sound) / SAMPLE_RATE_HZ, 0)
    meter = Meter(SAMPLE_RATE_HZ, block_size=min(GATE_S, float(whole_s)))
    found = float(meter.integrated_loudness(sound.astype(np.float64)))
    return found if np.isfinite(found) else None


def syllables_per_s(sound: Float32[np.ndarray, " t"], pitch: Float64[np.ndarray, " f"]) -> float | None:
    """Syllable nuclei over the whole length: peaks of intensity that are voiced and stand 2 dB above the dips around.

    Peaks within `SYLLABLE_RANGE_DB` of the loudest count, after De Jong and Wempe (2009), Behavior Research Methods 41,
    385-390; intensity is the power under a 64 ms Hann window every 10 ms. None where nothing is voiced.
    """
    if np.count_nonzero(pitch) < FEWEST_VOICED:
        return None
    from scipy.signal import find_peaks

    n, n_shift = SAMPLE_RATE_HZ * 64 // 1000, round(1.5 * SAMPLE_RATE_HZ / PITCH_RANGE_HZ[0])
    window = np.hanning(n)
    padded = np.pad(sound.astype(np.float64) ** 2, n // 2)
    level_db = 10 * np.log10(np.maximum(_frames(padded, n) @ (window / window.sum()), 1e-10))
    floor_db = float(np.quantile(level_db, 0.99)) - SYLLABLE_RANGE_DB
    peaks, _ = find_peaks(level_db, height=floor_db, prominence=SYLLABLE_DIP_DB)
    # the first frame of pitch is centred where its window is, that of intensity at the start of the sound
    places = np.clip(np.rint(peaks - n_shift / STEP).astype(np.int64), 0, len(pitch) - 1)
    return float(np.count_nonzero(pitch[places] > 0) / (len(sound) / SAMPLE_RATE_HZ))
