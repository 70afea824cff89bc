"""Backups: all that people made comes back, nothing that is there is lost, and nothing else comes in."""

import json
import zipfile

import numpy as np
import pytest

from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.workspace.backup import restore_backup, write_backup
from sae_core.workspace.excerpts import Excerpt, keep_excerpt, kept_excerpts, kept_vector
from sae_core.workspace.note_entries import COMMENT, DECISION, LABEL, Subject
from sae_core.workspace.workspace import open_workspace
from tests.odd_workspaces import write_odd_workspace


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(write_odd_workspace("one clip", tmp_path / "W"))


@pytest.fixture
def empty(tmp_path):
    return open_workspace(write_odd_workspace("one clip", tmp_path / "other"))


def annotate(workspace):
    """Notes, a decision, a view and a kept recording."""
    workspace.notes.write(Subject(clip="clip-000"), LABEL, text="laughter", author="Ana")
    workspace.notes.write(Subject("sae", "f00", 3), COMMENT, text="two\nlines", author="Ben")
    workspace.notes.write(Subject(clip="clip-000"), DECISION, text="leave out", author="Ben")
    workspace.saved_views.save("Here", "clips", {"clip": ["clip-000"]}, author="Ana")
    wave = np.sin(np.arange(8000) * (0.1 + 0.01 * len(kept_excerpts(workspace.path)))).astype(np.float32)
    heard = Excerpt("call.wav", wave, 8000, 0.0, 1.0, 1)
    keep_excerpt(workspace.path, heard, np.ones(4, np.float32), embedder="planted", revision="1")


def made(workspace):
    marks = [kept.mark for kept in kept_excerpts(workspace.path)]
    return workspace.notes.entries(), workspace.saved_views.entries(), marks


def test_all_that_people_made_comes_back(workspace, empty, tmp_path):
    annotate(workspace)
    report = write_backup(workspace, tmp_path / "b.zip")
    assert (report.n_notes, report.n_views, report.n_probes) == (3, 1, 1)
    found = restore_backup(empty, tmp_path / "b.zip")
    assert (found.n_notes, found.n_views, found.n_probes, found.aside) == (3, 1, 1, ())
    assert made(empty) == made(workspace) and not found.is_of_other_clips
    (mark,) = made(empty)[2]
    assert kept_vector(empty.path, mark, embedder="planted", revision="1") is not None
    again = restore_backup(empty, tmp_path / "b.zip")
    assert (again.n_notes, again.n_views, again.n_probes) == (0, 0, 0)
    assert not list(empty.path.glob(".restore*"))


def test_what_is_there_stays_unless_it_is_to_be_replaced_and_is_kept_then(workspace, tmp_path):
    annotate(workspace)
    before = made(workspace)
    write_backup(workspace, tmp_path / "b.zip")
    with pytest.raises(ArtifactError, match="is there already"):
        write_backup(workspace, tmp_path / "b.zip")
    annotate(workspace)
    restore_backup(workspace, tmp_path / "b.zip")
    assert len(workspace.notes.entries()) == 6
    found = restore_backup(workspace, tmp_path / "b.zip", replace=True)
    assert made(workspace) == before
    notes, probes = found.aside
    assert len(list(probes.iterdir())) == 2
    (tmp_path / "kept").mkdir()
    notes.rename(tmp_path / "kept" / "notes.sqlite")
    from sae_core.workspace.notes import Notes

    assert len(Notes(tmp_path / "kept").entries()) == 6


def _packed(workspace, tmp_path, change):
    """A backup whose members `change` has altered: name → bytes."""
    annotate(workspace)
    write_backup(workspace, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as source:
        members = {name: source.read(name) for name in source.namelist()}
    members = change(members)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return tmp_path / "bad.zip"


def _first(members, end):
    return next(name for name in members if name.endswith(end))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {**m, "../out.txt": b"x"},
        lambda m: {**m, "/etc/passwd": b"x"},
        lambda m: {**m, "probes/0123456789abcdef/../../x": b"x"},
        lambda m: {**m, "saes/x/meta.json": b"{}"},
        lambda m: {**m, "views.json": b"[" * 100_000},
        lambda m: {**m, "views.json": b'{"views": [{"uid": 3}]}'},
        lambda m: {**m, "views.json": m["views.json"].replace(b"clips?clip=clip-000", b"http://evil.test")},
        lambda m: {**m, "notes-000.json": m["notes-000.json"].replace(b'"Ana"', b'"\\u202eanA"')},
        lambda m: {**m, "backup.json": json.dumps({"kind": "other"}).encode()},
        lambda m: {**m, "backup.json": m["backup.json"].replace(b'"format_version": ', b'"format_version": 9')},
        lambda m: {k: v for k, v in m.items() if not k.endswith("sound.wav")},
        lambda m: {**m, _first(m, "sound.wav"): b"no sound"},
        lambda m: {**m, _first(m, "vector.npy"): b"cos\nsystem\n(S'x'\ntR."},
        lambda m: {**m, _first(m, "vector.npy"): b"0" * (2**20 + 1)},
        lambda m: {k.replace(k[7:23], "f" * 16) if "probes" in k else k: v for k, v in m.items()},
        lambda m: {k: v for k, v in m.items() if k != "backup.json"},
    ],
)  # fmt: skip
def test_nothing_else_comes_in(workspace, empty, tmp_path, change):
    file = _packed(workspace, tmp_path, change)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(VoxScopeError):
        restore_backup(empty, file, replace=True)
    assert made(empty) == ([], [], []) and sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + 200 * b"\0"])
def test_what_is_no_zip_is_told(empty, tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged or no zip"):
        restore_backup(empty, tmp_path / "x.zip")
    with pytest.raises(ArtifactError, match="does not exist"):
        restore_backup(empty, tmp_path / "nosuch.zip")


def test_the_verbs_say_what_they_did(workspace, tmp_path, capsys):
    from sae_core.__main__ import main

    annotate(workspace)
    file, folder = str(tmp_path / "b.zip"), str(workspace.path)
    assert main(["backup", "--workspace", folder, "--out", file]) == 0
    assert main(["backup", "--workspace", folder, "--out", file]) == 1
    assert main(["restore", file, "--workspace", folder, "--replace"]) == 0
    said = capsys.readouterr().out
    assert "3 entries of notes, 1 of saved views, 1 kept recordings" in said and "before-" in said
