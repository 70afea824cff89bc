"""Recipes of a workspace's SAE, applied to files of every format: the numbers that `steer` gives inside it."""

import numpy as np
import pytest

import sae_core as vox
from sae_core.__main__ import main
from sae_core.analysis.recipes import ablation_of, make_recipe, read_changes
from sae_core.build.steered_files import steer_file
from sae_core.embedding.vector_files import read_vectors
from sae_core.embedding.vector_files.writing import SUFFIXES
from sae_core.files.errors import ArtifactError
from sae_core.measures.recipes import save_recipe
from sae_core.measures.steering import Change


@pytest.fixture(scope="module")
def view(small_workspace):
    return vox.open_sae(small_workspace)


@pytest.fixture(scope="module")
def changes(view):
    strongest = np.argsort(-view.latents["n_active"].to_numpy())[:3]
    return [
        Change(int(latent), mode, 1.5)
        for latent, mode in zip(strongest, ("ablate", "scale", "set"), strict=True)
    ]


@pytest.fixture(scope="module")
def recipe(view, changes):
    return make_recipe(view, changes)


def read_back(path):
    ids = path.with_suffix(".ids.txt") if path.suffix == ".npy" else None
    found = list(read_vectors(path, ids))
    return [name for names, _ in found for name in names], np.concatenate([rows for _, rows in found])


def test_a_recipe_steers_as_the_workspace_does(view, changes, recipe):
    inside = vox.steer(view, changes)
    outside = recipe.apply(np.asarray(view.embeddings.vectors) * np.float32(0.3))
    assert np.abs(inside - outside)[view.embeddings.valid_rows].max() < 1e-5


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_every_format_are_written_and_read_again(view, recipe, suffix, tmp_path):
    folder = view.workspace.path / "embeddings" / view.embeddings.name
    made = steer_file(recipe, folder, tmp_path / f"v{suffix}")
    ids, rows = read_back(made.path)
    expected = dict(
        zip(
            view.workspace.corpus.table["clip_id"],
            recipe.apply(np.asarray(view.embeddings.vectors)),
            strict=True,
        )
    )
    assert set(ids) == set(expected) and made.n == len(ids)
    assert np.abs(rows - np.stack([expected[name] for name in ids])).max() < 1e-6
    again = steer_file(
        recipe,
        made.path,
        tmp_path / "again.parquet",
        ids=made.path.with_suffix(".ids.txt") if suffix == ".npy" else None,
    )
    assert again.n == made.n


def test_another_encoder_is_refused_and_nothing_is_written(view, recipe, tmp_path):
    source, out = tmp_path / "v.npz", tmp_path / "out.parquet"
    rng = np.random.default_rng(0)
    for dim, said in ((64, "not of 64"), (view.embeddings.dim, "lie elsewhere")):
        np.savez(source, vectors=rng.normal(size=(500, dim)).astype(np.float32), ids=np.arange(500))
        with pytest.raises(ArtifactError, match=said):
            steer_file(recipe, source, out)
    with pytest.raises(ArtifactError, match="not by campplus"):
        steer_file(recipe, source, out, encoder="campplus")
    assert steer_file(recipe, source, out, encoder=recipe.mark.name).n == 500
    with pytest.raises(ArtifactError, match="ending of a format"):
        steer_file(recipe, source, tmp_path / "v.pickle", encoder=recipe.mark.name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.parquet", "v.npz"]


def test_a_change_in_words():
    assert read_changes("12, 40x0.5,7=3") == [
        Change(12, "ablate"),
        Change(40, "scale", 0.5),
        Change(7, "set", 3.0),
    ]
    for wrong in ("", "a", "3y2", "3=", "1,1", "-2"):
        with pytest.raises(ValueError):
            read_changes(wrong)


def test_the_latents_of_a_value_are_its_presets(view):
    found = view.predominant_latents().query("evidence == 'unseen speakers'").iloc[0]
    changes = ablation_of(view, (found.attribute, found.value))
    assert changes[0] == Change(int(found.latent), "ablate")
    with pytest.raises(ArtifactError, match="no latent that was measured"):
        ablation_of(view, ("language", "Martian"))


def test_wrong_recipes_are_refused(view):
    with pytest.raises(ValueError, match="from 1 to 64"):
        make_recipe(view, [])
    with pytest.raises(ValueError, match="latents 0 to 63"):
        make_recipe(view, [Change(64, "ablate")])


def test_verbs_and_functions_take_a_recipe_away_and_apply_it(
    view, small_workspace, changes, tmp_path, capsys
):
    latents = f"{changes[0].latent},{changes[1].latent}x1.5"
    command = ["steering", "export", "--workspace", str(small_workspace), "--latents", latents]
    onnx = tmp_path / "r.onnx"
    assert main([*command, "--out", str(tmp_path / "r"), "--onnx", str(onnx)]) == 0
    said = capsys.readouterr().out
    assert "2 changed latents" in said and "EER on unseen speakers" in said and onnx.is_file()
    found = vox.load_recipe(tmp_path / "r")
    low, high = found.effect["eer_change"][1:]
    outcome = vox.measure_steering(view, list(found.changes))
    assert found.effect["eer_after"][0] == pytest.approx(outcome.after.eer, abs=1e-6)
    assert (low, high) == pytest.approx(outcome.eer_change[1:], abs=1e-6)
    folder = small_workspace / "embeddings" / view.embeddings.name
    out = tmp_path / "v.npy"
    assert main(["steer", str(folder), str(out), "--recipe", str(tmp_path / "r")]) == 0
    assert "600 embeddings of 192 numbers" in capsys.readouterr().out
    np.testing.assert_allclose(np.load(out), vox.steer(view, list(found.changes)), atol=1e-5)
    with pytest.raises(ArtifactError, match="is the file that is read"):
        steer_file(found, out, out, ids=out.with_suffix(".ids.txt"))
    other = vox.export_recipe(view, {changes[0].latent: 0}, tmp_path / "other")
    assert save_recipe(other, tmp_path / "other") == tmp_path / "other"
