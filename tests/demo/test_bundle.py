"""The shipped demo as one's own copy."""

import pytest

from sae_core.artifacts import read_json
from sae_core.demo import bundle
from sae_core.errors import ArtifactError


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    (folder / "saes" / "topk-4-k1").mkdir(parents=True)
    (folder / "clips.parquet").write_bytes(b"clips")
    (folder / "saes" / "topk-4-k1" / "meta.json").write_bytes(b"{}")
    bundle.seal(folder)
    monkeypatch.setattr(bundle, "BUNDLE", folder)
    return folder


def test_the_demo_is_copied_once_and_own_work_in_it_stays(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    assert (own / "clips.parquet").read_bytes() == b"clips"
    (own / "clips.parquet").write_bytes(b"changed")
    (own / "notes.sqlite").write_bytes(b"mine")
    assert bundle.unpack_demo(own) == own
    assert (own / "clips.parquet").read_bytes() == b"changed"


def test_a_newer_bundle_replaces_the_old_one_but_not_own_work(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    (own / "notes.sqlite").write_bytes(b"mine")
    (shipped / "clips.parquet").write_bytes(b"more clips")
    bundle.seal(shipped)
    bundle.unpack_demo(own)
    assert (own / "clips.parquet").read_bytes() == b"more clips"
    assert (own / "notes.sqlite").read_bytes() == b"mine"
    assert read_json(own / "demo.json") == read_json(shipped / "demo.json")


def test_a_copy_broken_off_is_made_again(shipped, tmp_path):
    own = bundle.unpack_demo(tmp_path / "own")
    (own / "demo.json").unlink()
    (own / "clips.parquet").write_bytes(b"ha")
    bundle.unpack_demo(own)
    assert (own / "clips.parquet").read_bytes() == b"clips"


def test_too_large_a_bundle_is_not_sealed(shipped, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BUNDLE_BYTES", 6)
    with pytest.raises(ArtifactError, match="more than the"):
        bundle.seal(shipped)


def test_a_missing_bundle_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "absent")
    with pytest.raises(ArtifactError, match="demo build"):
        bundle.unpack_demo(tmp_path / "own")
