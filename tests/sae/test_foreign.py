"""Autoencoders of other libraries: small files in the published layouts, against each library's formula in numpy."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

N_LATENTS, DIM, K = 48, 12, 5


@pytest.fixture
def clips() -> np.ndarray:
    """Unit-norm embeddings."""
    found = np.random.default_rng(1).standard_normal((300, DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def parts() -> dict[str, np.ndarray]:
    """Weights with decoder rows of many norms, W_enc L×d."""
    random = np.random.default_rng(2)
    shapes = {"W_enc": (N_LATENTS, DIM), "b_enc": (N_LATENTS,), "W_dec": (N_LATENTS, DIM), "b_dec": (DIM,)}
    found = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return found | {
        "b_dec": found["b_dec"] / 4,
        "threshold": random.uniform(-0.5, 1.5, N_LATENTS).astype(np.float32),
    }


def relu(scores: np.ndarray) -> np.ndarray:
    return np.maximum(scores, 0)


def top_k(scores: np.ndarray, k: int = K) -> np.ndarray:
    """ReLU of all but the k largest scores of each row set to 0."""
    kept = np.zeros_like(scores)
    for row, line in enumerate(scores):
        best = np.argsort(-line)[:k]
        kept[row, best] = line[best]
    return relu(kept)


def jump(scores: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    return np.where(scores > threshold, relu(scores), 0)


def scores_of(clips: np.ndarray, parts: dict[str, np.ndarray], *, centred: bool = True) -> np.ndarray:
    inputs = clips.astype(np.float64) - (parts["b_dec"] if centred else 0)
    return inputs @ parts["W_enc"].T + parts["b_enc"]


def write_sae_lens(folder: Path, parts: dict[str, np.ndarray], **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    tensors = {name: parts[name] for name in ("b_enc", "W_dec", "b_dec")}
    tensors["W_enc"] = np.ascontiguousarray(parts["W_enc"].T)
    if "threshold" in parts and settings.get("architecture") == "jumprelu":
        tensors["threshold"] = parts["threshold"]
    save_file(tensors, folder / "sae_weights.safetensors")
    # beside them, as SAELens writes it
    save_file({"sparsity": np.zeros(N_LATENTS, np.float32)}, folder / "sparsity.safetensors")
    usual = {
        "d_in": DIM,
        "d_sae": N_LATENTS,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12"},
    }
    (folder / "cfg.json").write_text(json.dumps(usual | settings))
    return folder


def write_torch(folder: Path, state: dict[str, object], config: dict[str, object] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(
        {
            name: torch.from_numpy(part) if isinstance(part, np.ndarray) else part
            for name, part in state.items()
        },
        folder / "ae.pt",
    )
    if config is not None:
        (folder / "config.json").write_text(json.dumps({"trainer": config, "buffer": {}}))
    return folder


def linear(parts: dict[str, np.ndarray], bias: str) -> dict[str, np.ndarray]:
    """The same weights as dictionary_learning's linear layers name them."""
    return {
        "encoder.weight": parts["W_enc"],
        "encoder.bias": parts["b_enc"],
        "decoder.weight": np.ascontiguousarray(parts["W_dec"].T),
        bias: parts["b_dec"],
    }


def check(place: Path, clips: np.ndarray, activations: np.ndarray, rebuilt: np.ndarray, variant: str) -> None:
    """The imported SAE's activations and reconstructions are these."""
    from sae_core.sae.foreign import read_foreign

    sae = read_foreign(place).fit(clips)
    codes = sae.encode(clips)
    assert sae.config.variant == variant
    assert codes.k == sae.config.k
    np.testing.assert_allclose(codes.dense(), activations, atol=1e-5)
    np.testing.assert_allclose(sae.encode_dense(torch.from_numpy(clips)), activations, atol=1e-5)
    np.testing.assert_allclose(sae.decode(codes, inputs=clips), rebuilt, atol=1e-5)
    # the codes have room for the clip with the most active latents, and no more than it needs
    if variant not in ("topk", "matryoshka"):
        assert sae.config.k == max(1, (activations > 0).sum(1).max())


class TestSaeLens:
    def test_standard(self, clips, parts, tmp_path):
        place = write_sae_lens(tmp_path / "a", parts, architecture="standard")
        v = relu(scores_of(clips, parts))
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "relu")

    def test_topk(self, clips, parts, tmp_path):
        place = write_sae_lens(tmp_path / "a", parts, architecture="topk", k=K)
        v = top_k(scores_of(clips, parts))
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "topk")

    def test_topk_of_versions_before_6(self, clips, parts, tmp_path):
        settings = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}, "metadata": {}}
        place = write_sae_lens(tmp_path / "a", parts, **settings)
        v = top_k(scores_of(clips, parts))
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "topk")

    def test_activations_scaled_by_the_norm_of_the_decoder(self, clips, parts, tmp_path):
        place = write_sae_lens(
            tmp_path / "a", parts, architecture="topk", k=K, rescale_acts_by_decoder_norm=True
        )
        norms = np.linalg.norm(parts["W_dec"], axis=1)
        v = top_k(scores_of(clips, parts) * norms)
        check(place, clips, v, (v / norms) @ parts["W_dec"] + parts["b_dec"], "topk")

    def test_jumprelu_on_plain_inputs(self, clips, parts, tmp_path):
        place = write_sae_lens(tmp_path / "a", parts, architecture="jumprelu", apply_b_dec_to_input=False)
        v = jump(scores_of(clips, parts, centred=False), parts["threshold"])
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "jumprelu")

    def test_matryoshka_batchtopk_as_it_is_saved(self, clips, parts, tmp_path):
        one = parts | {"threshold": np.full(N_LATENTS, 0.4, np.float32)}
        place = write_sae_lens(tmp_path / "a", one, architecture="jumprelu", matryoshka_widths=[8, 24])
        v = jump(scores_of(clips, parts), 0.4)
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "batchtopk")
        from sae_core.sae.foreign import read_foreign

        assert read_foreign(place).prefixes == (8, 24, N_LATENTS)

    def test_inputs_scaled_to_a_constant_norm(self, clips, parts, tmp_path):
        place = write_sae_lens(
            tmp_path / "a", parts, architecture="topk", k=K, normalize_activations="constant_norm_rescale"
        )
        factor = DIM**0.5 / np.linalg.norm(clips, axis=1, keepdims=True)
        v = top_k(scores_of(clips * factor, parts))
        check(place, clips, v, (v @ parts["W_dec"] + parts["b_dec"]) / factor, "topk")

    def test_layer_normed_inputs(self, clips, parts, tmp_path):
        place = write_sae_lens(
            tmp_path / "a", parts, architecture="standard", normalize_activations="layer_norm"
        )
        mu, sigma = clips.mean(1, keepdims=True), clips.std(1, ddof=1, keepdims=True)
        v = relu(scores_of((clips - mu) / (sigma + 1e-5), parts))
        check(place, clips, v, (v @ parts["W_dec"] + parts["b_dec"]) * sigma + mu, "relu")


class TestSparsify:
    def test_topk(self, clips, parts, tmp_path):
        tensors = {"encoder.weight": parts["W_enc"], "encoder.bias": parts["b_enc"]}
        save_file(tensors | {name: parts[name] for name in ("W_dec", "b_dec")}, tmp_path / "sae.safetensors")
        settings = {"activation": "topk", "num_latents": N_LATENTS, "k": K, "d_in": DIM, "transcode": False}
        (tmp_path / "cfg.json").write_text(json.dumps(settings))
        v = top_k(scores_of(clips, parts))
        check(tmp_path, clips, v, v @ parts["W_dec"] + parts["b_dec"], "topk")

    @pytest.mark.parametrize(
        "settings", [{"activation": "groupmax"}, {"transcode": True}, {"skip_connection": True}]
    )
    def test_what_has_no_counterpart_is_refused(self, settings, parts, tmp_path):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign import read_foreign

        tensors = {"encoder.weight": parts["W_enc"], "encoder.bias": parts["b_enc"]}
        save_file(tensors | {name: parts[name] for name in ("W_dec", "b_dec")}, tmp_path / "sae.safetensors")
        (tmp_path / "cfg.json").write_text(json.dumps({"k": K, "d_in": DIM} | settings))
        with pytest.raises(ArtifactError, match=r"sae\.safetensors.*has no counterpart here"):
            read_foreign(tmp_path)


class TestDictionaryLearning:
    def test_auto_encoder_with_its_decoder_normalised_as_the_library_loads_it(self, clips, parts, tmp_path):
        place = write_torch(tmp_path / "a", linear(parts, "bias"), {"dict_class": "AutoEncoder"})
        norms = np.linalg.norm(parts["W_dec"], axis=1)
        v = relu(scores_of(clips, parts)) * norms
        check(place, clips, v, (v / norms) @ parts["W_dec"] + parts["b_dec"], "relu")

    def test_auto_encoder_new(self, clips, parts, tmp_path):
        place = write_torch(tmp_path / "a", linear(parts, "decoder.bias"), {"dict_class": "AutoEncoderNew"})
        v = relu(scores_of(clips, parts, centred=False))
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "relu")

    def test_topk(self, clips, parts, tmp_path):
        state = linear(parts, "b_dec") | {"k": torch.tensor(K), "threshold": torch.tensor(-1.0)}
        place = write_torch(tmp_path / "a", state, {"dict_class": "AutoEncoderTopK", "k": K})
        v = top_k(scores_of(clips, parts))
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "topk")

    def test_batchtopk(self, clips, parts, tmp_path):
        state = linear(parts, "b_dec") | {"k": torch.tensor(K), "threshold": torch.tensor(0.7)}
        place = write_torch(tmp_path / "a", state, {"dict_class": "BatchTopKSAE", "k": K})
        v = jump(scores_of(clips, parts), 0.7)
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "batchtopk")

    def test_matryoshka(self, clips, parts, tmp_path):
        state = {name: parts[name] for name in ("b_enc", "W_dec", "b_dec")}
        state |= {"W_enc": np.ascontiguousarray(parts["W_enc"].T), "group_sizes": torch.tensor([8, 16, 24])}
        state |= {"k": torch.tensor(K), "threshold": torch.tensor(0.7)}
        place = write_torch(tmp_path / "a", state, {"dict_class": "MatryoshkaBatchTopKSAE", "k": K})
        v = jump(scores_of(clips, parts), 0.7)
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "batchtopk")

    def test_jumprelu(self, clips, parts, tmp_path):
        state = {name: parts[name] for name in ("b_enc", "W_dec", "b_dec", "threshold")}
        state["W_enc"] = np.ascontiguousarray(parts["W_enc"].T)
        place = write_torch(tmp_path / "a", state, {"dict_class": "JumpReluAutoEncoder"})
        v = jump(scores_of(clips, parts, centred=False), parts["threshold"])
        check(place, clips, v, v @ parts["W_dec"] + parts["b_dec"], "jumprelu")

    def test_topk_and_batchtopk_look_alike_so_their_settings_are_asked_for(self, parts, tmp_path):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign import read_foreign

        state = linear(parts, "b_dec") | {"k": torch.tensor(K), "threshold": torch.tensor(0.7)}
        with pytest.raises(ArtifactError, match=r"TopK or a BatchTopK.*config\.json"):
            read_foreign(write_torch(tmp_path / "a", state))


class TestOpenAi:
    @pytest.mark.parametrize("is_tied", [False, True])
    def test_topk_layer_norms_its_input(self, clips, parts, tmp_path, is_tied):
        decoder = parts["W_enc"] if is_tied else parts["W_dec"]
        state = {
            "pre_bias": parts["b_dec"],
            "encoder.weight": parts["W_enc"],
            "latent_bias": parts["b_enc"],
            "stats_last_nonzero": np.zeros(N_LATENTS, np.int64),
            "activation": "TopK",
            "activation_state_dict": {"k": K, "postact_fn": "ReLU"},
        }
        state |= {} if is_tied else {"decoder.weight": np.ascontiguousarray(decoder.T)}
        place = write_torch(tmp_path / "a", state) / "ae.pt"
        # known by its content, whatever its name
        place = place.rename(tmp_path / "4096.weights")
        mu, sigma = clips.mean(1, keepdims=True), clips.std(1, ddof=1, keepdims=True)
        v = top_k(scores_of((clips - mu) / (sigma + 1e-5), parts))
        check(place, clips, v, (v @ decoder + parts["b_dec"]) * sigma + mu, "topk")


class TestThresholds:
    def test_a_clip_with_more_active_latents_than_k_keeps_them_all(self, clips, parts, tmp_path):
        from sae_core.sae.foreign import read_foreign

        found = read_foreign(write_sae_lens(tmp_path / "a", parts, architecture="standard"))
        active = (relu(scores_of(clips, parts)) > 0).sum(1)
        few = found.fit(clips[active <= np.median(active)])
        assert few.config.k < active.max()
        for batch_size in (7, 300):
            dense = few.encode(clips, batch_size=batch_size).dense()
            np.testing.assert_allclose(dense, relu(scores_of(clips, parts)), atol=1e-5)

    def test_more_active_latents_than_codes_hold_are_refused(self, clips, parts, tmp_path, monkeypatch):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae import foreign

        monkeypatch.setattr(foreign, "MAX_ACTIVE", 10)
        found = foreign.read_foreign(write_sae_lens(tmp_path / "a", parts, architecture="standard"))
        most = (relu(scores_of(clips, parts)) > 0).sum(1).max()
        with pytest.raises(ArtifactError, match=rf"{most} latents active on one clip.*at most 10"):
            found.fit(clips)

    def test_a_clip_without_an_embedding_has_no_active_latent(self, clips, parts, tmp_path):
        from sae_core.sae.foreign import read_foreign

        sae = read_foreign(write_sae_lens(tmp_path / "a", parts, architecture="standard")).fit(clips)
        assert not sae.encode(np.zeros((2, DIM), np.float32)).activations.any()

    def test_its_settings_and_weights_survive_being_stored(self, clips, parts, tmp_path):
        from sae_core.sae.foreign import read_foreign
        from sae_core.sae.model import SparseAutoencoder

        place = write_sae_lens(
            tmp_path / "a", parts, architecture="jumprelu", normalize_activations="layer_norm"
        )
        sae = read_foreign(place).fit(clips)
        sae.save(tmp_path / "stored")
        again = SparseAutoencoder.load(tmp_path / "stored")
        assert again.config == sae.config
        assert again.fingerprint == sae.fingerprint
        np.testing.assert_array_equal(again.encode(clips).dense(), sae.encode(clips).dense())

    def test_without_the_embeddings_layer_norm_is_undone_by_its_average(self, clips, parts, tmp_path):
        from sae_core.sae.decoder import Decoder
        from sae_core.sae.foreign import read_foreign

        place = write_sae_lens(
            tmp_path / "a", parts, architecture="topk", k=K, normalize_activations="layer_norm"
        )
        sae = read_foreign(place).fit(clips)
        codes = sae.encode(clips)
        ours = codes.dense() @ parts["W_dec"] + parts["b_dec"]
        expected = ours * clips.std(1, ddof=1).mean() + clips.mean(1).mean()
        np.testing.assert_allclose(sae.decode(codes), expected, atol=1e-5)
        sae.save(tmp_path / "stored")
        np.testing.assert_allclose(Decoder.load(tmp_path / "stored").decode(codes), expected, atol=1e-5)


def _our_sae(variant: str, input_norm: str = "none"):
    from sae_core.sae.model import SaeConfig, SparseAutoencoder, weight_shapes

    random = np.random.default_rng(5)
    prefixes = (16, N_LATENTS) if variant == "matryoshka" else ()
    config = SaeConfig(DIM, N_LATENTS, K, variant, prefixes, input_norm=input_norm)  # type: ignore[arg-type]
    weights = {
        name: torch.from_numpy(random.standard_normal(shape).astype(np.float32))
        for name, shape in weight_shapes(config).items()
    }
    return SparseAutoencoder(config, weights | {"scale": torch.tensor([0.07])})


class TestExport:
    @pytest.mark.parametrize("input_norm", ["none", "layer"])
    @pytest.mark.parametrize("variant", ["topk", "matryoshka", "relu", "jumprelu", "batchtopk"])
    def test_sae_lens_formula_gives_our_activations(self, variant, input_norm, clips, tmp_path):
        from sae_core.sae.foreign_export import write_foreign

        sae = _our_sae(variant, input_norm)
        folder = write_foreign(sae, "saelens", tmp_path / "out", notes={"name": "x"})
        settings = json.loads((folder / "cfg.json").read_text())
        theirs = load_file(folder / "sae_weights.safetensors")
        inputs = clips
        if settings["normalize_activations"] == "layer_norm":
            inputs = (clips - clips.mean(1, keepdims=True)) / (clips.std(1, ddof=1, keepdims=True) + 1e-5)
        scores = (inputs - theirs["b_dec"]) @ theirs["W_enc"] + theirs["b_enc"]
        v = {
            "topk": lambda: top_k(scores, settings["k"]),
            "standard": lambda: relu(scores),
            "jumprelu": lambda: jump(scores, theirs["threshold"]),
        }[settings["architecture"]]()
        ours = sae.encode(clips).dense()
        np.testing.assert_allclose(v, ours, rtol=1e-5, atol=1e-4)
        if input_norm == "none":
            rebuilt = v @ theirs["W_dec"] + theirs["b_dec"]
            np.testing.assert_allclose(rebuilt, sae.decode(sae.encode(clips)), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        ("variant", "layout"), [("matryoshka", "saelens"), ("jumprelu", "saelens"), ("topk", "sparsify")]
    )
    def test_what_was_exported_can_be_imported_again(self, variant, layout, clips, tmp_path):
        from sae_core.sae.foreign import read_foreign
        from sae_core.sae.foreign_export import write_foreign

        sae = _our_sae(variant)
        again = read_foreign(write_foreign(sae, layout, tmp_path / "out", notes={})).fit(clips)
        assert (again.config.variant, again.config.prefixes) == (variant, sae.config.prefixes)
        np.testing.assert_allclose(
            again.encode(clips).dense(), sae.encode(clips).dense(), rtol=1e-5, atol=1e-4
        )

    def test_sparsify_has_topk_alone(self, tmp_path):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign_export import write_foreign

        for sae in (_our_sae("jumprelu"), _our_sae("topk", "layer")):
            with pytest.raises(ArtifactError, match="--to saelens"):
                write_foreign(sae, "sparsify", tmp_path / "out", notes={})
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_holds_something_is_left_alone(self, tmp_path):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign_export import write_foreign

        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(ArtifactError, match="is not an empty folder"):
            write_foreign(_our_sae("topk"), "saelens", tmp_path, notes={})
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class _Code:
    """What a hostile pickle would run."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


class TestBadFiles:
    """Each is told by file and remedy, and nothing in it is run."""

    def refused(self, place: Path, match: str) -> None:
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign import read_foreign

        with pytest.raises(ArtifactError, match=match) as told:
            read_foreign(place)
        assert told.value.where is not None
        assert str(place) in told.value.where
        assert told.value.remedy

    def test_a_pickle_with_code(self, parts, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.save({"encoder.weight": torch.zeros(2, 2), "x": _Code()}, tmp_path / "ae.pt")
        self.refused(tmp_path / "ae.pt", "nothing in it was run")
        (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Code()))
        self.refused(tmp_path / "plain.pt", "pickles of any other kind are never opened")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.95])
    def test_truncated_files(self, kept, parts, tmp_path):
        folder = write_sae_lens(tmp_path / "a", parts, architecture="topk", k=K)
        write_torch(tmp_path / "b", linear(parts, "bias"), {"dict_class": "AutoEncoder"})
        for file in (folder / "sae_weights.safetensors", tmp_path / "b" / "ae.pt"):
            content = file.read_bytes()
            file.write_bytes(content[: kept if kept >= 4 or not kept else int(kept * len(content))])
            self.refused(file, "is not a whole|is neither|is not a PyTorch file")

    def test_damaged_bytes_end_in_a_refusal_or_in_numbers(self, parts, tmp_path):
        from sae_core.files.errors import ArtifactError
        from sae_core.sae.foreign import read_foreign

        folder = write_torch(tmp_path / "b", linear(parts, "bias"), {"dict_class": "AutoEncoder"})
        content = (folder / "ae.pt").read_bytes()
        random = np.random.default_rng(0)
        n_refused = 0
        for _ in range(60):
            changed = bytearray(content)
            for place in random.integers(0, len(content), 20):
                changed[place] = random.integers(256)
            (folder / "ae.pt").write_bytes(changed)
            try:
                read_foreign(folder)
            except ArtifactError:
                n_refused += 1
        assert n_refused

    def test_weights_that_are_not_finite(self, parts, tmp_path):
        for name in ("W_enc", "b_dec", "threshold"):
            broken = parts | {name: np.where(parts[name] == parts[name].max(), np.nan, parts[name])}
            folder = write_sae_lens(tmp_path / name, broken, architecture="jumprelu")
            self.refused(folder, f"values in {'(b_enc|b_dec|W_enc)' if name != 'threshold' else name}")

    def test_parts_that_do_not_fit_each_other(self, parts, tmp_path):
        folder = write_sae_lens(
            tmp_path / "a", parts | {"b_enc": parts["b_enc"][1:]}, architecture="standard"
        )
        self.refused(folder, r"holds b_enc of shape \(47,\)")

    def test_unknown_kinds(self, parts, tmp_path):
        self.refused(write_sae_lens(tmp_path / "a", parts, architecture="gated"), "architecture 'gated'")
        unfolded = {"architecture": "standard", "normalize_activations": "expected_average_only_in"}
        self.refused(write_sae_lens(tmp_path / "b", parts, **unfolded), "stored in training")
        save_file({"weight": np.zeros((3, 3), np.float32)}, tmp_path / "other.safetensors")
        self.refused(
            tmp_path / "other.safetensors", r"no autoencoder that is known here \(its tensors: weight\)"
        )
        for k in (0, -1, 2.5, "many", None, N_LATENTS + 1):
            self.refused(write_sae_lens(tmp_path / "c", parts, architecture="topk", k=k), "says k = ")

    def test_nothing_to_read(self, tmp_path):
        self.refused(tmp_path / "gone", "does not exist")
        (tmp_path / "layers.3").mkdir()
        self.refused(tmp_path, "holds no weights")
        (tmp_path / "notes.txt").write_text("nothing")
        self.refused(tmp_path / "notes.txt", "is neither a safetensors file nor")

    def test_settings_that_are_missing_or_no_json(self, parts, tmp_path):
        folder = write_sae_lens(tmp_path / "a", parts, architecture="topk", k=K)
        (folder / "cfg.json").write_text("{")
        self.refused(folder, r"cfg\.json.*is not valid JSON")
        (folder / "cfg.json").unlink()
        self.refused(folder, "has no settings beside it")

    @pytest.mark.parametrize("name", ["ae.pt", "sae.safetensors"])
    def test_a_sparse_file_of_100_gigabytes(self, name, tmp_path):
        header = json.dumps({"W_enc": {"dtype": "F32", "shape": [5], "data_offsets": [0, 20]}}).encode()
        head = len(header).to_bytes(8, "little") + header if name != "ae.pt" else b"PK\x03\x04"
        with (tmp_path / name).open("wb") as stream:
            stream.write(head)
            stream.truncate(100 * 10**9)
        self.refused(tmp_path / name, r"93\.1 GiB, more than the 4 GiB")

    def test_small_files_that_unfold_to_much(self, tmp_path, monkeypatch):
        from sae_core.sae import foreign_files

        torch.save({"encoder.weight": torch.zeros(1).expand(2**20, 2**20)}, tmp_path / "wide.pt")
        self.refused(tmp_path / "wide.pt", "GiB, more than the 4 GiB")
        monkeypatch.setattr(foreign_files, "MAX_FILE_BYTES", 2**20)
        with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("archive/data/0", bytes(5 * 2**20))
        assert (tmp_path / "bomb.pt").stat().st_size < 2**20
        self.refused(tmp_path / "bomb.pt", "GiB, more than the")
