"""Guesses: planted latents found again in clips without labels, kept apart from labels, and their files at the door."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from sae_core.build import guessing
from sae_core.build.guessing import guess_workspace, named_latents
from sae_core.corpus.clips import Corpus
from sae_core.files.errors import ArtifactError
from sae_core.workspace.guesses import NAMED_FILE, Guesses, read_named, write_named
from sae_core.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def named(small_workspace, tmp_path_factory):
    """The SAEs of the small planted workspace with their named latents, as the demo ships its own."""
    folder = tmp_path_factory.mktemp("named")
    shutil.copytree(small_workspace / "saes", folder / "saes")
    write_named(folder, named_latents(Workspace(small_workspace)))
    return folder


@pytest.fixture
def unlabelled(small_workspace, tmp_path):
    """The same clips and embeddings without any label or SAE."""
    folder = tmp_path / "unlabelled"
    shutil.copytree(small_workspace, folder, ignore=shutil.ignore_patterns("saes", "*.sqlite*", "guesses*"))
    corpus = Corpus.load(folder)
    Corpus(corpus.table.drop(columns=list(corpus.attributes)), corpus.audio_root, ()).save(folder)
    return folder


def test_named_latents_are_the_confirmed_ones_with_their_numbers(small_workspace):
    workspace = Workspace(small_workspace)
    found = {(one.attribute, one.value): one for one in named_latents(workspace)}
    assert found, "the planted workspace confirms nothing"
    for (attribute, value), one in found.items():
        table = workspace.sae(one.sae).predominant_latents().set_index(["attribute", "value"])
        line = table.loc[(attribute, value)]
        assert line["is_confirmed"] and line["latent"] == one.latent
        assert line["f1"] == pytest.approx(one.f1)
        assert 0 < one.base_rate < 1 and one.n_speakers > 0


def test_guesses_are_the_clips_above_the_threshold(small_workspace, unlabelled, named):
    guesses = guess_workspace(unlabelled, named=named)
    source = Workspace(small_workspace)
    assert guesses.n_clips == len(source.corpus)
    for one in guesses.named:
        rows = guesses.rows_of(one.attribute, one.value)
        above = set(source.sae(one.sae).index.rows_active(one.latent, one.threshold).tolist())
        assert set(rows.tolist()) <= above
        has_it = source.corpus.has_value(one.attribute, one.value)
        if len(rows):
            assert has_it[rows].mean() > one.base_rate


def test_a_clip_has_one_guess_an_attribute(unlabelled, named):
    table = guess_workspace(unlabelled, named=named).table
    assert not table.duplicated(["row", "attribute"]).any()
    assert (table["activation"] > table["threshold"]).all()
    corpus = Corpus.load(unlabelled)
    assert (corpus.table["clip_id"].to_numpy()[table["row"]] == table["clip_id"]).all()


def test_of_two_values_the_latent_that_is_more_often_right_decides():
    def part(value, precision):
        return pd.DataFrame(
            {
                "row": [3], "attribute": "language", "value": value, "activation": 1.0, "threshold": 0.5,
                "precision": precision,
            }
        )  # fmt: skip

    found = guessing._most_likely([part("es", 0.6), part("en", 0.9)], np.array(list("abcd")))
    assert found[["clip_id", "value"]].to_numpy().tolist() == [["d", "en"]]


def test_labels_settings_and_embeddings_stay_as_they_were(unlabelled, named):
    before = {
        path: path.read_bytes() for path in unlabelled.rglob("*") if path.suffix in (".parquet", ".npy")
    }
    own = Workspace(unlabelled).settings.get("embedder")
    guess_workspace(unlabelled, named=named)
    assert all(path.read_bytes() == content for path, content in before.items())
    workspace = Workspace(unlabelled)
    assert workspace.settings.get("embedder") == own and workspace.corpus.attributes == ()


def test_guesses_are_read_again_and_fall_with_their_clips(unlabelled, named):
    made = guess_workspace(unlabelled, named=named)
    found = Workspace(unlabelled).guesses()
    pd.testing.assert_frame_equal(found.table, made.table[list(found.table.columns)], check_dtype=False)
    assert found.named == made.named and found.n_clips == made.n_clips
    assert found.summary["n_clips"].sum() == len(found.table)
    assert Guesses.load(unlabelled, audio_fingerprint="another") is None


def test_damaged_guesses_are_named_with_the_command_that_makes_them_again(unlabelled, named):
    guess_workspace(unlabelled, named=named)
    (unlabelled / "guesses.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ArtifactError, match=r"guesses\.parquet.*guess --workspace"):
        Workspace(unlabelled).guesses()


@pytest.mark.parametrize("spoil", [{"latent": "7"}, {"threshold": None}, {"more": 1}, {"value": 3}])
def test_named_latents_that_cannot_be_are_refused(named, tmp_path, spoil):
    raw = json.loads((named / NAMED_FILE).read_text())
    raw["latents"][0] |= spoil
    (tmp_path / NAMED_FILE).write_text(json.dumps(raw))
    with pytest.raises(ArtifactError, match=NAMED_FILE):
        read_named(tmp_path)


def test_without_named_saes_the_folder_is_named(unlabelled, tmp_path):
    with pytest.raises(ArtifactError, match=r"named_latents\.json.*demo build"):
        guess_workspace(unlabelled, named=tmp_path)


def test_named_latents_survive_the_file(named, tmp_path):
    latents = read_named(named)
    odd = dataclasses.replace(latents[0], value="ελληνικά", f1_low=None, f1_high=None)
    write_named(tmp_path, [odd])
    assert read_named(tmp_path) == (odd,)
