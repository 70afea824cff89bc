"""Acoustic measures against sounds whose truth is known, because they were made from it."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, firwin, lfilter, sosfilt

from sae_core.audio.measures import (
    PITCH_RANGE_HZ,
    SAMPLE_RATE_HZ,
    SNR_RANGE_DB,
    bandwidth_hz,
    loudness_lufs,
    measure_sound,
    pitch_track,
    snr_db,
    syllables_per_s,
)

RATE = SAMPLE_RATE_HZ


def times(duration_s):
    return np.arange(round(duration_s * RATE)) / RATE


def noise(duration_s, *, seed=0):
    return np.random.default_rng(seed).standard_normal(round(duration_s * RATE)).astype(np.float32)


def pulses(f0_hz, duration_s=2.0):
    """A glottal pulse train through three formants, as an array of F0 or one F0 asks for."""
    phase = np.cumsum(np.broadcast_to(f0_hz, round(duration_s * RATE)) / RATE)
    sound = np.diff(np.floor(phase), prepend=0.0)
    for hz in (500, 1500, 2500):
        radius, angle = np.exp(-np.pi * 80 / RATE), 2 * np.pi * hz / RATE
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def syllables(rate_hz, duration_s=4.0, *, f0_hz=130.0):
    """A voice that swells `rate_hz` times a second."""
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * rate_hz * times(duration_s))
    return (pulses(f0_hz, duration_s) * swell).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [85, 110, 155, 220, 310, 440])
def test_a_pulse_train_has_the_pitch_it_was_made_with(f0_hz):
    found = measure_sound(pulses(f0_hz))
    assert found.f0_median_hz == pytest.approx(f0_hz, rel=0.01)
    assert found.f0_range_semitones == pytest.approx(0, abs=0.1)


def test_a_pitch_is_found_under_noise():
    voice = pulses(140)
    hiss = noise(2.0) * np.sqrt(np.mean(voice**2) / 10)  # 10 dB below
    assert measure_sound(voice + hiss).f0_median_hz == pytest.approx(140, rel=0.01)


def test_the_spread_of_a_glide_is_eight_tenths_of_it():
    """Up one octave, evenly in semitones: between the 10th and the 90th percentile lie 0.8 · 12."""
    found = measure_sound(pulses(120 * 2 ** (times(2.0) / 2.0)))
    assert found.f0_range_semitones == pytest.approx(9.6, abs=0.3)
    assert found.f0_median_hz == pytest.approx(120 * np.sqrt(2), rel=0.02)


def test_frames_without_voice_have_no_pitch():
    track = pitch_track(np.concatenate([0.05 * noise(1.0), pulses(150, 1.0), np.zeros(RATE, np.float32)]))
    assert np.mean(track[:95] > 0) < 0.1
    assert np.mean(track[105:190] > 0) > 0.95
    assert not track[205:].any()


def test_noise_has_neither_pitch_nor_syllables():
    found = measure_sound(0.1 * noise(3.0))
    assert (found.f0_median_hz, found.f0_range_semitones, found.syllables_per_s) == (None, None, None)


@pytest.mark.parametrize("wanted_db", [0, 5, 10, 15, 20])
def test_speech_under_noise_has_the_ratio_it_was_mixed_at(wanted_db):
    """Syllables with a pause among them, as in speech; the noise is heard in the pause."""
    voice = syllables(4.0)
    voice[RATE : RATE + RATE // 2] = 0
    hiss = noise(4.0, seed=1)
    hiss *= np.sqrt(np.mean(voice**2) / np.mean(hiss**2)) * 10 ** (-wanted_db / 20)
    assert snr_db(voice + hiss) == pytest.approx(wanted_db, abs=1.0)


def test_ratios_are_kept_within_what_can_be_told():
    clean = np.concatenate([np.zeros(RATE, np.float32), pulses(120)])
    assert snr_db(clean) == SNR_RANGE_DB[1]
    assert snr_db(0.1 * noise(2.0)) < 1


@pytest.mark.parametrize("limit_hz", [1500, 3400, 5000, 7000])
def test_filtered_noise_is_as_wide_as_its_filter(limit_hz):
    taps = firwin(511, limit_hz, fs=RATE)
    assert bandwidth_hz(lfilter(taps, 1, noise(3.0)).astype(np.float32)) == pytest.approx(limit_hz, rel=0.03)


def test_a_telephone_line_reaches_to_3400_hz_at_any_rate():
    """Speech-like noise in syllables, band-passed as telephones do, at 8 kHz in µ-law, and back at 16 kHz."""
    tilted = lfilter([1], [1, -0.9], noise(4.0)) * (0.55 - 0.45 * np.cos(2 * np.pi * 3 * times(4.0)))
    wide = tilted.astype(np.float32) / 20
    line = sosfilt(
        butter(10, (300, 3400), "bandpass", fs=8000, output="sos"), soxr.resample(wide, RATE, 8000)
    )
    companded = np.sign(line) * np.log1p(255 * np.abs(line)) / np.log(256)
    coded = np.round(companded * 127) / 127
    decoded = np.sign(coded) * (256 ** np.abs(coded) - 1) / 255
    assert bandwidth_hz(soxr.resample(decoded, 8000, RATE).astype(np.float32)) == pytest.approx(3400, abs=100)
    assert bandwidth_hz(wide) > 7000


def test_the_reference_tone_is_as_loud_as_the_standard_says():
    """ITU-R BS.1770: 997 Hz at full scale in one channel is -3.01 LKFS; EBU Tech 3341: meters may be off by 0.1 LU."""
    tone = np.sin(2 * np.pi * 997 * times(3.0)).astype(np.float32)
    assert loudness_lufs(tone) == pytest.approx(-3.01, abs=0.1)
    assert loudness_lufs(tone * 10 ** ((-23 + 3.01) / 20)) == pytest.approx(-23, abs=0.1)


def test_pauses_do_not_make_a_clip_less_loud():
    tone = (0.1 * np.sin(2 * np.pi * 997 * times(2.0))).astype(np.float32)
    with_pause = np.concatenate([tone, np.zeros(3 * RATE, np.float32), tone])
    assert loudness_lufs(with_pause) == pytest.approx(loudness_lufs(tone), abs=0.5)


def test_a_clip_shorter_than_a_block_has_a_loudness():
    tone = (0.1 * np.sin(2 * np.pi * 997 * times(0.25))).astype(np.float32)
    assert loudness_lufs(tone) == pytest.approx(-23.01, abs=0.2)


@pytest.mark.parametrize("rate_hz", [2.0, 3.5, 5.0])
def test_swells_of_a_voice_count_as_syllables(rate_hz):
    sound = syllables(rate_hz)
    assert syllables_per_s(sound, pitch_track(sound)) == pytest.approx(rate_hz, abs=0.26)


def test_swells_of_a_noise_do_not():
    """Half of the clip is voiced in two syllables a second, the other half is noise in four."""
    hiss = 0.1 * noise(2.0) * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * times(2.0)))
    sound = np.concatenate([syllables(2.0, 2.0), hiss]).astype(np.float32)
    assert syllables_per_s(sound, pitch_track(sound)) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("n", [0, 1, 10, 500, 2000])
def test_what_is_too_short_or_silent_has_no_measures_and_no_nan(n):
    for sound in (np.zeros(n, np.float32), 1e-6 * noise(n / RATE)):
        assert set(vars(measure_sound(sound)).values()) == {None}


@settings(max_examples=25)
@given(
    st.integers(1, 6000),
    st.floats(1e-4, 1.0),
    st.sampled_from(["noise", "step", "click", "tone", "clipped"]),
)
def test_measures_are_numbers_within_their_range_or_none(n, level, kind):
    sound = {
        "noise": noise(n / RATE)[:n],
        "step": np.where(np.arange(n) < n // 2, 1.0, -1.0),
        "click": (np.arange(n) == n // 2).astype(float),
        "tone": np.sin(np.arange(n) * 0.1),
        "clipped": np.sign(np.sin(np.arange(n) * 0.05)),
    }[kind]
    found = measure_sound((level * sound).astype(np.float32))
    assert all(value is None or np.isfinite(value) for value in vars(found).values())
    if found.f0_median_hz is not None:
        assert PITCH_RANGE_HZ[0] * 0.99 <= found.f0_median_hz <= PITCH_RANGE_HZ[1] * 1.01
        assert found.f0_range_semitones >= 0
    if found.bandwidth_hz is not None:
        assert 0 < found.bandwidth_hz <= RATE / 2
