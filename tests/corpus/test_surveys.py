"""What a folder or a zip holds is told the same way, packed or not."""

import io
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def calls(tmp_path):
    """A folder that holds one folder: recordings, a table of labels, and what is passed over."""
    folder = tmp_path / "up" / "calls"
    for name in ("es/a.wav", "es/b.WAV", "fr/c.mp3", "fr/raw"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 100)
    (folder / "labels.csv").write_text("audio_path,language\nes/a.wav,es\n")
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden").write_text("x")
    (folder / "link.wav").symlink_to(tmp_path)
    return tmp_path / "up"


def test_a_folder_is_told_at_a_glance(calls):
    from sae_core.corpus.surveys import survey_folder

    survey = survey_folder(calls)
    assert (survey.source, survey.layout, survey.labels) == ("calls", "folder", "calls/labels.csv")
    assert (survey.n_recordings, survey.n_bytes) == (4, 400)
    assert survey.kinds == {"wav": 2, "mp3": 1, "no suffix": 1}
    assert not survey.is_partial
    inner = survey_folder(calls / "calls")
    assert (inner.source, inner.labels, inner.n_recordings) == (".", "labels.csv", 4)


def test_a_zip_is_told_as_its_folder_is(calls):
    from sae_core.corpus.surveys import survey_folder, survey_zip
    from sae_core.corpus.zips import inspect_zip

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted((calls / "calls").rglob("*")):
            if not path.is_symlink():
                archive.write(path, path.relative_to(calls))
    packed, unpacked = survey_zip(inspect_zip(stream, "calls.zip")), survey_folder(calls)
    for name in ("source", "labels", "n_recordings", "n_bytes", "kinds"):
        assert getattr(packed, name) == getattr(unpacked, name)


def test_a_published_layout_keeps_its_tables_to_itself(tmp_path):
    from sae_core.corpus.surveys import survey_folder

    (tmp_path / "manifest.jsonl").write_text('{"audio_filepath": "a.wav", "lang": "es"}\n')
    (tmp_path / "labels.csv").write_text("audio_path\na.wav\n")
    (tmp_path / "a.wav").write_bytes(b"x")
    survey = survey_folder(tmp_path)
    assert (survey.layout, survey.labels) == ("nemo", None)
    assert survey.evidence


def test_an_empty_folder_holds_nothing(tmp_path):
    from sae_core.corpus.surveys import survey_folder

    assert survey_folder(tmp_path).n_recordings == 0


def packed(folder):
    """The folder as a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return stream


@pytest.fixture
def labelled(tmp_path):
    """Two speakers in two folders, a table of both and one of the first, and a list of trials."""
    folder = tmp_path / "labelled"
    names = [
        f"{value}/{value}-{speaker}-{take}.wav" for value in ("es", "uk") for speaker in "ab" for take in "12"
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    rows = [f"{name};{name[3:7]};{name[:2]};hello you;{place}" for place, name in enumerate(names)]
    (folder / "meta.csv").write_text("\n".join(["file_name;client_id;lang;text;nr", *rows]))
    (folder / "first.tsv").write_text("path\tsex\n" + "".join(f"{name}\tf\n" for name in names[:3]))
    (folder / "pairs.lst").write_text(f"1 {names[0]} {names[1]}\n0 {names[0]} {names[3]}\n")
    return folder


@pytest.mark.parametrize("is_packed", [False, True])
def test_people_see_what_was_taken_for_what_and_can_choose_otherwise(labelled, is_packed):
    from sae_core.corpus.importing import ImportSettings
    from sae_core.corpus.surveys import survey_folder, survey_zip
    from sae_core.corpus.zips import inspect_zip

    contents = inspect_zip(packed(labelled), "x.zip")

    def look(**settings):
        chosen = ImportSettings(**settings)
        return survey_zip(contents, chosen) if is_packed else survey_folder(labelled, chosen)

    usual = look()
    assert usual.labels == "meta.csv" and usual.preview.name == "meta.csv"
    assert (
        usual.preview.columns["client_id"][:2] == ("es-a", "es-a") and len(usual.preview.columns["nr"]) == 5
    )
    assert usual.preview.taken == {
        "file_name": "recording", "client_id": "speaker", "lang": "attribute language", "text": "transcript",
        "nr": "kept as a number",
    }  # fmt: skip
    assert (
        usual.tables["meta.csv"] == "labels the recordings"
        and usual.tables["pairs.lst"] == "a list of trials"
    )
    assert usual.tables["first.tsv"].startswith("not used: ")
    assert usual.levels == {1: "'es', 'uk'"} and usual.columns[:2] == ("file_name", "client_id")
    assert look(labels=Path("first.tsv")).summary.n_recordings == 3
    assert look(layout="folder").preview.taken["folder"] == "attribute"
    assert look(speakers="folder 1").summary.n_speakers == 2
    assert look(speakers="none").summary.n_speakers == 0
    assert "no column 'nobody'" in look(speakers="nobody").problem
    assert look(labels=Path("gone.csv")).tables.keys() == usual.tables.keys()


def test_a_folder_that_takes_too_long_is_looked_at_in_part(labelled, monkeypatch):
    from sae_core.corpus import folders
    from sae_core.corpus.folders import list_recordings
    from sae_core.corpus.surveys import survey_folder

    assert list_recordings(labelled, within_s=60.0) == list_recordings(labelled)
    monkeypatch.setattr(folders, "N_BETWEEN_LOOKS", 1)
    survey = survey_folder(labelled, within_s=0.0)
    assert survey.is_partial and survey.summary is None and not survey.problem
    assert "too much to be read in a moment" in survey.notices[0]


def test_calls_are_known_by_their_sides_packed_or_not(tmp_path):
    import numpy as np
    import soundfile

    from sae_core.corpus.inspection import find_two_sided
    from sae_core.corpus.surveys import two_sided_in_zip
    from sae_core.corpus.zips import inspect_zip
    from tests.recordings import voice

    (tmp_path / "in").mkdir()
    one, other = voice(1.5, 8_000), voice(1.5, 8_000, seed=3)
    one[:6_000], other[6_000:] = one[:6_000] * 0.01, other[6_000:] * 0.01
    for name, sound in (
        ("call", np.stack([one, other], 1)),
        ("music", np.stack([one, one], 1)),
        ("mono", one),
    ):
        soundfile.write(tmp_path / "in" / f"{name}.wav", sound, 8_000)
    (tmp_path / "in" / "broken.wav").write_bytes(b"RIFF")
    names = ["broken.wav", "mono.wav", "music.wav", "call.wav", "gone.wav"]
    assert find_two_sided(tmp_path / "in", names) == ("call.wav",)
    stream = packed(tmp_path / "in")
    assert two_sided_in_zip(stream, inspect_zip(stream, "x.zip"), names) == ("call.wav",)
