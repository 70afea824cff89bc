"""Excerpts: what is heard of any recording, clear words for what cannot be, and nothing kept unless asked for."""

import json
import os
import struct
import tempfile

import numpy as np
import pytest

from tests.recordings import FORMATS, voice, write
from tests.voiced import as_wav

RATE_HZ = 16_000


def read(content, name="a.wav", **options):
    from sae_core.workspace.excerpts import read_excerpt

    return read_excerpt(content, name, sample_rate_hz=RATE_HZ, **options)


@pytest.mark.parametrize(
    "form", [form for form in FORMATS if form.name in ("wav-24", "flac", "mp3", "m4a", "webm", "mp4-video")]
)
def test_recordings_and_videos_are_heard_by_their_content(tmp_path, form):
    samples = voice(2.5, form.sample_rate_hz)
    content = write(tmp_path / "x.bin", form, samples).read_bytes()
    excerpt = read(content, "mine.txt")
    assert (excerpt.name, excerpt.sample_rate_hz, excerpt.start_s) == ("mine.txt", RATE_HZ, 0.0)
    assert excerpt.duration_s == pytest.approx(2.5, abs=0.1)
    assert 0.1 < np.abs(excerpt.waveform).max() <= 1


BAD = {
    "text": (
        b"hello " * 2000,
        "is not a recording that can be decoded",
        "bring a recording or a video with sound",
    ),
    "empty": (b"", "is empty", "bring a recording or a video with sound"),
    "silent": (as_wav(np.zeros(2 * RATE_HZ)), "is silent", "microphone is not muted"),
    "short": (as_wav(voice(0.2)), "lasts 0.20 s", "a second or more"),
    "cut": (as_wav(voice(3.0))[:40], "decoded", "bring a recording or a video with sound"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_probed_says_why_and_what_would_help(kind):
    from sae_core.files.errors import AudioError

    content, why, remedy = BAD[kind]
    with pytest.raises(AudioError) as caught:
        read(content, "../../somewhere/bad `file` <b>.wav")
    assert why in caught.value.what
    assert remedy in caught.value.remedy
    assert caught.value.where == "bad _file_ _b_.wav"
    assert "/proc" not in str(caught.value) and tempfile.gettempdir() not in str(caught.value)


def test_a_huge_file_is_refused_before_it_is_read(monkeypatch):
    from sae_core.files.errors import AudioError

    monkeypatch.setattr("sae_core.workspace.excerpts.MAX_RECORDING_BYTES", 2**20)
    monkeypatch.setattr("sae_core.workspace.excerpts._as_file", lambda content: pytest.fail("it was opened"))
    with pytest.raises(AudioError, match="has 2 MiB, and at most 1 can be probed → cut out the part"):
        read(bytes(2 * 2**20))


def says_it_holds(n_bytes):
    """Two seconds whose header names another number of bytes."""
    content = bytearray(as_wav(voice(2.0)))
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", n_bytes)
    return bytes(content)


@pytest.mark.parametrize("n_bytes", [0, 1000, 2**31 - 1, 2**32 - 1])
def test_a_header_that_counts_wrongly_is_not_believed(n_bytes):
    assert read(says_it_holds(n_bytes)).duration_s == pytest.approx(2.0, abs=0.001)


def test_one_of_twelve_channels_can_be_heard():
    from sae_core.files.errors import AudioError

    tones = np.stack([0.2 * np.sin(np.arange(RATE_HZ) * 0.02 * (n + 1)) for n in range(12)], axis=1)
    content = as_wav(tones)
    assert read(content).n_channels == 12
    np.testing.assert_allclose(read(content).waveform, tones.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(read(content, channel=7).waveform, tones[:, 7], atol=1e-4)
    with pytest.raises(AudioError, match="12 channel"):
        read(content, channel=12)


def test_a_long_recording_is_heard_a_stretch_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("sae_core.workspace.excerpts.MAX_HEARD_S", 3.0)
    samples = voice(8.0)
    content = as_wav(samples)
    whole_s, n = 8.0, 3 * RATE_HZ
    for start_s in (0.0, 2.5, 5.0):
        excerpt = read(content, start_s=start_s)
        assert (excerpt.start_s, excerpt.whole_s, excerpt.duration_s) == (start_s, whole_s, 3.0)
        start = round(start_s * RATE_HZ)
        np.testing.assert_allclose(excerpt.waveform, samples[start : start + n], atol=1e-4)
    assert read(content, start_s=99.0).start_s == 7.0
    assert read(content, start_s=7.0).duration_s == pytest.approx(1.0)


def test_reading_leaves_nothing_behind(tmp_path, monkeypatch):
    from sae_core.files.errors import AudioError

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    n_open = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    read(as_wav(voice(1.0)))
    with pytest.raises(AudioError):
        read(b"no sound")
    monkeypatch.setattr("sae_core.workspace.excerpts.sys.platform", "other")
    assert read(as_wav(voice(1.0))).duration_s == 1.0
    assert list(tmp_path.iterdir()) == []
    if n_open:
        assert len(os.listdir("/proc/self/fd")) == n_open


def test_a_clip_is_heard_as_the_corpus_says(voiced_workspace):
    from sae_core.workspace.excerpts import clip_excerpt
    from sae_core.workspace.workspace import open_workspace
    from tests.voiced import clip_samples

    corpus = open_workspace(voiced_workspace).corpus
    excerpt = clip_excerpt(corpus, 4, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(excerpt.waveform, clip_samples(voiced_workspace, 4), atol=1e-6)
    assert (excerpt.name, excerpt.whole_s) == ("clip-0000004", 1.5)


def test_peaks_are_the_swings_of_equal_stretches():
    from sae_core.workspace.excerpts import Excerpt

    samples = np.zeros(1000, np.float32)
    samples[250:500] = -0.5
    samples[999] = 1.0
    peaks = Excerpt("x", samples, RATE_HZ, 0.0, 1.0, 1).peaks(4)
    assert peaks.tolist() == [0, 128, 0, 255]
    assert len(Excerpt("x", samples[:3], RATE_HZ, 0.0, 1.0, 1).peaks(4)) == 3


@pytest.fixture
def kept(tmp_path):
    from sae_core.workspace.excerpts import keep_excerpt

    excerpt = read(as_wav(voice(1.2)), "my clip.wav")
    vector = np.linspace(-1, 1, 8).astype(np.float32)
    mark = keep_excerpt(tmp_path, excerpt, vector, embedder="ge2e", revision="r1")
    return tmp_path, excerpt, vector, mark


def test_what_is_kept_comes_back_and_can_be_deleted(kept):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.excerpts import (
        forget_excerpt,
        keep_excerpt,
        kept_excerpts,
        kept_vector,
        open_kept,
    )

    folder, excerpt, vector, mark = kept
    assert mark == excerpt.mark
    again = open_kept(folder, mark, sample_rate_hz=RATE_HZ)
    np.testing.assert_array_equal(again.waveform, excerpt.waveform)
    assert (again.name, again.mark, again.whole_s) == (excerpt.name, mark, excerpt.whole_s)
    np.testing.assert_array_equal(kept_vector(folder, mark, embedder="ge2e", revision="r1"), vector)
    assert kept_vector(folder, mark, embedder="ge2e", revision="r2") is None
    assert kept_vector(folder, mark, embedder="titanet", revision="r1") is None
    keep_excerpt(folder, excerpt, vector, embedder="ge2e", revision="r1")
    (listed,) = kept_excerpts(folder)
    assert (listed.mark, listed.name, listed.duration_s, listed.problem) == (mark, "my clip.wav", 1.2, "")
    forget_excerpt(folder, mark)
    assert kept_excerpts(folder) == []
    assert list((folder / "probes").iterdir()) == []
    forget_excerpt(folder, mark)
    with pytest.raises(ArtifactError):
        open_kept(folder, mark, sample_rate_hz=RATE_HZ)


@pytest.mark.parametrize("mark", ["..", "../../etc", "", "0123", "ABCDEF0123456789", "0123456789abcdef/.."])
def test_a_mark_names_nothing_but_a_kept_recording(kept, mark):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.excerpts import forget_excerpt, kept_excerpts, open_kept

    folder = kept[0]
    for act in (
        lambda: forget_excerpt(folder, mark),
        lambda: open_kept(folder, mark, sample_rate_hz=RATE_HZ),
    ):
        with pytest.raises(ArtifactError, match="holds no such kept recording"):
            act()
    assert len(kept_excerpts(folder)) == 1


@pytest.mark.parametrize(
    "damage", ["{", "{}", json.dumps({"format_version": 1, "kind": "probe", "settings": {}})]
)
def test_a_damaged_one_is_listed_with_its_problem_and_can_be_deleted(kept, damage):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.excerpts import forget_excerpt, kept_excerpts, open_kept

    folder, _, _, mark = kept
    (folder / "probes" / mark / "probe.json").write_text(damage)
    (listed,) = kept_excerpts(folder)
    assert listed.problem
    with pytest.raises(ArtifactError, match="delete this kept recording"):
        open_kept(folder, mark, sample_rate_hz=RATE_HZ)
    forget_excerpt(folder, mark)
    assert kept_excerpts(folder) == []


def test_no_more_than_a_bound_is_kept(kept, monkeypatch):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.excerpts import keep_excerpt, kept_excerpts

    folder, excerpt, vector, _ = kept
    monkeypatch.setattr("sae_core.workspace.excerpts.MAX_KEPT", 1)
    keep_excerpt(folder, excerpt, vector, embedder="ge2e", revision="r1")
    other = read(as_wav(voice(1.3)), "another.wav")
    with pytest.raises(ArtifactError, match="delete some of the kept recordings first"):
        keep_excerpt(folder, other, vector, embedder="ge2e", revision="r1")
    assert len(kept_excerpts(folder)) == 1


def test_a_video_without_sound_says_so(tmp_path):
    import av

    from sae_core.files.errors import AudioError

    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as media:
        pictures = media.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            media.mux(pictures.encode(frame))
        media.mux(pictures.encode(None))
    with pytest.raises(AudioError, match=r"it has no sound track.*bring a recording or a video with sound"):
        read(path.read_bytes(), "film.mp4")
