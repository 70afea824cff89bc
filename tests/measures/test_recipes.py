"""Recipes against the SAE itself: the same steering without the workspace, and files that are no recipe."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.files.errors import ArtifactError
from sae_core.measures.recipes import (
    SETTINGS_FILE,
    TENSORS_FILE,
    EncoderMark,
    Recipe,
    read_recipe,
    save_recipe,
)
from sae_core.measures.steering import Change

N, DIM, L = 300, 24, 40


def unit(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, DIM)) + 0.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def plant(changes, *, k=5, seed=0, input_norm="none", floor=0.0):
    rng = np.random.default_rng(seed)
    return Recipe(
        EncoderMark.of(unit(N, seed), name="planted", revision="1"),
        tuple(changes),
        rng.normal(size=(L, DIM)).astype(np.float32),
        rng.normal(size=L).astype(np.float32),
        rng.normal(size=(len(changes), DIM)).astype(np.float32) * np.float32(0.2),
        np.full(L, floor, np.float32),
        k,
        input_norm,
        {"name": "topk", "fingerprint": "f"},
    )


def slowly(recipe, vectors):
    """The equations, a row at a time."""
    steered = np.zeros(vectors.shape)
    for row, vector in enumerate(vectors.astype(np.float64)):
        if not np.isfinite(vector).all() or not vector.any():
            continue
        e = vector / np.linalg.norm(vector)
        x = (e - e.mean()) / (e.std(ddof=1) + 1e-5) if recipe.input_norm == "layer" else e
        z = recipe.encoder.astype(np.float64) @ x + recipe.bias
        v = np.where(z > recipe.floor, z, 0)
        if recipe.k is not None:
            v[np.argsort(-z)[recipe.k :]] = 0
        for j, change in enumerate(recipe.changes):
            after = {"ablate": 0.0, "scale": v[j] * change.amount, "set": change.amount}[change.mode]
            e = e + (after - v[j]) * recipe.directions[j]
        steered[row] = e / np.linalg.norm(e)
    return steered


changes_of = st.lists(
    st.builds(Change, st.integers(0, 9), st.sampled_from(["set", "scale", "ablate"]), st.floats(0, 4)),
    min_size=1,
    max_size=4,
    unique_by=lambda change: change.latent,
)


@given(st.integers(0, 30), changes_of, st.sampled_from([1, 5, L, None]), st.sampled_from(["none", "layer"]))
def test_a_recipe_does_what_its_equations_say(seed, changes, k, input_norm):
    recipe = plant(changes, k=k, seed=seed, input_norm=input_norm, floor=0.3 if k is None else 0.0)
    vectors = unit(60, seed + 1) * np.float32(3.7)
    vectors[7], vectors[9, 2] = 0, np.nan
    found = recipe.apply(vectors)
    assert np.abs(found - slowly(recipe, vectors)).max() < 1e-5
    assert not found[7].any() and not found[9].any()


def test_many_latents_are_counted_block_by_block(monkeypatch):
    from sae_core.measures import recipes

    recipe, vectors = plant([Change(1, "ablate"), Change(2, "scale", 3.0)]), unit(2_000, 4)
    whole = recipe.apply(vectors)
    monkeypatch.setattr(recipes, "_LATENTS_AT_ONCE", 8)
    monkeypatch.setattr(recipes, "_ROWS_AT_ONCE", 37)
    np.testing.assert_allclose(recipe.apply(vectors), whole, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_are_taken(dtype):
    recipe, vectors = plant([Change(1, "set", 2.0)], k=None), unit(50, 3)
    assert np.abs(recipe.apply(vectors.astype(dtype)) - recipe.apply(vectors)).max() < 5e-3


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    recipe = replace(plant([Change(3, "scale", 0.5)]), effect={"eer_before": [0.1, 0.05, 0.2]})
    found = read_recipe(save_recipe(recipe, tmp_path / "r"))
    assert found.changes == recipe.changes and found.effect == recipe.effect and found.k == recipe.k
    assert (found.mark.name, found.mark.revision) == ("planted", "1")
    np.testing.assert_array_equal(found.apply(unit(40, 2)), recipe.apply(unit(40, 2)))
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == [SETTINGS_FILE, TENSORS_FILE]


def test_embeddings_of_another_encoder_are_refused():
    recipe = plant([Change(1, "ablate")])
    with pytest.raises(ArtifactError, match="24 numbers by planted, not of 25"):
        recipe.apply(np.ones((2, 25), np.float32))
    with pytest.raises(ArtifactError, match="by planted .* not by other"):
        recipe.check_encoder("other")
    with pytest.raises(ArtifactError, match="not by planted"):
        recipe.check_encoder("planted", "2")
    recipe.check_encoder("planted", "1")


def narrow(n, *, axes_seed, seed):
    """Embeddings of 64 numbers that lie mainly along ten axes, as an encoder's do."""
    axes = np.linalg.qr(np.random.default_rng(axes_seed).normal(size=(64, 64)))[0]
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 10)) @ axes[:10] + 0.1 * rng.normal(size=(n, 64))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_an_encoder_is_known_again_by_where_its_embeddings_lie():
    mark = EncoderMark.of(narrow(500, axes_seed=0, seed=0), name="one", revision="1")
    assert mark.likeness(narrow(500, axes_seed=0, seed=9)) == pytest.approx(1, abs=0.02)
    recipe = replace(plant([Change(1, "ablate")]), mark=mark)
    recipe.check_space(narrow(500, axes_seed=0, seed=9))
    with pytest.raises(ArtifactError, match="lie elsewhere"):
        recipe.check_space(narrow(500, axes_seed=1, seed=9))


def _rewritten(**changed):
    def damage(folder):
        settings = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
        for name, value in changed.items():
            inner = settings
            *path, last = name.split("__")
            for part in path:
                inner = inner[part]
            inner[last] = value
        (folder / SETTINGS_FILE).write_text(json.dumps(settings), "utf-8")

    return damage


def _pickled(folder):
    (folder / TENSORS_FILE).write_bytes(pickle.dumps({"encoder": 1}))


def _short(folder):
    content = (folder / TENSORS_FILE).read_bytes()
    (folder / TENSORS_FILE).write_bytes(content[:-7])


def _not_finite(folder):
    recipe = read_recipe(folder)
    recipe.bias[3] = np.nan
    save_recipe(recipe, folder)


HOSTILE = {
    "a pickle": _pickled,
    "cut off": _short,
    "NaN": _not_finite,
    "no tensors": lambda folder: (folder / TENSORS_FILE).unlink(),
    "no settings": lambda folder: (folder / SETTINGS_FILE).write_text("[]"),
    "another kind": _rewritten(kind="sae"),
    "newer": _rewritten(format_version=99),
    "a huge dimension": _rewritten(encoder__dim=10**12),
    "negative latents": _rewritten(sae__n_latents=-4),
    "k beyond L": _rewritten(sae__k=10**6),
    "an unknown norm": _rewritten(sae__input_norm="batch"),
    "no changes": _rewritten(changes=[]),
    "too many changes": _rewritten(changes=[{"latent": n, "mode": "ablate", "amount": 0} for n in range(65)]),
    "a mode of its own": _rewritten(changes=[{"latent": 1, "mode": "__import__", "amount": 0}]),
    "one latent twice": _rewritten(changes=[{"latent": 1, "mode": "ablate", "amount": 0}] * 2),
    "a huge amount": _rewritten(changes=[{"latent": 1, "mode": "set", "amount": 10**400}]),
    "a change that is text": _rewritten(changes=["1"]),
    "energy 0": _rewritten(energy_inside=0),
    "a path for a digest": _rewritten(tensors="../../secret"),
}


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_recipe_is_refused_in_words(tmp_path, damage):
    folder = save_recipe(plant([Change(1, "ablate")]), tmp_path / "r")
    damage(folder)
    with pytest.raises(ArtifactError) as caught:
        read_recipe(folder)
    assert caught.value.where.startswith(str(folder)) and caught.value.remedy


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="holds something else"):
        save_recipe(plant([Change(1, "ablate")]), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("k", [1, 5, L, None])
@pytest.mark.parametrize("input_norm", ["none", "layer"])
def test_onnxruntime_computes_the_same(tmp_path, k, input_norm):
    runtime = pytest.importorskip("onnxruntime")
    from sae_core.measures.recipe_network import write_network

    changes = [Change(1, "ablate"), Change(4, "scale", 2.5), Change(6, "set", 1.5)]
    recipe = plant(changes, k=k, input_norm=input_norm, floor=0.2 if k is None else 0.0)
    vectors = unit(200, 8) * np.float32(2.2)
    vectors[5] = 0
    session = runtime.InferenceSession(str(write_network(recipe, tmp_path / "r.onnx")))
    (found,) = session.run(["steered"], {"embeddings": vectors})
    assert np.abs(found - recipe.apply(vectors)).max() < 1e-5
    assert session.get_modelmeta().custom_metadata_map["encoder"] == "planted"
