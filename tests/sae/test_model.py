"""The autoencoder against its own equations, and its files against damage."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sae_core.files.errors import ArtifactError, DeviceMemoryError
from sae_core.sae.codes import SparseCodes
from sae_core.sae.model import SaeConfig, SparseAutoencoder, default_prefixes


def make_sae(config=None, seed=0):
    """An autoencoder with every weight at random, so that nothing cancels by chance."""
    config = config or SaeConfig(dim=12, n_latents=40, k=5)
    random = np.random.default_rng(seed)
    sae = SparseAutoencoder.untrained(config, random.normal(size=config.dim), 0.7)
    with torch.no_grad():
        for part in (sae.W_enc, sae.b_enc, sae.b_dec):
            part.add_(torch.from_numpy(random.normal(scale=0.5, size=tuple(part.shape))))
    return sae


def make_vectors(n=60, dim=12, seed=1):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def encode_by_the_book(sae, vectors):
    """v as the class docstring defines it, densely and in float64."""
    w = {name: array.astype(np.float64) for name, array in sae.arrays().items()}
    x = (vectors - w["mean"]) / w["scale"]
    scores = np.maximum((x - w["b_dec"]) @ w["W_enc"].T + w["b_enc"], 0)
    kept = np.argsort(-scores, axis=1)[:, : sae.config.k]
    dense = np.zeros_like(scores)
    np.put_along_axis(dense, kept, np.take_along_axis(scores, kept, 1), 1)
    return dense


class TestEncoding:
    def test_codes_are_the_equation(self):
        sae, vectors = make_sae(), make_vectors()
        codes = sae.encode(vectors)
        np.testing.assert_allclose(codes.dense(), encode_by_the_book(sae, vectors), atol=2e-5)
        assert codes.n_latents == 40
        assert (codes.latents.dtype, codes.activations.dtype) == (np.int32, np.float32)

    def test_a_batch_without_memory_is_named(self, monkeypatch):
        def run_out(*_, **__):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr("sae_core.sae.model.strongest_products", run_out)
        with pytest.raises(DeviceMemoryError, match=r"50 clips at 40 latents .* batch_size=25"):
            make_sae().encode(make_vectors(n=60), batch_size=50)

    def test_strongest_come_first_and_unused_slots_are_zero(self):
        sae, vectors = make_sae(SaeConfig(dim=12, n_latents=40, k=30)), make_vectors()
        codes = sae.encode(vectors)
        assert (np.diff(codes.activations, axis=1) <= 0).all()
        unused = codes.activations == 0
        assert unused.any()
        assert not codes.latents[unused].any()

    @pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
    def test_pieces_do_not_show(self, batch_size):
        sae, vectors = make_sae(), make_vectors()
        pieces, whole = sae.encode(vectors, batch_size=batch_size), sae.encode(vectors)
        np.testing.assert_array_equal(pieces.latents, whole.latents)
        np.testing.assert_allclose(pieces.activations, whole.activations, atol=1e-5)

    def test_a_clip_without_an_embedding_fires_nothing(self):
        vectors = make_vectors()
        vectors[3] = 0
        activations = make_sae().encode(vectors).activations
        assert not activations[3].any()
        assert activations[[2, 4]].any(axis=1).all()

    def test_dense_codes_are_the_sparse_ones(self):
        sae, vectors = make_sae(), make_vectors()
        dense = sae.encode_dense(torch.from_numpy(vectors)).numpy()
        np.testing.assert_allclose(dense, sae.encode(vectors).dense(), atol=1e-6)

    def test_reads_memory_mapped_vectors(self, tmp_path):
        np.save(tmp_path / "vectors.npy", make_vectors())
        mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        np.testing.assert_array_equal(
            make_sae().encode(mapped).latents, make_sae().encode(make_vectors()).latents
        )

    def test_no_clips_give_no_codes(self):
        assert make_sae().encode(make_vectors(0)).latents.shape == (0, 5)

    def test_vectors_of_another_embedder_are_refused(self):
        with pytest.raises(ValueError, match="have 9 dimensions, this SAE reads 12"):
            make_sae().encode(make_vectors(dim=9))


class TestDecoding:
    def test_rebuilds_by_the_equation_in_embedding_space(self):
        sae, vectors = make_sae(), make_vectors()
        w = sae.arrays()
        expected = w["mean"] + w["scale"] * (encode_by_the_book(sae, vectors) @ w["W_dec"] + w["b_dec"])
        np.testing.assert_allclose(sae.decode(sae.encode(vectors), batch_size=17), expected, atol=2e-5)

    def test_a_slot_moves_the_embedding_along_its_decoder_direction(self):
        sae = make_sae()
        none = SparseCodes(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32), 40)
        one = SparseCodes(np.full((1, 1), 23, np.int32), np.full((1, 1), 2.5, np.float32), 40)
        moved = sae.decode(one) - sae.decode(none)
        np.testing.assert_allclose(moved[0], 2.5 * 0.7 * sae.decoder_directions()[23], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(sae.decoder_directions(), axis=1), 1, atol=1e-6)

    def test_an_untrained_encoder_is_half_the_decoder_transposed(self):
        sae = SparseAutoencoder.untrained(SaeConfig(dim=4, n_latents=9, k=2, seed=3), np.zeros(4), 1.0)
        assert torch.equal(2 * sae.W_enc, sae.W_dec)
        other = SparseAutoencoder.untrained(SaeConfig(dim=4, n_latents=9, k=2, seed=4), np.zeros(4), 1.0)
        assert not torch.equal(sae.W_dec, other.W_dec)


@st.composite
def fields(draw):
    n_latents = draw(st.integers(1, 5000))
    variant = draw(st.sampled_from(["topk", "matryoshka"]))
    inner = draw(st.sets(st.integers(1, max(1, n_latents - 1)), max_size=5)) - {n_latents}
    prefixes = (*sorted(inner), n_latents) if variant == "matryoshka" and draw(st.booleans()) else ()
    k, dim, seed = draw(st.integers(1, n_latents)), draw(st.integers(1, 512)), draw(st.integers(0, 9))
    return {
        "dim": dim,
        "n_latents": n_latents,
        "k": k,
        "variant": variant,
        "prefixes": prefixes,
        "seed": seed,
    }


class TestConfig:
    @given(fields())
    def test_survives_json(self, chosen):
        config = SaeConfig(**chosen)
        raw = json.loads(json.dumps(config.to_json()))
        assert SaeConfig.from_json(raw, where=Path("config.json")) == config

    @given(fields(), fields())
    def test_another_config_has_another_name(self, chosen, change):
        # alike in most fields, so that names are close
        one = SaeConfig(**chosen)
        other = SaeConfig(**chosen | {"seed": change["seed"], "k": min(change["k"], one.k)})
        assert (one.name == other.name) == (one == other)

    def test_name_says_what_it_is(self):
        assert SaeConfig(192, 1024, 16).name == "topk-1024-k16"
        assert SaeConfig(192, 1024, 32, "matryoshka").name == "matryoshka-1024-k32"
        assert SaeConfig(192, 64, 8, seed=1).name == "topk-64-k8-s1"
        assert SaeConfig(192, 64, 8, "matryoshka", (4, 64), 2).name == "matryoshka-64-k8-p4-s2"

    def test_nested_prefixes_are_chosen_when_none_are_given(self):
        assert (
            SaeConfig(192, 1024, 32, "matryoshka").prefixes == default_prefixes(1024) == (16, 64, 256, 1024)
        )
        assert default_prefixes(8) == (8,)

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ({"dim": 0}, "dim must be a whole number from 1, not 0"),
            ({"n_latents": 2.0}, "n_latents"),
            ({"k": True}, "k must be a whole number from 1, not True"),
            ({"k": 65}, "k = 65 latents cannot be active where there are only n_latents = 64"),
            ({"seed": -1}, "seed must be a whole number from 0, not -1"),
            ({"variant": "gated"}, "variant"),
            ({"input_norm": "batch"}, "input_norm"),
            (
                {"variant": "relu", "prefixes": (8, 64)},
                "prefixes are for the matryoshka variant, not for relu",
            ),
            ({"prefixes": (8, 64)}, "prefixes are for the matryoshka variant"),
            ({"variant": "matryoshka", "prefixes": (8, 32)}, "must ascend to n_latents = 64"),
            ({"variant": "matryoshka", "prefixes": (32, 8, 64)}, "must ascend"),
            ({"variant": "matryoshka", "prefixes": (0, 64)}, "must ascend"),
            ({"variant": "matryoshka", "prefixes": (8.0, 64)}, "prefixes"),
        ],
    )
    def test_bad_settings_are_refused(self, bad, message):
        # a wrong type is caught by the shape checks first while tests run
        with pytest.raises((ValueError, TypeError), match=message):
            SaeConfig(**{"dim": 12, "n_latents": 64, "k": 8, **bad})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"neurons": 3}, "unknown key 'neurons'"),
            ({"k": 99}, "no usable settings"),
            ({"k": "5"}, "no usable settings"),
            ({"prefixes": 5}, "no usable settings"),
            ({"format_version": 99}, "format version 99"),
        ],
    )
    def test_a_foreign_config_file_is_named(self, tmp_path, change, message):
        make_sae().save(tmp_path)
        path = tmp_path / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(ArtifactError, match=message) as caught:
            SparseAutoencoder.load(tmp_path)
        assert "config.json" in str(caught.value)
        assert "sae_core train" in str(caught.value)


class TestFile:
    def test_comes_back_as_it_was(self, tmp_path):
        sae = make_sae()
        sae.save(tmp_path)
        loaded = SparseAutoencoder.load(tmp_path)
        assert loaded.config == sae.config
        for name, array in sae.arrays().items():
            np.testing.assert_array_equal(loaded.arrays()[name], array)
        assert loaded.fingerprint == sae.fingerprint != make_sae(seed=9).fingerprint
        assert not any(part.requires_grad for part in loaded.parameters())

    def test_half_precision_halves_the_file_and_hardly_moves_a_code(self, tmp_path):
        sae, vectors = make_sae(SaeConfig(64, 512, 8)), make_vectors(dim=64)
        sae.save(tmp_path / "full")
        sae.save(tmp_path / "half", stored_as="float16")
        sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("full", "half")]
        assert sizes[1] < 0.55 * sizes[0]
        rebuilt = [
            (model := SparseAutoencoder.load(tmp_path / name)).decode(model.encode(vectors))
            for name in ("full", "half")
        ]
        np.testing.assert_allclose(rebuilt[1], rebuilt[0], atol=0.05)

    @pytest.mark.parametrize(
        ("name", "damage", "message"),
        [
            ("NaN", lambda w: w["W_dec"].__setitem__((3, 2), np.nan), "values in W_dec that are not finite"),
            (
                "infinite mean",
                lambda w: w["mean"].__setitem__(0, np.inf),
                "values in mean that are not finite",
            ),
            ("missing", lambda w: w.pop("b_enc"), "tensors b_enc"),
            ("extra", lambda w: w.update(other=np.zeros(3, np.float32)), "tensors other"),
            ("other shape", lambda w: w.update(W_enc=np.zeros((40, 11), np.float32)), "W_enc as float32"),
            ("whole numbers", lambda w: w.update(b_dec=np.zeros(12, np.int64)), "b_dec as int64"),
            ("scale 0", lambda w: w.update(scale=np.zeros(1, np.float32)), "scale that is not above 0"),
        ],
    )
    def test_damaged_weights_are_named(self, tmp_path, name, damage, message):
        make_sae().save(tmp_path)
        path = tmp_path / "weights.safetensors"
        weights = {key: array.copy() for key, array in load_file(path).items()}
        damage(weights)
        save_file(weights, path)
        with pytest.raises(ArtifactError, match=message) as caught:
            SparseAutoencoder.load(tmp_path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        "content",
        [b"", b"not weights at all", pickle.dumps({"W_enc": 1}), b"\xff" * 4096],
        ids=["empty", "text", "pickle", "garbage"],
    )
    def test_what_is_no_weights_file_is_refused(self, tmp_path, content):
        make_sae().save(tmp_path)
        (tmp_path / "weights.safetensors").write_bytes(content)
        with pytest.raises(ArtifactError, match="weights.safetensors"):
            SparseAutoencoder.load(tmp_path)

    def test_a_missing_file_says_what_to_run(self, tmp_path):
        with pytest.raises(ArtifactError, match="config.json.*does not exist.*train"):
            SparseAutoencoder.load(tmp_path)

    def test_weights_of_another_shape_are_the_callers_mistake(self):
        sae = make_sae()
        with pytest.raises(ValueError, match="W_enc must have shape"):
            SparseAutoencoder(SaeConfig(12, 41, 5), sae.state_dict())
