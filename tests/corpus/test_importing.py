import json
import os
import signal
import subprocess
import sys
import textwrap
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus import importing, inspection
from sae_core.corpus.clips import Corpus
from sae_core.corpus.cutting import SHORTEST_TAIL, cut_windows
from sae_core.corpus.importing import ImportSettings, import_corpus
from sae_core.files.artifacts import read_json, write_array
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.formats import FORMAT_VERSION
from tests.recordings import FORMATS, voice, write

REPOSITORY = Path(__file__).parent.parent.parent


@given(start_s=st.floats(0, 1e4), duration_s=st.floats(0.01, 2e4), window_s=st.floats(0.5, 1800))
def test_windows_cover_a_stretch_without_gap_or_overlap(start_s, duration_s, window_s):
    pieces = list(cut_windows(start_s, duration_s, window_s))
    assert pieces
    assert pieces[0][0] == start_s
    for (start, length), (following, _) in pairwise(pieces):
        assert length == window_s
        assert following == pytest.approx(start + length)
    last_start, last_length = pieces[-1]
    dropped = start_s + duration_s - (last_start + last_length)
    assert -1e-6 <= dropped < window_s * SHORTEST_TAIL + 1e-6
    assert all(length >= min(duration_s, window_s * SHORTEST_TAIL) for _, length in pieces)
    assert list(cut_windows(start_s, duration_s, None)) == [(start_s, duration_s)]


def test_long_recordings_are_cut_and_short_ones_kept(calls, workspace):
    soundfile.write(calls / "es" / "es-a" / "long.wav", voice(6.9, 8_000), 8_000)
    table = import_corpus(calls, workspace, ImportSettings(window_s=3.0)).corpus.table.set_index("clip_id")
    assert len(table) == 12 + 2
    cut = table.loc[["es--es-a--long@00000000", "es--es-a--long@00003000"]]
    assert cut["start_s"].tolist() == [0.0, 3.0]
    assert cut["duration_s"].tolist() == [3.0, 3.0]
    assert cut["split"].nunique() == 1
    assert "es--es-a--1" in table.index


def test_segments_with_ids_of_their_own_are_cut_too(calls, workspace):
    labels = calls / "manifest.json"
    labels.write_text(
        json.dumps({"path": "es/es-a/1.wav", "clip_id": "hello", "start_s": 0.5, "duration_s": 2.5})
    )
    table = import_corpus(calls, workspace, ImportSettings(labels=labels, window_s=1.0)).corpus.table
    assert table["clip_id"].tolist() == ["hello@00000500", "hello@00001500", "hello@00002500"]
    assert table["duration_s"].tolist() == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("window_s", [0.0, -3.0, 0.1, 1e6, float("nan")])
def test_a_window_nobody_wants_is_refused(calls, workspace, window_s):
    with pytest.raises(CorpusError, match="--window-s"):
        import_corpus(calls, workspace, ImportSettings(window_s=window_s))


@pytest.fixture
def three_hours(tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    with wave.open(str(folder / "call.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        for _ in range(180):
            file.writeframes(bytes(480_000))
    return folder


def test_three_hours_are_cut_in_no_time(three_hours, workspace):
    table = import_corpus(three_hours, workspace, ImportSettings(window_s=4.0)).corpus.table
    assert len(table) == 2_700
    assert table["clip_id"].iloc[-1] == "call@10796000"
    assert table["split"].nunique() == 1


def test_three_hours_in_one_clip_are_listed_with_the_remedy(three_hours, workspace):
    soundfile.write(three_hours / "short.wav", voice(1), 16_000)
    report = import_corpus(three_hours, workspace)
    assert report.corpus.table["clip_id"].tolist() == ["short"]
    assert "180 minutes" in report.failures["reason"].iloc[0]
    assert "--window-s" in report.failures["reason"].iloc[0]


def test_channels(tmp_path, workspace):
    folder = tmp_path / "in"
    folder.mkdir()
    for n_channels in (1, 2, 12):
        soundfile.write(folder / f"{n_channels}.wav", np.tile(voice(1), (n_channels, 1)).T, 16_000)
    mixed = import_corpus(folder, workspace).corpus
    assert mixed.table["audio_channel"].tolist() == [-1, -1, -1]
    report = import_corpus(folder, workspace, ImportSettings(channel=1))
    assert report.corpus.table["audio_path"].tolist() == ["12.wav", "2.wav"]
    assert report.corpus.table["audio_channel"].tolist() == [1, 1]
    assert "1 channel(s)" in report.failures["reason"].iloc[0]
    assert report.corpus.audio_fingerprint != mixed.audio_fingerprint
    with pytest.raises(CorpusError, match="no channel -2"):
        import_corpus(folder, workspace, ImportSettings(channel=-2))


def test_every_format_goes_in_under_any_name(tmp_path, workspace):
    folder = tmp_path / "in"
    folder.mkdir()
    for form in FORMATS:
        write(folder / f"{form.name}.mp3", form, voice(2, form.sample_rate_hz))
    report = import_corpus(folder, workspace)
    assert len(report.failures) == 0
    assert len(report.corpus) == len(FORMATS)
    assert report.corpus.table["duration_s"].between(1.85, 2.15).all()


def test_ten_milliseconds_and_nan_are_imported_for_the_embedder_to_judge(tmp_path, workspace):
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "short.wav", voice(0.01), 16_000)
    soundfile.write(folder / "nan.wav", voice(1) * np.nan, 16_000, subtype="FLOAT")
    assert import_corpus(folder, workspace).corpus.table["duration_s"].tolist() == [1.0, 0.01]


def test_finished_probes_are_not_done_again(calls, workspace, monkeypatch):
    """An import stopped in the middle goes on where it was; a changed recording is opened again."""
    opened = []
    real = inspection.probe

    def probe_some(path):
        opened.append(path.name)
        if len(opened) > 5:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(inspection, "probe", probe_some)
    monkeypatch.setattr(inspection, "N_WAITING", 1)
    monkeypatch.setattr(inspection, "N_AT_ONCE", 1)
    with pytest.raises(KeyboardInterrupt):
        import_corpus(calls, workspace)
    assert not (workspace / "clips.parquet").exists()

    opened.clear()
    monkeypatch.setattr(inspection, "probe", lambda path: (opened.append(path), real(path))[1])
    assert len(import_corpus(calls, workspace).corpus) == 12
    assert len(opened) == 12 - 5

    opened.clear()
    soundfile.write(calls / "es" / "es-b" / "0.wav", voice(2.5, 8_000), 8_000)
    corpus = import_corpus(calls, workspace).corpus
    assert opened == [calls / "es" / "es-b" / "0.wav"]
    assert 2.5 in set(corpus.table["duration_s"])

    (workspace / inspection.CACHE).write_bytes(b"garbage")
    assert len(import_corpus(calls, workspace).corpus) == 12


def test_an_import_killed_outright_goes_on_where_it_was(calls, workspace, tmp_path):
    """Killed without warning in another process, after four recordings were written down."""
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from sae_core.corpus import inspection
        from sae_core.corpus.importing import import_corpus
        real, opened = inspection.probe, []
        def probe(path):
            opened.append(path)
            if len(opened) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(path)
        inspection.probe, inspection.N_WAITING, inspection.SAVE_EVERY_S = probe, 1, 0.0
        inspection.N_AT_ONCE = 1
        import_corpus(Path(sys.argv[1]), Path(sys.argv[2]))
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(calls), str(workspace)], cwd=REPOSITORY, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (workspace / "clips.parquet").exists()
    assert len(pd.read_parquet(workspace / inspection.CACHE)) == 4
    assert len(import_corpus(calls, workspace).corpus) == 12


def test_progress_counts_recordings(calls, workspace):
    seen = []
    import_corpus(calls, workspace, progress=lambda n_done, n_total, note="": seen.append((n_done, n_total)))
    assert seen[-1] == (12, 12)
    assert seen == sorted(seen)


def test_importing_again_keeps_what_is_derived_and_the_name(calls, workspace):
    import_corpus(calls, workspace)
    assert read_json(workspace / "workspace.json") == {"format_version": FORMAT_VERSION, "name": "calls"}
    (workspace / "workspace.json").write_text('{"format_version": 1, "name": "mine"}')
    write_array(workspace / "embeddings" / "ge2e" / "vectors.npy", np.eye(3))
    before = Corpus.load(workspace)
    after = import_corpus(calls, workspace).corpus
    assert (after.audio_fingerprint, after.split_fingerprint) == (
        before.audio_fingerprint,
        before.split_fingerprint,
    )
    assert (workspace / "embeddings" / "ge2e" / "vectors.npy").exists()
    assert read_json(workspace / "workspace.json")["name"] == "mine"
    soundfile.write(calls / "new.wav", voice(1), 16_000)
    assert import_corpus(calls, workspace).corpus.audio_fingerprint != before.audio_fingerprint


def test_an_import_that_fails_leaves_the_workspace_as_it_was(calls, workspace, tmp_path):
    import_corpus(calls, workspace)
    before = {path.name: path.read_bytes() for path in workspace.iterdir()}
    labels = tmp_path / "labels.csv"
    labels.write_text("path\n../x.wav\n")
    with pytest.raises(CorpusError):
        import_corpus(calls, workspace, ImportSettings(labels=labels))
    labels.write_text("path\ngone.wav\n")
    with pytest.raises(CorpusError):
        import_corpus(calls, workspace, ImportSettings(labels=labels))
    after = {path.name: path.read_bytes() for path in workspace.iterdir()}
    before.pop(inspection.CACHE)
    after.pop(inspection.CACHE)
    assert after == before


def test_a_workspace_that_cannot_be_written_is_told_before_anything_is_opened(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "probe", lambda path: pytest.fail("a recording was opened"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="is no folder"):
        import_corpus(calls, tmp_path / "file")

    def refuse(*args, **kwargs):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("sae_core.files.artifacts.tempfile.mkstemp", refuse)
    with pytest.raises(ArtifactError, match="read-only"):
        import_corpus(calls, tmp_path / "workspace")


def test_a_full_disk_while_writing_keeps_the_earlier_import(calls, workspace, monkeypatch):
    import_corpus(calls, workspace)
    before = (workspace / "clips.parquet").read_bytes()
    soundfile.write(calls / "new.wav", voice(1), 16_000)

    def fail(*args, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("sae_core.files.artifacts.os.fsync", fail)
    with pytest.raises(ArtifactError, match="space"):
        import_corpus(calls, workspace)
    assert (workspace / "clips.parquet").read_bytes() == before
    assert not list(workspace.glob(".*tmp*"))


def test_another_layout_needs_only_its_rows(calls, workspace):
    """What a further importer is: rows from a folder. Everything else follows."""
    table = pd.DataFrame(
        {"audio_path": ["es/es-a/0.wav", "uk/uk-b/1.wav"], "speaker_id": ["x", "y"], "accent": ["mx", None]}
    )
    rows = importing.Rows(table, calls)
    report = importing.import_rows(rows, calls, workspace=workspace, settings=importing.CutSettings())
    assert report.corpus.attributes == ("accent",)
    assert report.corpus.table["speaker_id"].tolist() == ["x", "y"]
