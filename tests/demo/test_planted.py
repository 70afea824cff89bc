"""Planted truth is what it says: sparse, known, and shaped like real speaker embeddings."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from sae_core.corpus.clips import Corpus
from sae_core.demo import planted
from sae_core.embedding.embeddings import Embeddings
from sae_core.sae.quality import effective_rank, mean_pairwise_cosine


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_geometry_is_that_of_real_speaker_embeddings(seed):
    _, clips = planted.plant(500, n_speakers=250, seed=seed)
    assert clips.vectors.shape == (500, 192)
    np.testing.assert_allclose(np.linalg.norm(clips.vectors, axis=1), 1, atol=1e-5)
    assert effective_rank(clips.vectors) == pytest.approx(107, abs=6)
    assert mean_pairwise_cosine(clips.vectors) == pytest.approx(0.07, abs=0.015)


def test_clips_are_the_sums_they_claim_to_be_up_to_a_little_noise():
    truth, clips = planted.plant(300, seed=3)
    sums = (clips.activations[..., None] * truth.directions[clips.latents]).sum(1)
    share = ((clips.vectors - sums) ** 2).sum() / (clips.vectors**2).sum()
    assert 0 < share < 0.02
    np.testing.assert_allclose(np.linalg.norm(truth.directions, axis=1), 1, atol=1e-5)
    assert (clips.activations >= 0).all()
    assert all(len(set(row)) == len(row) for row in clips.latents.tolist())


def test_labels_name_the_directions_in_a_clip():
    _, clips = planted.plant(2000, seed=5)
    values = [*planted.LANGUAGES, *planted.GENDERS, "music"]
    active = np.zeros((2000, len(values)), bool)
    for slot in range(2):
        active[np.arange(2000), clips.latents[:, slot]] |= clips.activations[:, slot] > 0
    for column, value in enumerate(values):
        named = "language" if value in planted.LANGUAGES else "gender" if value in planted.GENDERS else "kind"
        np.testing.assert_array_equal(active[:, column], (clips.table[named] == value).to_numpy(bool))
        assert active[:, column].sum() > 20


def test_a_speaker_keeps_gender_traits_and_split_but_may_change_language():
    _, clips = planted.plant(2000, n_speakers=100, seed=5)
    for _, rows in clips.table.groupby("speaker_id").groups.items():
        first = int(rows[0])
        assert (np.sort(clips.latents[rows, 2:6]) == np.sort(clips.latents[first, 2:6])).all()
        assert clips.table.loc[rows, ["gender", "split", "kind"]].drop_duplicates().shape[0] == 1
    assert (clips.table.groupby("speaker_id")["language"].nunique() == 2).any()


def test_same_seed_same_clips_and_more_clips_do_not_change_the_first(monkeypatch):
    monkeypatch.setattr(planted, "PIECE", 64)
    _, few = planted.plant(100, n_speakers=20, seed=1)
    _, many = planted.plant(230, n_speakers=20, seed=1)
    _, other = planted.plant(100, n_speakers=20, seed=2)
    np.testing.assert_array_equal(few.vectors, many.vectors[:100])
    assert few.rows.tolist() == list(range(100))
    assert many.table.iloc[:100].equals(few.table)
    assert not np.allclose(few.vectors, other.vectors)
    assert not np.allclose(few.vectors[:36], few.vectors[64:])


def test_a_workspace_opens_like_any_other(tmp_path):
    planted.write_synthetic_workspace(tmp_path, n_clips=120, n_speakers=30, seed=4)
    corpus = Corpus.load(tmp_path)
    embeddings = Embeddings.load(tmp_path / "embeddings" / "synthetic", remedy="")
    _, clips = planted.plant(120, n_speakers=30, seed=4)
    np.testing.assert_array_equal(embeddings.vectors, clips.vectors)
    # within rounding, vectors are of norm 1 already, so this is what `Embeddings.make` would keep
    made = Embeddings.make(clips.vectors, embedder="synthetic", revision="planted-4", sample_rate_hz=16_000)
    np.testing.assert_allclose(embeddings.vectors, made.vectors, atol=1e-6)
    assert embeddings.valid_rows.tolist() == list(range(120))
    assert corpus.attributes == ("language", "gender", "kind")
    assert set(corpus.table["split"]) == {"train", "selection", "held-out"}
    assert not corpus.audio_file(0).exists()
    assert (tmp_path / "workspace.json").exists()


def test_recordings_are_short_and_each_its_own(tmp_path):
    planted.write_synthetic_workspace(tmp_path, n_clips=12, n_speakers=4, seed=0, with_audio=True)
    corpus = Corpus.load(tmp_path)
    heard = [soundfile.read(corpus.audio_file(row))[0] for row in range(12)]
    assert soundfile.info(corpus.audio_file(0)).samplerate == 16_000
    assert {len(waveform) for waveform in heard} == {24_000}
    assert all(0.05 < np.abs(waveform).max() < 0.99 for waveform in heard)
    assert len({waveform.tobytes() for waveform in heard}) == 12


def test_a_large_corpus_shares_recordings_among_voices_of_one_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "MAX_RECORDINGS", 200)
    planted.write_synthetic_workspace(tmp_path, n_clips=900, n_speakers=300, seed=1, with_audio=True)
    table = Corpus.load(tmp_path).table
    assert 200 <= len(list((tmp_path / "audio").glob("*.wav"))) < 220
    assert all((tmp_path / name).exists() for name in table["audio_path"].unique())
    assert (table.groupby("audio_path")[["gender", "kind"]].nunique(dropna=False) == 1).all().all()
    assert (table["audio_path"].head(200) == "audio/" + table["clip_id"].head(200) + ".wav").all()


def test_memory_does_not_grow_with_the_vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "PIECE", 1024)
    tracemalloc.start()
    try:
        planted.write_synthetic_workspace(tmp_path, n_clips=40_000, n_speakers=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "embeddings" / "synthetic" / "vectors.npy").stat().st_size > 30e6
    assert peak < 25e6


@pytest.mark.parametrize(("n_speakers", "n_directions"), [(0, 256), (5, 10)])
def test_too_little_to_plant_in_is_refused(n_speakers, n_directions):
    with pytest.raises(ValueError, match="too few to plant"):
        planted.PlantedTruth.draw(n_speakers=n_speakers, n_directions=n_directions)


def test_no_clips_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        planted.write_synthetic_workspace(tmp_path, n_clips=0)
    with pytest.raises(ValueError, match="at least 1"):
        planted.plant(0)
