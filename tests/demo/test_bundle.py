"""The shipped demo as one's own copy."""

import shutil

import numpy as np
import pytest

from sae_core.corpus import acoustics
from sae_core.corpus.clips import Corpus
from sae_core.demo import bundle
from sae_core.files.artifacts import read_json
from sae_core.files.errors import ArtifactError
from sae_core.files.settings import update_settings
from sae_core.workspace.workspace import open_workspace
from tests.planting import plant_measures


@pytest.fixture
def shipped(own_workspace, monkeypatch):
    """A bundle made of the small workspace, as the real one is made of the gathered voices."""
    update_settings(own_workspace, is_demo=True)
    bundle._strip(own_workspace)
    bundle.seal(own_workspace)
    monkeypatch.setattr(bundle, "BUNDLE", own_workspace)
    return own_workspace


def test_what_is_not_shipped_is_derived_again_just_as_it_was(shipped, small_workspace, tmp_path):
    assert not list(shipped.glob("saes/*/index*")) and not list(shipped.glob("saes/*/code*"))
    own = bundle.unpack_demo(tmp_path / "own")
    before, after = open_workspace(small_workspace), open_workspace(own)
    assert after.sae_names() == before.sae_names()
    for name in before.sae_names():
        one, other = before.sae(name), after.sae(name)
        assert np.array_equal(one.index.rows, other.index.rows)
        assert one.latents.equals(other.latents)


def test_acoustic_measures_are_shipped(own_workspace, tmp_path, monkeypatch):
    corpus = Corpus.load(own_workspace)
    acoustics._save(own_workspace, corpus, plant_measures(len(corpus)), {})
    update_settings(own_workspace, is_demo=True)
    bundle._strip(own_workspace)
    bundle.seal(own_workspace)
    monkeypatch.setattr(bundle, "BUNDLE", own_workspace)
    own = open_workspace(bundle.unpack_demo(tmp_path / "own"))
    assert [part.state for part in own.parts() if part.name == "acoustics"] == ["ready"]


def test_the_demo_is_copied_once_and_own_work_in_it_stays(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    before = {file: file.stat().st_mtime_ns for file in own.rglob("*") if file.is_file()}
    (own / "notes.sqlite").write_bytes(b"mine")
    assert bundle.unpack_demo(own) == own
    assert all(file.stat().st_mtime_ns == changed for file, changed in before.items())


def test_a_newer_bundle_replaces_the_old_one_but_not_own_work(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    (own / "notes.sqlite").write_bytes(b"mine")
    (shipped / "CREDITS.md").write_bytes(b"more clips")
    corpus = Corpus.load(shipped)
    relabelled = corpus.table.assign(**{corpus.attributes[0]: "same"})
    Corpus(relabelled, corpus.audio_root, corpus.attributes).save(shipped)
    bundle.seal(shipped)
    bundle.unpack_demo(own)
    assert (own / "CREDITS.md").read_bytes() == b"more clips"
    assert (own / "notes.sqlite").read_bytes() == b"mine"
    assert read_json(own / "demo.json") == read_json(shipped / "demo.json")
    assert all(part.state == "ready" for part in open_workspace(own).parts())


def test_saes_that_a_newer_bundle_no_longer_brings_go_and_own_ones_stay(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    kept, dropped = sorted(folder.name for folder in (shipped / "saes").iterdir())[:2]
    shutil.copytree(own / "saes" / dropped, own / "saes" / "mine")
    shutil.rmtree(shipped / "saes" / dropped)
    bundle.seal(shipped)
    bundle.unpack_demo(own)
    assert sorted(folder.name for folder in (own / "saes").iterdir()) == sorted([kept, "mine"])


def test_a_copy_broken_off_is_made_again(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    (own / "demo.json").unlink()
    (own / "clips.parquet").write_bytes(b"ha")
    bundle.unpack_demo(own)
    assert (own / "clips.parquet").read_bytes() == (shipped / "clips.parquet").read_bytes()


def test_too_large_a_bundle_is_not_sealed(shipped, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BUNDLE_BYTES", 6)
    with pytest.raises(ArtifactError, match="more than the"):
        bundle.seal(shipped)


def test_a_copy_that_cannot_be_written_says_where_and_what_to_do(shipped, tmp_path):
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(ArtifactError, match=r"file/own: the demo cannot be copied here .*--workspace FOLDER"):
        bundle.unpack_demo(tmp_path / "file" / "own")


def test_an_installed_demo_is_not_made_again_in_its_place(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "is_checkout", lambda: False)
    with pytest.raises(ArtifactError, match="--out FOLDER"):
        bundle.build_demo(cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_missing_bundle_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "absent")
    with pytest.raises(ArtifactError, match="demo build"):
        bundle.unpack_demo(tmp_path / "own")
