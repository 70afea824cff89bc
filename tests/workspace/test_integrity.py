"""Nothing that was changed behind VoxScope's back is read as if it were what was written."""

import json

import numpy as np
import pytest

from sae_core.__main__ import main
from sae_core.build.steps import index_workspace
from sae_core.files.artifacts import ArtifactMeta, read_json, write_json
from sae_core.files.errors import ArtifactError
from sae_core.workspace.integrity import verify_workspace
from sae_core.workspace.workspace import open_workspace

NAME = "synthetic-topk-64-k8-s1"
FILES = [
    "embeddings/synthetic/vectors.npy",
    f"saes/{NAME}/weights.safetensors",
    f"saes/{NAME}/code_latents.npy",
    f"saes/{NAME}/code_activations.npy",
    f"saes/{NAME}/index_rows.npy",
    f"saes/{NAME}/attributes.parquet",
    f"saes/{NAME}/config.json",
]


def flip(path, *, at: float = 0.7) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_told_with_its_file_and_what_to_run(own_workspace, name):
    flip(own_workspace / name)
    with pytest.raises(ArtifactError) as told:
        open_workspace(own_workspace).sae(NAME)
    assert told.value.where == str(own_workspace / name) and "was changed" in told.value.what
    assert str(own_workspace) in (told.value.remedy or "")


def test_what_is_too_large_to_read_at_once_is_found_by_verifying(own_workspace, monkeypatch, capsys):
    monkeypatch.setattr("sae_core.files.artifacts.CHECKED_AT_OPEN_BYTES", 0)
    path = own_workspace / f"saes/{NAME}/code_activations.npy"
    flip(path)
    workspace = open_workspace(own_workspace)
    assert workspace.sae(NAME).n_latents == 64
    faults = [part for part in verify_workspace(workspace) if part.fault]
    assert [part.name for part in faults] == [f"saes/{NAME}/index"] and faults[0].fault.where == str(path)
    assert main(["info", str(own_workspace), "--verify"]) == 1
    said = capsys.readouterr()
    assert f"damaged  saes/{NAME}/index" in said.out and "index --workspace" in said.err


def test_a_whole_workspace_is_sound(small_workspace, capsys):
    assert main(["info", str(small_workspace), "--verify"]) == 0
    assert "damaged" not in capsys.readouterr().out
    assert all(part.n_files for part in verify_workspace(open_workspace(small_workspace)))


def test_the_command_that_is_named_puts_it_right(own_workspace):
    flip(own_workspace / f"saes/{NAME}/index_rows.npy")
    index_workspace(own_workspace)
    assert open_workspace(own_workspace).sae(NAME).n_latents == 64


def test_folders_of_earlier_versions_open_without_digests(own_workspace, capsys):
    for meta in own_workspace.glob("saes/*/*.json"):
        said = read_json(meta)
        if said.pop("files", None):
            write_json(meta, said)
    assert open_workspace(own_workspace).sae(NAME).n_latents == 64
    assert main(["info", str(own_workspace), "--verify"]) == 0
    assert "carry no digests" in capsys.readouterr().out


def _without_digests(folder):
    for meta in folder.glob("saes/*/*.json"):
        said = json.loads(meta.read_text())
        said.pop("files", None)
        meta.write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("code_latents.npy", np.full((600, 8), 64, np.int32)),
        ("code_latents.npy", np.full((600, 8), -1, np.int32)),
        ("code_activations.npy", np.full((600, 8), np.nan, np.float32)),
        ("code_activations.npy", np.full((600, 8), -1, np.float32)),
        ("index_offsets.npy", np.zeros(65, np.int64)),
        ("index_offsets.npy", np.zeros(0, np.int64)),
    ],
)
def test_well_formed_but_wrong_arrays_are_refused_at_the_door(own_workspace, name, array):
    _without_digests(own_workspace)
    np.save(own_workspace / "saes" / NAME / name, array)
    with pytest.raises(ArtifactError, match="saes"):
        open_workspace(own_workspace).sae(NAME)


def test_parts_of_another_size_do_not_pass_for_each_other(own_workspace):
    _without_digests(own_workspace)
    folder = own_workspace / "saes" / NAME
    for name in ("code_latents.npy", "code_activations.npy"):
        np.save(folder / name, np.load(folder / name)[:-1])
    with pytest.raises(ArtifactError, match=r"code_latents\.npy.*does not fit"):
        open_workspace(own_workspace).sae(NAME)


def test_a_name_that_leads_elsewhere_is_no_file_of_an_artifact(tmp_path):
    (tmp_path / "secret").write_text("x")
    meta = ArtifactMeta("sae", "f", files={"../secret": "1:x"})
    with pytest.raises(ArtifactError, match="cannot be"):
        meta.check_files(tmp_path / "inside", remedy="")
