"""Whisper's encoder: its frames against `transformers`' own, stretches of long clips, layers, and its door."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embedders import whisper as module
from sae_core.embedding.embedders.whisper import (
    MAX_STRETCH_SAMPLES,
    SHIPPED_MODEL,
    SILENCE_SAMPLES,
    LogMel,
    WhisperSize,
    positions,
)
from sae_core.files.errors import ArtifactError
from tests.embedding.embedders.voices import batch_of, noisy_voice

SIZE = WhisperSize(dim=32, n_layers=3, n_heads=4, n_mels=80)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random Whisper of three layers, in a folder as Hugging Face lays it out."""
    folder = tmp_path_factory.mktemp("whisper") / "tiny"
    folder.mkdir()
    draws = np.random.default_rng(5)
    shapes = SIZE.shapes(SIZE.n_layers)
    tensors = {
        f"model.encoder.{name}": draws.normal(0, 0.2, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    tensors["model.decoder.embed_tokens.weight"] = np.zeros((3, 32), np.float32)
    save_file(tensors, str(folder / "model.safetensors"))
    config = {
        "d_model": 32,
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "num_mel_bins": 80,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_size": 80, "hop_length": 160, "n_fft": 400})
    )
    return folder


@pytest.fixture
def spoiled(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "spoiled")


@pytest.mark.slow
@pytest.mark.parametrize("layer", [1, 3])
def test_frames_are_those_of_transformers(tiny, layer):
    transformers = pytest.importorskip("transformers")
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=128, num_mel_bins=80
    )
    theirs = WhisperEncoder(config).eval()
    stored = load_file(str(tiny / "model.safetensors"))
    states = {name.removeprefix("model.encoder."): torch.from_numpy(array) for name, array in stored.items()}
    states = {name: tensor for name, tensor in states.items() if "decoder" not in name}
    assert set(theirs.load_state_dict(states, strict=False).missing_keys) <= {
        "embed_positions.weight", "layer_norm.weight", "layer_norm.bias"
    }  # fmt: skip
    waveform = noisy_voice(40_000, 120.0, 3)
    features = transformers.WhisperFeatureExtractor()(waveform, sampling_rate=16_000, return_tensors="pt")
    n_frames = torch.tensor([3000])
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (0, 480_000 - len(waveform)))
    mels = LogMel(80)(padded[None], n_frames)
    assert (mels[0].T - features.input_features[0]).abs().max() < 1e-5
    ours = open_embedder("whisper", model=str(tiny), options={"layer": layer}, device="cpu")
    with torch.inference_mode():
        expected = theirs(features.input_features, output_hidden_states=True).hidden_states[layer]
        found = ours._encoder(mels, n_frames)
        if layer == SIZE.n_layers:
            expected, found = (torch.nn.functional.layer_norm(frames, (32,)) for frames in (expected, found))
    assert torch.nn.functional.cosine_similarity(found[0], expected[0], dim=1).min() > 0.9999


def test_one_masked_batch_as_on_a_gpu_gives_the_vectors_of_clips_alone(tiny):
    embedder = open_embedder("whisper", model=str(tiny), device="cpu")
    clips = [noisy_voice(n, 90.0 + n / 500, n) for n in (52_345, 7_001, 33_400)]
    with torch.inference_mode():
        together = embedder._embed_together(*batch_of(clips, filler=0.5))
    alone = embedder.embed(*batch_of(clips))
    assert (together - alone).abs().max() < 1e-5


def test_a_clip_too_long_for_the_encoder_is_heard_to_its_end(tiny):
    """Its vector is the mean over equal stretches, the last one of which is not left out."""
    embedder = open_embedder("whisper", model=str(tiny), device="cpu")
    clip = np.concatenate(
        [noisy_voice(MAX_STRETCH_SAMPLES // 2, 90.0, 1), noisy_voice(MAX_STRETCH_SAMPLES, 220.0, 2)]
    )
    half = (len(clip) + 1) // 2
    parts = embedder.embed(*batch_of([clip[:half], clip[half:]]))
    whole = embedder.embed(*batch_of([clip]))[0]
    mean = torch.nn.functional.normalize(parts.mean(dim=0), dim=0)
    assert whole @ mean > 0.999
    assert whole @ parts[0] < 0.9999


def test_stretches_fit_the_encoder_and_hold_every_sample_once():
    lengths = torch.tensor([MAX_STRETCH_SAMPLES * 2 + 1, 16_000, MAX_STRETCH_SAMPLES])
    waveforms = torch.arange(1, int(lengths.max()) + 1).float().repeat(3, 1)
    waveforms = torch.where(torch.arange(waveforms.shape[1]) < lengths[:, None], waveforms, 0.0)
    stretches, sizes, owners = module._cut(waveforms, lengths)
    assert owners.tolist() == [0, 0, 0, 1, 2]
    assert (sizes + SILENCE_SAMPLES).max() // 320 * 2 <= 3000
    for row in range(3):
        mine = [stretches[place, : sizes[place]] for place in range(len(owners)) if owners[place] == row]
        assert torch.equal(torch.cat(mine), waveforms[row, : lengths[row]])


def test_positions_are_sines_and_cosines_of_falling_rates():
    found = positions(1500, 512)
    assert found.shape == (1500, 512)
    assert torch.equal(found[0], torch.cat([torch.zeros(256), torch.ones(256)]))
    assert found[7, 0] == pytest.approx(np.sin(7)) and found[7, 255] == pytest.approx(np.sin(7e-4), rel=1e-5)


def test_the_layer_is_part_of_the_revision_and_of_the_vector(tiny):
    first, second = (
        open_embedder("whisper", model=str(tiny), options={"layer": n}, device="cpu") for n in (1, 2)
    )
    assert first.revision != second.revision
    clip = batch_of([noisy_voice(16_000, 120.0, 4)])
    assert (first.embed(*clip) - second.embed(*clip)).abs().max() > 1e-3


def test_the_shipped_base_has_the_layers_it_needs_and_no_more():
    assert open_embedder("whisper", device="cpu").dim == 512
    with pytest.raises(ValueError, match="from 1 to 4 for this model, not 5"):
        open_embedder("whisper", options={"layer": 5}, device="cpu")


@pytest.mark.parametrize("name", ["preprocessor_config.json", "config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused_by_its_name(spoiled, name):
    (spoiled / name).unlink()
    with pytest.raises(ArtifactError, match="does not exist") as caught:
        open_embedder("whisper", model=str(spoiled), device="cpu")
    assert caught.value.where == str(spoiled / name)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("preprocessor_config.json", {"hop_length": 256}, "wants hop_length 256"),
        ("config.json", {"d_model": 33}, "heads"),
        ("config.json", {"d_model": 10**9}, "sizes"),
        ("config.json", {"encoder_layers": "many"}, "encoder_layers"),
        ("config.json", {"d_model": 64}, "shape"),
    ],
)
def test_settings_that_cannot_be_are_refused(spoiled, name, change, words):
    raw = json.loads((spoiled / name).read_text())
    (spoiled / name).write_text(json.dumps(raw | change))
    with pytest.raises(ArtifactError, match=words):
        open_embedder("whisper", model=str(spoiled), device="cpu")


def test_a_folder_of_another_model_is_refused(spoiled):
    save_file({"bert.encoder.x": np.zeros(3, np.float32)}, str(spoiled / "model.safetensors"))
    with pytest.raises((ArtifactError, ValueError), match=r"Whisper|layer"):
        open_embedder("whisper", model=str(spoiled), device="cpu")


def test_an_option_that_an_embedder_does_not_have_is_refused():
    with pytest.raises(ValueError, match="the ge2e embedder has no layer"):
        open_embedder("ge2e", options={"layer": 2})


def test_the_shipped_model_says_what_it_is():
    assert WhisperSize.read(SHIPPED_MODEL) == WhisperSize(512, 6, 8, 80)
