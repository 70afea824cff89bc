"""Arrays that are too large to be read when they are opened are still looked at: their first rows, their last, some
between."""

import numpy as np
import pytest

from sae_core.embedding.embeddings import Embeddings
from sae_core.files import artifacts
from sae_core.files.errors import ArtifactError
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes, plant_embeddings

N = 20_000
WRONG = {
    "the first row": slice(0, 1),
    "the last row": slice(N - 1, N),
    "a tenth of them": slice(9_000, 11_000),
}


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    monkeypatch.setattr(artifacts, "CHECKED_AT_OPEN_BYTES", 1_000)
    monkeypatch.setattr(artifacts, "_PIECE_BYTES", 64)


def rewrite(file, where, value):
    array = np.load(file)
    array[where] = value
    np.save(file, array)


@pytest.mark.parametrize("where", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_vectors_that_are_not_of_norm_1(tmp_path, where, value):
    plant_embeddings(N, 4, failed=(5,)).save(tmp_path, parents={})
    assert len(Embeddings.load(tmp_path, remedy="embed again")) == N
    rewrite(tmp_path / "vectors.npy", where, value)
    with pytest.raises(ArtifactError, match=r"vectors\.npy.*norm 1.*embed again"):
        Embeddings.load(tmp_path, remedy="embed again")


@pytest.mark.parametrize("where", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(
    ("name", "value"), [("latents", -1), ("latents", 20), ("activations", np.nan), ("activations", -1.0)]
)
def test_codes_of_latents_that_are_not_there(tmp_path, name, value, where):
    plant_codes(N).save(tmp_path)
    assert len(SparseCodes.load(tmp_path, n_latents=20, remedy="index again")) == N
    rewrite(tmp_path / f"code_{name}.npy", where, value)
    with pytest.raises(ArtifactError, match="beyond 0 to 19"):
        SparseCodes.load(tmp_path, n_latents=20, remedy="index again")


@pytest.mark.parametrize("where", [slice(0, 1), slice(-1, None), slice(30_000, 50_000)])
@pytest.mark.parametrize(
    ("name", "value"), [("rows", -1), ("rows", N), ("activations", 0.0), ("activations", np.inf)]
)
def test_an_index_of_clips_that_are_not_there(tmp_path, name, value, where):
    FeatureIndex.build(plant_codes(N)).save(tmp_path)
    assert FeatureIndex.load(tmp_path, remedy="").holds_rows_of(N)
    rewrite(tmp_path / f"index_{name}.npy", where, value)
    assert not FeatureIndex.load(tmp_path, remedy="").holds_rows_of(N)
