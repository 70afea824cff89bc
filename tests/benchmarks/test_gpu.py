"""What is measured on a GPU runs here on a processor, at small sizes, so that it is whole when a card is met."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import anatomy, clips, workers
from benchmarks.gpu.dense_step import DenseStep
from benchmarks.gpu.parts import LIMITS_S
from benchmarks.gpu.titanet_shape import Block, ConvASREncoder, SpeakerDecoder
from benchmarks.rows import FAILED, PASS, Row
from sae_core.sae.model import SaeConfig
from sae_core.sae.topk import Slots, slot_products, sum_by_latent

REPOSITORY = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
NOT_THERE = (
    "av",
    "soundfile",
    "soxr",
    "pyloudnorm",
    "charset_normalizer",
    "umap",
    "nemo",
    "streamlit",
    "plotly",
)
"""What the machine with the card may lack."""


def run(arguments: str, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = (
        os.environ | {"PYTHON": sys.executable, "OUT": str(out), "OMP_NUM_THREADS": "1"} | environment
    )
    command = ["bash", str(REPOSITORY / "benchmarks" / "gpu" / "run.sh"), *arguments.split()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=out)


@pytest.mark.slow
def test_the_quick_run_finds_every_answer_right_without_what_a_bare_machine_lacks(tmp_path):
    # names that cannot be imported, as where they are not installed
    for name in NOT_THERE:
        (tmp_path / f"{name}.py").write_text("raise ImportError('not installed on a bare machine')\n")
    done = run("--device cpu --quick", tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert list(found["parts"]) == list(LIMITS_S)
    rows = [row for rows in found["parts"].values() for row in rows]
    assert {"GE2E", "CAM++", "Whisper base", "TitaNet's shape, random"} <= {
        row["name"].removeprefix("vectors of ") for row in rows
    }
    assert not [row for row in rows if row["verdict"] == FAILED]
    checked = [row for part in ("answers", "encoders", "memory") for row in found["parts"][part]]
    assert {row["verdict"] for row in checked if row["target"] is not None} == {PASS}
    assert (tmp_path / "gpu.md").read_text("utf-8").count("\n| ") == len(rows) + 1


def test_a_device_that_is_not_there_is_named(tmp_path):
    done = run("--device cuda:97", tmp_path)
    assert done.returncode == 1
    assert "'cuda:97' cannot be used" in done.stderr
    assert "--device" in done.stderr


def rows_then_trouble(name, request):
    yield Row(f"{name} of {request}", "", 1, None)
    if name == "crash":
        os._exit(7)
    if name == "hang":
        import time

        time.sleep(60)
    raise RuntimeError("an illegal memory access was encountered")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fail", "RuntimeError: an illegal memory access"),
        ("crash", "ended with status 7"),
        pytest.param("hang", "more than 20 s", marks=pytest.mark.slow),
    ],
)
def test_a_part_that_fails_keeps_its_rows_and_says_why(name, reason):
    rows = list(workers.rows_of(rows_then_trouble, name, "a card", limit_s=20 if name == "hang" else 120))
    assert [row.name for row in rows] == [f"{name} of a card", name]
    assert rows[1].verdict == FAILED and reason in rows[1].failure


@pytest.mark.parametrize("n_dead", [0, 12])
def test_the_dense_peer_takes_the_same_step(n_dead):
    fit = clips.new_fit(SaeConfig(clips.DIM, 96, 8), CPU)
    dense, inputs = DenseStep(fit, n_dead), clips.random_inputs(256, CPU)
    clips.declare_dead(fit, n_dead)
    fit.step(inputs)
    dense.step(inputs)
    for name, part in fit.sae.named_parameters():
        peer = getattr(dense, name)
        torch.testing.assert_close(part.grad, peer.grad, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(part.data, peer.data, rtol=1e-3, atol=1e-4)


def test_the_other_ways_in_the_anatomy_give_the_same():
    rows, weight = torch.randn(40, 12), torch.randn(64, 12)
    latents, values = torch.rand(40, 64).topk(16, dim=1).indices, torch.rand(40, 16)
    expected = sum_by_latent(rows, Slots.of(latents), values.flatten(), 64)
    torch.testing.assert_close(anatomy.scattered(rows, latents, values, 64), expected)
    expected = slot_products(rows, weight, Slots.of(latents)).view(40, 16)
    torch.testing.assert_close(anatomy.gathered(rows, weight, latents), expected)


@pytest.mark.slow
def test_the_network_of_titanets_shape_gives_what_nemos_gives():
    pytest.importorskip("nemo.core", reason="NeMo is not installed")
    from nemo.collections.asr.models import EncDecSpeakerLabelModel
    from omegaconf import OmegaConf

    from tests.embedding.embedders.voices import tiny_config

    torch.manual_seed(0)
    theirs = EncDecSpeakerLabelModel(cfg=OmegaConf.create(tiny_config())).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    encoder = ConvASREncoder(20, (Block(24, 5), Block(24, 31, 2), Block(48, 1))).eval()
    encoder.load_state_dict(theirs.encoder.state_dict())
    decoder = SpeakerDecoder(48, 8, 16).eval()
    known = {
        name: part for name, part in theirs.decoder.state_dict().items() if not name.startswith("final.")
    }
    decoder.load_state_dict(known)
    features, length = torch.randn(3, 20, 90), torch.tensor([90, 17, 64])
    with torch.no_grad():
        encoded, n_frames = theirs.encoder(audio_signal=features, length=length)
        _, expected = theirs.decoder(encoder_output=encoded, length=n_frames)
        found = decoder(*encoder(features, length))
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
