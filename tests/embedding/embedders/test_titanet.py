"""NeMo speaker models: the same vectors as NeMo's, whatever the batch, and no file that could run code."""

import io
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embedders.frame_convolutions import (
    FrameEncoder,
    FramePooling,
    by_frames,
    pooling_by_frames,
)
from sae_core.embedding.embedders.titanet import read_nemo
from sae_core.files.errors import ArtifactError, MissingDependencyError
from tests.embedding.embedders.voices import batch_of, noisy_voice, tiny_config, write_tiny_nemo

pytest.importorskip("nemo.core", reason="NeMo is not installed")
CLIPS = [noisy_voice(n, 90.0 + 30 * seed, seed) for seed, n in enumerate((31_000, 8_200, 19_999, 12_345))]


def write_tar(path: Path, members: dict[str, bytes], *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def config_bytes(**changes: object) -> bytes:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(tiny_config() | changes)).encode()


def weight_bytes(weights: object) -> bytes:
    stream = io.BytesIO()
    torch.save(weights, stream)
    return stream.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        read_nemo(path)
    assert str(path) in str(caught.value)
    assert "another .nemo file" in str(caught.value)
    return str(caught.value)


class Payload:
    """Unpickled by anything careless, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.slow
def test_vectors_are_those_that_nemo_gives_each_clip_alone(tiny_nemo):
    from nemo.collections.asr.models import EncDecSpeakerLabelModel

    theirs = EncDecSpeakerLabelModel.restore_from(str(tiny_nemo), map_location="cpu").eval()
    found = open_embedder("titanet", model=str(tiny_nemo), device="cpu").embed(*batch_of(CLIPS))
    # a CPU takes clips one by one, a GPU together
    embedder = open_embedder("titanet", model=str(tiny_nemo), device="cpu")
    with torch.no_grad():
        together = embedder._embed_together(*batch_of(CLIPS))
    for row, again, clip in zip(found, together, CLIPS, strict=True):
        waveform, length = batch_of([clip])
        with torch.no_grad():
            _, expected = theirs(input_signal=waveform, input_signal_length=length)
        assert (row - expected[0] / expected[0].norm()).abs().max() < 1e-4
        assert (again - row).abs().max() < 1e-4


@pytest.mark.slow
def test_on_a_cpu_the_encoder_runs_by_frames_and_says_the_same(tiny_nemo):
    from nemo.collections.asr.models import EncDecSpeakerLabelModel

    theirs = EncDecSpeakerLabelModel.restore_from(str(tiny_nemo), map_location="cpu").eval()
    features, length = torch.randn(3, 20, 90), torch.tensor([90, 17, 64])
    ours = by_frames(theirs.encoder)
    assert ours is not None, "a TitaNet is understood"
    with torch.no_grad():
        expected, _ = theirs.encoder(audio_signal=features, length=length)
        found, same_length = ours(audio_signal=features, length=length)
    assert torch.equal(length, same_length)
    for row, n_frames in enumerate(length.tolist()):
        assert (found[row, :, :n_frames] - expected[row, :, :n_frames]).abs().max() < 1e-4
    embedder = open_embedder("titanet", model=str(tiny_nemo), device="cpu")
    assert isinstance(embedder._network.encoder, FrameEncoder)


@pytest.mark.slow
def test_on_a_cpu_attention_pools_by_frames_and_says_the_same(tiny_nemo):
    from nemo.collections.asr.models import EncDecSpeakerLabelModel

    theirs = EncDecSpeakerLabelModel.restore_from(str(tiny_nemo), map_location="cpu").eval()
    # batch statistics of their own, and frames of more than one piece
    norm = theirs.decoder._pooling.attention_layer[0].bn
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    frames, length = torch.randn(3, theirs.decoder._pooling.feat_in // 2, 300), torch.tensor([300, 17, 129])
    ours = pooling_by_frames(theirs.decoder._pooling)
    assert ours is not None, "TitaNet's pooling is understood"
    with torch.no_grad():
        expected, found = theirs.decoder._pooling(frames, length), ours(frames, length)
    assert found.shape == expected.shape and (found - expected).abs().max() < 1e-4
    embedder = open_embedder("titanet", model=str(tiny_nemo), device="cpu")
    assert isinstance(embedder._network.decoder._pooling, FramePooling)


@pytest.mark.slow
def test_clips_side_by_side_are_embedded_as_each_alone_and_leave_the_threads_as_they_were(tiny_nemo):
    embedder = open_embedder("titanet", model=str(tiny_nemo), device="cpu")
    torch.set_num_threads(2)
    together = embedder.embed(*batch_of(CLIPS))
    assert torch.get_num_threads() == 2
    alone = torch.cat([embedder.embed(*batch_of([clip])) for clip in CLIPS])
    torch.set_num_threads(1)
    assert torch.equal(together, alone)


@pytest.mark.slow
def test_an_encoder_of_another_build_is_left_to_nemo(tiny_nemo):
    from nemo.collections.asr.models import EncDecSpeakerLabelModel

    model = EncDecSpeakerLabelModel.restore_from(str(tiny_nemo), map_location="cpu").eval()
    model.encoder.encoder[1].residual_mode = "max"
    assert by_frames(model.encoder) is None
    model.encoder.encoder[1].residual_mode = "add"
    model.encoder.encoder[1].mconv[0].conv.stride = (2,)
    model.encoder.encoder[1].mconv[0].same_padding = False
    assert by_frames(model.encoder) is None


@pytest.mark.slow
def test_a_model_with_unmasked_convolutions_embeds_one_clip_at_a_time(tmp_path):
    embedder = open_embedder("titanet", model=str(write_tiny_nemo(tmp_path / "open.nemo", conv_mask=False)))
    alone = torch.cat([embedder.embed(*batch_of([clip])) for clip in CLIPS])
    assert (embedder.embed(*batch_of(CLIPS, filler=0.5)) - alone).abs().max() < 1e-4
    # That it matters: in one batch this network hears the padding.
    assert (embedder._embed_together(*batch_of(CLIPS)) - alone).abs().max() > 1e-3


@pytest.mark.slow
def test_the_revision_follows_weights_and_configuration(tmp_path, tiny_nemo):
    again, other = tmp_path / "again.nemo", write_tiny_nemo(tmp_path / "other.nemo", seed=5)
    again.write_bytes(tiny_nemo.read_bytes())
    revisions = [open_embedder("titanet", model=str(path)).revision for path in (tiny_nemo, again, other)]
    assert revisions[0] == revisions[1] != revisions[2]


@pytest.mark.slow
def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path, tiny_nemo):
    _, weights = read_nemo(tiny_nemo)
    members = {"model_config.yaml": config_bytes(), "model_weights.ckpt": b""}
    short = {name: tensor for name, tensor in weights.items() if name != "decoder.final.weight"}
    for odd, complaint in (
        (short, "decoder.final.weight"),
        (weights | {"encoder.more": torch.ones(1)}, "encoder.more"),
    ):
        path = write_tar(tmp_path / "odd.nemo", members | {"model_weights.ckpt": weight_bytes(odd)})
        with pytest.raises(ArtifactError, match=f"weights and configuration differ: {complaint}"):
            open_embedder("titanet", model=str(path))
    encoder = tiny_config()["encoder"] | {"activation": "no such thing"}
    members = {
        "model_config.yaml": config_bytes(encoder=encoder),
        "model_weights.ckpt": weight_bytes(weights),
    }
    with pytest.raises(ArtifactError, match="NeMo cannot build it"):
        open_embedder("titanet", model=str(write_tar(tmp_path / "unbuilt.nemo", members)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["titanet_large", "no_such_model", "someone/some_model"])
def test_a_model_that_cannot_be_fetched_says_what_to_do_offline(tmp_path, monkeypatch, name):
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("NEMO_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlretrieve", unreachable)
    with pytest.raises(ArtifactError, match=rf"'{name}' cannot be fetched .*--embedder campplus"):
        open_embedder("titanet", model=name)


@pytest.mark.slow
def test_a_model_by_hub_name_is_read_from_where_nemo_keeps_it(tiny_nemo, monkeypatch):
    monkeypatch.setattr("nemo.core.classes.common.maybe_download_from_cloud", lambda **_: str(tiny_nemo))
    by_name, by_path = open_embedder("titanet"), open_embedder("titanet", model=str(tiny_nemo))
    assert by_name.revision == by_path.revision


def test_without_nemo_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nemo.collections.asr", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxscope\[titanet\]'"):
        open_embedder("titanet")


def test_a_gzipped_archive_as_older_nemo_wrote_is_read(tmp_path):
    members = {
        "./model_config.yaml": config_bytes(),
        "./model_weights.ckpt": weight_bytes({"a": torch.ones(2)}),
    }
    config, weights = read_nemo(write_tar(tmp_path / "old.nemo", members, mode="w:gz"))
    assert config["decoder"]["emb_sizes"] == 16
    assert config["decoder"]["angular"] is True
    assert weights["a"].tolist() == [1, 1]


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "odd.nemo"
    assert "does not exist" in refusal(path)
    for garbage in (b"", b"not a tar at all", bytes(range(256)) * 8, b"\x1f\x8b" + bytes(2000)):
        path.write_bytes(garbage)
        refusal(path)
    write_tar(path, {"model_config.yaml": config_bytes(), "model_weights.ckpt": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    refusal(path)
    assert "has no model_weights.ckpt" in refusal(write_tar(path, {"model_config.yaml": config_bytes()}))
    path.unlink()
    path.mkdir()
    assert "is not a .nemo archive" in refusal(path)


def test_weights_that_would_run_code_are_never_unpickled(tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    data = weight_bytes({"encoder.weight": torch.ones(1), "extra": Payload(trace)})
    # torch itself would give way to this; the weights must be refused all the same.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = write_tar(tmp_path / "bad.nemo", {"model_config.yaml": config_bytes(), "model_weights.ckpt": data})
    assert "never opened" in refusal(path)
    assert not trace.exists()
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    torch.load(io.BytesIO(data), weights_only=False)
    assert trace.exists(), "the payload is harmless, so this test shows nothing"


@pytest.mark.parametrize("weights", [[torch.ones(1)], {"a": 3}, b"\x80\x04."])
def test_weights_of_another_kind_are_refused(tmp_path, weights):
    data = weights if isinstance(weights, bytes) else weight_bytes(weights)
    assert "weights" in refusal(
        write_tar(tmp_path / "odd.nemo", {"model_config.yaml": config_bytes(), "model_weights.ckpt": data})
    )


@pytest.mark.parametrize("name", ["../outside.yaml", "/etc/outside.yaml", "a/../../outside.yaml"])
def test_members_that_reach_outside_are_refused(tmp_path, name):
    path = write_tar(tmp_path / "bad.nemo", {"model_config.yaml": config_bytes(), name: b"here"})
    assert "unsafe member" in refusal(path)
    assert [file.name for file in tmp_path.rglob("*")] == ["bad.nemo"]


def test_links_are_refused(tmp_path):
    path = tmp_path / "bad.nemo"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("model_config.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "unsafe member" in refusal(path)


def test_archives_beyond_all_measure_are_refused(tmp_path, monkeypatch):
    members = {"model_config.yaml": config_bytes(), "model_weights.ckpt": bytes(100_000)}
    path = write_tar(tmp_path / "big.nemo", members, mode="w:gz")
    monkeypatch.setattr("sae_core.embedding.embedders.titanet.MAX_UNPACKED_BYTES", 50_000)
    assert "far more than a speaker model" in refusal(path)
    monkeypatch.setattr("sae_core.embedding.embedders.titanet.MAX_UNPACKED_BYTES", 10**9)
    monkeypatch.setattr("sae_core.embedding.embedders.titanet.MAX_CONFIG_BYTES", 100)
    assert "model_config.yaml is too large" in refusal(path)
    monkeypatch.setattr("sae_core.embedding.embedders.titanet.MAX_MEMBERS", 1)
    assert "far more than a speaker model" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": {"_target_": "subprocess.run", "args": ["true"]}},
        {"encoder": {"feat_in": 20}},
        {
            "decoder": {
                "_target_": "nemo.collections.asr.modules.SpeakerDecoder",
                "x": [{"_target_": "os.system"}],
            }
        },
        {"preprocessor": {"_target_": "nemo.collections.asr.modules.X", "deep": {"cls": "builtins.eval"}}},
        {"decoder": None},
        {"decoder": {"_target_": "${nowhere.at.all}"}},
    ],
)
def test_configurations_of_anything_but_nemo_modules_are_refused(tmp_path, changes):
    members = {
        "model_config.yaml": config_bytes(**changes),
        "model_weights.ckpt": weight_bytes({"a": torch.ones(1)}),
    }
    assert "would build" in (message := refusal(write_tar(tmp_path / "odd.nemo", members))) or (
        "describes no speaker model" in message
    )


def test_a_configuration_that_is_no_yaml_is_refused(tmp_path):
    for text in (b"\xff\xfe\x00", b"a: [", b"just words", b"- 1\n- 2\n"):
        members = {"model_config.yaml": text, "model_weights.ckpt": weight_bytes({"a": torch.ones(1)})}
        assert "describes no speaker model" in refusal(write_tar(tmp_path / "odd.nemo", members))
