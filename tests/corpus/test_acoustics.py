"""Acoustic measures of a workspace: made once, kept, gone on with, refused when stale."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from sae_core.audio.measures import measure_sound
from sae_core.corpus import acoustics
from sae_core.corpus.acoustics import ACOUSTIC_COLUMNS, load_acoustics, measure_workspace
from sae_core.corpus.clips import Corpus
from sae_core.files.artifacts import read_table
from sae_core.files.errors import ArtifactError, StaleArtifactError
from sae_core.workspace.workspace import Workspace
from tests.planting import plant_corpus

RATE = 16_000


@pytest.fixture
def voices(tmp_path):
    """A workspace of three pulse trains, silence, a recording that is none and one that is missing."""
    root = tmp_path / "recordings"
    root.mkdir()
    t = np.arange(RATE // 2) / RATE
    for name, f0_hz in (("low", 100), ("middle", 160), ("high", 250)):
        sound = sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, 12))
        soundfile.write(root / f"{name}.wav", 0.1 * sound, RATE)
    soundfile.write(root / "silent.wav", np.zeros(RATE // 2), RATE)
    (root / "broken.wav").write_bytes(b"no sound at all")
    names = ["low", "middle", "high", "silent", "broken", "missing"]
    corpus = plant_corpus(6, 6, root=root, audio_path=[f"{name}.wav" for name in names], duration_s=0.5)
    corpus.save(tmp_path / "workspace")
    return tmp_path / "workspace"


def add_clips(path, n_clips):
    """As many clips, in turn of the same six recordings."""
    corpus = Corpus.load(path)
    table = pd.concat([corpus.table] * -(-n_clips // 6), ignore_index=True)[:n_clips]
    table["clip_id"] = [f"c{number}" for number in range(n_clips)]
    Corpus(table, corpus.audio_root).save(path)


def test_row_i_is_clip_i_and_what_a_clip_has_not_is_null(voices):
    found = measure_workspace(voices)
    assert list(found.table) == list(ACOUSTIC_COLUMNS)
    assert found.table["f0_median_hz"].iloc[:3].tolist() == pytest.approx([100, 160, 250], rel=0.01)
    stored = read_table(voices / "acoustics.parquet")
    assert stored["f0_median_hz"].isna().tolist() == [False] * 3 + [True] * 3
    assert not np.isnan(stored["f0_median_hz"].dropna().to_numpy(dtype=float)).any()
    assert stored["f0_median_hz"].dtype == "Float32"
    assert found.table["duration_s"].tolist() == [0.5] * 6
    assert np.isnan(found.values("snr_db")[3:]).all()


def test_clips_that_cannot_be_heard_are_listed_with_the_reason(voices):
    failures = measure_workspace(voices).failures
    assert failures["row"].tolist() == [4, 5]
    assert failures["clip_id"].tolist() == ["c00004", "c00005"]
    assert "not a recording" in failures["reason"][0] and "cannot be opened" in failures["reason"][1]


def test_finished_measures_are_kept_and_only_failures_are_tried_again(voices, monkeypatch):
    first = measure_workspace(voices)
    soundfile.write(
        voices.parent / "recordings" / "missing.wav",
        0.1 * np.random.default_rng(0).standard_normal(RATE // 2),
        RATE,
    )
    heard = []
    monkeypatch.setattr(acoustics, "measure_sound", lambda sound: heard.append(1) or measure_sound(sound))
    again = measure_workspace(voices)
    assert len(heard) == 1 and again.failures["row"].tolist() == [4]
    assert again.table.iloc[:5].equals(first.table.iloc[:5]) and again.table["bandwidth_hz"].notna()[5]
    assert again.fingerprint != first.fingerprint
    assert measure_workspace(voices).fingerprint == again.fingerprint
    assert measure_workspace(voices, rebuild=True).fingerprint == again.fingerprint
    assert len(heard) == 1 + 5


def test_a_stopped_run_goes_on_where_it_was(voices, monkeypatch):
    """Of clips in parts of four, the first has four sounds; the run is stopped in the second."""
    add_clips(voices, 12)
    heard = []

    def measure(sound):
        heard.append(1)
        if len(heard) == 5:
            raise KeyboardInterrupt
        return measure_sound(sound)

    monkeypatch.setattr(acoustics, "PART_CLIPS", 4)
    monkeypatch.setattr(acoustics, "measure_sound", measure)
    with pytest.raises(KeyboardInterrupt):
        measure_workspace(voices, n_processes=1)
    assert not (voices / "acoustics.json").exists()
    found = measure_workspace(voices, n_processes=1)
    assert len(heard) == 5 + (8 - 4)
    assert found.table["bandwidth_hz"].notna().sum() == 6 and len(found.failures) == 4
    assert not (voices / "acoustics_parts").exists()


def test_several_processes_find_what_one_finds(voices, monkeypatch):
    monkeypatch.setattr(acoustics, "PART_CLIPS", 4)
    add_clips(voices, 10)
    seen = []
    one = measure_workspace(voices, n_processes=1, progress=lambda *step: seen.append(step))
    several = measure_workspace(voices, n_processes=2, rebuild=True)
    assert several.table.equals(one.table) and several.failures.equals(one.failures)
    assert [step[:2] for step in seen] == [(4, 10), (8, 10), (10, 10)]


def test_measures_of_other_clips_are_refused_with_the_command(voices):
    measure_workspace(voices)
    corpus = Corpus.load(voices)
    other = Corpus(corpus.table.assign(start_s=0.1, duration_s=0.4), corpus.audio_root)
    with pytest.raises(StaleArtifactError, match=r"acoustics.parquet.*measure --workspace"):
        load_acoustics(voices, other)
    other.save(voices)
    assert measure_workspace(voices).table["duration_s"].tolist() == pytest.approx([0.4] * 6)


def test_measures_made_in_another_way_are_stale(voices, monkeypatch):
    measure_workspace(voices)
    monkeypatch.setitem(acoustics._SETTINGS, "method", 0)
    with pytest.raises(StaleArtifactError, match="another way"):
        load_acoustics(voices, Corpus.load(voices))


def test_none_yet_says_what_to_run(voices):
    with pytest.raises(ArtifactError, match=r"no acoustic measures yet.*measure --workspace"):
        load_acoustics(voices, Corpus.load(voices))


def test_a_damaged_table_is_made_again(voices):
    first = measure_workspace(voices)
    (voices / "acoustics.parquet").write_bytes(b"ha")
    with pytest.raises(ArtifactError, match="was changed"):
        load_acoustics(voices, Corpus.load(voices))
    assert measure_workspace(voices).fingerprint == first.fingerprint


def test_a_workspace_says_in_what_state_its_measures_are(voices):
    def parts():
        return [part for part in Workspace(voices).parts() if part.name == "acoustics"]

    assert parts() == []
    measure_workspace(voices)
    assert [(part.state, part.detail) for part in parts()] == [("ready", "6 × 7, 2 failures")]
    corpus = Corpus.load(voices)
    Corpus(corpus.table.assign(start_s=0.1, duration_s=0.4), corpus.audio_root).save(voices)
    assert parts()[0].state == "stale" and "measure --workspace" in parts()[0].command
