"""Files that hold more than their header says: joined and chained recordings, changing streams, sizes never written."""

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sae_core.audio import reading
from sae_core.audio.sections import FileBytes, find_sections, is_one_form
from tests.recordings import FORMATS, encode, voice

RATE = 16_000
BY_NAME = {form.name: form for form in FORMATS}


def written(samples, rate, kind="WAV", subtype=None, **how):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype, **how)
    return stream.getvalue()


def encoded(folder, name, samples, rate, layout="mono"):
    """The bytes of a recording in one of the formats, at another rate or with two channels if asked."""
    form = BY_NAME[name]
    library, *how = form.writer.split()
    if library == "sndfile":
        return written(samples, rate, how[0], how[1])
    encode(folder / "part", samples, rate, container=how[0], codec=how[1], layout=layout)
    return (folder / "part").read_bytes()


def stereo(samples):
    return np.stack([samples, samples], axis=1)


def likeness(heard, known):
    """The highest correlation over lags of at most 0.3 s: decoders add or lose a few frames where files are joined."""
    n = 2 ** int(np.ceil(np.log2(len(heard) + len(known))))
    match = np.fft.irfft(np.fft.rfft(heard, n) * np.fft.rfft(known, n).conj(), n)
    n_lags = round(0.3 * RATE)
    return float(np.r_[match[:n_lags], match[-n_lags:]].max() / np.linalg.norm(heard) / np.linalg.norm(known))


JOINED = ["wav", "wav-mulaw", "rf64", "aiff", "flac", "ogg", "opus", "mp3", "aac", "amr", "ts"]


@pytest.mark.parametrize("change", ["nothing", "rate", "channels", "fewer channels"])
@pytest.mark.parametrize("name", JOINED)
def test_joined_recordings_are_read_to_the_end(tmp_path, name, change):
    """Two recordings of three seconds one behind the other, the second at another rate or with other channels."""
    rate = BY_NAME[name].sample_rate_hz
    if name == "amr" and change != "nothing":
        pytest.skip("AMR has one rate and one channel")
    other = {"opus": 24_000, "ts": 44_100, "aac": 48_000}.get(name, 24_000) if change == "rate" else rate
    first, second = voice(3, rate, seed=1), voice(3, other, seed=2)[::-1].copy()
    parts = [(first, rate), (second, other)]
    content = b""
    for number, (sound, own) in enumerate(parts):
        is_wide = (change, number) in (("channels", 1), ("fewer channels", 0))
        content += encoded(
            tmp_path, name, stereo(sound) if is_wide else sound, own, "stereo" if is_wide else "mono"
        )
    path = tmp_path / "joined"
    path.write_bytes(content)
    info = reading.probe(path)
    whole = reading.read(path, sample_rate_hz=RATE)
    assert info.n_channels == (2 if change == "fewer channels" else 1)
    assert info.sample_rate_hz == rate or name == "opus"
    assert info.duration_s == pytest.approx(6, abs=0.25)
    assert len(whole) / RATE == pytest.approx(info.duration_s, abs=0.01)
    known = [soxr.resample(sound, own, RATE) for sound, own in parts]
    assert likeness(whole[: 3 * RATE], known[0]) > 0.9
    assert likeness(whole[3 * RATE :], known[1]) > 0.9
    late = reading.read(path, start_s=2.0, duration_s=3.0, sample_rate_hz=RATE)
    assert len(late) == pytest.approx(3 * RATE, abs=2)
    assert likeness(late, whole[2 * RATE : 5 * RATE]) > 0.9
    later = reading.read(path, start_s=4.0, duration_s=1.0, sample_rate_hz=RATE)
    assert likeness(later, whole[4 * RATE : 5 * RATE]) > 0.9


def test_three_recordings_and_more_are_read(tmp_path):
    tones = [voice(1, rate, seed=rate) for rate in (8_000, 16_000, 22_050, 16_000, 8_000)]
    parts = zip(tones, (8_000, 16_000, 22_050, 16_000, 8_000), strict=True)
    (tmp_path / "five.wav").write_bytes(b"".join(written(sound, rate) for sound, rate in parts))
    assert reading.probe(tmp_path / "five.wav").duration_s == pytest.approx(5, abs=0.01)
    assert len(reading.read(tmp_path / "five.wav")) == pytest.approx(5 * 8_000, abs=5)


@pytest.mark.parametrize(
    "between",
    [
        b"ID3\x04\x00\x00\x00\x00\x10\x00" + b"TXXX" + bytes(2_044),
        b"ID3\x03\x00\x00\x00\x00\x10\x00" + np.random.default_rng(0).bytes(2_048),
        b"TAG" + b"title".ljust(125, b"\0"),
        np.random.default_rng(1).bytes(5_000),
        bytes(5_000),
    ],
    ids=["tag of zeros", "tag of noise", "tag of before", "noise", "zeros"],
)
def test_what_lies_between_mpeg_frames_is_passed_over(tmp_path, between):
    parts = [written(voice(3, seed=seed), RATE, "MP3") for seed in (1, 2)]
    (tmp_path / "tagged.mp3").write_bytes(parts[0] + between + parts[1])
    info, whole = reading.probe(tmp_path / "tagged.mp3"), reading.read(tmp_path / "tagged.mp3")
    assert info.duration_s == pytest.approx(6, abs=0.25)
    assert len(whole) / RATE == pytest.approx(info.duration_s, abs=0.01)
    assert likeness(whole[-2 * RATE :], voice(3, seed=2)[-2 * RATE :]) > 0.9


def test_reading_goes_on_behind_a_frame_that_cannot_be_decoded(tmp_path):
    """A block of an MP3 overwritten."""
    content = bytearray(written(voice(6), RATE, "MP3"))
    content[len(content) // 3 : len(content) // 3 + 600] = bytes(600)
    (tmp_path / "damaged.mp3").write_bytes(content)
    whole = reading.read(tmp_path / "damaged.mp3")
    assert len(whole) / RATE == pytest.approx(6, abs=0.3)
    assert reading.probe(tmp_path / "damaged.mp3").duration_s == pytest.approx(len(whole) / RATE, abs=0.01)
    assert likeness(whole[3 * RATE :], voice(6)[3 * RATE :]) > 0.8


def test_a_damaged_flac_is_read_on_by_the_second_decoder(tmp_path):
    content = bytearray(written(voice(8), RATE, "FLAC"))
    content[len(content) // 4 : len(content) // 4 + 3_000] = np.random.default_rng(0).bytes(3_000)
    (tmp_path / "damaged.flac").write_bytes(content)
    info, whole = reading.probe(tmp_path / "damaged.flac"), reading.read(tmp_path / "damaged.flac")
    assert len(whole) / RATE == pytest.approx(info.duration_s, abs=0.1)
    assert info.duration_s > 6.5
    assert likeness(whole[-2 * RATE :], voice(8)[-2 * RATE :]) > 0.9


def with_sizes(content, *, samples=None, riff=None):
    """A WAV whose header names other sizes."""
    content = bytearray(content)
    place = content.index(b"data") + 4
    if samples is not None:
        content[place : place + 4] = struct.pack("<I", samples)
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    return bytes(content)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW", "PCM_U8"])
@pytest.mark.parametrize("samples", [0, 4_096, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFD8])
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_sizes_never_written_are_taken_from_the_file(tmp_path, subtype, samples, riff):
    """As a recorder leaves them that streams, or that was stopped: 0, all ones, or those of its first flush."""
    sound = voice(2)
    content = with_sizes(written(sound, RATE, subtype=subtype), samples=samples, riff=riff)
    (tmp_path / "streamed.wav").write_bytes(content)
    assert reading.probe(tmp_path / "streamed.wav").duration_s == pytest.approx(2, abs=0.01)
    whole = reading.read(tmp_path / "streamed.wav")
    np.testing.assert_allclose(whole[: 2 * RATE], sound, atol=0.02)
    late = reading.read(tmp_path / "streamed.wav", start_s=1.0, duration_s=0.5)
    np.testing.assert_allclose(late, sound[RATE : RATE + RATE // 2], atol=0.02)


@pytest.mark.parametrize("sizes", [(0, 0), (2**64 - 1, 2**64 - 1), (4_096, 4_000)])
def test_sizes_of_rf64_never_written_are_taken_from_the_file(tmp_path, sizes):
    content = bytearray(written(voice(2), RATE, "RF64", "PCM_16"))
    place = content.index(b"ds64") + 8
    content[place : place + 16] = struct.pack("<QQ", *sizes)
    (tmp_path / "streamed.wav").write_bytes(content)
    assert reading.probe(tmp_path / "streamed.wav").duration_s == pytest.approx(2, abs=0.01)
    np.testing.assert_allclose(reading.read(tmp_path / "streamed.wav"), voice(2), atol=1e-3)


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 4_004) + b"INFO" + np.random.default_rng(0).bytes(4_000),
        b"id3 " + struct.pack("<I", 4_000) + np.random.default_rng(0).bytes(4_000),
        b"_PMX" + struct.pack("<I", 600) + np.random.default_rng(0).bytes(600) + b"bext" + bytes(4),
        bytes(4_000),
        b"\0",
    ],
    ids=["list", "id3", "two chunks", "padding", "one byte"],
)
def test_chunks_and_padding_behind_the_samples_are_not_sound(tmp_path, behind):
    (tmp_path / "tagged.wav").write_bytes(written(voice(2), RATE) + behind)
    assert reading.probe(tmp_path / "tagged.wav").duration_s == 2
    assert len(reading.read(tmp_path / "tagged.wav")) == 2 * RATE


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("full_scale", [2**15, 2**23, 2**31])
@pytest.mark.parametrize("is_rounded", [False, True])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF"])
def test_floats_in_the_range_of_integers_are_brought_to_full_scale(
    tmp_path, kind, subtype, full_scale, is_rounded
):
    sound = voice(2).astype(np.float64) * full_scale
    content = written(np.rint(sound) if is_rounded else sound, RATE, kind, subtype)
    (tmp_path / "integers").write_bytes(content)
    for start_s, duration_s in ((0.0, None), (1.0, 0.5)):
        heard = reading.read(tmp_path / "integers", start_s=start_s, duration_s=duration_s)
        start = round(start_s * RATE)
        np.testing.assert_allclose(heard, voice(2)[start : start + len(heard)], atol=1e-4)


@pytest.mark.parametrize("peak", [0.5, 1.0, 1.4, 4.0])
def test_floats_that_merely_overshoot_keep_their_level(tmp_path, peak):
    sound = voice(2) / np.abs(voice(2)).max() * np.float32(peak)
    (tmp_path / "loud.wav").write_bytes(written(sound, RATE, subtype="FLOAT"))
    np.testing.assert_array_equal(reading.read(tmp_path / "loud.wav"), sound)


def test_a_quiet_recording_of_integers_in_floats_is_recognised(tmp_path):
    """60 dB below full scale: whole numbers between -16 and 16, told from full scale 1 by being whole."""
    sound = np.rint(voice(2) * 40)
    (tmp_path / "quiet.wav").write_bytes(written(sound.astype(np.float32), RATE, subtype="FLOAT"))
    np.testing.assert_allclose(reading.read(tmp_path / "quiet.wav"), sound / 2**15, atol=1e-9)


@given(
    data=st.binary(max_size=300),
    head=st.sampled_from([b"", b"RIFF", b"OggS", b"fLaC", b"#!AMR", b"\xff\xfb\x90\x64", b"ID3"]),
)
def test_any_bytes_are_divided_without_gap(data, head):
    content = head + data
    sections = find_sections(content)
    assert sections[0].start == 0
    assert sections[-1].end == len(content)
    assert all(before.end == after.start for before, after in pairwise(sections))
    assert is_one_form(content) in (True, False)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "AU", "FLAC", "OGG", "MP3"])
def test_a_recording_cut_anywhere_is_divided(kind):
    content = written(voice(0.5), RATE, kind)
    for n_bytes in [*range(120), *range(120, len(content), 97)]:
        sections = find_sections(content[:n_bytes])
        assert (sections[0].start, sections[-1].end) == (0, n_bytes)
        assert is_one_form(content[:n_bytes]) in (True, False)


@pytest.mark.parametrize("is_extensible", [False, True])
@pytest.mark.parametrize("shift", [0, 8])
def test_24_bits_at_either_end_of_32_are_heard_alike(tmp_path, shift, is_extensible):
    samples = (np.rint(voice(2) * 2**23).astype("<i4") << shift).tobytes()
    form = struct.pack("<HHIIHH", 1, 1, RATE, 4 * RATE, 4, 24)
    if is_extensible:
        pcm = struct.pack("<H", 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 4 * RATE, 4, 32, 22, 24, 4) + pcm
    body = (
        b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", len(samples))
        + samples
    )
    (tmp_path / "24.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    np.testing.assert_allclose(reading.read(tmp_path / "24.wav"), voice(2), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "mark", "offset", "size"),
    [("AU", b".snd", 8, 4), ("CAF", b"data", 4, 8), ("W64", b"data", 16, 8), ("AIFF", b"SSND", 4, 4)],
)
@pytest.mark.parametrize("unwritten", [b"\0", b"\xff"])
def test_sizes_of_other_containers_are_taken_from_the_file(tmp_path, kind, mark, offset, size, unwritten):
    content = bytearray(written(voice(2), RATE, kind, "PCM_16"))
    place = content.index(mark) + offset
    content[place : place + size] = unwritten * size
    (tmp_path / "streamed").write_bytes(content)
    assert reading.probe(tmp_path / "streamed").duration_s == pytest.approx(2, abs=0.01)
    np.testing.assert_allclose(reading.read(tmp_path / "streamed")[: 2 * RATE], voice(2), atol=1e-3)


def test_bytes_of_a_file_are_those_of_the_file(tmp_path):
    content = np.random.default_rng(0).bytes(50_000) + b"mark" + np.random.default_rng(1).bytes(20_000)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as stream:
        held = FileBytes(stream.fileno())
        assert len(held) == len(content)
        for start, stop in [
            (0, 10),
            (4_090, 4_100),
            (10, 20),
            (60_000, 70_010),
            (49_999, 50_005),
            (3, 3),
            (70_003, 80_000),
        ]:
            assert held[start:stop] == content[start:stop]
        assert held[50_001] == content[50_001]
        assert held.find(b"mark") == 50_000
        assert held.find(b"mark", 50_001) == -1
