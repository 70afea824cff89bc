"""Networks in ONNX files: one exported from CAM++, small ones of every layout, and files that are none."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sae_core.embedding.embedders import onnx as module
from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.filterbanks import KaldiFilterbank, NemoFilterbank
from sae_core.files.errors import ArtifactError
from tests.embedding.embedders.voices import batch_of, noisy_voice

pytest.importorskip("onnxruntime")


def opened(path, **options):
    return open_embedder("onnx", model=str(path), options=options, device="cpu")


def test_an_exported_campplus_gives_the_vectors_of_campplus(campplus_onnx):
    embedder, known = opened(campplus_onnx), open_embedder("campplus", device="cpu")
    clips = batch_of([noisy_voice(n, 100.0 + n / 400, n) for n in (52_345, 7_001, 24_000)])
    cosines = (embedder.embed(*clips) * known.embed(*clips)).sum(dim=1)
    assert embedder.dim == 192 and cosines.min() > 0.9999


def write_network(path, shape, *, axis, length=None, outputs=1, name="sound"):
    """A network that gives the mean of its input over one axis; `length` names a second input of the clip's length."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    nodes = [helper.make_node("ReduceMean", [name], ["mean"], axes=[axis], keepdims=0)]
    if length is not None:
        inputs.append(helper.make_tensor_value_info("length", length, ["b"]))
        nodes.append(helper.make_node("Identity", ["length"], ["same_length"]))
    found = [helper.make_tensor_value_info("mean", TensorProto.FLOAT, None)][:outputs]
    if length is not None:
        found.append(helper.make_tensor_value_info("same_length", length, ["b"]))
    graph = helper.make_graph(nodes, "mean", inputs, found)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(("shape", "axis"), [(["b", "t", 40], 2), (["b", 40, "t"], 1)])
def test_time_or_mels_come_first_as_the_file_says(tmp_path, shape, axis):
    """The mean over mels is as long as the clip has frames: the embedder sees it as a vector of this one clip."""
    path = write_network(tmp_path / "n.onnx", shape, axis=axis)
    embedder = opened(path)
    clip = batch_of([noisy_voice(32_000, 120.0, 1)])
    frames, _ = KaldiFilterbank(40)(*clip)
    expected = torch.nn.functional.normalize(frames[0].mean(dim=1), dim=0)
    assert torch.allclose(embedder.embed(*clip)[0], expected, atol=1e-5)


def test_windows_are_chosen_by_name(tmp_path):
    path = write_network(tmp_path / "n.onnx", ["b", "t", 40], axis=2)
    clip = batch_of([noisy_voice(32_000, 120.0, 1)])
    povey, hamming = opened(path), opened(path, front_end="kaldi-hamming")
    assert povey.revision != hamming.revision
    frames, _ = KaldiFilterbank(40, window="hamming", scale=32_768.0)(*clip)
    expected = torch.nn.functional.normalize(frames[0].mean(dim=1), dim=0)
    assert torch.allclose(hamming.embed(*clip)[0], expected, atol=1e-5)


def test_what_nemo_exports_hears_nemos_frames(tmp_path):
    """Known by the name of the input; every mel has mean 0 over a clip, so the mean over mels is looked at."""
    shape = ["b", 80, "t"]
    path = write_network(tmp_path / "n.onnx", shape, axis=1, length=1, name="audio_signal")
    with pytest.raises(ArtifactError, match="takes audio_signal"):
        opened(path)
    embedder = opened(write_network(tmp_path / "n.onnx", shape, axis=1, length=7, name="audio_signal"))
    clip = batch_of([noisy_voice(32_000, 120.0, 1)])
    frames, _ = NemoFilterbank(80)(*clip)
    expected = torch.nn.functional.normalize(frames[0].mean(dim=1), dim=0)
    assert embedder.front_end == "nemo"
    assert torch.allclose(embedder.embed(*clip)[0], expected, atol=1e-5)


@pytest.mark.slow
def test_what_nemo_itself_exports_gives_nemos_vectors(tiny_nemo, tmp_path):
    """Its file gives the scores of five classes and the embeddings of 16 numbers."""
    code = "import sys; from nemo.collections.asr.models import EncDecSpeakerLabelModel as Model;"
    code += "Model.restore_from(sys.argv[1], map_location='cpu').eval().export(sys.argv[2])"
    # in a process of its own: NeMo leaves torch's settings and its logs changed
    command = [sys.executable, "-W", "ignore", "-c", code, str(tiny_nemo), str(tmp_path / "tiny.onnx")]
    subprocess.run(command, check=True, capture_output=True)
    clips = batch_of([noisy_voice(n, 140.0, n) for n in (16_000, 7_777, 40_000)])
    exported, known = (
        opened(tmp_path / "tiny.onnx"),
        open_embedder("titanet", model=str(tiny_nemo), device="cpu"),
    )
    assert exported.front_end == "nemo"
    assert (exported.embed(*clips) * known.embed(*clips)).sum(dim=1).min() > 0.9999


def test_samples_go_in_where_the_file_has_two_axes(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    sound = helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["b", "t"])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("ReduceMax", ["sound"], ["high"], axes=[1], keepdims=1),
        helper.make_node("ReduceMin", ["sound"], ["low"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["high", "low"], ["vector"], axis=1),
    ]
    graph = helper.make_graph(nodes, "ends", [sound], [vector])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        str(tmp_path / "s.onnx"),
    )
    embedder = opened(tmp_path / "s.onnx")
    clip = noisy_voice(20_000, 130.0, 4)
    expected = np.array([clip.max(), clip.min()])
    found = embedder.embed(*batch_of([clip], extra=500, filler=9.0))[0].numpy()
    assert embedder.front_end == "waveform"
    assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_a_length_beside_the_sound_is_given(tmp_path):
    path = write_network(tmp_path / "n.onnx", ["b", "t", 40], axis=2, length=7)
    assert torch.isfinite(opened(path).embed(*batch_of([noisy_voice(16_000, 120.0, 1)]))).all()


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08" * 500])
def test_what_is_no_network_is_refused_by_name(tmp_path, content):
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="no ONNX network") as caught:
        opened(path)
    assert caught.value.where == str(path)


def test_a_torn_file_is_refused(campplus_onnx, tmp_path):
    path = tmp_path / "torn.onnx"
    path.write_bytes(campplus_onnx.read_bytes()[:1_000_000])
    with pytest.raises(ArtifactError):
        opened(path)


def test_a_file_that_is_missing_or_far_too_large_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="is no file"):
        opened(tmp_path / "none.onnx")
    path = tmp_path / "huge.onnx"
    with path.open("wb") as stream:
        stream.truncate(100 * 1024**3)
    with pytest.raises(ArtifactError, match="larger than 2 GiB"):
        opened(path)


def test_other_inputs_are_listed(tmp_path):
    path = write_network(tmp_path / "n.onnx", ["b", "t", 40], axis=2, length=1)
    with pytest.raises(ArtifactError, match=r"takes sound .*, length"):
        opened(path)


def test_weights_in_another_file_are_not_followed(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    (tmp_path / "secret.bin").write_bytes(np.arange(40, dtype=np.float32).tobytes())
    weights = helper.make_tensor("w", TensorProto.FLOAT, [40], np.zeros(40, np.float32).tobytes(), raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="secret.bin")
    sound = helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["b", "t", 40])
    graph = helper.make_graph(
        [helper.make_node("Add", ["sound", "w"], ["out"])], "g", [sound],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "n.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="no ONNX network"):
        opened(tmp_path / "n.onnx")
    assert onnx


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="needs a file"):
        module.load(None, "cpu")
    with pytest.raises(ValueError, match="front end must be one of kaldi-povey"):
        module.load("n.onnx", "cpu", front_end="mfcc")
