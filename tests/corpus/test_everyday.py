"""Folders as people have them at home and at work: speakers, splits and labels are read rightly, or it is said."""

import json

import pytest

from sae_core.corpus.importing import ImportSettings, import_corpus, understand
from sae_core.corpus.trial_lists import kept_trial_lists
from sae_core.files.errors import CorpusError
from tests.corpus.layouts.published import record


def put(folder, *names):
    """Empty files for recordings: whoever only looks opens none."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read(folder, **settings):
    """The rows that an import would make, by path, and what it would say."""
    found = understand(folder, ImportSettings(**settings))
    return found.rows.table.set_index("audio_path"), "\n".join(found.summary.lines())


def test_a_table_as_a_spreadsheet_of_another_language_exports_it(tmp_path):
    names = [f"Gespräch {number}.wav" for number in range(4)]
    put(tmp_path, *(f"Ton/{name}" for name in names))
    rows = [
        f"{name};{'Müller' if place % 2 else 'Öz'};{'wmdw'[place]};Deutsch;0,5;1,25;;"
        for place, name in enumerate(names)
    ]
    lines = ["sep=;", "Datei;Sprecher;Geschlecht;Sprache;Start;Dauer;;", *rows, ";;;;;;;"]
    (tmp_path / "Liste.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    table, said = read(tmp_path)
    assert table["speaker_id"].tolist() == ["Öz", "Müller", "Öz", "Müller"]
    assert table["gender"].tolist() == ["female", "male", "other", "female"]
    assert set(table["language"]) == {"de"}
    assert table[["start_s", "duration_s"]].to_numpy().tolist() == [[0.5, 1.25]] * 4
    assert "Windows-1252" in said and "speakers: 2, from column 'Sprecher'" in said


def test_blanks_in_the_last_column_of_an_aligned_table_cost_no_row(tmp_path):
    put(
        tmp_path,
        *(f"wav/{speaker}/{speaker}_{take}.wav" for speaker in ("p225", "p226", "s5") for take in "12"),
    )
    (tmp_path / "speaker-info.txt").write_text(
        "ID  AGE  GENDER  ACCENTS  REGION\np225  23  F    English    Southern  England\n"
        "p226  22  M    English    Surrey\np227  38  M    English    Cumbria\ns5  38  M    English\nold\n"
    )
    table, said = read(tmp_path)
    assert table["gender"].tolist() == ["female"] * 2 + ["male"] * 4
    assert (
        table["REGION"].tolist()[:3] == ["Southern England"] * 2 + ["Surrey"]
        and table["REGION"].isna().sum() == 2
    )
    assert "1 of its rows were left out (speaker-info.txt line 6 has 1 values, not 5)" in said


def test_folders_that_are_splits_are_splits_beside_tables_too(tmp_path):
    for folder, speakers in (("train", "abc"), ("validation", "d"), ("test", "e")):
        names = [f"audio/{speaker}{take}.wav" for speaker in speakers for take in "12"]
        put(tmp_path, *(f"{folder}/{name}" for name in names))
        rows = [f"{name},{name[6]}" for name in names]
        (tmp_path / folder / "metadata.csv").write_text("\n".join(["file_name,speaker_id", *rows]))
    table, _ = read(tmp_path)
    by_speaker = table.groupby("speaker_id")["split"].first().to_dict()
    assert by_speaker == {**dict.fromkeys("abc", "train"), "d": "selection", "e": "held-out"}
    (tmp_path / "test" / "metadata.csv").write_text("file_name,speaker_id\naudio/e1.wav,a\naudio/e2.wav,e\n")
    table, said = read(tmp_path)
    assert "split" not in table and "clips are split by speaker: one speaker stands in several" in said
    table, said = read(tmp_path, splits="none")
    assert "split" not in table and "stands in several" not in said


def test_bare_numbers_that_hold_one_recording_each_are_nobody(tmp_path):
    names = [f"call_{number}.wav" for number in range(500, 506)]
    put(tmp_path, *(f"2024-03/{place:02d}/{name}" for place, name in enumerate(names)))
    assert "no speaker is known" in read(tmp_path)[1]
    rows = [
        f"{name},{'ann' if place % 2 else 'bo' if place % 3 else 'cy'},in"
        for place, name in enumerate(names * 2)
    ]
    (tmp_path / "export.csv").write_text("\n".join(["Recording,Agent,Direction", *rows[:6]]))
    table, said = read(tmp_path)
    assert "speaker_id" not in table or table["speaker_id"].isna().all()
    assert "'Agent' (3 values) could be: if so, import with --speakers 'Agent'" in said
    assert read(tmp_path, speakers="Agent")[0]["speaker_id"].nunique() == 3
    assert read(tmp_path, speakers="folder 2")[0]["speaker_id"].tolist()[:2] == ["00", "01"]


def test_what_systems_and_corpora_leave_beside_recordings_is_no_recording(tmp_path):
    put(
        tmp_path,
        "TRAIN/F1/SA1.WAV",
        "TRAIN/F2/SA1.WAV",
        "TRAIN/F2/Thumbs.db",
        "TRAIN/desktop.ini",
        "sum.md5",
        "in.zip",
    )
    put(tmp_path, "TRAIN/F1/SA1.PHN", "TRAIN/F1/SA1.WRD", "TRAIN/F1/._SA1.WAV")
    for number in range(5):
        (tmp_path / "TRAIN" / "F1" / f"SA{number}.TXT").write_text("0 46797 She had your dark suit.\n")
    table, said = read(tmp_path)
    assert sorted(table.index) == ["TRAIN/F1/SA1.WAV", "TRAIN/F2/SA1.WAV"]
    assert said.count("found, not used") == 2
    assert "5 files such as TRAIN/F1/SA0.TXT" in said and "archives are not opened, unpack them first" in said


def kaldi(folder):
    """A data folder of two speakers as another machine made it, one recording behind a command and one gone."""
    for name in ("ann_1", "ann_2", "bo_1"):
        record(folder / "audio" / f"{name}.wav")
    data = folder / "data"
    data.mkdir()
    (data / "wav.scp").write_text(
        "ann_1 /far/audio/ann_1.wav\nann_2 sox /far/audio/ann_2.wav -t wav - |\nbo_1 /far/audio/bo_1.wav\n"
        "bo_2 /far/audio/bo_2.wav\n"
    )
    (data / "utt2spk").write_text("ann_1 ann\nann_2 ann\nbo_1 bo\nbo_2 bo\n")
    (data / "spk2gender").write_text("ann f\nbo m\n")
    (data / "utt2lang").write_text("ann_1 spa\nann_2 spa\nbo_1 eng\n")
    return folder


def test_a_kaldi_data_folder_says_who_speaks(tmp_path, workspace):
    report = import_corpus(kaldi(tmp_path / "k"), workspace)
    table = report.corpus.table.set_index("clip_id")
    assert report.layout == "kaldi"
    assert table["speaker_id"].to_dict() == {"ann_1": "ann", "ann_2": "ann", "bo_1": "bo"}
    assert table["gender"].tolist() == ["female", "female", "male"]
    assert table["language"].tolist() == ["es", "es", "en"]
    assert report.failures["audio_path"].tolist() == ["data/wav.scp: bo_2"]


def test_kaldi_segments_are_stretches_and_unknown_speakers_stay_unknown(tmp_path, workspace):
    data = kaldi(tmp_path / "k") / "data"
    (data / "segments").write_text("one ann_1 0.05 0.15\ntwo bo_1 0.1 0.3\nno nothing 0 1\n")
    (data / "utt2spk").write_text("one one\ntwo two\n")
    table = import_corpus(tmp_path / "k", workspace).corpus.table.set_index("clip_id")
    assert table[["start_s", "duration_s"]].round(3).to_numpy().tolist() == [[0.05, 0.1], [0.1, 0.2]]
    assert table["speaker_id"].isna().all()


def test_kaldi_folders_that_are_splits_are_splits(tmp_path):
    for part, speaker in (("train", "a"), ("dev", "b"), ("test", "c")):
        put(tmp_path, f"wav/{speaker}.wav")
        data = tmp_path / "data" / part
        data.mkdir(parents=True)
        (data / "wav.scp").write_text(f"{speaker} wav/{speaker}.wav\n")
        (data / "utt2spk").write_text(f"{speaker} speaker-{speaker}\n")
    table, _ = read(tmp_path)
    assert table["split"].to_dict() == {
        "wav/a.wav": "train",
        "wav/b.wav": "selection",
        "wav/c.wav": "held-out",
    }
    for file in tmp_path.rglob("*.wav"):
        file.unlink()
    put(tmp_path, "other.wav")
    with pytest.raises(CorpusError, match=r"wav\.scp: names no recording that is here"):
        read(tmp_path)


def test_a_manifest_of_another_machine_is_found_by_the_ends_of_its_paths(tmp_path):
    put(tmp_path, "calls/a.wav", "calls/b.wav", "calls/c.wav")
    rows = [{"audio_filepath": f"/far/away/calls/{name}.wav", "label": f"s{name}"} for name in "ab"]
    (tmp_path / "manifest.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table, said = read(tmp_path)
    assert table["speaker_id"].to_dict() == {"calls/a.wav": "sa", "calls/b.wav": "sb"}
    assert "read as nemo" in said and "1 recordings of the folder are not named" in said


def test_a_table_that_people_name_leaves_lists_of_trials_and_folders_their_say(calls, workspace):
    names = sorted(str(path.relative_to(calls)) for path in calls.rglob("*.wav"))
    (calls / "mine.csv").write_text("path,language\n" + "".join(f"{name},{name[:2]}\n" for name in names))
    (calls / "labels.csv").write_text("path,gender\n" + "".join(f"{name},f\n" for name in names))
    (calls / "pairs.lst").write_text(f"1 {names[0]} {names[1]}\n0 {names[0]} {names[5]}\n")
    report = import_corpus(calls, workspace, ImportSettings(labels=calls / "mine.csv"))
    assert report.corpus.attributes == ("language",)
    assert report.corpus.table["speaker_id"].nunique() == 6
    assert [one.name for one in kept_trial_lists(workspace)] == ["pairs.lst"]
    assert any(
        "found, not used: labels.csv (mine.csv was asked for)" in said for said in report.summary.notices
    )
    report = import_corpus(calls, workspace, ImportSettings(labels=calls / "mine.csv", speakers="folder 1"))
    assert sorted(report.corpus.table["speaker_id"].unique()) == ["es", "uk"]


def test_a_table_of_speakers_is_joined_to_one_of_recordings_and_to_names_of_files(tmp_path):
    people = ["spk,sex,native language", "S00,F,Spanish", "S01,M,German"]
    (tmp_path / "people.csv").write_text("\n".join(people))
    put(tmp_path, "S00_a.wav", "S00_b.wav", "S01_a.wav")
    table, said = read(tmp_path)
    assert table["speaker_id"].tolist() == ["S00", "S00", "S01"] and table["gender"].tolist()[2] == "male"
    assert "the beginnings of the recordings' names, which a table of speakers lists" in said
    (tmp_path / "people.csv").write_text("\n".join(["class,sex,text", *people[1:]]))
    assert "speakers: no speaker is known" in read(tmp_path)[1]
    (tmp_path / "people.csv").write_text("\n".join(people))
    (tmp_path / "files.csv").write_text("file,spk\nS00_a.wav,S01\nS00_b.wav,S00\nS01_a.wav,S01\n")
    table, said = read(tmp_path)
    assert table["speaker_id"].tolist() == ["S01", "S00", "S01"]
    assert table["language"].tolist() == ["de", "es", "de"]
    assert "people.csv says of speakers: gender, language" in said


def test_a_column_called_as_speakers_are_is_no_column_of_paths(tmp_path):
    put(tmp_path, *(f"wavs/{number}.wav" for number in range(4)))
    rows = [f"{{'path': 'wavs/{number}.wav', 'array': None}};{number % 2};f" for number in range(4)]
    (tmp_path / "data.csv").write_text("\n".join(["audio;speaker_id;gender", *rows]))
    assert read(tmp_path)[0]["speaker_id"].to_dict() == {f"wavs/{n}.wav": str(n % 2) for n in range(4)}


def test_the_delimiter_is_the_one_that_leaves_names_of_recordings_whole(tmp_path):
    put(tmp_path, *(f"wavs/LJ001-{number:04d}.wav" for number in range(6)))
    rows = [f"LJ001-{n:04d}|Printing, in the only sense, is|Number {n}, in words" for n in range(6)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    table, said = read(tmp_path)
    assert len(table) == 6 and "metadata.csv describes 6 of 6 recordings" in said
