"""Every corpus in its published layout: what is filled in, what a foreign layout is told, what cannot be tricked."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus import values
from sae_core.corpus.clips import split_of
from sae_core.corpus.folders import glimpse
from sae_core.corpus.importing import ImportSettings, import_corpus
from sae_core.corpus.layouts import IMPORTERS, recognise_layout
from sae_core.corpus.names import NameIndex
from sae_core.corpus.text_tables import read_text_table
from sae_core.corpus.trial_lists import TrialList, kept_trial_lists, read_kept_trials
from sae_core.files.errors import CorpusError
from tests.corpus.layouts import published
from tests.corpus.layouts.published import COMMON_VOICE, record, volunteer, write_tsv

LAYOUTS = {
    "common-voice": published.common_voice,
    "fleurs": published.fleurs,
    "librispeech": published.librispeech,
    "musan": published.musan,
    "voxlingua107": published.voxlingua,
    "voxceleb": published.voxceleb1,
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where a corpus is made; not there yet."""
    return tmp_path / "corpus"


def known(table, column):
    """The values of a column, unknown ones as None."""
    return [None if pd.isna(value) else value for value in table[column]]


def test_common_voice(folder, workspace):
    report = import_corpus(published.common_voice(folder), workspace)
    table = report.corpus.table.set_index("audio_path")
    assert report.layout == "common-voice" and "validated" not in report.evidence
    assert len(report.failures) == 0
    assert len(table) == 12
    one = table.loc["es/clips/common_voice_es_10.mp3"]
    assert one[["language", "gender", "age", "kind"]].tolist() == ["es", "female", "forties", "speech"]
    assert one["accent"] == "Andino-Pacífico: Colombia"
    assert one["speaker_id"] == volunteer(1)[:16]
    assert table.loc["zh-CN/clips/common_voice_zh-CN_40.mp3", ["language", "locale", "gender"]].tolist() == [
        "zh", "zh-CN", "non-binary",
    ]  # fmt: skip
    assert table.loc["es/clips/common_voice_es_30.mp3", ["gender"]].isna().all()
    assert table["speaker_id"].nunique() == 5
    assert table.groupby("speaker_id")["split"].nunique().max() == 1
    subsets = table["subset"].filter(like="es/").tolist()
    assert subsets == ["train", "train", "dev", "validated", "validated", "validated", "validated", "other"]
    assert report.corpus.attributes == ("language", "locale", "gender", "kind", "age", "accent")


def test_common_voice_of_one_language_and_of_many_releases(folder, workspace, tmp_path):
    release = published.common_voice(folder)
    corpus = import_corpus(release / "es", workspace).corpus
    assert len(corpus) == 8 and set(corpus.table["language"]) == {"es"}
    assert corpus.table["audio_path"].iloc[0] == "clips/common_voice_es_00.mp3"
    assert len(import_corpus(folder, tmp_path / "both").corpus) == 12


def test_the_first_releases_of_common_voice(folder, workspace):
    """Six columns fewer, no locale, paths without a suffix."""
    columns = ["client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent"]
    record(folder / "cy" / "clips" / "one.mp3")
    row = {"client_id": volunteer(7), "path": "one", "gender": "male", "age": "thirties", "accent": "gog"}
    write_tsv(folder / "cy" / "validated.tsv", columns, [row])
    table = import_corpus(folder, workspace).corpus.table
    assert table.loc[0, ["language", "gender", "age", "accent"]].tolist() == ["cy", "male", "thirties", "gog"]


@pytest.mark.parametrize(
    "path",
    ["../../../secret.wav", "/etc/passwd", "..\\secret.wav", "a\0b", "."],
)
def test_a_table_of_common_voice_leads_nowhere_else(folder, workspace, path):
    release = published.common_voice(folder)
    record(folder.parent / "secret.wav")
    record(folder / "secret.wav")
    rows = [
        {"client_id": volunteer(9), "path": path},
        {"client_id": volunteer(0), "path": "common_voice_es_00.mp3"},
    ]
    write_tsv(release / "es" / "validated.tsv", COMMON_VOICE, rows)
    report = import_corpus(release / "es", workspace)
    assert len(report.corpus) == 4 and report.corpus.table["audio_path"].str.startswith("clips/").all()
    assert volunteer(9)[:16] not in set(report.corpus.table["speaker_id"])
    [reason] = report.failures["reason"][report.failures["audio_path"] == f"clips/{path}"]
    assert "not in clips/" in reason


def test_a_table_of_common_voice_with_another_header(folder, workspace):
    release = published.common_voice(folder)
    write_tsv(release / "es" / "validated.tsv", ["speaker", "path", "gender"], [])
    with pytest.raises(CorpusError, match=r"validated\.tsv.*lacks the columns client_id.*'speaker', 'path'"):
        import_corpus(release, workspace)
    assert not workspace.exists()


def test_lines_of_another_length_are_listed_and_the_others_read(folder, workspace):
    release = published.common_voice(folder)
    table = release / "es" / "validated.tsv"
    lines = table.read_text("utf-8").splitlines()
    lines[5] = "only\tthree\tvalues"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    report = import_corpus(release / "es", workspace)
    assert report.failures.to_numpy().tolist() == [["validated.tsv line 6", "has 3 values, not 13"]]
    assert len(report.corpus) == 7


def test_a_table_that_is_no_text_names_itself(folder, workspace):
    release = published.common_voice(folder)
    (release / "es" / "other.tsv").write_bytes(b"client_id\tpath\n" + bytes(range(32)))
    with pytest.raises(CorpusError, match=r"other\.tsv.*cannot be read"):
        import_corpus(release, workspace)


def test_fleurs(folder, workspace):
    report = import_corpus(published.fleurs(folder), workspace)
    table = report.corpus.table
    assert report.layout == "fleurs" and len(report.failures) == 0
    assert len(table) == 12
    assert table["speaker_id"].isna().all()
    assert table.groupby("language")["locale"].unique().str[0].to_dict() == {
        "es": "es-419",
        "zh": "cmn-Hans-CN",
    }
    assert table["gender"].value_counts().to_dict() == {"male": 6, "female": 6}
    assert table.groupby("subset")["split"].unique().str[0].to_dict() == {
        "train": "train", "dev": "selection", "test": "held-out",
    }  # fmt: skip
    assert report.corpus.attributes == ("language", "locale", "gender", "kind")


def test_fleurs_with_one_subset_is_split_by_recording(folder, workspace):
    published.fleurs(folder)
    for language in ("es_419", "cmn_hans_cn"):
        for split in ("dev", "test"):
            (folder / language / f"{split}.tsv").unlink()
    assert import_corpus(folder / "es_419", workspace).corpus.table["subset"].tolist() == ["train", "train"]
    table = import_corpus(folder, workspace).corpus.table
    assert len(table) == 4
    assert table["split"].tolist() == [split_of(f"recording:{path}") for path in table["audio_path"]]


def test_fleurs_still_packed_says_so(folder, workspace):
    published.fleurs(folder)
    audio = folder / "es_419" / "audio"
    (audio / "dev").rename(folder / ".dev")
    report = import_corpus(folder, workspace)
    assert len(report.corpus) == 10
    assert report.failures["reason"].str.endswith("(unpack audio/dev.tar.gz there)").tolist() == [True, True]


def test_fleurs_with_another_table_or_a_path_in_it(folder, workspace):
    published.fleurs(folder)
    table = folder / "es_419" / "dev.tsv"
    table.write_text(table.read_text("utf-8") + "9\t../train/x.wav\ta\ta\ta\t1\tMALE\n", "utf-8")
    report = import_corpus(folder, workspace)
    assert report.failures["audio_path"].tolist() == ["es_419/audio/dev/../train/x.wav"]
    table.write_text("1\tx.wav\ttext\n")
    with pytest.raises(CorpusError, match=r"dev\.tsv.*has 3 columns, and 7 were expected"):
        import_corpus(folder, workspace)


def test_voxceleb1(folder, workspace):
    report = import_corpus(published.voxceleb1(folder), workspace)
    table = report.corpus.table
    assert report.layout == "voxceleb" and "vox1_meta.csv" in report.evidence
    assert len(table) == 24 and table["speaker_id"].nunique() == 6
    speakers = table.groupby("speaker_id")[["gender", "nationality", "subset", "split"]].first()
    assert speakers.loc["id10271", ["gender", "nationality", "subset"]].tolist() == ["female", "USA", "test"]
    assert set(speakers["split"][speakers["subset"] == "test"]) == {"held-out"}
    assert set(report.corpus.attributes) == {"kind", "source", "gender", "nationality"}


def test_trials_of_voxceleb_are_kept_with_the_workspace(folder, workspace):
    import_corpus(published.voxceleb1(folder), workspace)
    assert kept_trial_lists(workspace) == (
        TrialList("veri_test.txt", 4, 3),
        TrialList("veri_test2.txt", 3, 3),
    )
    trials = read_kept_trials(workspace, "veri_test.txt")
    assert trials["is_target"].tolist() == [True, False, True]
    assert trials.loc[0, ["enrol", "test"]].tolist() == [
        "test--wav--id10270--5r0dWxy17C8--00001",
        "test--wav--id10270---8jEAjG6SegY--00002",
    ]
    with pytest.raises(CorpusError, match="no list of trials '../clips.parquet'"):
        read_kept_trials(workspace, "../clips.parquet")


def test_trial_lists_go_when_another_corpus_comes(folder, workspace):
    import_corpus(published.voxceleb1(folder), workspace)
    (folder / "veri_test.txt").unlink()
    import_corpus(folder, workspace)
    assert [found.name for found in kept_trial_lists(workspace)] == ["veri_test2.txt"]
    import_corpus(folder, workspace, ImportSettings(layout="folder"))
    assert kept_trial_lists(workspace) == ()
    assert [path.name for path in (workspace / "trials").iterdir()] == ["lists.json"]


def test_voxceleb2_in_two_formats_and_without_a_table(folder, workspace):
    published.voxceleb2(folder)
    record(folder / "dev" / "wav" / "id00010" / "21Uxsk56VDQ" / "00001.wav")
    record(folder / "stray.wav")
    report = import_corpus(folder, workspace)
    table = report.corpus.table
    assert len(table) == 6
    assert "dev/wav/id00010/21Uxsk56VDQ/00001.wav" in set(table["audio_path"])
    assert table.groupby("speaker_id")["gender"].first().to_dict() == {
        "id00010": "male", "id00011": "female", "id00012": "male",
    }  # fmt: skip
    assert dict(report.failures.to_numpy()) == {
        "dev/aac/id00010/21Uxsk56VDQ/00001.m4a": "is there in another format too",
        "stray.wav": "does not lie in a folder of a speaker and a video",
    }
    (folder / "vox2_meta.csv").unlink()
    again = import_corpus(folder, workspace)
    assert again.layout == "voxceleb" and "gender" not in again.corpus.table
    assert again.corpus.table.groupby("speaker_id")["subset"].first().tolist() == ["dev", "dev", "test"]


def test_folders_of_speakers_without_videos_are_no_voxceleb(folder):
    record(folder / "data" / "id00001" / "speech-01-001.flac")
    assert recognise_layout(folder)[0] == "folder"


def test_a_damaged_table_of_speakers_names_itself(folder, workspace):
    published.voxceleb1(folder)
    (folder / "vox1_meta.csv").write_text("name,sex\n")
    with pytest.raises(CorpusError, match=r"vox1_meta\.csv.*'VoxCeleb1 ID'.*'name,sex'"):
        import_corpus(folder, workspace)


def test_musan(folder, workspace):
    report = import_corpus(published.musan(folder), workspace)
    table = report.corpus.table.set_index("audio_path")
    assert report.layout == "musan" and len(report.failures) == 0
    assert table["kind"].value_counts().to_dict() == {"music": 2, "speech": 2, "noise": 2}
    speech = table.loc["speech/librivox/speech-librivox-0000.wav"]
    assert speech[["language", "gender", "source"]].tolist() == ["de", "female", "librivox"]
    music = table.loc["music/fma/music-fma-0001.wav"]
    assert music[["genre", "vocals", "artist"]].tolist() == [
        "pop",
        "instrumental",
        "Quiet_Music_for_Tiny_Robots",
    ]
    assert table.loc["noise/free-sound/noise-free-sound-0000.wav", ["gender", "genre"]].isna().all()
    assert table["speaker_id"].isna().all()


def test_voxlingua107(folder, workspace):
    report = import_corpus(published.voxlingua(folder), workspace)
    table = report.corpus.table
    assert report.layout == "voxlingua107" and len(report.failures) == 0
    assert table["language"].value_counts().to_dict() == {"es": 5, "he": 4}
    assert set(table["speaker_id"]) == {"video 0_1UMYu48m0", "video -abcDEFghij", "video ZZZZZZZZZZZ"}
    assert table.groupby("speaker_id")["split"].nunique().max() == 1
    assert table["subset"].value_counts().to_dict() == {"train": 8, "dev": 1}
    alone = import_corpus(folder / "es", workspace).corpus.table
    assert alone["language"].tolist() == ["es"] * 4


def test_librispeech(folder, workspace):
    report = import_corpus(published.librispeech(folder), workspace)
    table = report.corpus.table
    assert report.layout == "librispeech" and len(report.failures) == 0
    assert len(table) == 12
    readers = table.groupby("speaker_id")[["gender", "language", "quality", "split"]].first()
    assert readers.loc["61"].tolist() == ["male", "en", "clean", "held-out"]
    assert readers.loc["700"].tolist() == ["male", "en", "other", "selection"]
    assert readers.loc["19"].tolist() == ["female", "en", "clean", "train"]
    assert len(import_corpus(folder, workspace).corpus) == 12


def test_librispeech_with_one_subset_is_split_by_reader(folder, workspace):
    root = published.librispeech(folder)
    for reader in range(20, 40):
        record(root / "train-clean-100" / str(reader) / "1" / f"{reader}-1-0000.flac")
    (root / "SPEAKERS.TXT").write_text("".join(f"{reader}|F|train-clean-100|1|A\n" for reader in range(40)))
    (root / "train-clean-100").rename(root.parent / "kept")
    for subset in ("dev-other", "test-clean"):
        (root / subset).rename(root.parent / subset)
    (root.parent / "kept").rename(root / "train-clean-100")
    assert import_corpus(root, workspace).corpus.table["split"].nunique() == 3


def test_a_damaged_list_of_readers_names_its_line(folder, workspace):
    root = published.librispeech(folder)
    (root / "SPEAKERS.TXT").write_text(";ID |SEX|\n19 | F | train-clean-100 | 1 | A\n19,F,train\n")
    report = import_corpus(root, workspace)
    assert "1 lines of SPEAKERS.TXT say nothing of a reader (line 3 first)" in report.summary.notices
    assert set(report.corpus.table["gender"].dropna()) == {"female"}
    (root / "SPEAKERS.TXT").write_text(";ID |SEX|\n19,F,train\n")
    with pytest.raises(CorpusError, match=r"SPEAKERS\.TXT.*line 2 .*'19,F,train'"):
        import_corpus(root, workspace)


def test_manifests_in_the_folder(calls, workspace):
    one = [
        {
            "audio_filepath": "es/es-a/1.wav",
            "offset": 0.5,
            "duration": 1.0,
            "speaker": "ana",
            "lang": "es-MX",
        },
        {
            "audio_filepath": "es/es-b/0.wav",
            "duration": 2.0,
            "speaker": "luz",
            "lang": "es-MX",
            "gender": "F",
        },
    ]
    other = [one[0], {"audio_filepath": str(calls / "uk/uk-a/0.wav"), "speaker": "oles", "lang": "ukrainian"}]
    for name, rows in (("train_manifest.json", one), ("dev.jsonl", other)):
        (calls / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = import_corpus(calls, workspace)
    table = report.corpus.table
    assert report.layout == "nemo" and "dev.jsonl" in report.evidence
    assert table["speaker_id"].tolist() == ["ana", "oles", "luz"]
    assert table["language"].tolist() == ["es", "uk", "es"] and table["gender"].tolist()[2] == "female"
    assert table["subset"].tolist() == ["dev", "dev", "train_manifest"]
    (calls / "dev.jsonl").unlink()
    assert len(import_corpus(calls, workspace).corpus) == 2
    (calls / "dev.jsonl").write_text(json.dumps({"audio_filepath": "../../x.wav", "lang": "es"}) + "\n")
    report = import_corpus(calls, workspace)
    assert len(report.corpus) == 2 and report.failures["audio_path"].tolist() == ["../../x.wav"]
    assert "dev.jsonl:1" in report.failures["reason"][0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_recognised_as_itself_also_from_one_folder_up(folder, name):
    root = LAYOUTS[name](folder / "of" if name in ("fleurs", "voxceleb", "voxlingua107") else folder)
    assert recognise_layout(root)[0] == name
    assert recognise_layout(folder)[0] == name
    seen = glimpse(root)
    claims = [other for other in LAYOUTS if IMPORTERS[other].recognise(seen) is not None]
    assert claims == [name]


@pytest.mark.parametrize("name", [*LAYOUTS, "nemo"])
def test_a_folder_of_another_layout_is_told_what_was_expected_and_found(calls, workspace, name):
    (calls / "notes.txt").write_text("hello")
    with pytest.raises(CorpusError) as raised:
        import_corpus(calls, workspace, ImportSettings(layout=name))
    said = str(raised.value)
    assert str(calls) in said and "expected" in said
    assert "found es/, uk/, notes.txt" in said
    assert "--layout" in said
    assert not workspace.exists()


def test_a_plain_folder_is_recognised_as_one(calls, workspace):
    assert recognise_layout(calls)[0] == "folder"
    (calls / "settings.json").write_text('{\n "audio_filepath": 1\n}')
    (calls / "train.tsv").write_text("a\tb\n")
    (calls / "clips").mkdir()
    assert import_corpus(calls, workspace, ImportSettings(layout="folder")).layout == "folder"


def test_the_readme_and_the_help_tell_every_layout(capsys):
    from sae_core.__main__ import main

    readme = (Path(__file__).parent.parent.parent.parent / "README.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", readme, re.MULTILINE)[: len(IMPORTERS)] == list(IMPORTERS)
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    said = "".join(capsys.readouterr().out.split())
    assert all(name in said for name in IMPORTERS)


def test_a_layout_nobody_knows_or_beside_labels_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no layout 'ami'.*common-voice, fleurs"):
        ImportSettings(layout="ami")
    with pytest.raises(CorpusError, match="either --labels or --layout"):
        ImportSettings(labels=tmp_path / "labels.csv", layout="folder")


names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\n\r\t", exclude_categories=("Cs",)),
    min_size=1,
    max_size=12,
)


@given(listed=st.lists(names, unique=True, max_size=8), wanted=st.lists(names, max_size=8))
def test_only_what_is_listed_is_ever_found(listed, wanted):
    found = NameIndex(sorted(listed)).find_all(pd.Series([*wanted, *listed, None], dtype="str"))
    assert set(found.dropna()) <= set(listed)
    assert found.tolist()[len(wanted) : len(wanted) + len(listed)] == listed
    assert found.isna().iloc[-1]


@given(rows=st.lists(st.tuples(names, names), max_size=8))
def test_a_table_comes_back_as_it_was_written(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "x.tsv"
    write_tsv(
        path,
        ["client_id", "path", "gender"],
        [dict(zip(("client_id", "path"), row, strict=True)) for row in rows],
    )
    read = read_text_table(path, needed=("path", "client_id"), wanted=("age", "gender"))
    assert read.unread == ()
    assert list(read.table.columns) == ["path", "client_id", "gender"]
    assert list(read.table[["client_id", "path"]].itertuples(index=False, name=None)) == rows
    assert read.table["gender"].isna().all()


@pytest.mark.parametrize(
    ("written", "language", "locale"),
    [
        ("en_us", "en", "en-US"), ("cmn_hans_cn", "zh", "cmn-Hans-CN"), ("zh-HK", "yue", "zh-HK"), ("iw", "he", None),
        ("German", "de", None), ("ckb_iq", "ckb", "ckb-IQ"), ("es_419", "es", "es-419"),
        ("rm-sursilv", "rm", "rm-sursilv"),
    ],
)  # fmt: skip
def test_languages_in_one_spelling(written, language, locale):
    described = values.languages_of(pd.Series([written, None], dtype="str"))
    assert described["language"].iloc[0] == language and described.isna().iloc[1].all()
    assert ("locale" in described) == (locale is not None)
    assert locale is None or described["locale"].iloc[0] == locale
