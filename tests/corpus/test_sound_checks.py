"""Faults of the sound itself, planted in a folder of recordings and told after measuring."""

import numpy as np
import pytest
import soundfile

from sae_core.analysis.data_check import first_look
from sae_core.corpus.acoustics import CHECK_COLUMNS, measure_workspace
from sae_core.corpus.clips import Corpus
from sae_core.corpus.importing import import_corpus
from sae_core.corpus.sound_checks import find_faults
from tests.audio.test_looks import syllables

RATE = 16_000


def two(left, right):
    return np.stack([left, right], axis=1)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    clean, other = syllables(3), syllables(3, rate_hz=5.1, f0_hz=210)
    sounds = {
        "clean": clean,
        "stereo": two(clean, 0.7 * clean),
        "loud": 2.0 * clean / np.abs(clean).max(),
        "clipped": 0.8 * np.clip(8 * clean, -0.5, 0.5),
        "inverted": two(other, -other),
        "call": two(clean, other),
        "silent": np.zeros(3 * RATE),
        "silent_too": np.zeros(3 * RATE),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(3 * RATE),
    }
    (folder / "in").mkdir()
    for name, sound in sounds.items():
        soundfile.write(folder / "in" / f"{name}.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(
        folder / "in" / "other_container.flac", soundfile.read(folder / "in" / "clean.wav")[0], RATE
    )
    soundfile.write(folder / "in" / "pcm.wav", soundfile.read(folder / "in" / "clean.wav")[0], RATE)
    (folder / "in" / "broken.wav").write_bytes(b"no sound")
    import_corpus(folder / "in", folder / "w")
    return folder / "w"


@pytest.fixture(scope="module")
def found(workspace):
    """What is measured of the sounds."""
    return measure_workspace(workspace)


def test_each_fault_is_found_where_it_was_planted(workspace, found):
    import pandas as pd

    assert list(found.checks) == list(CHECK_COLUMNS)
    ids = Corpus.load(workspace).table["clip_id"].to_numpy()
    faults = find_faults(pd.concat([found.table[["f0_median_hz"]], found.checks], axis=1))
    told = {fault: set(ids[is_faulty]) for fault, is_faulty in faults.items()}
    assert told["out of range"] == {"loud"}
    assert told["clipped"] == {"clipped"}
    assert told["cancelling"] == {"inverted"}
    assert told["two sides"] == {"call"}
    assert told["silent"] == {"silent", "silent_too", "inverted"}
    assert told["no speech"] == {"noise"}
    assert len(told["same sound"]) == 1 and told["same sound"] < {"clean", "other_container", "pcm"}


@pytest.mark.usefixtures("found")
def test_a_first_look_counts_what_was_found(workspace):
    from pages.shared.data_checks import first_look_words

    corpus = Corpus.load(workspace)
    counts = first_look(workspace, corpus)
    assert counts == {
        "out of range": 1, "clipped": 1, "cancelling": 1, "two sides": 1, "silent": 3, "no speech": 1, "same sound": 1,
    }  # fmt: skip
    words = first_look_words(workspace)
    assert words.startswith("**Data check**: of the clips, 1 beyond full scale, 1 clipped, ")
    assert "3 silent, 1 without speech" in words
    assert first_look(workspace / "not there", corpus) is None


def test_warnings_count_and_name(workspace, found):
    warnings = found.warnings(Corpus.load(workspace))
    assert "1 clip is clipped: tops were cut off when it was recorded (clipped)" in warnings
    assert any("--channels split" in warning and "(call)" in warning for warning in warnings)
    assert any("3 clips are silent" in warning for warning in warnings)
