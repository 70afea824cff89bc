import csv
import json
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_core.audio.reading import AudioInfo
from sae_core.corpus import labels as label_file
from sae_core.corpus.clips import CLIP_COLUMNS, Corpus, attribute_columns, split_of
from sae_core.corpus.cutting import CutSettings, cut_clips
from sae_core.corpus.folders import Listing
from sae_core.corpus.importing import ImportSettings, import_corpus
from sae_core.corpus.names import NameIndex
from sae_core.corpus.placing import place_rows
from sae_core.files.errors import CorpusError
from tests.recordings import voice

RECORDINGS = [
    f"{value}/{value}-{speaker}/{number}.wav"
    for value in ("es", "uk")
    for speaker in "abc"
    for number in (0, 1)
]


def write_csv(path, rows, delimiter=","):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path, rows):
    pd.DataFrame(rows).to_parquet(path)
    return path


def write_json_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_nemo_manifest_of_segments(calls, workspace):
    labels = write_json_lines(calls / "manifest.json", [
        {"audio_filepath": RECORDINGS[1], "offset": 0.5, "duration": 1.0, "label": "ana", "lang": "es"},
        {"audio_filepath": RECORDINGS[1], "offset": 1.75, "duration": 1.25, "label": "ana", "lang": "es"},
        {"audio_filepath": str(calls / RECORDINGS[2]), "offset": 0.0, "duration": 2.0, "label": "luz", "lang": ""},
    ])  # fmt: skip
    corpus = import_corpus(calls, workspace, ImportSettings(labels=labels)).corpus
    assert corpus.table["clip_id"].tolist() == [
        "es--es-a--1@00000500",
        "es--es-a--1@00001750",
        "es--es-b--0@00000000",
    ]
    assert corpus.table["speaker_id"].tolist() == ["ana", "ana", "luz"]
    assert corpus.table[["start_s", "duration_s"]].to_numpy().tolist() == [
        [0.5, 1.0],
        [1.75, 1.25],
        [0.0, 2.0],
    ]
    assert corpus.table["audio_path"].iloc[2] == RECORDINGS[2]
    assert corpus.attributes == ("language",)
    assert corpus.table["language"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_its_dialects(calls, workspace, delimiter):
    rows = [
        {
            "file": RECORDINGS[0],
            "Speaker": " 007 ",
            "language": "es",
            "age": "41",
            "note": 'says "sí, señor"',
            "": "0",
        },
        {"file": RECORDINGS[1], "Speaker": "nan", "language": "NA", "age": "", "note": "two\nlines", "": "1"},
        {"file": RECORDINGS[2], "Speaker": "", "language": " ", "age": "38.5", "note": "None", "": "2"},
    ]
    labels = write_csv(calls / "labels.txt", rows, delimiter)
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())
    table = import_corpus(calls, workspace, ImportSettings(labels=labels)).corpus.table
    assert table["speaker_id"].iloc[0] == "007" and table["language"].iloc[0] == "es"
    assert table.loc[1:, ["speaker_id", "language"]].isna().all(axis=None)
    np.testing.assert_array_equal(table["age"], [41, np.nan, 38.5])
    assert table["note"].tolist()[:2] == ['says "sí, señor"', "two lines"] and pd.isna(table["note"][2])
    assert list(table.columns) == [*CLIP_COLUMNS, "language", "age", "note"]


def test_text_numbers_and_truths(calls, workspace):
    rows = [{"path": name, "speaker_id": number, "is_native": number % 2 == 0, "snr_db": number / 2, "take": "1"}
            for number, name in enumerate(RECORDINGS)]  # fmt: skip
    corpus = import_corpus(
        calls, workspace, ImportSettings(labels=write_parquet(calls / "labels", rows))
    ).corpus
    assert corpus.table["speaker_id"].tolist() == [str(number) for number in range(12)]
    assert corpus.attributes == ("is_native", "take")
    assert corpus.table["is_native"].tolist()[:2] == ["true", "false"]
    assert corpus.table["snr_db"].dtype.kind == "f"


def test_the_first_name_of_a_role_counts_and_the_others_describe(calls, workspace):
    rows = [
        {"audio_path": RECORDINGS[0], "path": "x", "speaker_id": "ana", "label": "angry", "duration": 1.5}
    ]
    corpus = import_corpus(
        calls, workspace, ImportSettings(labels=write_csv(calls / "labels.csv", rows))
    ).corpus
    assert corpus.attributes == ("path", "label")
    assert corpus.table["speaker_id"].tolist() == ["ana"]
    assert corpus.table["duration_s"].tolist() == [1.5]


def test_paths_may_be_relative_to_the_label_file(calls, workspace, tmp_path):
    labels = write_csv(tmp_path / "labels.csv", [{"file": f"calls/{name}"} for name in RECORDINGS])
    assert (
        import_corpus(calls, workspace, ImportSettings(labels=labels)).corpus.table["audio_path"].tolist()
        == RECORDINGS
    )


def test_the_folder_may_be_named_by_a_link(calls, workspace, tmp_path):
    (tmp_path / "link").symlink_to(calls)
    rows = [
        {"path": str(calls / RECORDINGS[0])},
        {"path": str(tmp_path / "link" / RECORDINGS[1])},
        {"path": RECORDINGS[2]},
    ]
    labels = write_csv(tmp_path / "labels.csv", rows)
    table = import_corpus(tmp_path / "link", workspace, ImportSettings(labels=labels)).corpus.table
    assert table["audio_path"].tolist() == RECORDINGS[:3]


@pytest.mark.parametrize(
    "path",
    ["es/es-a/0.wav\0.txt", "../../etc/passwd", "es/../../other.wav", "/etc/passwd", "way/out/secret.wav",
     "secret.wav", "", None],
    ids=["zero-byte", "dots", "dots-inside", "absolute", "linked-folder", "linked-file", "empty", "none"],
)  # fmt: skip
@pytest.mark.parametrize("writer", [write_csv, write_parquet, write_json_lines])
def test_a_path_that_leads_elsewhere_is_left_out_with_its_row_and_leads_nowhere(
    calls, workspace, tmp_path, path, writer
):
    if path is not None and "\0" in path and writer is write_csv:
        pytest.skip("a text with zero bytes is no CSV")
    (tmp_path / "beyond").mkdir()
    soundfile.write(tmp_path / "beyond" / "secret.wav", voice(1), 16_000)
    (calls / "way").mkdir()
    (calls / "way" / "out").symlink_to(tmp_path / "beyond")
    (calls / "secret.wav").symlink_to(tmp_path / "beyond" / "secret.wav")
    labels = writer(tmp_path / "labels", [{"path": RECORDINGS[0]}, {"path": path}, {"path": RECORDINGS[1]}])
    report = import_corpus(calls, workspace, ImportSettings(labels=labels))
    assert report.corpus.table["audio_path"].tolist() == RECORDINGS[:2]
    [reason] = report.failures["reason"]
    assert "is not there" in reason or "names no recording" in reason or "outside the folder" in reason
    assert report.summary.n_failed == 1


def test_splits_are_taken_under_their_usual_names(calls, workspace):
    names = ["train", "Validation", "test", "dev", "held-out", "selection"]
    rows = [{"path": name, "speaker": name.split("/")[1], "split": names[number // 2] if number % 2 else None}
            for number, name in enumerate(RECORDINGS)]  # fmt: skip
    table = import_corpus(
        calls, workspace, ImportSettings(labels=write_json_lines(calls / "l", rows))
    ).corpus.table
    expected = ["train", "selection", "held-out", "selection", "held-out", "selection"]
    assert table["split"].tolist() == [name for name in expected for _ in range(2)], (
        "one row speaks for the whole voice"
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"path": RECORDINGS[0], "clip_id": "x"}, {"path": RECORDINGS[1]}, {"path": RECORDINGS[2], "clip_id": "x"}],
         r"2 rows of labels share a clip_id, the first is 'x' \((lines|rows) [12], [34]\)"),
        ([{"path": RECORDINGS[0]}, {"path": RECORDINGS[1]}, {"path": RECORDINGS[2]}, {"path": RECORDINGS[0]}],
         "1 rows of labels describe what an earlier one does"),
        ([{"path": RECORDINGS[0], "split": "sometimes"}, {"path": RECORDINGS[1], "split": "train"},
          {"path": RECORDINGS[2], "split": "train"}],
         r"split column is not used, since it says 'sometimes' \((line|row) [12]\).*leave the split column out"),
        ([{"path": RECORDINGS[0], "speaker": "x", "split": "train"},
          {"path": RECORDINGS[1], "speaker": "x", "split": "test"},
          {"path": RECORDINGS[2], "speaker": "y", "split": "test"}],
         "split column is not used, since one speaker stands in more than one split, the first is 'x'"),
        ([{"path": RECORDINGS[0], "start_s": 0, "duration_s": 1, "split": "train"},
          {"path": RECORDINGS[0], "start_s": 1, "duration_s": 1, "split": "test"},
          {"path": RECORDINGS[1], "start_s": 1, "duration_s": 1, "split": "test"}],
         "split column is not used, since one speaker stands in more than one split, the first is 'es/es-a/0.wav'"),
    ],
    ids=["repeated-ids", "repeated-rows", "odd-split", "torn-speaker", "torn-recording"],
)  # fmt: skip
@pytest.mark.parametrize("writer", [write_csv, write_parquet, write_json_lines])
def test_what_cannot_be_used_of_a_table_is_said_and_the_rest_goes_through(
    calls, workspace, tmp_path, rows, says, writer
):
    labels = writer(tmp_path / "labels", rows)
    speakers = None if "speaker" in rows[0] else "none"
    report = import_corpus(calls, workspace, ImportSettings(labels=labels, speakers=speakers))
    assert len(report.corpus) == 3
    assert any(re.search(says, notice) for notice in report.summary.notices), report.summary.notices
    assert report.corpus.table.groupby("audio_path")["split"].nunique().max() == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"path,speaker\n\xff\xfe\x00,x\n", "is no text.*CSV"),
        (b"name,speaker\na.wav,x\n", "none of the 1 recordings that it names.*for example, 'a.wav'.*such as 'es/"),
        (b"speaker,age\nx,1\n", "no column that names the recordings.*'speaker', 'age'.*audio_path"),
        (b'{"path": "es/es-a/0.wav"}\n{"path": oops}\n[1]\n', r"no JSON object \(lines 2, 3\)"),
        (b"path,speaker\na.wav,x\nb.wav,y,z\nc.wav\n", r"not 2 values.*\(lines 3, 4\)"),
        (b'path,speaker\n"a.wav,x\nb,c,d\n', "not readable as CSV at line"),
        (b"PAR1 and then nonsense", "not a readable Parquet"),
    ],
    ids=["missing", "empty", "not-text", "elsewhere", "no-paths", "broken-json", "ragged", "open-quote",
         "broken-parquet"],
)  # fmt: skip
def test_what_is_no_label_file_is_refused(calls, workspace, tmp_path, content, says):
    labels = tmp_path / "labels"
    if content is not None:
        labels.write_bytes(content)
    with pytest.raises(CorpusError, match=f"labels: .*{says}") as raised:
        import_corpus(calls, workspace, ImportSettings(labels=labels))
    assert raised.value.remedy


def test_rows_that_give_no_clip_are_listed_and_the_rest_goes_through(calls, workspace):
    (calls / "letter.wav").write_text("Dear Sir,")
    labels = write_json_lines(calls / "manifest.json", [
        {"path": RECORDINGS[0]},
        {"path": "gone.wav"},
        {"path": "letter.wav"},
        {"path": RECORDINGS[1], "start_s": 2.5, "duration_s": 1.0},
        {"path": RECORDINGS[2], "start_s": -1},
        {"path": RECORDINGS[3], "start_s": "soon"},
        {"path": RECORDINGS[4], "duration_s": 0},
        {"path": RECORDINGS[5], "audio_channel": 1},
        {"path": RECORDINGS[6], "start_s": 1.0, "duration_s": 1.05},
        {"path": RECORDINGS[7], "audio_channel": 0},
    ])  # fmt: skip
    report = import_corpus(calls, workspace, ImportSettings(labels=labels))
    assert report.corpus.table["audio_path"].tolist() == [RECORDINGS[0], RECORDINGS[6], RECORDINGS[7]]
    assert report.corpus.table["duration_s"].tolist() == [2.0, 1.0, 3.0], (
        "a little too long is cut to what is there"
    )
    assert report.corpus.table["audio_channel"].tolist() == [-1, -1, 0]
    reasons = dict(report.failures.itertuples(index=False))
    for name, says in {
        "gone.wav": "manifest.json (line 2) and is not there",
        "letter.wav": "not a recording", RECORDINGS[1]: "has no stretch from 2.50",
        RECORDINGS[2]: "no stretch", RECORDINGS[3]: "start_s 'soon' is no number", RECORDINGS[4]: "no stretch",
        RECORDINGS[5]: "no channel 1",
    }.items():  # fmt: skip
        assert says in reasons.pop(name)
    assert not reasons
    pd.testing.assert_frame_equal(pd.read_parquet(workspace / "import_failures.parquet"), report.failures)


def test_if_no_row_gives_a_clip_it_is_told_what_was_looked_for(calls, workspace):
    labels = write_csv(calls / "labels.csv", [{"path": "gone.wav"}, {"path": "lost.wav"}])
    with pytest.raises(
        CorpusError, match=r"labels\.csv: none of the 2 recordings.*is there.*gone\.wav.*such as"
    ):
        import_corpus(calls, workspace, ImportSettings(labels=labels))
    assert not (workspace / "clips.parquet").exists()


TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["es", "uk", "ñ", 'a "b", c', "x;y", "0x1", "two\nlines", "\u2028", "true-ish"]),
)


def read_clips(labels, *, duration_s=3.0):
    """The clips that a label file makes of recordings of one length, none of which need be there."""
    read = label_file.read(labels)
    names = list(read.table["audio_path"].unique())
    rows = place_rows(read, labels.parent, Listing(names, ()), NameIndex(names))
    info = AudioInfo("wav", "pcm_16", 16_000, 1, duration_s)
    clips, failures = cut_clips(rows, dict.fromkeys(rows.table["audio_path"], info), CutSettings())
    assert not failures
    return clips


@settings(max_examples=15)
@given(data=st.data())
def test_csv_parquet_and_json_lines_say_the_same(tmp_path_factory, data):
    names = data.draw(st.lists(st.sampled_from(RECORDINGS), min_size=1, max_size=6, unique=True))
    places, numbers = st.sampled_from([0.0, 0.25, 1.0]), st.floats(-20, 60).map(lambda value: round(value, 3))
    rows = [
        {"audio_path": name, "speaker_id": data.draw(TEXTS), "start_s": data.draw(places), "snr_db": data.draw(numbers),
         "language": data.draw(TEXTS), "gender": data.draw(TEXTS)}
        for name in names
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("formats")
    first = None
    for writer in (write_csv, write_parquet, write_json_lines):
        clips = read_clips(writer(folder / writer.__name__, rows))
        corpus = Corpus(clips, folder, attribute_columns(clips))
        first = corpus if first is None else first
        pd.testing.assert_frame_equal(corpus.table, first.table, check_dtype=False)
        assert corpus.attributes == first.attributes
        assert corpus.audio_fingerprint == first.audio_fingerprint
        assert corpus.labels_fingerprint == first.labels_fingerprint
    first.save(folder / "workspace")
    assert Corpus.load(folder / "workspace").labels_fingerprint == first.labels_fingerprint


@settings(max_examples=25)
@given(data=st.data())
def test_splits_and_ids_stay_when_rows_are_reordered_or_added(tmp_path_factory, data):
    rows = [
        {"path": name, "speaker": data.draw(st.sampled_from(["ana", "luz", "iván", None]))}
        for name in RECORDINGS
    ]
    chosen = data.draw(st.lists(st.sampled_from(range(12)), min_size=1, unique=True))
    folder = tmp_path_factory.mktemp("splits")
    whole = read_clips(write_json_lines(folder / "whole", rows)).set_index("clip_id")
    part = read_clips(write_json_lines(folder / "part", [rows[number] for number in chosen])).set_index(
        "clip_id"
    )
    assert part["audio_path"].tolist() == [RECORDINGS[number] for number in chosen]
    assert part["split"].equals(whole.loc[part.index, "split"])
    assert part["audio_path"].equals(whole.loc[part.index, "audio_path"])
    for clip in part.itertuples():
        speaker = None if pd.isna(clip.speaker_id) else clip.speaker_id
        assert clip.split == split_of(f"speaker:{speaker}" if speaker else f"recording:{clip.audio_path}")
