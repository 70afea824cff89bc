import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sae_core.demo import utterances as u
from sae_core.files.errors import AudioError

RATE = 8_000


def tone(duration_s, *, pitch_hz=150.0, rate=RATE, level=0.1):
    """A buzz with harmonics, so that it has a pitch and not only a frequency."""
    t = np.arange(round(duration_s * rate)) / rate
    return (level * sum(np.sin(2 * np.pi * pitch_hz * h * t) / h for h in range(1, 6))).astype(np.float32)


def silence(duration_s, rate=RATE):
    return np.zeros(round(duration_s * rate), np.float32)


def test_silence_goes_from_both_ends_and_stays_inside():
    sound = np.concatenate([silence(1.0), tone(0.5), silence(0.4), tone(0.5), silence(2.0)])
    trimmed = u.trim_silence(sound, RATE)
    assert len(trimmed) / RATE == pytest.approx(1.4, abs=0.08)
    assert np.abs(trimmed).max() == np.abs(sound).max()


@pytest.mark.parametrize("sound", [silence(1.0), silence(0.0), silence(0.001)])
def test_nothing_is_left_of_silence(sound):
    assert not len(u.trim_silence(sound, RATE))


def test_short_files_are_joined_with_a_tenth_of_a_second_of_silence():
    (first, second) = u.join_pieces([tone(0.9)] * 6, RATE)
    assert len(first) == 3 * round(0.9 * RATE) + 2 * round(0.1 * RATE)
    assert not first[round(0.9 * RATE) : round(1.0 * RATE)].any()
    assert np.array_equal(first, second)


def test_a_rest_too_short_for_an_utterance_is_left_out():
    assert [len(x) for x in u.join_pieces([tone(3.0), tone(1.0)], RATE)] == [3 * RATE]


@given(st.lists(st.floats(0.1, 12.0), max_size=30))
def test_every_joined_utterance_has_an_allowed_length(durations_s):
    joined = list(u.join_pieces((np.ones(round(d * RATE), np.float32) for d in durations_s), RATE))
    for samples in joined:
        assert u.SHORTEST_S * RATE <= len(samples) <= u.LONGEST_S * RATE
    assert sum(float(x.sum()) for x in joined) <= sum(round(d * RATE) for d in durations_s)


def test_a_long_recording_is_cut_in_its_pauses():
    words = [np.concatenate([tone(2.8), silence(0.2)]) for _ in range(4)]
    pieces = u.cut_at_pauses(np.concatenate(words), RATE)
    assert len(pieces) == 4
    for piece in pieces[:-1]:
        assert not np.abs(piece[-200:]).max() > 0 or not np.abs(piece[:200]).max() > 0


@given(st.floats(0.2, 40.0))
def test_cutting_loses_nothing_and_leaves_usable_lengths(duration_s):
    sound = np.random.default_rng(0).standard_normal(round(duration_s * RATE)).astype(np.float32)
    pieces = u.cut_at_pauses(sound, RATE)
    assert np.array_equal(np.concatenate(pieces), sound)
    if len(pieces) == 1:
        assert len(sound) <= u.UNCUT_S * RATE
    else:
        assert all(u.SHORTEST_S - 0.02 <= len(piece) / RATE <= u.UNCUT_S for piece in pieces)


def test_music_is_cut_into_pieces_spread_over_the_track_that_start_and_end_softly():
    pieces = u.cut_music(tone(60.0), RATE, 5)
    assert len(pieces) == 5
    for piece in pieces:
        assert len(piece) == 4 * RATE
        assert piece[0] == piece[-1] == 0


def test_silent_stretches_of_music_and_tracks_too_short_give_no_piece():
    track = np.concatenate([tone(10.0), silence(10.0)])
    assert 0 < len(u.cut_music(track, RATE, 5)) < 5
    assert u.cut_music(tone(1.0), RATE, 5) == []


@given(arrays(np.float32, 400, elements=st.floats(-4, 4, width=32)))
def test_levelled_samples_never_clip(samples):
    levelled = u.set_level(samples)
    if np.std(samples - samples.mean(), dtype=np.float32) > 0:
        assert np.abs(levelled).max() <= u.PEAK * 1.001
        assert 20 * np.log10(max(np.std(levelled), 1e-9)) <= u.LEVEL_DBFS + 0.1


def test_loud_and_soft_speech_end_at_one_level():
    loud, soft = (u.set_level(tone(1.0, level=level)) for level in (0.4, 0.004))
    assert np.std(loud) == pytest.approx(np.std(soft), rel=1e-3)
    assert 20 * np.log10(np.std(loud)) == pytest.approx(u.LEVEL_DBFS, abs=0.1)


@pytest.mark.parametrize(("rate", "most_kbit_s"), [(u.TELEPHONE_HZ, 18), (u.WIDEBAND_HZ, 23)])
def test_an_encoded_clip_is_small_plays_as_mp3_and_sounds_the_same(rate, most_kbit_s):
    sound = u.set_level(tone(4.0, rate=rate))
    data = u.encode(sound, rate)
    decoded, decoded_rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert soundfile.info(io.BytesIO(data)).format == "MP3"
    assert decoded_rate == rate
    assert len(decoded) == len(sound)
    assert np.corrcoef(decoded, sound)[0, 1] > 0.9
    assert len(data) * 8 / 4.0 < most_kbit_s * 1000


def test_only_the_two_rates_of_the_demo_are_encoded():
    with pytest.raises(ValueError, match="44100"):
        u.encode(tone(1.0), 44_100)


def test_headerless_game_speech_is_read_as_eight_bits_at_11_khz(tmp_path):
    sound = tone(1.0, rate=11_025)
    path = tmp_path / "B12.ALS"
    path.write_bytes((sound * 127 + 128).round().astype(np.uint8).tobytes())
    read = u.read_sound(path, 16_000)
    assert len(read) == pytest.approx(16_000, abs=2)
    assert np.std(read) == pytest.approx(np.std(sound), rel=0.05)


def test_an_unreadable_headerless_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.gsm"):
        u.read_sound(tmp_path / "gone.gsm", RATE)


@pytest.mark.parametrize("pitch_hz", [90.0, 130.0, 210.0, 260.0])
def test_the_pitch_of_a_buzz_is_found(pitch_hz):
    assert u.median_pitch_hz(tone(1.5, pitch_hz=pitch_hz), RATE) == pytest.approx(pitch_hz, rel=0.04)


def test_noise_and_snippets_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    assert u.median_pitch_hz(noise, RATE) is None
    assert u.median_pitch_hz(tone(0.1), RATE) is None


def test_the_order_of_files_depends_on_their_names_alone(tmp_path):
    names = [f"{i}.wav" for i in range(20)]
    first = u.in_fixed_order([tmp_path / name for name in names], tmp_path)
    second = u.in_fixed_order([tmp_path / name for name in reversed(names)], tmp_path)
    elsewhere = u.in_fixed_order([tmp_path / "a" / name for name in names], tmp_path / "a")
    assert first == second
    assert [path.name for path in first] == [path.name for path in elsewhere] != names
