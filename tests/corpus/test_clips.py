"""The clips table: identity of rows, splits that stay put, paths that stay inside."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.clips import Corpus, attribute_columns, clip_halves, clip_id_from, split_of
from sae_core.files.errors import CorpusError
from tests.planting import plant_corpus


@given(st.lists(st.text(min_size=1), min_size=1, max_size=40, unique=True), st.randoms())
def test_splits_belong_to_the_speaker_not_to_the_table(speakers, random):
    before = {speaker: split_of(speaker) for speaker in speakers}
    random.shuffle(speakers)
    assert all(split_of(speaker) == before[speaker] for speaker in [*speakers, "one more"][: len(speakers)])


def test_split_shares_are_about_as_promised():
    counts = pd.Series([split_of(f"speaker:{number}") for number in range(5000)]).value_counts(normalize=True)
    assert counts["train"] == pytest.approx(0.6, abs=0.03)
    assert counts["selection"] == pytest.approx(0.2, abs=0.03)
    assert clip_halves(pd.Series([f"c{number}" for number in range(2000)])).mean() == pytest.approx(
        0.5, abs=0.05
    )


def test_a_corpus_survives_saving(tmp_path):
    corpus = plant_corpus(root=tmp_path / "audio", language=lambda speaker: ["es", None][speaker % 2])
    corpus.save(tmp_path)
    again = Corpus.load(tmp_path)
    assert again.attributes == corpus.attributes == ("language",)
    assert again.audio_root.resolve() == (tmp_path / "audio").resolve()
    for mark in ("audio_fingerprint", "split_fingerprint", "labels_fingerprint"):
        assert getattr(again, mark) == getattr(corpus, mark)


def test_stored_digests_are_believed_only_for_the_very_file_they_are_of(tmp_path, monkeypatch):
    corpus = plant_corpus(root=tmp_path / "audio", language=lambda speaker: ["es", "en"][speaker % 2])
    corpus.save(tmp_path)
    with monkeypatch.context() as no_reading:
        no_reading.delattr("sae_core.corpus.clips._column_digest")
        assert Corpus.load(tmp_path).labels_fingerprint == corpus.labels_fingerprint

    table = pd.read_parquet(tmp_path / "clips.parquet")
    table.assign(language=["fr", *table["language"].iloc[1:]]).to_parquet(tmp_path / "clips.parquet")
    edited = Corpus.load(tmp_path)
    assert edited.labels_fingerprint != corpus.labels_fingerprint
    assert edited.audio_fingerprint == corpus.audio_fingerprint


@pytest.mark.parametrize("digests", [None, 7, [], {}, {"of_file": "?"}, {"of_columns": {"split": "no hex"}}])
def test_digests_of_any_other_shape_are_passed_over(tmp_path, digests):
    corpus = plant_corpus(root=tmp_path / "audio")
    corpus.save(tmp_path)
    settings = json.loads((tmp_path / "corpus.json").read_text("utf-8"))
    if isinstance(digests, dict) and "of_columns" in digests:
        digests = {**digests, "of_file": settings["digests"]["of_file"]}
    (tmp_path / "corpus.json").write_text(json.dumps({**settings, "digests": digests}), "utf-8")
    assert Corpus.load(tmp_path).split_fingerprint == corpus.split_fingerprint


def test_each_fingerprint_follows_its_own_columns():
    corpus = plant_corpus(language="es")
    relabelled = Corpus(corpus.table.assign(language="en"), corpus.audio_root, corpus.attributes)
    assert relabelled.audio_fingerprint == corpus.audio_fingerprint
    assert relabelled.split_fingerprint == corpus.split_fingerprint
    assert relabelled.labels_fingerprint != corpus.labels_fingerprint
    reordered = Corpus(corpus.table.iloc[::-1], corpus.audio_root, corpus.attributes)
    assert reordered.audio_fingerprint != corpus.audio_fingerprint


def test_values_are_counted_and_unknown_ones_are_not():
    values = ["es", "en", "es", None, "unknown", ""] * 40
    corpus = plant_corpus(language=values)
    assert corpus.values_of("language") == ["es", "en"]
    assert corpus.is_known("language").sum() == 120
    assert list(corpus.has_value("language", "es")[:6]) == [True, False, True, False, False, False]
    assert not corpus.has_value("language", "never seen").any()
    with pytest.raises(ValueError, match="no attribute"):
        corpus.values_of("colour")


def test_numbers_and_clip_columns_are_no_attributes():
    table = plant_corpus().table.assign(age=3, is_native=True, note=[f"n{number}" for number in range(240)])
    assert attribute_columns(table) == ("is_native",)
    assert Corpus(table, plant_corpus().audio_root, ("is_native",)).values_of("is_native") == ["True"]


def test_unknown_speakers_are_groups_of_their_own():
    corpus = plant_corpus(6, 2)
    corpus.table.loc[[0, 2], "speaker_id"] = None
    groups = corpus.speaker_groups
    assert len({groups[0], groups[2], groups[4]}) == 3
    assert groups[1] == groups[3] == groups[5]


def test_rows_of_a_split():
    corpus = plant_corpus()
    parts = [corpus.rows_in(split) for split in ("train", "selection", "held-out")]
    assert sorted(np.concatenate(parts)) == list(range(len(corpus)))
    with pytest.raises(ValueError, match="split must be"):
        corpus.rows_in("test")


def test_recordings_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.wav").touch()
    (tmp_path / "in" / "link.wav").symlink_to(tmp_path / "secret.wav")
    table = plant_corpus(3, 1).table.assign(audio_path=["../secret.wav", "link.wav", "fine.wav"])
    corpus = Corpus(table, tmp_path / "in")
    for row in (0, 1):
        with pytest.raises(CorpusError, match="outside"):
            corpus.audio_file(row)
    assert corpus.audio_file(2) == (tmp_path / "in" / "fine.wav").resolve()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="split"), "lacks the columns split"),
        (lambda table: table.assign(clip_id="same"), "more than one row"),
        (lambda table: table.assign(split="test"), "split 'test'"),
    ],
)
def test_unusable_tables_are_refused(change, words):
    with pytest.raises(CorpusError, match=words):
        Corpus(change(plant_corpus().table), plant_corpus().audio_root)


def test_clip_ids_are_safe_and_tell_segments_apart():
    assert clip_id_from("a b/c:d.wav") == "a_b--c_d"
    assert clip_id_from("x.wav", 1.5) == "x@00001500"
