import os

import pytest
import soundfile

from sae_core.audio.recordings import MIX_DOWN
from sae_core.corpus.clips import CLIP_COLUMNS, Corpus, split_of
from sae_core.corpus.importing import import_corpus
from sae_core.corpus.layouts import IMPORTERS
from sae_core.files.errors import CorpusError
from tests.recordings import voice


def test_folders_become_labels(calls, workspace):
    report = import_corpus(calls, workspace)
    table = report.corpus.table
    assert len(report.failures) == 0
    assert list(table["audio_path"]) == sorted(
        f"{value}/{value}-{speaker}/{number}.wav"
        for value in ("es", "uk")
        for speaker in "abc"
        for number in (0, 1)
    )
    assert list(table.columns[:7]) == list(CLIP_COLUMNS)
    assert report.corpus.attributes == ("folder",)
    first = table.iloc[1]
    assert first[["clip_id", "speaker_id", "folder"]].tolist() == ["es--es-a--1", "es-a", "es"]
    assert first[["start_s", "duration_s", "audio_channel"]].tolist() == [0.0, 3.0, MIX_DOWN]
    assert all(
        split == split_of(f"speaker:{who}")
        for split, who in zip(table["split"], table["speaker_id"], strict=True)
    )


def test_one_level_is_a_value_and_no_level_says_nothing(tmp_path, workspace):
    for name in ("plain.wav", "music/hold.wav"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, voice(1, seed=len(name)), 16_000)
    table = import_corpus(tmp_path / "in", workspace).corpus.table.set_index("clip_id")
    assert table["speaker_id"].isna().all()
    assert table.loc["music--hold", "folder"] == "music"
    assert table.loc[["plain"], "folder"].isna().all()
    assert table.loc["plain", "split"] == split_of("recording:plain.wav")


def test_what_lies_beside_recordings_is_passed_over_quietly(calls, workspace):
    for name in (
        "labels.csv",
        "es/notes.txt",
        "uk/cover.JPG",
        ".hidden.wav",
        "uk/.trash/old.wav",
        "es/map.json",
    ):
        (calls / name).parent.mkdir(exist_ok=True)
        (calls / name).write_text("not a recording")
    report = import_corpus(calls, workspace)
    assert len(report.corpus) == 12
    assert len(report.failures) == 0


def test_what_claims_to_be_a_recording_and_is_none_is_listed_with_its_reason(calls, workspace):
    (calls / "es" / "letter.wav").write_text("Dear Sir,")
    (calls / "es" / "empty.mp3").touch()
    (calls / "es" / "thing").write_bytes(b"\0" * 100)
    report = import_corpus(calls, workspace)
    assert len(report.corpus) == 12
    reasons = dict(report.failures.itertuples(index=False))
    assert set(reasons) == {"es/letter.wav", "es/empty.mp3", "es/thing"}
    assert "empty" in reasons["es/empty.mp3"]
    assert "not a recording" in reasons["es/letter.wav"]


def test_links_are_followed_inside_the_folder_only(calls, workspace, tmp_path):
    soundfile.write(tmp_path / "secret.wav", voice(1), 16_000)
    (tmp_path / "elsewhere").mkdir()
    soundfile.write(tmp_path / "elsewhere" / "far.wav", voice(1), 16_000)
    (calls / "es" / "out.wav").symlink_to(tmp_path / "secret.wav")
    (calls / "es" / "in.wav").symlink_to(calls / "uk" / "uk-a" / "0.wav")
    (calls / "es" / "gone.wav").symlink_to(calls / "nothing.wav")
    (calls / "far").symlink_to(tmp_path / "elsewhere")
    (calls / "loop").symlink_to(calls)
    report = import_corpus(calls, workspace)
    assert len(report.corpus) == 12, "the file that es/in.wav leads to is there itself"
    reasons = dict(report.failures.itertuples(index=False))
    assert set(reasons) == {"es/in.wav", "es/out.wav", "es/gone.wav", "far", "loop"}
    assert "link to uk/uk-a/0.wav" in reasons["es/in.wav"]
    assert "outside" in reasons["es/out.wav"]
    assert "not followed" in reasons["far"]


def test_a_workspace_inside_the_folder_is_no_part_of_it(calls):
    inside = calls / "workspace"
    assert len(import_corpus(calls, inside).corpus) == 12
    soundfile.write(inside / "cache.wav", voice(1), 16_000)
    report = import_corpus(calls, inside)
    assert len(report.corpus) == 12
    assert len(report.failures) == 0


def test_a_folder_may_be_its_own_workspace(calls):
    import_corpus(calls, calls)
    corpus = import_corpus(calls, calls).corpus
    assert len(corpus) == 12
    assert corpus.audio_file(0).is_file()


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode there")
def test_a_name_that_is_no_text_is_listed(calls, workspace):
    os.rename(os.fsencode(calls / "es/es-a/0.wav"), os.fsencode(calls) + b"/es/es-a/\xff.wav")
    report = import_corpus(calls, workspace)
    assert len(report.corpus) == 11
    assert report.failures["audio_path"].tolist() == ["es/es-a/\\xff.wav"]


def test_odd_names_survive(tmp_path, workspace):
    names = ["a b.wav", "a_b.wav", "ñandú.wav", "a.mp3", "a.wav", "-x.wav", "x'y\".wav", "one\ntwo.wav"]
    (tmp_path / "in").mkdir()
    for name in names:
        soundfile.write(tmp_path / "in" / name, voice(0.5), 16_000, format="WAV")
    corpus = import_corpus(tmp_path / "in", workspace).corpus
    assert sorted(corpus.table["audio_path"]) == sorted(names)
    assert corpus.table["clip_id"].is_unique
    assert all(corpus.audio_file(row).is_file() for row in range(len(corpus)))
    again = Corpus.load(workspace)
    assert again.audio_fingerprint == corpus.audio_fingerprint
    assert again.labels_fingerprint == corpus.labels_fingerprint


@pytest.mark.parametrize("what", ["missing", "file", "empty", "only text"])
def test_a_folder_without_recordings_is_refused_and_nothing_is_written(tmp_path, workspace, what):
    folder = tmp_path / "in"
    if what == "file":
        folder.write_text("x")
    elif what != "missing":
        folder.mkdir()
    if what == "only text":
        (folder / "letter.wav").write_text("Dear Sir,")
    with pytest.raises(CorpusError) as raised:
        import_corpus(folder, workspace)
    assert str(folder) in str(raised.value)
    assert raised.value.remedy
    assert not (workspace / "clips.parquet").exists()
    assert not (workspace / "workspace.json").exists()


def test_every_importer_says_what_it_expects():
    assert all(len(importer.layout) > 40 for importer in IMPORTERS.values())
