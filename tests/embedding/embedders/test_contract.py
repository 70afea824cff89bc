"""What every embedder must do, whatever its network: run over the whole table of embedders."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sae_core.embedding.embedders import EMBEDDERS, choose_device, open_embedder
from sae_core.files.errors import MissingDependencyError
from tests.embedding.embedders.voices import batch_of, noisy_voice

TOLERANCE = 1e-4
SLOW = {"titanet"}
LENGTHS = (24_000, 7_001, 16_000, 52_345, 9_600, 31_999)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in EMBEDDERS],
)
def embedder(request):
    files = {"titanet": "tiny_nemo", "onnx": "campplus_onnx"}
    model = str(request.getfixturevalue(files[request.param])) if request.param in files else None
    return open_embedder(request.param, model=model, device="cpu")


@pytest.fixture(scope="module")
def voices():
    return [noisy_voice(n_samples, 90.0 + 25 * seed, seed) for seed, n_samples in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def alone(embedder, voices):
    return torch.cat([embedder.embed(*batch_of([waveform])) for waveform in voices])


def test_an_embedder_says_what_it_is(embedder):
    assert embedder.name in EMBEDDERS
    assert embedder.revision
    assert embedder.sample_rate_hz > 0
    assert 0 < embedder.min_duration_s <= 1


def test_vectors_are_finite_unit_rows_of_float32_on_the_cpu(embedder, alone):
    assert alone.shape == (len(LENGTHS), embedder.dim)
    assert alone.dtype == torch.float32
    assert alone.device.type == "cpu"
    assert torch.isfinite(alone).all()
    assert np.allclose(alone.norm(dim=1), 1, atol=1e-5)


def test_voices_come_out_different(alone):
    """Without this, an embedder that hears nothing would pass every test of sameness below."""
    cosines = (alone @ alone.T)[~torch.eye(len(alone), dtype=torch.bool)]
    assert cosines.max() < 0.999


@pytest.mark.parametrize("filler", [0.0, 0.7, float("nan")])
def test_neither_padding_nor_batch_mates_change_a_row(embedder, voices, alone, filler):
    together = embedder.embed(*batch_of(voices, extra=12_345, filler=filler))
    assert (together - alone).abs().max() < TOLERANCE


def test_order_in_the_batch_changes_nothing(embedder, voices, alone):
    backwards = embedder.embed(*batch_of(voices[::-1])).flip(0)
    assert (backwards - alone).abs().max() < TOLERANCE


def test_the_same_batch_gives_the_same_bits(embedder, voices):
    assert torch.equal(embedder.embed(*batch_of(voices)), embedder.embed(*batch_of(voices)))


def test_the_caller_keeps_its_waveforms(embedder, voices):
    waveforms, lengths = batch_of(voices, filler=0.7)
    before = waveforms.clone()
    embedder.embed(waveforms, lengths)
    assert torch.equal(waveforms, before)


def test_silence_gives_a_finite_row_and_disturbs_no_other(embedder, voices, alone):
    rows = embedder.embed(*batch_of([np.zeros(20_000, np.float32), *voices]))
    assert torch.isfinite(rows).all()
    assert (rows[1:] - alone).abs().max() < TOLERANCE


def test_the_shortest_clip_allowed_is_embedded(embedder):
    n_samples = round(embedder.min_duration_s * embedder.sample_rate_hz)
    row = embedder.embed(*batch_of([noisy_voice(n_samples, 150.0, 3)]))
    assert torch.isfinite(row).all()
    assert row.norm() == pytest.approx(1, abs=1e-5)


def test_an_unknown_embedder_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"'xvector' is no embedder; there are .*titanet"):
        open_embedder("xvector")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(MissingDependencyError, match="cuda:97"):
        choose_device("cuda:97")
    with pytest.raises(MissingDependencyError, match="quantum"):
        choose_device("quantum")


def test_the_table_of_embedders_loads_neither_torch_nor_nemo():
    code = (
        "import sys, sae_core.embedding.embedders;"
        "print([name for name in ('torch', 'nemo') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
