"""What comes from outside is never taken for a file of ours, and every odd input ends in a word of ours or a clip."""

import io
import json
import os
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from sae_core.corpus.clips import Corpus
from sae_core.corpus.importing import MAX_ATTRIBUTES, ImportSettings, import_corpus
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.workspace.places import Places
from tests.recordings import voice


def forged_workspace(secret: Path) -> dict[str, bytes]:
    """The files of a workspace that names another folder of this machine as that of its recordings."""
    table = pd.DataFrame(
        {"clip_id": ["a"], "audio_path": ["secret.wav"], "start_s": [0.0], "duration_s": [1.0], "audio_channel": [-1],
         "speaker_id": ["x"], "split": ["train"]}
    )  # fmt: skip
    stream = io.BytesIO()
    table.to_parquet(stream)
    return {
        "corpus.json": json.dumps({"audio_root": str(secret), "attributes": []}).encode(),
        "clips.parquet": stream.getvalue(),
        "workspace.json": b'{"format_version": 2, "name": "x"}',
        "build.json": json.dumps({"source": str(secret)}).encode(),
        "import_probes.parquet": b"PAR1",
    }


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").mkdir()
    soundfile.write(tmp_path / "secret" / "secret.wav", voice(1), 16_000)
    return tmp_path / "secret"


def wav_bytes(seconds=1.0) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, voice(seconds), 16_000, format="WAV")
    return stream.getvalue()


@pytest.mark.parametrize("place", ["", "calls/"])
def test_a_zip_that_brings_a_workspace_is_built_as_recordings(tmp_path, secret, place):
    from sae_core.build.plan import BuildPlan, build_workspace
    from sae_core.corpus.surveys import survey_zip
    from sae_core.corpus.zips import inspect_zip, unpack_zip

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in {**forged_workspace(secret), "good.wav": wav_bytes()}.items():
            archive.writestr(place + name, content)
    survey = survey_zip(inspect_zip(stream, "x.zip"))
    assert survey.n_recordings == 1 and survey.labels is None
    workspace = tmp_path / "w"
    unpack_zip(stream, "x.zip", workspace / "recordings")

    def stop_after_import(moment):
        if moment.step != "import":
            raise KeyboardInterrupt

    source = "recordings" if survey.source == "." else f"recordings/{survey.source}"
    with pytest.raises(KeyboardInterrupt):
        build_workspace(BuildPlan(source, embedder="ge2e"), workspace, report=stop_after_import)
    corpus = Corpus.load(workspace)
    assert corpus.audio_root == (workspace / source).resolve()
    assert corpus.table["audio_path"].tolist() == ["good.wav"]


def test_a_folder_that_brings_a_workspace_is_imported_as_recordings(tmp_path, secret, workspace):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in {**forged_workspace(secret), "good.wav": wav_bytes()}.items():
        (folder / name).write_bytes(content)
    report = import_corpus(folder, workspace)
    assert report.corpus.audio_root == folder and len(report.corpus) == 1
    assert any("corpus.json" in notice and "found, not used" in notice for notice in report.summary.notices)


def test_a_workspace_opens_no_way_to_other_folders(tmp_path, secret):
    places = Places.choose(None, tmp_path / "workspaces")
    forged = tmp_path / "workspaces" / "forged"
    forged.mkdir(parents=True)
    for name, content in forged_workspace(secret).items():
        (forged / name).write_bytes(content)
    for name in ("forged", None):
        with pytest.raises(ArtifactError, match=r"secret, where this server may not read.*--import-root"):
            places.workspace(name)
    assert Places.choose(None, tmp_path / "workspaces", roots=[secret]).workspace("forged") == forged
    assert Places.choose(forged, tmp_path / "workspaces").workspace("forged") == forged
    (forged / "corpus.json").write_text('{"audio_root": "recordings"}')
    assert places.workspace("forged") == forged
    (forged / "recordings").symlink_to(secret)
    with pytest.raises(ArtifactError, match="may not read"):
        places.workspace("forged")


DEEP = "[" * 100_000 + "]" * 100_000
TABLES = {
    "a number of 5,000 digits": '{"audio_path": "0.wav", "age": ' + "9" * 5000 + "}\n",
    "a start of 5,000 digits": "audio_path,start_s\n0.wav," + "9" * 5000 + "\n1.wav,0\n",
    "an exponent beyond all": "audio_path,start_s,age\n0.wav,1e400,1e999\n1.wav,0,2\n",
    "a lone surrogate": '{"audio_path": "0.wav", "speaker": "\\ud800", "\\udfff": "x"}\n'
    '{"audio_path": "\\ud800.wav"}\n',
    "nested without end": DEEP,
    "nested in a line": '{"audio_path": "0.wav"}\n{"audio_path": ' + DEEP + "}\n",
    "records in records": '{"audio_path": "0.wav", "meta": {"a": {"b": 1}, "c": [1], "lang": "es"}}\n',
    "lists": '[{"audio_path": "0.wav", "tags": ["a"]}, {"audio_path": "1.wav", "tags": []}]',
    "no rows": "audio_path,speaker\n",
    "one cell": "0.wav",
    "blank lines": "\n\n  \n",
    "zero bytes": "audio_path,speaker\n0.wav,a\0b\n" + "1.wav,c\n" * 40,
    "one long line": "audio_path," + "x" * 300_000 + "\n0.wav," + "y" * 300_000 + "\n",
    "same names": "audio_path,a,a,A\n0.wav,1,2,3\n",
    "names of ours": "audio_path,speaker_id,clip_id,split,subset,kind,end_s,folder\n0.wav,x,y,z,u,v,w,q\n",
    "ids with breaks": 'audio_path,clip_id,speaker\n0.wav,"a\nb","c\u202ed"\n1.wav,\u200e,\u200f\n',
    "only quotes": '"""\n"\n',
    "infinite times": "audio_path,start_s,duration_s\n0.wav,inf,nan\n1.wav,-1,1\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("how", ["asked for", "found"])
def test_a_hostile_table_ends_in_clips_or_in_a_word_of_ours(tmp_path, workspace, text, how):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", voice(0.5), 8_000)
    labels = (tmp_path if how == "asked for" else folder) / "labels.csv"
    labels.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        report = import_corpus(folder, workspace, ImportSettings(labels if how == "asked for" else None))
    except VoxScopeError as refused:
        told = refused
    else:
        told = None
    if told is not None:
        assert told.remedy and "labels.csv" in str(told)
        assert how == "asked for" or "none of its" in told.what, "a table that is no table is set aside"
        return
    corpus = Corpus.load(workspace)
    assert 1 <= len(corpus) <= 2 and corpus.labels_fingerprint == report.corpus.labels_fingerprint
    assert corpus.table["clip_id"].str.match(r"[\w.\-+@~ ]+\Z").all()
    for name in corpus.attributes:
        assert name.isprintable() and len(name) <= 100
        assert all(len(value) <= 2_000 for value in corpus.values_of(name))
    assert all(line.isprintable() for line in report.summary.lines())


@pytest.mark.parametrize("writer", ["csv", "parquet"])
def test_a_table_of_2000_columns_makes_few_attributes_and_says_so(calls, workspace, tmp_path, writer):
    names = sorted(str(path.relative_to(calls)) for path in calls.rglob("*.wav"))
    columns = {f"c{number}": ["a", "b"] * 6 for number in range(2_000)}
    table = pd.DataFrame({"audio_path": names, **columns})
    path = tmp_path / f"wide.{writer}"
    table.to_csv(path, index=False) if writer == "csv" else table.to_parquet(path)
    report = import_corpus(calls, workspace, ImportSettings(path))
    assert len(report.corpus.attributes) == MAX_ATTRIBUTES
    assert len(report.corpus.table.columns) < 300
    words = " ".join(report.summary.lines())
    assert "2,001 columns" in words and "attributes already" in words


def test_structured_binary_and_list_columns_are_left_out_by_name(calls, workspace, tmp_path):
    names = sorted(str(path.relative_to(calls)) for path in calls.rglob("*.wav"))
    table = pd.DataFrame(
        {"audio": [{"path": name, "bytes": b"RIFF"} for name in names], "who": [{"id": "ana", "age": 3}] * 12,
         "tags": [["a", "b"]] * 12, "raw": [b"x"] * 12, "language": ["es"] * 6 + ["uk"] * 6,
         "deep": [{"a": {"b": 1}}] * 12, "day": pd.Timestamp("2024-02-03"), "speaker_id": [1] * 6 + [None] * 6}
    )  # fmt: skip
    table.to_parquet(tmp_path / "t.parquet")
    report = import_corpus(calls, workspace, ImportSettings(tmp_path / "t.parquet"))
    assert report.corpus.table["audio_path"].tolist() == names
    assert set(report.summary.left_out) >= {"tags", "raw", "audio.bytes", "deep.a"}
    assert report.corpus.table["speaker_id"].dropna().unique().tolist() == ["1"]
    assert "language" in report.corpus.attributes


@pytest.mark.skipif(os.name != "posix", reason="names are bytes there")
@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_folders_with_odd_names(tmp_path, workspace, n):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ["a\nb\u202e.wav", "\u200e\u200f.wav"][:n]:
        soundfile.write(folder / name, voice(0.5), 8_000, format="WAV")
    if not n:
        with pytest.raises(VoxScopeError, match="holds no recordings"):
            import_corpus(folder, workspace)
        return
    report = import_corpus(folder, workspace)
    assert len(report.corpus) == n
    assert report.corpus.table["clip_id"].str.match(r"[\w.\-+@~ ]+\Z").all()
    assert report.summary.warnings
