"""A workspace as pages and the command line open it: whole, empty, stale, damaged."""

import threading

import numpy as np
import pandas as pd
import pytest

from sae_core.corpus.clips import Corpus
from sae_core.files import artifacts
from sae_core.files.errors import ArtifactError, AudioError, CorpusError, StaleArtifactError
from sae_core.workspace.workspace import open_workspace, workspace_stamp


@pytest.fixture
def workspace(small_workspace):
    return open_workspace(small_workspace)


@pytest.fixture
def view(workspace):
    return workspace.sae(workspace.sae_names()[0])


def test_the_default_sae_comes_first_and_each_opens_once(workspace):
    names = workspace.sae_names()
    assert names[0] == workspace.settings["default_sae"] and len(names) == 2
    assert workspace.sae(names[0]) is workspace.sae(names[0])
    with pytest.raises(ArtifactError, match="no SAE named 'other'.*choose one of"):
        workspace.sae("other")


def test_ten_threads_share_one_view(small_workspace):
    workspace = open_workspace(small_workspace)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(workspace.sae(workspace.sae_names()[1])))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10 and len({id(view) for view in found}) == 1


def test_arrays_of_a_view_cannot_be_changed(view):
    for array in (view.codes.latents, view.codes.activations, view.index.rows, view.embeddings.vectors):
        assert not array.flags.writeable


def test_index_and_codes_agree(view):
    dense = view.codes.dense()
    for latent in range(0, view.n_latents, 7):
        rows, activations = view.index.postings(latent)
        assert set(rows.tolist()) == set(np.flatnonzero(dense[:, latent]).tolist())
        assert np.array_equal(dense[rows, latent], activations)
    assert np.allclose(view.latents["max_activation"], dense.max(axis=0))
    assert (view.latents["n_active"] == (dense > 0).sum(axis=0)).all()


def test_codes_are_what_the_model_says(view):
    again = view.model().encode(view.embeddings.vectors)
    assert np.array_equal(again.dense(), view.codes.dense())


def test_the_method_example_is_one_real_clip(view):
    example = view.method_example()
    assert example.row == view.index.top(view.striking_latents(1)[0], 1)[0][0]
    assert np.array_equal(example.embedding, view.embeddings.vectors[example.row])
    dense = np.zeros(view.n_latents, np.float32)
    dense[example.latents] = example.activations
    model = view.model()
    centred = dense @ model.W_dec.detach().numpy() + model.b_dec.detach().numpy()
    expected = model.mean.numpy() + float(model.scale) * centred
    assert np.allclose(example.reconstruction, expected, atol=1e-5)
    cosine = expected @ example.embedding / np.linalg.norm(expected) / np.linalg.norm(example.embedding)
    assert example.cosine == pytest.approx(cosine, abs=1e-4)


def test_questions_about_a_latent_have_answers(workspace, view):
    latent = view.striking_latents(1)[0]
    assert view.histogram(latent)["n"].sum() == view.latents["n_active"].iloc[latent]
    assert set(view.shares(latent)["attribute"]) == set(workspace.corpus.attributes)
    assert view.cross_counts(latent)["n"].sum() <= view.latents["n_active"].iloc[latent]
    assert latent not in set(view.similar_latents(latent)["latent"])
    assert latent not in set(view.coactive_latents(latent)["latent"])
    assert len(view.examples(latent).strongest.rows) == 6
    assert len(view.nearest_clips(0)) == 8
    assert view.name_of(latent).startswith(f"#{latent}")
    assert 0 <= view.threshold_of(latent) <= view.latents["max_activation"].iloc[latent]


def test_only_what_new_voices_bear_out_becomes_a_name(view):
    for latent, row in view.latents.iterrows():
        if row["is_named"]:
            base_rate = row["best_precision"] / row["best_lift"]
            assert row["best_precision_low"] > base_rate and row["best_mcc"] >= 0.3
            assert view.name_of(latent) == f"#{latent} {row['best_value']}"
        else:
            assert view.name_of(latent) == f"#{latent}"


def test_clips_sound_and_can_be_seen(workspace):
    data, mime = workspace.clip_audio(3)
    assert mime.startswith("audio/") and len(data) > 1000
    picture = workspace.mel_picture(3)
    assert picture.dtype == np.uint8 and picture.max() > picture.min()


def test_a_clip_whose_recording_is_gone_is_named(own_workspace):
    workspace = open_workspace(own_workspace)
    workspace.corpus.audio_file(0).unlink()
    for ask in (workspace.clip_audio, workspace.mel_picture):
        with pytest.raises(AudioError, match=workspace.corpus.audio_file(0).name):
            ask(0)
    assert workspace.clip_audio(1)


def test_opening_what_is_not_there_says_what_to_run(tmp_path):
    with pytest.raises(CorpusError, match=r"not a folder.*import FOLDER"):
        open_workspace(tmp_path / "absent")
    with pytest.raises(CorpusError, match=r"no clips yet.*import FOLDER"):
        open_workspace(tmp_path)


def test_a_corpus_alone_opens_and_says_what_comes_next(own_workspace, tmp_path):
    Corpus.load(own_workspace).save(tmp_path / "new")
    workspace = open_workspace(tmp_path / "new")
    assert workspace.sae_names() == [] and workspace.embedder_names() == []
    states = {part.name: (part.state, part.command) for part in workspace.parts()}
    assert states["corpus"][0] == "ready"
    assert states["embeddings"][0] == "missing" and "embed" in states["embeddings"][1]
    assert states["saes"][0] == "missing" and "train" in states["saes"][1]


def _relabel(folder):
    corpus = Corpus.load(folder)
    table = corpus.table.assign(**{corpus.attributes[0]: "same"})
    Corpus(table, corpus.audio_root, corpus.attributes).save(folder)


def _shorten(folder):
    corpus = Corpus.load(folder)
    Corpus(corpus.table.assign(duration_s=0.5), corpus.audio_root, corpus.attributes).save(folder)


def _move_splits(folder):
    corpus = Corpus.load(folder)
    Corpus(corpus.table.assign(split="train"), corpus.audio_root, corpus.attributes).save(folder)


@pytest.mark.parametrize(
    ("change", "words", "command"),
    [
        (_relabel, "earlier labels", "index"),
        (_shorten, "earlier audio", "embed"),
        (_move_splits, "earlier splits", "train"),
    ],
)
def test_what_changed_decides_what_is_stale_and_what_rebuilds_it(own_workspace, change, words, command):
    change(own_workspace)
    workspace = open_workspace(own_workspace)
    name = workspace.sae_names()[0]
    with pytest.raises(StaleArtifactError, match=f"{words}.*sae_core {command}"):
        workspace.sae(name)
    stale = [part for part in workspace.parts() if part.name == f"saes/{name}"]
    assert stale[0].state == "stale" and f"sae_core {command}" in stale[0].command


def test_damaged_parts_are_named_and_the_rest_still_opens(own_workspace):
    first, second = open_workspace(own_workspace).sae_names()
    (own_workspace / "saes" / first / "index_rows.npy").write_bytes(b"garbage")
    (own_workspace / "saes" / second / "weights.safetensors").write_bytes(b"\x80\x04garbage of some length")
    workspace = open_workspace(own_workspace)
    with pytest.raises(ArtifactError, match="index_rows.npy"):
        workspace.sae(first)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        workspace.sae(second)
    assert len(workspace.corpus) and len(workspace.embeddings("synthetic"))


def test_workspaces_of_another_format_are_refused(own_workspace):
    artifacts.write_json(own_workspace / "workspace.json", {"format_version": 99})
    with pytest.raises(ArtifactError, match="format version 99"):
        open_workspace(own_workspace)


def test_the_stamp_follows_rebuilding_and_nothing_else(own_workspace):
    before = workspace_stamp(own_workspace)
    open_workspace(own_workspace).parts()
    assert workspace_stamp(own_workspace) == before
    _relabel(own_workspace)
    assert workspace_stamp(own_workspace) != before


def test_failures_are_read_or_empty(tmp_path):
    from sae_core.files.artifacts import read_failures

    assert read_failures(tmp_path / "none.parquet").empty
    artifacts.write_table(tmp_path / "some.parquet", pd.DataFrame({"reason": ["silent"]}))
    assert list(read_failures(tmp_path / "some.parquet")["reason"]) == ["silent"]


def test_what_is_kept_is_made_once_and_the_oldest_is_dropped(workspace):
    made = []

    def make():
        made.append(len(made))
        return made[-1]

    owner = open_workspace(workspace.path)
    for keeper in (owner, owner.sae(owner.sae_names()[0])):
        made.clear()
        assert [keeper.kept("number", make, of=of, at_most=2) for of in "aabacab"] == [0, 0, 1, 0, 2, 3, 4]
        assert keeper.kept("another", make, of="c") == 5  # kinds do not get into each other's way
        with pytest.raises(ZeroDivisionError):
            keeper.kept("number", lambda: 1 // 0, of="new")
        assert keeper.kept("number", make, of="b") == 4  # and a failure drops nothing


@pytest.mark.parametrize("attributes", [["clip_id"], ["speaker_id", "language"], [["a"]], [None]])
def test_attributes_that_cannot_be_are_refused(own_workspace, attributes):
    said = artifacts.read_json(own_workspace / "corpus.json")
    artifacts.write_json(own_workspace / "corpus.json", said | {"attributes": attributes})
    with pytest.raises(ArtifactError, match="names attributes in a way that cannot be"):
        open_workspace(own_workspace)


def test_a_path_that_no_system_knows_is_told_as_an_error_of_the_corpus(own_workspace):
    said = artifacts.read_json(own_workspace / "corpus.json")
    artifacts.write_json(own_workspace / "corpus.json", said | {"audio_root": "a\0b"})
    with pytest.raises(CorpusError, match="no usable path"):
        open_workspace(own_workspace).corpus.audio_file(0)
