"""The feature index against a dense array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.files.errors import ArtifactError
from sae_core.sae import feature_index
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes


@given(
    st.integers(0, 60),
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([None, 2]),
    st.integers(0, 99),
)
def test_postings_equal_a_sort_of_the_dense_array(n_clips, n_latents, k, levels, seed):
    codes = plant_codes(n_clips, n_latents, min(k, n_latents), seed=seed, levels=levels)
    index = FeatureIndex.build(codes)
    dense = codes.dense()
    for latent in range(n_latents):
        expected = [
            row for row in np.lexsort((np.arange(n_clips), -dense[:, latent])) if dense[row, latent] > 0
        ]
        rows, activations = index.postings(latent)
        assert list(rows) == expected
        assert np.array_equal(activations, dense[expected, latent])


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("memory_mb", [0, 1, 8])
def test_an_index_written_in_little_memory_is_the_one_built_in_memory(
    tmp_path, monkeypatch, levels, memory_mb
):
    """A budget of 0 holds one entry at once, so every latent is a range and every clip a piece."""
    codes = plant_codes(40 if memory_mb == 0 else 20_000, 20, 4, levels=levels)
    codes.save(tmp_path)
    stored = SparseCodes.load(tmp_path, n_latents=20, remedy="index")
    pieces = []
    monkeypatch.setattr(feature_index, "_let_go", pieces.append)
    written, built = FeatureIndex.write(stored, tmp_path, memory_mb=memory_mb), FeatureIndex.build(codes)
    assert len(pieces) == {0: 80, 1: 8, 8: 0}[memory_mb], (
        "pieces counted and handed on, or none where all fits"
    )
    for name in ("offsets", "rows", "activations"):
        assert np.array_equal(getattr(written, name), getattr(built, name))
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_pages_of_mapped_codes_are_given_back(tmp_path):
    plant_codes().save(tmp_path)
    codes = SparseCodes.load(tmp_path, n_latents=20, remedy="index")
    before = codes.dense()
    feature_index._let_go(codes)
    assert np.array_equal(codes.dense(), before)


def test_queries_agree_with_the_postings():
    index = FeatureIndex.build(plant_codes(500, 5, 3, levels=10))
    rows, activations = index.postings(2)
    threshold = float(activations[len(activations) // 2])
    assert list(index.top(2, 7)[0]) == list(rows[:7])
    assert list(index.rows_active(2, threshold)) == list(rows[activations > threshold])
    near_rows, near = index.near_threshold(2, threshold, 4)
    assert list(near_rows) == list(rows[activations > threshold][-4:]) and (near > threshold).all()
    whole = np.concatenate([index.quantile_band(2, low, low + 0.25)[0] for low in (0.75, 0.5, 0.25, 0.0)])
    assert list(whole) == list(rows)
    assert index.n_active().sum() == len(index.rows)


def test_wrong_questions_are_refused():
    index = FeatureIndex.build(plant_codes())
    for latent in (-1, 20):
        with pytest.raises(ValueError, match="is not in"):
            index.postings(latent)
    with pytest.raises(ValueError, match="band"):
        index.quantile_band(0, 0.5, 0.5)


def test_an_index_survives_saving_and_damage_is_noticed(tmp_path):
    index = FeatureIndex.build(plant_codes())
    index.save(tmp_path)
    again = FeatureIndex.load(tmp_path, remedy="index")
    for latent in range(index.n_latents):
        assert np.array_equal(again.postings(latent)[0], index.postings(latent)[0])
    np.save(tmp_path / "index_rows.npy", index.rows[:-1])
    with pytest.raises(ArtifactError, match="does not fit"):
        FeatureIndex.load(tmp_path, remedy="index")


def test_codes_survive_saving_and_name_their_active_latents(tmp_path):
    codes = SparseCodes(
        np.array([[3, 1], [0, 0]], np.int32), np.array([[2.0, 1.0], [0.5, 0.0]], np.float32), 4
    )
    codes.save(tmp_path)
    again = SparseCodes.load(tmp_path, n_latents=4, remedy="index")
    assert np.array_equal(again.dense(), [[0, 1, 0, 2], [0.5, 0, 0, 0]])
    assert [list(part) for part in again.active(1)] == [[0], [0.5]]
    np.save(tmp_path / "code_latents.npy", codes.latents.astype(np.int64))
    with pytest.raises(ArtifactError, match="does not match"):
        SparseCodes.load(tmp_path, n_latents=4, remedy="index")
