import contextlib
import io
import os
import struct
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sae_core.audio import reading
from sae_core.files.errors import AudioError
from tests.recordings import FORMATS, Format, voice, write

BY_NAME = {form.name: form for form in FORMATS}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Every format, eight seconds of `voice`, each file under a name that says nothing true about it."""
    folder = tmp_path_factory.mktemp("recordings")
    misleading = [".raw", ".mp3", ".wav", "", ".sd2", ".txt", ".au"]
    return {
        form.name: write(folder / f"{form.name}{misleading[number % 7]}", form, voice(8, form.sample_rate_hz))
        for number, form in enumerate(FORMATS)
    }


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_format_is_told_by_its_content(recordings, form: Format):
    info = reading.probe(recordings[form.name])
    assert (info.container, info.codec, info.sample_rate_hz) == (
        form.container,
        form.codec,
        form.sample_rate_hz,
    )
    assert info.n_channels == 1
    assert info.duration_s == pytest.approx(8, abs=0.08)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_format_gives_back_the_voice(recordings, form: Format):
    whole = reading.read(recordings[form.name], sample_rate_hz=8_000)
    assert whole.dtype == np.float32
    assert len(whole) == pytest.approx(8 * 8_000, abs=0.08 * 8_000)
    known = np.fft.rfft(voice(8, 8_000), 2**18)
    match = np.fft.irfft(np.fft.rfft(whole, 2**18) * known.conj())
    lag = int(np.argmax(match))
    assert min(lag, 2**18 - lag) <= 0.065 * 8_000, (
        "decoders may add or lose a frame at the beginning, not more"
    )
    assert match[lag] > 0.93 * np.linalg.norm(whole) * np.linalg.norm(voice(8, 8_000))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize(("start_s", "duration_s"), [(0.3, 0.5), (1.5, 0.7), (4.25, 2.0), (7.0, 0.9)])
def test_a_stretch_is_the_same_as_in_the_whole(recordings, form: Format, start_s, duration_s):
    whole = reading.read(recordings[form.name])
    stretch = reading.read(recordings[form.name], start_s=start_s, duration_s=duration_s)
    rate = form.sample_rate_hz
    assert len(stretch) == pytest.approx(duration_s * rate, abs=1)
    assert _distance(stretch, whole, round(start_s * rate), round(form.max_shift_s * rate)) <= form.tolerance


def _distance(stretch, whole, start, max_shift):
    """Largest difference between a stretch and the whole at `start`, at the best of the shifts allowed."""
    n = len(stretch) - max_shift
    return min(
        float(np.abs(whole[start + shift :][:n] - stretch[:n][: len(whole) - start - shift]).max())
        for shift in range(-max_shift, max_shift + 1)
    )


@given(
    name=st.sampled_from(["wav-mulaw", "flac", "ogg", "mp3", "m4a-alac", "wav-g721"]),
    start_s=st.floats(0, 7.4),
    duration_s=st.floats(0.01, 0.5),
)
def test_seeking_anywhere_agrees_with_decoding_it_all(recordings, name, start_s, duration_s):
    whole = reading.read(recordings[name])
    stretch = reading.read(recordings[name], start_s=start_s, duration_s=duration_s)
    start = round(start_s * BY_NAME[name].sample_rate_hz)
    assert len(stretch) == max(1, round(duration_s * BY_NAME[name].sample_rate_hz))
    np.testing.assert_allclose(stretch, whole[start : start + len(stretch)], atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_resampling_keeps_pitch_level_and_length(tmp_path, rate):
    t = np.arange(2 * rate) / rate
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1_000 * t), rate, subtype="FLOAT")
    tone = reading.read(tmp_path / "tone.wav", sample_rate_hz=16_000)
    assert len(tone) == pytest.approx(32_000, abs=1)
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(32_000) / 16_000)
    np.testing.assert_allclose(tone[1_000:31_000], expected[1_000:31_000], atol=1e-3)


def test_channels_are_chosen_or_mixed(tmp_path):
    samples = np.stack([np.full(8_000, level / 20) for level in range(12)], axis=1)
    soundfile.write(tmp_path / "twelve.wav", samples, 8_000, subtype="FLOAT")
    assert reading.probe(tmp_path / "twelve.wav").n_channels == 12
    assert reading.read(tmp_path / "twelve.wav") == pytest.approx(samples.mean())
    for channel in range(12):
        assert reading.read(tmp_path / "twelve.wav", channel=channel) == pytest.approx(channel / 20)
    with pytest.raises(AudioError, match="12 channel.*no channel 12.*--channel"):
        reading.read(tmp_path / "twelve.wav", channel=12)


@pytest.mark.parametrize("name", ["m4a", "wma", "wav-gsm"])
def test_two_sides_of_a_call_stay_apart(tmp_path, name):
    form = BY_NAME["wav-mulaw" if name == "wav-gsm" else name]
    left, right = voice(3, form.sample_rate_hz), np.zeros(3 * form.sample_rate_hz, np.float32)
    path = write(tmp_path / "call", form, np.stack([left, right], axis=1), layout="stereo")
    assert reading.probe(path).n_channels == 2
    sides = [float(reading.read(path, channel=side).std()) for side in (0, 1)]
    assert sides[0] == pytest.approx(left.std(), rel=0.1)
    assert sides[1] < 1e-3
    assert reading.read(path).std() == pytest.approx(left.std() / 2, rel=0.1)


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "ogg", "aac", "amr", "webm", "ts"])
def test_of_a_truncated_recording_what_decodes_is_used(recordings, tmp_path, name):
    content = recordings[name].read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: len(content) * 6 // 10])
    info = reading.probe(cut)
    assert 2.0 < info.duration_s < 6.5
    whole = reading.read(cut)
    assert len(whole) / info.sample_rate_hz == pytest.approx(info.duration_s, abs=0.002)
    np.testing.assert_allclose(
        whole[: info.sample_rate_hz], reading.read(recordings[name])[: info.sample_rate_hz], atol=0.1
    )
    assert len(reading.read(cut, start_s=0.5, duration_s=1.0)) == info.sample_rate_hz
    with pytest.raises(AudioError, match=r"cut: (ends at|holds no sound at).*correct"):
        reading.read(cut, start_s=5.5, duration_s=2.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"This is a letter, not a recording.\n" * 200, "is not a recording"),
        (b"\xff\xfb\x90\x64" + bytes(40), "is not a recording"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "is not a recording"),
        (
            b"RIFF\x24\x00\x00\x00WAVEfmt "
            + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
            + b"data\0\0\0\0",
            "sound",
        ),
        (np.random.default_rng(0).bytes(50_000), "is not a recording"),
        (b"#EXTM3U\n#EXTINF:5,\nother.wav\n#EXT-X-ENDLIST\n", "is not a recording"),
        (b"ffconcat version 1.0\nfile 'other.wav'\n", "is not a recording"),
    ],
    ids=["empty", "text", "one-mp3-frame", "half-a-header", "no-samples", "noise", "playlist", "concat"],
)
def test_what_is_no_recording_is_refused_by_name_with_a_remedy(tmp_path, content, says):
    soundfile.write(tmp_path / "other.wav", voice(5), 16_000)
    path = tmp_path / "letter.wav"
    path.write_bytes(content)
    for call in (reading.probe, reading.read):
        with pytest.raises(AudioError, match=says) as raised:
            call(path)
        assert str(path) in str(raised.value)
        assert raised.value.remedy


@given(data=st.data())
def test_damage_anywhere_ends_in_samples_or_in_one_error(recordings, tmp_path_factory, data):
    content = bytearray(recordings[data.draw(st.sampled_from(sorted(recordings)))].read_bytes()[:60_000])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, data.draw(st.sampled_from([60, 400, len(content) - 1]))))] = (
            data.draw(st.integers(0, 255))
        )
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(AudioError):
        assert 0 < reading.probe(path).duration_s < 3600
        assert reading.read(path, sample_rate_hz=16_000).ndim == 1


def test_a_truncated_mp4_without_its_index_is_refused(recordings, tmp_path):
    path = tmp_path / "call.m4a"
    path.write_bytes(recordings["m4a"].read_bytes()[:20_000])
    with pytest.raises(AudioError, match=r"call\.m4a: is not a recording"):
        reading.probe(path)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for name, says in [
        ("none.wav", "No such file"),
        ("pipe.wav", "no regular|not a regular"),
        (".", "not a regular"),
    ]:
        with pytest.raises(AudioError, match=says):
            reading.probe(tmp_path / name)


def test_a_picture_and_a_silent_video_have_no_sound(tmp_path):
    from PIL import Image

    Image.new("RGB", (16, 16)).save(tmp_path / "picture.png")
    (tmp_path / "picture.png").rename(tmp_path / "picture.wav")
    with pytest.raises(AudioError, match="is not a recording"):
        reading.probe(tmp_path / "picture.wav")


def test_a_variable_bit_rate_without_an_index_is_measured(tmp_path):
    """The header of such a file says nothing, and the first frames (loud ones here) mislead an estimate."""
    samples = np.concatenate([voice(4), np.zeros(30 * 16_000, np.float32), voice(4)])
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    content = stream.getvalue()
    info_frame = content.index(b"Xing" if b"Xing" in content[:400] else b"Info")
    following = content.index(content[:2], info_frame)
    path = tmp_path / "vbr.mp3"
    path.write_bytes(content[following:])
    assert reading.probe(path).duration_s == pytest.approx(38, abs=0.2)
    late = reading.read(path, start_s=35.0, duration_s=2.0)
    assert late.std() == pytest.approx(voice(4).std(), rel=0.2)


def test_lengths_that_a_header_claims_are_not_believed(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, voice(3), 16_000, format="FLAC")
    content = bytearray(stream.getvalue())
    content[21] |= 0x0F  # the top bits of the number of samples: twelve days at 16 kHz
    (tmp_path / "long.flac").write_bytes(content)
    assert reading.probe(tmp_path / "long.flac").duration_s == pytest.approx(3)
    assert len(reading.read(tmp_path / "long.flac")) == 48_000

    soundfile.write(tmp_path / "long.wav", voice(3), 16_000, subtype="PCM_16")
    content = bytearray((tmp_path / "long.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xf0\xff\xff\xff"
    (tmp_path / "long.wav").write_bytes(content)
    assert reading.probe(tmp_path / "long.wav").duration_s == pytest.approx(3)


@pytest.mark.parametrize("rate", [4, 900_000])
def test_a_sample_rate_nobody_records_at_is_refused(tmp_path, rate):
    soundfile.write(tmp_path / "odd.wav", voice(1), rate)
    with pytest.raises(AudioError, match=f"{rate} Hz"):
        reading.probe(tmp_path / "odd.wav")


@pytest.fixture(scope="module")
def three_hours(tmp_path_factory):
    """Three hours of 8-bit silence, sparse on disk, with a second of tone at 2:59:00."""
    path = tmp_path_factory.mktemp("long") / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(b"")
    n_bytes = 3 * 3600 * 8_000
    with path.open("r+b") as stream:
        stream.seek(4)
        stream.write(struct.pack("<I", 36 + n_bytes))
        stream.seek(40)
        stream.write(struct.pack("<I", n_bytes))
        stream.truncate(44 + n_bytes)
        stream.seek(44 + (2 * 3600 + 59 * 60) * 8_000)
        stream.write(bytes(np.where(np.arange(8_000) % 16 < 8, 64, 192).astype(np.uint8)))
    return path


def test_a_stretch_of_three_hours_is_cheap(three_hours):
    assert reading.probe(three_hours).duration_s == 3 * 3600
    began = time.perf_counter()
    stretch = reading.read(three_hours, start_s=10_740.0, duration_s=1.0, sample_rate_hz=16_000)
    assert time.perf_counter() - began < 0.5
    assert stretch.std() == pytest.approx(0.5, abs=0.05)


def test_three_hours_at_once_are_refused_with_the_remedy(three_hours):
    for duration_s in (None, 3 * 3600.0):
        with pytest.raises(AudioError, match="30 minutes at most.*--window-s"):
            reading.read(three_hours, duration_s=duration_s)


@pytest.mark.parametrize(
    ("start_s", "duration_s"), [(-1.0, None), (float("nan"), None), (0.0, 0.0), (0.0, float("inf"))]
)
def test_what_names_no_stretch_is_a_mistake_of_the_caller(recordings, start_s, duration_s):
    with pytest.raises(ValueError, match="name no stretch"):
        reading.read(recordings["wav"], start_s=start_s, duration_s=duration_s)


@pytest.mark.parametrize(
    ("waveform", "says"),
    [
        (voice(1) * np.nan, "NaN"),
        (np.where(np.arange(16_000) == 77, np.inf, voice(1)).astype(np.float32), "NaN or infinite"),
        (np.zeros(16_000, np.float32), "silent"),
        (np.full(16_000, 0.5, np.float32), "silent"),
        (voice(1) * 1e-4, "silent"),
        (voice(0.01), "0.01 s, less than 0.4 s"),
        (np.zeros(0, np.float32), "0.00 s"),
    ],
    ids=["nan", "inf", "zeros", "offset", "noise-floor", "ten-ms", "nothing"],
)
def test_unusable_waveforms_say_why(waveform, says):
    with np.errstate(invalid="ignore"), pytest.raises(AudioError, match=says) as raised:
        reading.check_usable(waveform, 16_000)
    assert raised.value.remedy


def test_a_usable_waveform_passes():
    reading.check_usable(voice(0.5), 16_000)
    reading.check_usable(voice(0.05), 16_000, min_duration_s=0.02)


def test_nan_in_a_file_is_found_after_reading(tmp_path):
    samples = voice(2)
    samples[5_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    assert reading.probe(tmp_path / "nan.wav").duration_s == 2
    with pytest.raises(AudioError, match="NaN"):
        reading.check_usable(reading.read(tmp_path / "nan.wav", sample_rate_hz=8_000), 8_000)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 24_000, 37_000, 48_000, 96_000])
def test_mp3_gives_the_voice_back(tmp_path, rate):
    (tmp_path / "clip.mp3").write_bytes(reading.encode_mp3(voice(3, rate), rate))
    info = reading.probe(tmp_path / "clip.mp3")
    assert (info.container, info.n_channels) == ("mp3", 1)
    assert info.duration_s == pytest.approx(3, abs=0.01)
    back, known = reading.read(tmp_path / "clip.mp3", sample_rate_hz=8_000), voice(3, 8_000)
    n = min(len(back), len(known))
    assert np.corrcoef(back[:n], known[:n])[0, 1] > 0.95


def test_mp3_of_broken_samples_can_still_be_played(tmp_path):
    samples = voice(1) * 50
    samples[:100] = np.nan
    samples[200:300] = np.inf
    (tmp_path / "clip.mp3").write_bytes(reading.encode_mp3(samples, 16_000))
    assert np.isfinite(reading.read(tmp_path / "clip.mp3")).all()


@pytest.mark.parametrize(
    ("name", "mime"),
    [("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("m4a", "audio/mp4"), ("flac", "audio/flac"), ("ogg", None),
     ("wav-mulaw", None), ("webm", None), ("amr", None), ("mp4-video", "audio/mp4")],
)  # fmt: skip
def test_a_browser_gets_the_file_itself_where_all_play_it(recordings, name, mime):
    duration_s = reading.probe(recordings[name]).duration_s
    content, told = reading.browser_audio(
        recordings[name], start_s=0.0, duration_s=duration_s, channel=reading.MIX_DOWN
    )
    assert told == (mime or "audio/mpeg")
    assert (content == recordings[name].read_bytes()) == (mime is not None)


def test_a_browser_gets_an_mp3_of_a_stretch_a_channel_or_a_large_file(recordings, tmp_path):
    stereo = np.stack([voice(3), -voice(3)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000)
    soundfile.write(tmp_path / "large.wav", voice(70), 16_000)
    for path, start_s, duration_s, channel in [
        (recordings["wav"], 2.0, 3.0, reading.MIX_DOWN),
        (recordings["wav"], 0.0, 3.0, reading.MIX_DOWN),
        (tmp_path / "stereo.wav", 0.0, 3.0, 1),
        (tmp_path / "large.wav", 0.0, 70.0, reading.MIX_DOWN),
    ]:
        content, mime = reading.browser_audio(path, start_s=start_s, duration_s=duration_s, channel=channel)
        assert mime == "audio/mpeg"
        (tmp_path / "played").write_bytes(content)
        assert reading.probe(tmp_path / "played").duration_s == pytest.approx(duration_s, abs=0.01)
        assert reading.read(tmp_path / "played").std() == pytest.approx(voice(3).std(), rel=0.1)


def test_a_browser_gets_an_error_for_a_recording_that_is_gone(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav.*No such file"):
        reading.browser_audio(tmp_path / "gone.wav", start_s=0.0, duration_s=1.0, channel=-1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("pitch_hz", [150, 600, 3_000])
def test_the_picture_shows_a_tone_in_its_row(rate, pitch_hz):
    t = np.arange(3 * rate) / rate
    tone = np.where(t < 1.5, np.sin(2 * np.pi * pitch_hz * t), 0).astype(np.float32)
    picture = reading.mel_picture(tone, rate)
    assert picture.shape == (32, 96)
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in reading.PICTURE_HZ)
    height = (2595 * np.log10(1 + pitch_hz / 700) - lowest) / (highest - lowest)
    assert picture[:, 10].argmax() == pytest.approx(31 - height * 33 + 1, abs=1.2)
    assert picture[:, 60:].max() == 0


def test_the_picture_of_a_telephone_is_dark_at_the_top_and_of_nothing_all_over():
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    assert reading.mel_picture(noise, 8_000)[:5].max() == 0
    assert reading.mel_picture(noise, 16_000)[:5].min() > 100
    for nothing in (np.zeros(16_000, np.float32), np.zeros(0, np.float32), noise[:10] * np.nan):
        assert reading.mel_picture(nothing, 16_000, n_mels=8, n_frames=5).max() == 0


def test_a_picture_is_quick():
    noise = np.random.default_rng(0).standard_normal(64_000).astype(np.float32)
    reading.mel_picture(noise, 16_000)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        reading.mel_picture(noise, 16_000)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_a_container_may_not_name_other_files(tmp_path, monkeypatch):
    """An MP4 whose samples lie in another file must give no sound of that file."""
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "other.wav", voice(3), 16_000)
    for name, content in {
        "list.wav": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:other.wav\n#EXT-X-ENDLIST\n",
        "sdp.wav": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    }.items():
        Path(name).write_text(content)
        with pytest.raises(AudioError, match="is not a recording"):
            reading.probe(Path(name))


def test_an_id3_tag_does_not_make_aac_into_mp3(recordings, tmp_path):
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 0, 10]) + bytes(10)
    (tmp_path / "tagged.mp3").write_bytes(tag + recordings["aac"].read_bytes())
    assert reading.probe(tmp_path / "tagged.mp3").codec == "aac"
