"""What a folder or a zip holds is told the same way, packed or not."""

import io
import zipfile

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
