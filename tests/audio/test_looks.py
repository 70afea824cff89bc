"""What is seen of samples while they are decoded: each fault planted, and seen; and the clean ones not."""

import numpy as np
import pytest
import soundfile

from sae_core.audio import reading
from sae_core.audio.looks import SoundLook
from tests.recordings import voice

RATE = 16_000


def syllables(duration_s, *, rate_hz=3.7, f0_hz=130.0):
    """Harmonics that swell `rate_hz` times a second."""
    t = np.arange(round(duration_s * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * number * f0_hz * t + number**2) / number for number in range(1, 15))
    return (0.15 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * rate_hz * t))).astype(np.float32)


def seen(samples, *, n_at_once=4_096, rate=RATE):
    look = SoundLook(rate)
    samples = np.asarray(samples, np.float32)
    samples = samples if samples.ndim == 2 else samples[:, None]
    for start in range(0, len(samples), n_at_once):
        look.add(samples[start : start + n_at_once])
    return look.facts()


def two(left, right):
    n = min(len(left), len(right))
    return np.stack([left[:n], right[:n]], axis=1)


@pytest.mark.parametrize("gain", [2.0, 4.0, 10.0])
@pytest.mark.parametrize("level", [1.0, 0.3])
def test_clipped_tops_are_seen_at_any_level(gain, level):
    sound = syllables(3)
    sound = sound / np.abs(sound).max()
    assert not seen(level * sound).is_clipped
    assert seen(level * np.clip(gain * sound, -1, 1)).is_clipped


@pytest.mark.parametrize("hz", [50, 200, 440, 1_000, 4_000])
def test_a_tone_is_not_clipped(hz):
    assert not seen(0.9 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)).is_clipped


def test_silence_and_its_last_bit_are_not_clipped():
    assert not seen(np.zeros(RATE)).is_clipped
    assert not seen(np.random.default_rng(0).integers(0, 2, RATE) / 2**15).is_clipped
    assert seen(np.zeros(0)).peak == 0


@pytest.mark.parametrize(("peak", "expected"), [(0.9, False), (1.1, False), (1.5, True), (3.0, True)])
def test_samples_out_of_range_are_seen(peak, expected):
    sound = voice(1) / np.abs(voice(1)).max() * peak
    assert seen(sound).peak == pytest.approx(peak, rel=1e-5)
    assert seen(sound).is_out_of_range is expected


def test_channels_that_cancel_are_seen():
    assert seen(two(voice(2), -voice(2))).is_cancelling
    assert seen(two(voice(2), -0.9 * voice(2))).is_cancelling
    for clean in (
        two(voice(2), voice(2)),
        two(voice(2), 0 * voice(2)),
        two(voice(2), voice(2, seed=4)[::-1]),
    ):
        assert not seen(clean).is_cancelling
    assert seen(voice(2)).mixing_loss_db is None


def test_two_sides_of_a_call_are_seen():
    """In turns, and talking at once."""
    first, second = syllables(4, rate_hz=3.1), syllables(4, rate_hz=4.3, f0_hz=210)
    n = len(first) // 4
    turns = first.copy(), second.copy()
    turns[0][n : 2 * n] = turns[0][3 * n :] = 0
    turns[1][:n] = turns[1][2 * n : 3 * n] = 0
    assert seen(two(*turns)).has_two_sides
    assert seen(two(first, second)).has_two_sides


def test_one_recording_in_stereo_is_not_two_sides():
    sound, hiss = syllables(4), 0.003 * np.random.default_rng(0).standard_normal(4 * RATE)
    delayed = np.roll(sound, 40)
    for pair in (
        (sound, sound),
        (sound, delayed),
        (sound, 0.3 * delayed + hiss),
        (sound, -sound),
        (sound, 0 * sound),
    ):
        assert not seen(two(*pair)).has_two_sides


def test_looking_does_not_depend_on_blocks():
    sound = np.clip(two(3 * syllables(2), 2 * voice(2)), -1, 1)
    whole, pieces = seen(sound, n_at_once=10**6), seen(sound, n_at_once=777)
    assert pieces.side_correlation == pytest.approx(whole.side_correlation, abs=1e-4)
    assert pieces.envelope_correlation == pytest.approx(whole.envelope_correlation, abs=0.02)
    assert pieces.clipped_fraction == pytest.approx(whole.clipped_fraction, rel=0.02)


def test_reading_and_looking_reads_the_same(tmp_path):
    soundfile.write(tmp_path / "call.wav", two(voice(2), -voice(2)), RATE, subtype="FLOAT")
    known = reading.read(tmp_path / "call.wav", start_s=0.5, duration_s=1.0, channel=1, sample_rate_hz=8_000)
    found, facts = reading.read_and_look(
        tmp_path / "call.wav", start_s=0.5, duration_s=1.0, channel=1, sample_rate_hz=8_000
    )
    np.testing.assert_array_equal(found, known)
    assert facts.mixing_loss_db is None, "one side alone was heard"
    _, facts = reading.read_and_look(
        tmp_path / "call.wav", start_s=0.0, duration_s=2.0, channel=-1, sample_rate_hz=8_000
    )
    assert facts.is_cancelling
