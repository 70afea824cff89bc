"""Embedding a corpus: each clip its own vector, no work done twice, no clip lost without a reason."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from sae_core.audio import reading
from sae_core.audio.recordings import MIX_DOWN
from sae_core.corpus.clips import CLIP_COLUMNS, Corpus
from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embeddings import Embeddings
from sae_core.embedding.extraction import (
    BATCH_CLIPS,
    BATCH_S,
    LocalEngine,
    embed_shard,
    extract,
    plan_batches,
)
from sae_core.embedding.shards import plan_shards
from sae_core.files.errors import ArtifactError, CorpusError, DeviceMemoryError

RATE_HZ = 16_000
N_CLIPS = 23


class BandEmbedder:
    """Energies of a clip in eight bands, each row from its own samples alone; it counts what it embeds."""

    name, dim, sample_rate_hz, min_duration_s = "bands", 8, RATE_HZ, 0.4

    def __init__(
        self, revision: str = "one", *, gives_up_after: int | None = None, pause_s: float = 0.0
    ) -> None:
        self.revision = revision
        self.gives_up_after = gives_up_after
        self.pause_s = pause_s
        self.n_embedded = 0

    def embed(self, waveforms, lengths):
        rows = []
        for waveform, length in zip(waveforms, lengths.tolist(), strict=True):
            if self.gives_up_after is not None and self.n_embedded >= self.gives_up_after:
                raise KeyboardInterrupt
            time.sleep(self.pause_s)
            power = np.abs(np.fft.rfft(waveform[:length].numpy())) ** 2
            rows.append([np.sqrt(band.mean()) for band in np.array_split(power, self.dim)])
            self.n_embedded += 1
        return torch.tensor(np.array(rows), dtype=torch.float32)


def write_tones(folder: Path, n_clips: int = N_CLIPS) -> Corpus:
    """Clips of different lengths and pitches; the last of many is a stretch of another's recording."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(n_clips):
        duration_s = 0.5 + (number * 7 % 10) / 10
        time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
        rising = 0.2 * np.sin(2 * np.pi * (150 + 310 * number + 200 * time_s) * time_s)
        steady = (0.05 + number / 100) * np.sin(2 * np.pi * 90 * time_s)
        soundfile.write(folder / f"{number}.wav", rising + steady, RATE_HZ)
        rows.append((f"clip-{number}", f"{number}.wav", 0.0, duration_s, MIX_DOWN, f"s{number % 5}", "train"))
    if n_clips > 7:
        rows[-1] = ("stretch", "7.wav", 0.7, 0.6, MIX_DOWN, "s2", "train")
    return Corpus(pd.DataFrame(rows, columns=list(CLIP_COLUMNS)), folder)


@pytest.fixture(scope="module")
def tones(tmp_path_factory) -> Corpus:
    return write_tones(tmp_path_factory.mktemp("audio"))


@pytest.fixture(scope="module")
def undisturbed(tones, tmp_path_factory) -> Path:
    """What a run gives that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    extract(tones, BandEmbedder(), folder, shard_clips=4)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_clip(corpus: Corpus, row: int, **changes: object) -> Corpus:
    table = corpus.table.copy()
    for column, value in changes.items():
        table.loc[row, column] = value
    return Corpus(table, corpus.audio_root)


def test_each_clip_has_the_vector_of_its_own_samples(tones, undisturbed):
    embeddings = Embeddings.load(undisturbed, remedy="")
    embedder = BandEmbedder()
    for row, clip in tones.table.iterrows():
        waveform = reading.read(tones.audio_file(row), start_s=clip.start_s, duration_s=clip.duration_s)
        vector = embedder.embed(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))[0].numpy()
        assert embeddings.vectors[row] == pytest.approx(vector / np.linalg.norm(vector), abs=1e-6)
    assert sorted(contents(undisturbed)) == [
        "clip_marks.parquet",
        "failures.parquet",
        "meta.json",
        "vectors.npy",
    ]
    assert len(np.unique(embeddings.vectors.round(5), axis=0)) == len(tones)


def test_many_small_batches_give_the_same(tones, undisturbed, tmp_path, monkeypatch):
    """More batches than are read ahead, so that reading and embedding overlap."""
    monkeypatch.setattr("sae_core.embedding.extraction.BATCH_CLIPS", 2)
    embeddings = extract(tones, BandEmbedder(), tmp_path / "bands", engine=LocalEngine(n_readers=3))
    expected = Embeddings.load(undisturbed, remedy="").vectors
    assert embeddings.vectors == pytest.approx(expected, abs=1e-6)


class CrampedEmbedder(BandEmbedder):
    """Has memory for so many samples at once."""

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.n_samples, self.sizes = n_samples, []

    def embed(self, waveforms, lengths):
        if waveforms.numel() > self.n_samples:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(waveforms))
        return super().embed(waveforms, lengths)


def test_a_batch_too_large_for_memory_is_embedded_by_parts(tones, undisturbed, tmp_path):
    cramped = CrampedEmbedder(n_samples=5 * RATE_HZ)
    extract(tones, cramped, tmp_path / "bands")
    assert contents(tmp_path / "bands") == contents(undisturbed)
    assert 1 < max(cramped.sizes) <= 5 < N_CLIPS


def test_a_clip_too_long_for_memory_is_an_error_that_says_what_to_do(tones, tmp_path):
    with pytest.raises(DeviceMemoryError, match=r"embedding 1 clips of up to \d\.\d s .*--device cpu"):
        extract(tones, CrampedEmbedder(n_samples=RATE_HZ // 4), tmp_path / "bands")


def test_the_real_network_goes_through(tones, tmp_path):
    few = Corpus(tones.table.head(5), tones.audio_root)
    embeddings = extract(few, open_embedder("ge2e", device="cpu"), tmp_path / "ge2e")
    assert embeddings.vectors.shape == (5, 256)
    assert np.linalg.norm(embeddings.vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert embeddings.embedder == "ge2e"


@pytest.mark.parametrize("n_before", [0, 1, 6, 13, 22])
def test_an_interrupted_run_goes_on_where_it_was(tones, undisturbed, tmp_path, n_before):
    folder = tmp_path / "bands"
    stopping = BandEmbedder(gives_up_after=n_before)
    with pytest.raises(KeyboardInterrupt):
        extract(tones, stopping, folder, shard_clips=4)
    assert not (folder / "meta.json").exists()
    going_on = BandEmbedder()
    extract(tones, going_on, folder, shard_clips=4)
    n_kept = n_before // 4 * 4
    assert going_on.n_embedded == len(tones) - n_kept
    assert contents(folder) == contents(undisturbed)


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_half_done(tones, undisturbed, tmp_path):
    """The process is killed by the system in the middle of its work, more than once."""
    folder = tmp_path / "bands"
    tones.save(tmp_path / "corpus")
    code = (
        "import sys; from pathlib import Path; from sae_core.corpus.clips import Corpus;"
        "from sae_core.embedding.extraction import extract; from tests.embedding.test_extraction import BandEmbedder;"
        "extract(Corpus.load(Path(sys.argv[1])), BandEmbedder(pause_s=0.1), Path(sys.argv[2]), shard_clips=4)"
    )
    for n_shards in (1, 3):
        run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "corpus"), str(folder)])
        deadline = time.monotonic() + 60
        while len(list(folder.glob("shards/0*.safetensors"))) < n_shards and time.monotonic() < deadline:
            assert run.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    n_finished = len(list(folder.glob("shards/0*.safetensors")))
    assert 3 <= n_finished <= 5
    going_on = BandEmbedder()
    extract(tones, going_on, folder, shard_clips=4)
    assert going_on.n_embedded == len(tones) - 4 * n_finished
    assert contents(folder) == contents(undisturbed)


def test_shards_of_another_embedder_or_corpus_are_not_taken(tones, tmp_path):
    folder = tmp_path / "bands"
    with pytest.raises(KeyboardInterrupt):
        extract(tones, BandEmbedder(gives_up_after=12), folder, shard_clips=4)
    other = Corpus(tones.table.iloc[::-1].reset_index(drop=True), tones.audio_root)
    for corpus, embedder in ((tones, BandEmbedder("two")), (other, BandEmbedder())):
        extract(corpus, embedder, folder, shard_clips=4)
        assert embedder.n_embedded == len(tones)
    assert not (folder / "shards").exists()


def test_a_damaged_shard_is_made_again(tones, undisturbed, tmp_path):
    folder = tmp_path / "bands"
    with pytest.raises(KeyboardInterrupt):
        extract(tones, BandEmbedder(gives_up_after=12), folder, shard_clips=4)
    shards = sorted((folder / "shards").glob("*.safetensors"))
    shards[0].write_bytes(shards[0].read_bytes()[:-40])
    shards[1].write_bytes(b"")
    going_on = BandEmbedder()
    extract(tones, going_on, folder, shard_clips=4)
    assert going_on.n_embedded == len(tones) - 4
    assert contents(folder) == contents(undisturbed)


def test_a_finished_run_is_not_done_again(tones, undisturbed, tmp_path):
    folder = tmp_path / "bands"
    extract(tones, BandEmbedder(), folder, shard_clips=4)
    before = contents(folder)
    idle = BandEmbedder()
    again = extract(tones, idle, folder)
    assert idle.n_embedded == 0
    assert contents(folder) == before
    assert again.fingerprint == Embeddings.load(folder, remedy="").fingerprint


def spoil(folder: Path) -> dict[int, str]:
    """Break some recordings of a folder; returns row → what the reason must say."""
    (folder / "1.wav").write_text("I am a text file.")
    (folder / "2.wav").write_bytes(b"")
    soundfile.write(folder / "3.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write(folder / "4.wav", np.full(RATE_HZ // 100, 0.1), RATE_HZ)
    soundfile.write(folder / "5.wav", np.r_[np.full(RATE_HZ, 0.1), np.nan], RATE_HZ, subtype="FLOAT")
    (folder / "6.wav").unlink()
    return {1: "", 2: "", 3: "silen", 4: "", 5: "", 6: "", 7: "outside", 8: "min long", 9: "channel"}


def spoiled_corpus(folder: Path) -> tuple[Corpus, dict[int, str]]:
    corpus = write_tones(folder)
    expected = spoil(folder)
    for row, duration_s in ((3, 1.0), (4, 0.01), (5, 1.0)):
        corpus = with_clip(corpus, row, duration_s=duration_s)
    corpus = with_clip(corpus, 7, audio_path="../elsewhere.wav")
    corpus = with_clip(corpus, 8, duration_s=3 * 3600.0)
    corpus = with_clip(corpus, 9, audio_channel=4)
    return corpus, expected


def test_what_cannot_be_embedded_is_listed_and_the_rest_goes_through(tmp_path, undisturbed):
    corpus, expected = spoiled_corpus(tmp_path / "audio")
    embeddings = extract(corpus, BandEmbedder(), tmp_path / "bands", shard_clips=4)
    reasons = dict(zip(embeddings.failures["row"], embeddings.failures["reason"], strict=True))
    assert sorted(reasons) == sorted(expected)
    for row, word in expected.items():
        assert word in reasons[row]
        assert len(reasons[row]) > 10
    assert list(embeddings.failures["clip_id"]) == [f"clip-{row}" for row in expected]
    whole = Embeddings.load(undisturbed, remedy="")
    good = np.setdiff1d(np.arange(N_CLIPS), list(expected))
    assert embeddings.vectors[good] == pytest.approx(whole.vectors[good], abs=1e-6)
    assert not embeddings.vectors[list(expected)].any()
    reread = Embeddings.load(tmp_path / "bands", remedy="")
    assert list(reread.valid_rows) == list(good)
    pd.testing.assert_frame_equal(reread.failures, embeddings.failures)


def test_only_mended_recordings_are_embedded_later(tmp_path):
    corpus, expected = spoiled_corpus(tmp_path / "audio")
    folder = tmp_path / "bands"
    first = extract(corpus, BandEmbedder(), folder, shard_clips=4)
    before = contents(folder)
    idle = BandEmbedder()
    extract(corpus, idle, folder, shard_clips=4)
    assert idle.n_embedded == 0
    assert contents(folder) == before
    write_tones(tmp_path / "audio", 3)  # the text and the empty file
    mending = BandEmbedder()
    second = extract(corpus, mending, folder, shard_clips=4)
    assert mending.n_embedded == 2
    assert sorted(set(first.failures["row"]) - set(second.failures["row"])) == [1, 2]
    assert second.vectors[first.is_valid] == pytest.approx(first.vectors[first.is_valid], abs=1e-6)
    assert second.fingerprint != first.fingerprint
    assert len(expected) - 2 == len(second.failures)


def test_vectors_that_say_nothing_are_failures(tones, tmp_path):
    class Absent(BandEmbedder):
        def embed(self, waveforms, lengths):
            vectors = super().embed(waveforms, lengths)
            vectors[lengths == lengths.min()] = 0
            vectors[lengths == lengths.max()] = float("nan")
            return vectors

    embeddings = extract(tones, Absent(), tmp_path / "bands", shard_clips=N_CLIPS)
    assert 2 <= len(embeddings.failures) < N_CLIPS
    assert set(embeddings.failures["reason"]) == {"bands finds nothing in it that it could describe"}
    assert np.isfinite(embeddings.vectors).all()


def test_when_nothing_can_be_embedded_it_says_so_and_lists_why(tmp_path):
    folder = tmp_path / "audio"
    corpus = write_tones(folder, 4)
    for path in folder.glob("*.wav"):
        path.write_text("not audio")
    with pytest.raises(
        CorpusError, match=r"not one of 4 clips can be embedded; most often: .*failures\.parquet"
    ):
        extract(corpus, BandEmbedder(), tmp_path / "bands")
    assert sorted(contents(tmp_path / "bands")) == ["failures.parquet"]
    assert len(pd.read_parquet(tmp_path / "bands" / "failures.parquet")) == 4
    write_tones(folder, 4)
    assert not len(extract(corpus, BandEmbedder(), tmp_path / "bands").failures)
    empty = Corpus(corpus.table.head(0), folder)
    with pytest.raises(CorpusError, match="there are no clips"):
        extract(empty, BandEmbedder(), tmp_path / "none")


def test_a_run_that_fails_leaves_earlier_results_as_they_were(tmp_path, monkeypatch):
    audio_folder, folder = tmp_path / "audio", tmp_path / "bands"
    corpus = write_tones(audio_folder, 6)
    extract(corpus, BandEmbedder(), folder)
    before = contents(folder)

    def fill_the_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", fill_the_disk)
        with pytest.raises(ArtifactError, match=r"vectors\.npy: cannot be written .*free some space"):
            extract(corpus, BandEmbedder("two"), folder)
    assert {name: contents(folder)[name] for name in before} == before
    later = BandEmbedder("two")
    extract(corpus, later, folder)
    assert later.n_embedded == 0, "the shards were finished before the disk was full"
    before = contents(folder)
    for path in audio_folder.glob("*.wav"):
        path.write_text("not audio")
    with pytest.raises(CorpusError):
        extract(corpus, BandEmbedder("three"), folder)
    assert contents(folder) == before


def test_progress_counts_clips_and_never_falls(tones, tmp_path):
    calls = []
    extract(
        tones, BandEmbedder(), tmp_path / "bands", shard_clips=5, progress=lambda *call: calls.append(call)
    )
    n_done = [call[0] for call in calls]
    assert n_done == sorted(n_done)
    assert n_done[-1] == N_CLIPS
    assert {call[1] for call in calls} == {N_CLIPS}


def test_a_shard_job_can_be_done_anywhere_and_twice(tones, tmp_path):
    embedder = BandEmbedder()
    jobs = plan_shards(tones, embedder, tmp_path / "shards", rows=np.arange(N_CLIPS), shard_clips=9)
    assert [len(job.rows) for job in jobs] == [9, 9, 5]
    files = [embed_shard(job, embedder) for job in reversed(jobs)]
    assert len(set(files)) == 3
    assert embed_shard(jobs[0], embedder) == files[-1]
    assert embedder.n_embedded == N_CLIPS
    with pytest.raises(ValueError, match="the job wants bands one, not bands two"):
        embed_shard(jobs[0], BandEmbedder("two"))
    with pytest.raises(ValueError, match="at least 1"):
        plan_shards(tones, embedder, tmp_path, rows=np.arange(3), shard_clips=0)


@given(st.lists(st.floats(0.01, 900.0), max_size=300))
def test_batches_hold_every_clip_once_and_like_with_like(duration_s):
    batches = plan_batches(duration_s)
    assert sorted(place for batch in batches for place in batch) == list(range(len(duration_s)))
    in_order = [duration_s[place] for batch in batches for place in batch]
    assert in_order == sorted(in_order)
    for batch in batches:
        longest_s = max(duration_s[place] for place in batch)
        assert len(batch) <= BATCH_CLIPS
        assert len(batch) == 1 or len(batch) * longest_s <= BATCH_S
