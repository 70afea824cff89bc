"""Recordings opened once: copies, replaced ones, both sides of a call, and how often each is opened in its life."""

import os
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from sae_core.corpus import inspection
from sae_core.corpus.clips import VERSION_COLUMN, Corpus
from sae_core.corpus.importing import ImportSettings, import_corpus
from sae_core.embedding.embedders import EmbedderChoice
from sae_core.files.artifacts import read_table, write_table
from tests.recordings import voice

RATE = 8_000


def record(path, seconds=1.0, *, seed=0, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(seconds, RATE, seed=seed), RATE, **how)
    return path


def test_copies_of_unknown_speaker_stand_in_one_split(tmp_path):
    """Sixty recordings without labels, each twice under names that would fall into different splits by chance."""
    for number in range(60):
        content = record(tmp_path / "in" / f"a{number}.wav", seed=number).read_bytes()
        (tmp_path / "in" / f"copy_of_{number}.wav").write_bytes(content)
    report = import_corpus(tmp_path / "in", tmp_path / "w")
    table = report.corpus.table.assign(number=lambda t: t["audio_path"].str.extract(r"(\d+)")[0])
    assert (table.groupby("number")["split"].nunique() == 1).all()
    assert table["split"].nunique() == 3
    assert "60 recordings are exact copies" in report.notices[0]
    assert "copy_of_0.wav = a0.wav" in report.notices[0]


def test_speakers_that_share_a_recording_stand_in_one_split(tmp_path):
    for speaker in range(12):
        for number in range(2):
            record(tmp_path / "in" / "en" / f"s{speaker}" / f"{number}.wav", seed=10 * speaker + number)
    apart = import_corpus(tmp_path / "in", tmp_path / "w").corpus.table.set_index("speaker_id")["split"]
    first, other = next(
        (a, b) for a in apart.index for b in apart.index if apart[a].iloc[0] != apart[b].iloc[0]
    )
    content = (tmp_path / "in" / "en" / first / "0.wav").read_bytes()
    (tmp_path / "in" / "en" / other / "stray.wav").write_bytes(content)
    together = import_corpus(tmp_path / "in", tmp_path / "w").corpus.table
    assert together[together["speaker_id"].isin([first, other])]["split"].nunique() == 1


def test_a_jingle_that_all_share_joins_nobody(tmp_path):
    for speaker in range(12):
        record(tmp_path / "in" / "en" / f"s{speaker}" / "own.wav", seed=speaker)
        record(tmp_path / "in" / "en" / f"s{speaker}" / "jingle.wav", seed=99)
    assert import_corpus(tmp_path / "in", tmp_path / "w").corpus.table["split"].nunique() > 1


def test_copies_are_known_by_clip(tmp_path):
    """Stretches of two copies are the same sound where they are the same stretch."""
    content = record(tmp_path / "in" / "a.wav", 4.0).read_bytes()
    (tmp_path / "in" / "b.wav").write_bytes(content)
    record(tmp_path / "in" / "c.wav", 2.0, seed=3)
    corpus = import_corpus(tmp_path / "in", tmp_path / "w", ImportSettings(window_s=2.0)).corpus
    groups = inspection.copy_groups(tmp_path / "w", corpus)
    ids = corpus.table["clip_id"].tolist()
    same = {a for a in ids for b in ids if a < b and groups[ids.index(a)] == groups[ids.index(b)] >= 0}
    assert same == {"a@00000000", "a@00002000"}
    assert groups[ids.index("c")] == -1
    (tmp_path / "w" / inspection.CACHE).unlink()
    assert (inspection.copy_groups(tmp_path / "w", corpus) == -1).all()


def test_equal_checksums_alone_make_no_copies(tmp_path, monkeypatch):
    monkeypatch.setattr("sae_core.audio.recordings.zlib.crc32", lambda *_: 7)
    for number in range(3):
        record(tmp_path / "in" / f"{number}.wav", seed=number)
    assert import_corpus(tmp_path / "in", tmp_path / "w").notices == ()


def test_a_replaced_recording_is_noticed_by_its_bytes(tmp_path):
    for number in range(4):
        record(tmp_path / "in" / f"{number}.wav", seed=number)
    before = import_corpus(tmp_path / "in", tmp_path / "w").corpus
    assert VERSION_COLUMN not in before.table
    replaced = tmp_path / "in" / "2.wav"
    record(replaced, seed=77)
    report = import_corpus(tmp_path / "in", tmp_path / "w")
    assert "1 recording was replaced" in report.notices[0] and "2.wav" in report.notices[0]
    assert report.corpus.audio_fingerprint != before.audio_fingerprint
    assert report.corpus.table[VERSION_COLUMN].notna().tolist() == [False, False, True, False]
    assert VERSION_COLUMN not in report.corpus.attributes
    again = import_corpus(tmp_path / "in", tmp_path / "w")
    assert again.notices == ()
    assert again.corpus.audio_fingerprint == report.corpus.audio_fingerprint


def test_a_recording_that_was_only_touched_is_the_same(tmp_path):
    path = record(tmp_path / "in" / "a.wav")
    before = import_corpus(tmp_path / "in", tmp_path / "w").corpus
    os.utime(path, (1, 1))
    report = import_corpus(tmp_path / "in", tmp_path / "w")
    assert report.notices == ()
    assert report.corpus.audio_fingerprint == before.audio_fingerprint


def test_a_large_recording_changed_in_its_middle_is_noticed(tmp_path):
    path = record(tmp_path / "in" / "long.wav", 120)
    import_corpus(tmp_path / "in", tmp_path / "w")
    with path.open("r+b") as stream:
        stream.seek(900_000)
        stream.write(bytes(1_000))
    os.utime(path, (1, 1))
    assert "replaced" in import_corpus(tmp_path / "in", tmp_path / "w").notices[0]


def test_what_changed_since_the_import_is_found_without_opening(tmp_path, monkeypatch):
    for number in range(3):
        record(tmp_path / "in" / f"{number}.wav", seed=number)
    import_corpus(tmp_path / "in", tmp_path / "w")
    monkeypatch.setattr(inspection, "probe", lambda path: pytest.fail("a recording was opened"))
    assert inspection.changed_recordings(tmp_path / "in", tmp_path / "w") == []
    record(tmp_path / "in" / "1.wav", 2.0)
    (tmp_path / "in" / "2.wav").unlink()
    assert inspection.changed_recordings(tmp_path / "in", tmp_path / "w") == ["1.wav"]


def test_a_cache_of_before_is_believed(tmp_path, monkeypatch):
    record(tmp_path / "in" / "a.wav")
    import_corpus(tmp_path / "in", tmp_path / "w")
    table = read_table(tmp_path / "w" / inspection.CACHE).drop(columns=list(inspection.LATER_COLUMNS))
    write_table(tmp_path / "w" / inspection.CACHE, table)
    monkeypatch.setattr(inspection, "probe", lambda path: pytest.fail("a recording was opened"))
    assert len(import_corpus(tmp_path / "in", tmp_path / "w").corpus) == 1


@pytest.fixture
def calls(tmp_path):
    """Eight calls of two sides below a folder for each agent, and one in mono."""
    folder = tmp_path / "calls"
    for number in range(8):
        path = folder / "en" / f"agent{number % 4}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sides = np.stack([voice(4, RATE, seed=number), voice(4, RATE, seed=50 + number)[::-1]], axis=1)
        soundfile.write(path, sides, RATE)
    record(folder / "en" / "agent0" / "mono.wav")
    return folder


def test_both_sides_of_a_call_become_clips_of_their_own(calls, tmp_path):
    corpus = import_corpus(calls, tmp_path / "w", ImportSettings(channels="split")).corpus
    table = corpus.table.set_index("clip_id")
    assert len(table) == 8 * 2 + 1
    left, right = table.loc["en--agent1--1-left"], table.loc["en--agent1--1-right"]
    assert (left["audio_channel"], right["audio_channel"]) == (0, 1)
    assert (left["speaker_id"], right["speaker_id"]) == ("en/agent1/1/left", "en/agent1/1/right")
    assert table.loc["en--agent0--mono"]["speaker_id"] == "agent0"
    assert table.loc["en--agent0--mono"]["audio_channel"] == -1
    assert (table.groupby("audio_path")["split"].nunique() == 1).all()
    assert table["split"].nunique() > 1


def test_windows_of_both_sides(calls, tmp_path):
    settings = ImportSettings(channels="split", window_s=1.0)
    table = import_corpus(calls, tmp_path / "w", settings).corpus.table
    assert table["clip_id"].is_unique
    assert table["clip_id"].str.contains("-left").sum() == 8 * 4
    assert (table.groupby("audio_path")["split"].nunique() == 1).all()


def test_a_row_that_names_its_channel_is_not_split(calls, tmp_path):
    labels = tmp_path / "labels.csv"
    pd.DataFrame(
        {
            "path": [f"en/agent{n % 4}/{n}.wav" for n in range(3)],
            "speaker": ["a", "b", "c"],
            "audio_channel": [0, -1, 1],
        }
    ).to_csv(labels, index=False)
    table = import_corpus(calls, tmp_path / "w", ImportSettings(labels, channels="split")).corpus.table
    assert table["audio_channel"].tolist() == [0, -1, 1]


def test_opens_of_one_recording(tmp_path):
    """From import to its first play each step opens a recording once: import, measure, embed, play."""
    from sae_core.build.steps import embed_workspace
    from sae_core.corpus.acoustics import measure_workspace
    from sae_core.workspace.workspace import Workspace

    form = {"speech.wav": {}, "speech.mp3": {"format": "MP3"}, "speech.ogg": {"format": "OGG"}}
    paths = [
        record(tmp_path / "in" / name, 2.0, seed=number, **how)
        for number, (name, how) in enumerate(form.items())
    ]
    opened = []
    names = {str(path) for path in paths}
    is_counting = [True]

    def count(event, args):
        """A file opened by name and mode; that it goes through a descriptor is told once more, without a mode."""
        if is_counting[0] and event == "open" and args[1] is not None and str(args[0]) in names:
            opened.append(str(args[0]))

    sys.addaudithook(count)
    steps = [
        lambda: import_corpus(tmp_path / "in", tmp_path / "w"),
        lambda: measure_workspace(tmp_path / "w"),
        lambda: embed_workspace(tmp_path / "w", EmbedderChoice("ge2e")),
        lambda: [Workspace(tmp_path / "w").clip_audio(row) for row in range(3)],
    ]
    for number, step in enumerate(steps, 1):
        step()
        assert {path: opened.count(path) for path in names} == dict.fromkeys(names, number)
    is_counting[0] = False
    assert len(Corpus.load(tmp_path / "w")) == 3


def test_a_call_of_two_sides_is_hinted_at(calls, tmp_path):
    report = import_corpus(calls, tmp_path / "w")
    assert (
        "8 recordings have two different sides" in report.notices[0]
        and "--channels split" in report.notices[0]
    )
    assert import_corpus(calls, tmp_path / "w", ImportSettings(channels="split")).notices == ()


def test_only_what_was_replaced_or_added_is_measured_and_embedded_again(tmp_path, monkeypatch):
    from sae_core.build.steps import embed_workspace
    from sae_core.corpus import acoustics
    from sae_core.corpus.acoustics import measure_workspace
    from sae_core.embedding import extraction

    heard = {"measured": [], "embedded": []}
    look, hear = acoustics._measure_clip, extraction._hear
    monkeypatch.setattr(
        acoustics,
        "_measure_clip",
        lambda corpus, place: (
            heard["measured"].append(corpus.table["clip_id"].iloc[place]) or look(corpus, place)
        ),
    )
    monkeypatch.setattr(
        extraction,
        "_hear",
        lambda clips, place, embedder: (
            heard["embedded"].append(clips.table["clip_id"].iloc[place]) or hear(clips, place, embedder)
        ),
    )

    def chain():
        for names in heard.values():
            names.clear()
        import_corpus(tmp_path / "in", tmp_path / "w")
        return measure_workspace(tmp_path / "w", n_processes=1), embed_workspace(
            tmp_path / "w", EmbedderChoice("ge2e")
        )

    for number in range(5):
        record(tmp_path / "in" / f"{number}.wav", 1.5, seed=number)
    measures, vectors = chain()
    assert sorted(heard["measured"]) == sorted(heard["embedded"]) == ["0", "1", "2", "3", "4"]

    record(tmp_path / "in" / "2.wav", 1.5, seed=22)
    record(tmp_path / "in" / "0_new.wav", 1.5, seed=23)
    after_measures, after_vectors = chain()
    assert sorted(heard["measured"]) == sorted(heard["embedded"]) == ["0_new", "2"]
    table = Corpus.load(tmp_path / "w").table["clip_id"].tolist()
    kept = [table.index(name) for name in "0134"]
    np.testing.assert_array_equal(after_vectors.vectors[kept], vectors.vectors[[0, 1, 3, 4]])
    assert np.abs(after_vectors.vectors[table.index("2")] - vectors.vectors[2]).max() > 1e-3
    pd.testing.assert_frame_equal(
        after_measures.table.iloc[kept].reset_index(drop=True),
        measures.table.iloc[[0, 1, 3, 4]].reset_index(drop=True),
    )
    assert after_measures.checks["sound_digest"].nunique() == 6

    _ = chain()
    assert heard == {"measured": [], "embedded": []}


def test_a_build_notices_what_was_replaced(tmp_path):
    from sae_core.build.plan import BuildPlan, _import

    for number in range(3):
        record(tmp_path / "in" / f"{number}.wav", seed=number)
    plan, workspace = BuildPlan(str(tmp_path / "in"), embedder="ge2e"), tmp_path / "w"
    _import(plan, workspace, lambda *_: None)
    assert "kept as they were imported" in _import(plan, workspace, lambda *_: None)
    record(tmp_path / "in" / "1.wav", 2.0, seed=9)
    assert "1 recording was replaced" in _import(plan, workspace, lambda *_: None)
    assert Corpus.load(workspace).table["duration_s"].tolist() == [1.0, 2.0, 1.0]
    assert "kept as they were imported" in _import(plan, workspace, lambda *_: None)


def test_a_plan_carries_the_channels(calls, tmp_path):
    from sae_core.build.plan import BuildPlan, _import

    plan = BuildPlan.from_json({"source": str(calls), "channels": "split", "embedder": "ge2e"})
    _import(plan, tmp_path / "w", lambda *_: None)
    assert len(Corpus.load(tmp_path / "w")) == 17
    with pytest.raises(Exception, match="--channels one of mix, split"):
        BuildPlan(str(calls), channels="both")
