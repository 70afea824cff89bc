"""CAM++: its vectors against numbers from 3D-Speaker's own class, its batches against clips alone, and its door."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embedders.campplus import SHIPPED_WEIGHTS, weight_shapes
from sae_core.files.errors import ArtifactError
from tests.embedding.embedders.voices import batch_of, noisy_voice, voice

# The eight largest of the 192 numbers that 3D-Speaker's CAMPPlus gives at norm 1 for voice(n_samples, pitch_hz), with
# kaldi-native-fbank before it and the weights as published, in float32.
THREE_D_SPEAKER = {
    (9_000, 110.0): {
        11: 0.14178, 42: -0.14969, 57: -0.16885, 91: -0.1719, 108: 0.15716, 142: -0.22506, 146: 0.15283, 169: -0.20365,
    },
    (59_200, 180.0): {
        22: -0.16149, 69: -0.14431, 71: 0.1581, 76: 0.20627, 104: 0.15535, 122: -0.16459, 143: 0.13629, 153: 0.22108,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def campplus():
    return open_embedder("campplus", device="cpu")


@pytest.fixture
def tensors():
    return load_file(str(SHIPPED_WEIGHTS))


@pytest.mark.parametrize("clip", THREE_D_SPEAKER)
def test_vectors_are_those_of_3d_speaker(campplus, clip):
    row = campplus.embed(*batch_of([voice(*clip)]))[0].numpy()
    expected = THREE_D_SPEAKER[clip]
    # weights are rounded to float16 on disk
    assert row[list(expected)] == pytest.approx(list(expected.values()), abs=2e-3)


def test_one_masked_batch_as_on_a_gpu_gives_the_vectors_of_clips_alone(campplus):
    """Segments of the context end inside clips here, and one clip is shorter than one segment."""
    clips = [noisy_voice(n, 90.0 + n / 500, n) for n in (52_345, 7_001, 33_400, 16_000)]
    with torch.inference_mode():
        together = campplus._embed_together(*batch_of(clips))
    alone = campplus.embed(*batch_of(clips, filler=0.3))
    assert (together - alone).abs().max() < 1e-5


def test_the_shapes_are_those_of_the_shipped_weights(tensors):
    assert weight_shapes() == {name: array.shape for name, array in tensors.items()}


def spoil_shape(tensors):
    return tensors | {"head.conv1.weight": np.zeros((32, 1, 5, 5), np.float32)}


def spoil_value(tensors):
    return tensors | {"head.bn1.bias": np.full(32, np.nan, np.float32)}


def spoil_name(tensors):
    return {name: array for name, array in tensors.items() if name != "xvector.dense.linear.weight"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(spoil_shape, "head.conv1.weight"), (spoil_value, "NaN"), (spoil_name, "xvector.dense.linear.weight")],
)
def test_weights_that_cannot_be_are_refused_by_name(tensors, tmp_path, spoil, words):
    file = tmp_path / "other.safetensors"
    save_file(spoil(tensors), str(file))
    with pytest.raises(ArtifactError, match=words) as caught:
        open_embedder("campplus", model=str(file), device="cpu")
    assert caught.value.where == str(file) and "--model" in caught.value.remedy


def test_a_pickle_and_a_torn_file_are_refused(tmp_path):
    pickled, torn = tmp_path / "campplus.pt", tmp_path / "torn.safetensors"
    torch.save({"a": torch.zeros(2)}, pickled)
    torn.write_bytes(SHIPPED_WEIGHTS.read_bytes()[:100_000])
    for file in (pickled, torn, tmp_path / "none.safetensors"):
        with pytest.raises(ArtifactError) as caught:
            open_embedder("campplus", model=str(file), device="cpu")
        assert caught.value.where == str(file)
