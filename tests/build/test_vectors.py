"""Vectors that people bring: each reaches its clip, what does not is named, and nothing else is touched."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.recordings import voice

N, DIM = 60, 8


def ids_of(n=N):
    return [f"person-{row % 12:02d}_clip-{row:03d}" for row in range(n)]


def rows_of(n=N, dim=DIM):
    random = np.random.default_rng(11)
    return random.normal(size=(12, dim))[np.arange(n) % 12] + 0.3 * random.normal(size=(n, dim))


def write(folder, ids, rows, name="mine.npz"):
    np.savez(folder / name, vectors=rows, ids=np.array(ids, dtype=str))
    return folder / name


def bring(file, workspace, **choices):
    from sae_core.build.vectors import VectorChoices, import_vectors

    return import_vectors(file, workspace, choices=VectorChoices(**choices))


def labels_of(ids):
    return pd.DataFrame(
        {
            "utt_id": ids,
            "speaker": [name[:9] for name in ids],
            "gender": ["female" if name[8:9] in set("02468") else "male" for name in ids],
        }
    )


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_ids_become_clips_with_their_labels(tmp_path):
    from sae_core.workspace.workspace import Workspace

    ids, rows = ids_of(), rows_of()
    labels_of(ids).sample(frac=1, random_state=1).to_csv(tmp_path / "labels.csv", index=False)
    report = bring(write(tmp_path, ids, rows), tmp_path / "new" / "w", labels=tmp_path / "labels.csv")
    workspace = Workspace(tmp_path / "new" / "w")
    table = workspace.corpus.table
    assert table["clip_id"].tolist() == ids
    assert table["speaker_id"].tolist() == [name[:9] for name in ids]
    assert workspace.corpus.attributes == ("gender",)
    assert table.groupby("speaker_id")["split"].nunique().max() == 1
    assert not workspace.corpus.has_sound and workspace.name == "w"
    np.testing.assert_allclose(workspace.embeddings("mine").vectors, unit(rows), atol=1e-6)
    assert len(report.ids) == 0 and len(report.embeddings.failures) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w"]


def test_a_workspace_of_vectors_alone_needs_no_labels(tmp_path):
    from sae_core.corpus.clips import Corpus

    bring(write(tmp_path, ids_of(), rows_of()), tmp_path / "w")
    corpus = Corpus.load(tmp_path / "w")
    assert len(corpus) == N and corpus.attributes == ()
    assert len(np.unique(corpus.speaker_groups)) == N


def test_ids_without_labels_and_labels_without_vectors_are_listed(tmp_path):
    ids, rows = ids_of(), rows_of()
    labels_of([*ids[:-2], "stranger"]).to_csv(tmp_path / "labels.csv", index=False)
    report = bring(write(tmp_path, ids, rows), tmp_path / "w", labels=tmp_path / "labels.csv")
    assert report.ids.to_numpy().tolist() == [[name, "has no labels"] for name in ids[-2:]]
    stored = pd.read_parquet(tmp_path / "w" / "embeddings" / "mine" / "ids.parquet")
    pd.testing.assert_frame_equal(stored, report.ids)
    failures = pd.read_parquet(tmp_path / "w" / "import_failures.parquet")
    assert failures["audio_path"].tolist() == ["stranger"]
    assert failures["reason"].str.contains("has no vector in mine.npz").all()
    assert report.summary.n_clips == N


def test_recordings_are_joined_by_their_names(tmp_path):
    from sae_core.workspace.workspace import Workspace

    ids = ["ann/one", "bob/two.wav", "gone/three"]
    for name in ("ann/one.wav", "bob/two.wav", "bob/four.wav"):
        (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "calls" / name, voice(1.0), 16_000)
    rows = rows_of(3)
    report = bring(write(tmp_path, ids, rows), tmp_path / "w", audio_root=tmp_path / "calls")
    workspace = Workspace(tmp_path / "w")
    assert workspace.corpus.has_sound
    assert workspace.corpus.table["clip_id"].tolist() == ids[:2]
    assert workspace.corpus.table["audio_path"].tolist() == ["ann/one.wav", "bob/two.wav"]
    assert workspace.clip_audio(0)[0]
    np.testing.assert_allclose(report.embeddings.vectors, unit(rows[:2]), atol=1e-6)
    assert report.ids["id"].tolist() == ["gone/three"]
    assert "no recording below" in report.ids["reason"].iloc[0]


def test_vectors_come_into_the_order_of_the_clips(own_workspace, tmp_path):
    from sae_core.build.steps import embedder_of
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(own_workspace)
    clips, default = workspace.corpus.table["clip_id"], embedder_of(workspace, None)
    before = files_of(own_workspace)
    rows = np.random.default_rng(1).normal(size=(len(clips), DIM))
    order = np.random.default_rng(2).permutation(len(clips))[:-3]
    file = write(tmp_path, [*clips.iloc[order], "stranger"], np.vstack([rows[order], np.ones(DIM)]))
    report = bring(file, own_workspace)
    after = files_of(own_workspace)
    settings = own_workspace / "workspace.json"
    assert {**before, settings: b""}.items() <= {**after, settings: b""}.items(), (
        "what was there is not touched"
    )
    workspace = Workspace(own_workspace)
    found = workspace.embeddings("mine")
    lacking = np.setdiff1d(np.arange(len(clips)), order)
    expected = unit(rows)
    expected[lacking] = 0
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.failures["row"].tolist() == lacking.tolist()
    assert found.failures["clip_id"].tolist() == clips.iloc[lacking].tolist()
    assert set(found.failures["reason"]) == {"has no vector in mine.npz"}
    assert report.ids.to_numpy().tolist() == [["stranger", "is no clip of this workspace"]]
    assert embedder_of(workspace, None) == default != "mine"


def test_ids_may_be_paths_of_recordings(own_workspace, tmp_path):
    from sae_core.workspace.workspace import Workspace

    paths = Workspace(own_workspace).corpus.table["audio_path"]
    rows = np.random.default_rng(1).normal(size=(len(paths), DIM))
    file = write(tmp_path, [f"/data/elsewhere/{path}" for path in paths], rows)
    found = bring(file, own_workspace, name="by-path").embeddings
    np.testing.assert_allclose(found.vectors, unit(rows), atol=1e-6)


def test_no_id_that_is_a_clip_is_an_error_that_names_both_sides(own_workspace, tmp_path):
    from sae_core.files.errors import CorpusError
    from sae_core.workspace.workspace import Workspace

    before = files_of(own_workspace)
    clip = Workspace(own_workspace).corpus.table["clip_id"].iloc[0]
    with pytest.raises(CorpusError, match=f"'who-0', 'who-1'.*'{clip}'"):
        bring(write(tmp_path, ["who-0", "who-1"], np.eye(2)), own_workspace)
    assert files_of(own_workspace) == before
    (tmp_path / "labels.csv").write_text("utt_id,gender\nzz-1,female\nzz-2,male\n")
    with pytest.raises(CorpusError, match=r"none of the 2 ids.*'zz-1'.*'who-0'"):
        bring(write(tmp_path, ["who-0", "who-1"], np.eye(2)), tmp_path / "w", labels=tmp_path / "labels.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="names a recording"):
        bring(write(tmp_path, ["who-0", "who-1"], np.eye(2)), tmp_path / "w", audio_root=tmp_path / "empty")
    assert not (tmp_path / "w").exists()


def test_vectors_that_cannot_be_used_are_failures_with_reasons(tmp_path):
    rows = rows_of(5)
    rows[1, 2], rows[2], rows[3, 0] = np.nan, 0, np.inf
    report = bring(write(tmp_path, ids_of(5), rows), tmp_path / "w")
    failures = report.embeddings.failures
    assert failures["row"].tolist() == [1, 2, 3]
    not_finite = "its vector holds numbers that are not finite"
    assert failures["reason"].tolist() == [not_finite, "its vector is zero", not_finite]
    assert report.embeddings.valid_rows.tolist() == [0, 4]
    assert report.ids["id"].tolist() == [ids_of(5)[row] for row in (1, 2, 3)]


def test_nothing_that_can_be_used_is_an_error(tmp_path):
    from sae_core.files.errors import CorpusError

    with pytest.raises(CorpusError, match="no vector that can be used.*is zero"):
        bring(write(tmp_path, ["a", "b"], np.zeros((2, 3))), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_identical_rows_of_one_id_are_kept_once_and_others_refused(tmp_path):
    from sae_core.files.errors import CorpusError

    rows = rows_of(4)
    rows[3] = rows[0]
    report = bring(write(tmp_path, ["a", "b", "c", "a"], rows), tmp_path / "w")
    assert report.n_repeated == 1 and len(report.embeddings) == 3
    with pytest.raises(CorpusError, match="different vectors under one id, of 1 id: 'b'"):
        bring(write(tmp_path, ["a", "b", "b", "a"], rows), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_length_of_a_vector_does_not_matter(tmp_path, kind):
    scales = {np.float16: (1e-4, 1e3), np.float32: (1e-30, 1e30), np.float64: (1e-300, 1e300)}[kind]
    row = np.array([3.0, 4.0, 0.0])
    file = write(tmp_path, ["a", "b"], np.stack([row * scale for scale in scales]).astype(kind))
    found = bring(file, tmp_path / "w").embeddings
    np.testing.assert_allclose(found.vectors, [[0.6, 0.8, 0]] * 2, atol=0.02 if kind is np.float16 else 1e-6)


def test_what_is_there_is_left_as_it_is(own_workspace, tmp_path):
    from sae_core.build.steps import embed_workspace
    from sae_core.embedding.embedders import EmbedderChoice
    from sae_core.files.errors import ArtifactError, CorpusError
    from sae_core.workspace.workspace import Workspace

    clips = Workspace(own_workspace).corpus.table["clip_id"].tolist()
    file = write(tmp_path, clips, np.random.default_rng(1).normal(size=(len(clips), DIM)))
    bring(file, own_workspace, name="ge2e")
    before = files_of(own_workspace)
    with pytest.raises(ArtifactError, match="embeddings called ge2e already"):
        bring(file, own_workspace, name="ge2e")
    with pytest.raises(ArtifactError, match="brought from a file.*--name"):
        embed_workspace(own_workspace, EmbedderChoice("ge2e"))
    with pytest.raises(CorpusError, match="leave out --labels"):
        bring(file, own_workspace, name="more", labels=file)
    with pytest.raises(ValueError, match="cannot be a name"):
        bring(file, own_workspace, name="../up")
    assert files_of(own_workspace) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(ArtifactError, match="other files in it"):
        bring(file, tmp_path / "full")


@pytest.mark.parametrize("at", ["import_ids", "_save", "_move_in"])
def test_nothing_is_left_where_it_fails_on_the_way(tmp_path, monkeypatch, at):
    from sae_core.build import vectors

    def fail(*_, **__):
        raise OSError(5, "the disk is gone")

    file = write(tmp_path, ids_of(), rows_of())
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(vectors, at, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        bring(file, tmp_path / "w")
    assert sorted(tmp_path.iterdir()) == before


def test_clips_that_changed_since_ask_for_the_vectors_again(tmp_path):
    from sae_core.corpus.clips import Corpus
    from sae_core.files.errors import StaleArtifactError
    from sae_core.workspace.workspace import Workspace

    bring(write(tmp_path, ids_of(), rows_of()), tmp_path / "w")
    corpus = Corpus.load(tmp_path / "w")
    Corpus(corpus.table.iloc[:-1], tmp_path / "w", (), has_sound=False).save(tmp_path / "w")
    with pytest.raises(StaleArtifactError, match="import-vectors FILE --workspace .* --name mine"):
        Workspace(tmp_path / "w").embeddings("mine")
    (part,) = [part for part in Workspace(tmp_path / "w").parts() if part.name == "embeddings/mine"]
    assert part.state == "stale" and "import-vectors" in part.command


def test_the_chain_runs_on_without_sound_and_says_what_needs_it(tmp_path, capsys):
    from sae_core.__main__ import main

    ids, folder = ids_of(), str(tmp_path / "w")
    labels_of(ids).to_csv(tmp_path / "labels.csv", index=False)
    file = write(tmp_path, ids, rows_of())

    def run(*words):
        code = main([*words, "--workspace", folder])
        out = capsys.readouterr()
        return code, out.out + out.err

    assert run("import-vectors", str(file), "--labels", str(tmp_path / "labels.csv"))[0] == 0
    for verb in ("measure", "embed"):
        code, said = run(verb, *(["--embedder", "ge2e"] if verb == "embed" else []))
        assert code != 0 and "has no sound" in said and "--audio-root" in said
    code, said = run("guess")
    assert code != 0 and "has no sound" in said
    code, said = run("train", "--latents", "16", "--k", "2", "--epochs", "3")
    assert code == 0, said
    assert "saes/mine-" in said
    assert run("index")[0] == 0
    assert run("sweep", "--latents", "8", "--k", "2", "--epochs", "2")[0] == 0
    assert main(["info", folder, "--verify"]) == 0
    said = capsys.readouterr().out
    assert "no sound" in said and "embeddings/mine" in said
    import sae_core

    comparison = sae_core.verify(sae_core.open_sae(folder))
    assert comparison is not None
    with pytest.raises(sae_core.ArtifactError, match="new sounds cannot be embedded"):
        from sae_core.analysis.probe import open_examiner

        open_examiner(sae_core.open_sae(folder))


def test_the_library_takes_tables(tmp_path):
    import sae_core

    ids = ids_of()
    report = sae_core.import_vectors(
        write(tmp_path, ids, rows_of()), tmp_path / "w", labels=labels_of(ids), progress=False
    )
    assert isinstance(report, sae_core.VectorReport)
    assert sae_core.clips(tmp_path / "w")["gender"].notna().all()
    shutil.rmtree(tmp_path / "w")
