"""The decoder in numpy says what the autoencoder in PyTorch says."""

import numpy as np
import pytest

from sae_core.files.errors import ArtifactError
from sae_core.sae.decoder import Decoder
from sae_core.sae.model import SaeConfig, SparseAutoencoder


@pytest.fixture
def sae(tmp_path):
    """An autoencoder whose every weight is random, saved in `tmp_path`."""
    random = np.random.default_rng(3)
    sae = SparseAutoencoder.untrained(SaeConfig(dim=12, n_latents=40, k=5), random.normal(size=12), 0.3)
    sae.requires_grad_(False)
    sae.b_dec[:] = sae.b_dec.new_tensor(random.normal(size=12))
    sae.W_dec *= sae.W_dec.new_tensor(random.uniform(0.5, 2, (40, 1)))
    sae.save(tmp_path)
    return sae


@pytest.mark.parametrize("n_clips", [0, 1, 9000])
def test_both_rebuild_the_same_embeddings(sae, tmp_path, n_clips):
    codes = sae.encode(np.random.default_rng(4).normal(size=(n_clips, 12)).astype(np.float32))
    found = Decoder.load(tmp_path).decode(codes)
    assert found.shape == (n_clips, 12)
    np.testing.assert_allclose(found, sae.decode(codes), atol=2e-6)


def test_both_have_the_same_directions(sae, tmp_path):
    decoder = Decoder.load(tmp_path)
    np.testing.assert_allclose(decoder.directions, sae.decoder_directions(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(decoder.directions, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(decoder.steps, (sae.W_dec * sae.scale).numpy(), atol=1e-6)


def test_a_damaged_file_is_named(sae, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        Decoder.load(tmp_path)
