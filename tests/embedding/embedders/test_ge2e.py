"""The GE2E encoder: its front end against the definition, its vectors against numbers from Resemblyzer itself."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embedders.ge2e import (
    HOP_SAMPLES,
    N_FFT,
    N_MELS,
    PARTIAL_FRAMES,
    PARTIAL_STEP_FRAMES,
    SAMPLE_RATE_HZ,
    SHIPPED_WEIGHTS,
    MelPowers,
    partial_starts,
    raise_quiet,
)
from sae_core.embedding.filterbanks import slaney_filters
from sae_core.files.errors import ArtifactError
from tests.embedding.embedders.voices import batch_of, noisy_voice, voice

# The eight largest of the 256 numbers that Resemblyzer 0.1.4's embed_utterance gives for voice(n_samples, pitch_hz).
RESEMBLYZER = {
    (9_000, 110.0): {
        16: 0.26076, 20: 0.25852, 25: 0.20821, 58: 0.26623, 89: 0.24381, 127: 0.1869, 158: 0.17767, 243: 0.25133,
    },
    (59_200, 180.0): {
        16: 0.17987, 18: 0.23188, 36: 0.16882, 148: 0.22156, 191: 0.1635, 202: 0.2317, 209: 0.17054, 239: 0.18422,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def ge2e():
    return open_embedder("ge2e", device="cpu")


@pytest.fixture
def tensors():
    return load_file(str(SHIPPED_WEIGHTS))


@pytest.mark.parametrize("clip", RESEMBLYZER)
def test_vectors_are_those_of_resemblyzer(ge2e, clip):
    row = ge2e.embed(*batch_of([voice(*clip)]))[0].numpy()
    expected = RESEMBLYZER[clip]
    assert row[list(expected)] == pytest.approx(list(expected.values()), abs=2e-5)
    assert set(np.argsort(-row)[: len(expected)]) == set(expected)


def test_filters_have_unit_area_and_rising_centres():
    """Over bins fine enough to integrate, each triangle's area over frequency is 1."""
    n_fft = 64_000
    filters = slaney_filters(N_MELS, n_fft, SAMPLE_RATE_HZ)
    assert filters.sum(axis=1) * SAMPLE_RATE_HZ / n_fft == pytest.approx(np.ones(N_MELS), abs=1e-3)
    assert (np.diff(filters.argmax(axis=1)) > 0).all()


def test_mel_powers_are_those_of_a_direct_fourier_sum():
    waveform = noisy_voice(3_000, 130.0, 1)
    n_frames = 24  # the last few lie beyond the clip
    found = MelPowers()(torch.from_numpy(waveform), n_frames).numpy()
    sample = np.arange(N_FFT)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * sample / N_FFT)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(N_FFT // 2 + 1), sample) / N_FFT)
    silence = np.zeros(10_000)
    padded = np.concatenate([silence[: N_FFT // 2], waveform.astype(np.float64), silence])
    frames = np.stack([padded[i * HOP_SAMPLES : i * HOP_SAMPLES + N_FFT] * window for i in range(n_frames)])
    expected = np.abs(frames @ waves.T) ** 2 @ slaney_filters(N_MELS, N_FFT, SAMPLE_RATE_HZ).T
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert (found[-3:] == 0).all()


@given(st.integers(1, 20 * SAMPLE_RATE_HZ))
def test_partials_cover_the_clip_as_published(n_samples):
    starts = partial_starts(n_samples)
    filled = [(n_samples - start * HOP_SAMPLES) / (PARTIAL_FRAMES * HOP_SAMPLES) for start in starts]
    next_filled = (n_samples - (starts[-1] + PARTIAL_STEP_FRAMES) * HOP_SAMPLES) / (
        PARTIAL_FRAMES * HOP_SAMPLES
    )
    assert starts == list(range(0, starts[-1] + 1, PARTIAL_STEP_FRAMES))
    assert len(starts) == 1 or min(filled) >= 0.75
    assert next_filled < 0.75


def test_a_batch_longer_than_one_piece_is_the_same(ge2e, monkeypatch):
    """Long clips are worked on in pieces; the seams must not show."""
    clips = batch_of([noisy_voice(90_000, 120.0, 1), noisy_voice(50_000, 200.0, 2)])
    whole = ge2e.embed(*clips)
    monkeypatch.setattr("sae_core.embedding.embedders.ge2e._FRAMES_AT_ONCE", 37)
    monkeypatch.setattr("sae_core.embedding.embedders.ge2e._PARTIALS_AT_ONCE", 3)
    assert (ge2e.embed(*clips) - whole).abs().max() < 1e-5


def test_quiet_clips_are_raised_and_loud_ones_left_alone():
    loud, quiet = noisy_voice(16_000, 120.0, 1), noisy_voice(9_000, 120.0, 2) * 0.01
    waveforms, lengths = batch_of([loud, quiet, np.zeros(4_000, np.float32)])
    raised = raise_quiet(waveforms, lengths)
    assert torch.equal(raised[0], waveforms[0])
    level_dbfs = 10 * np.log10(float(raised[1].square().sum()) / len(quiet))
    assert level_dbfs == pytest.approx(-30, abs=1e-3)
    assert (raised[2] == 0).all()


def test_how_quiet_a_clip_is_does_not_matter(ge2e):
    clip = noisy_voice(20_000, 140.0, 3)
    rows = ge2e.embed(*batch_of([clip * 0.02, clip * 0.0005]))
    assert (rows[0] - rows[1]).abs().max() < 1e-5


def test_other_weights_are_another_revision(tmp_path, ge2e, tensors):
    save_file(tensors, tmp_path / "same.safetensors")
    save_file(tensors | {"linear.bias": tensors["linear.bias"] + 1e-3}, tmp_path / "other.safetensors")
    assert open_embedder("ge2e", model=str(tmp_path / "same.safetensors")).revision == ge2e.revision
    assert open_embedder("ge2e", model=str(tmp_path / "other.safetensors")).revision != ge2e.revision


def _without_a_tensor(tensors):
    return {name: array for name, array in tensors.items() if name != "linear.bias"}


def _with_one_more(tensors):
    return tensors | {"similarity_weight": np.ones(1, np.float32)}


def _with_another_shape(tensors):
    return tensors | {"linear.bias": np.zeros(128, np.float32)}


def _in_double_precision(tensors):
    return {name: array.astype(np.float64) for name, array in tensors.items()}


def _with_nan(tensors):
    return tensors | {"linear.bias": np.full(256, np.nan, np.float32)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_without_a_tensor, "missing or unknown tensors linear.bias"),
        (_with_one_more, "similarity_weight"),
        (_with_another_shape, r"linear.bias is float32 of shape \(128,\)"),
        (_in_double_precision, "float64"),
        (_with_nan, "NaN"),
    ],
)
def test_weights_of_something_else_are_refused(tmp_path, tensors, change, complaint):
    path = tmp_path / "odd.safetensors"
    save_file(change(tensors), path)
    with pytest.raises(ArtifactError, match=complaint) as caught:
        open_embedder("ge2e", model=str(path))
    assert str(path) in str(caught.value)
    assert "leave --model out" in str(caught.value)


def test_garbage_pickles_and_missing_files_are_refused(tmp_path, tensors):
    (tmp_path / "garbage.safetensors").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty.safetensors").touch()
    torch.save({"model_state": tensors}, tmp_path / "pretrained.pt")
    for name in ("garbage.safetensors", "empty.safetensors", "pretrained.pt", "missing.safetensors"):
        with pytest.raises(ArtifactError, match=name):
            open_embedder("ge2e", model=str(tmp_path / name))
