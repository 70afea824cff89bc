"""Lineage between planted latents whose fate is known."""

import numpy as np
import pytest

from sae_core.feature_index import FeatureIndex
from sae_core.lineage import overlap, trace
from sae_core.sparse_codes import SparseCodes
from tests.planting import plant_codes


def index_of(members, n_clips=100):
    """An index whose latents are active on given sets of clips."""
    k = len(members)
    activations = np.stack([np.isin(np.arange(n_clips), list(rows)) for rows in members], axis=1)
    latents = np.tile(np.arange(k, dtype=np.int32), (n_clips, 1))
    return FeatureIndex.build(SparseCodes(latents, activations.astype(np.float32), k))


def unit(*vectors):
    array = np.array(vectors, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_planted_fates_are_told():
    """Latent 0 stays itself, 1 is split in two, 2 and 3 are merged, 4 is gone, 5 is silent; one latent of B is new."""
    x = np.eye(8)
    parents = unit(x[0], x[1] + x[2], x[3] + 0.6 * x[4], x[3] - 0.6 * x[4], x[5], x[6])
    children = unit(x[0] + 0.2 * x[7], x[1] + 0.9 * x[2], 0.9 * x[1] + x[2], x[3], x[7])
    sets_of_a = [range(10), range(10, 30), range(30, 40), range(40, 50), range(50, 60), []]
    sets_of_b = [range(10), range(10, 20), range(20, 30), range(30, 50), range(90, 100)]
    lineage = trace((parents, children), (index_of(sets_of_a), index_of(sets_of_b)))
    assert lineage.parents["fate"].tolist() == ["one-to-one", "split", "merged", "merged", "gone", "silent"]
    assert lineage.children["origin"].tolist() == ["one-to-one", "split", "split", "merged", "new"]
    assert sorted(lineage.children_of(1)["child"]) == [1, 2]
    edge = lineage.children_of(0).iloc[0]
    assert edge["jaccard"] == edge["containment"] == 1
    assert edge["cosine"] == pytest.approx(1 / np.sqrt(1.04), abs=1e-5)


def test_an_sae_is_its_own_lineage():
    index = FeatureIndex.build(plant_codes(200, 12, 3))
    directions = np.eye(12, 16, dtype=np.float32)
    lineage = trace((directions, directions), (index, index))
    assert set(lineage.parents["fate"]) == {"one-to-one"}
    assert (lineage.edges["parent"] == lineage.edges["child"]).all()
    assert (lineage.edges["jaccard"] == 1).all()


def test_overlaps_equal_counting_sets():
    one, other = (
        FeatureIndex.build(plant_codes(300, 9, 3, seed=1)),
        FeatureIndex.build(plant_codes(300, 14, 4, seed=2)),
    )
    shared = overlap((one, other), 2, 7)
    for parent in range(2, 7):
        mine = set(one.postings(parent)[0].tolist())
        for child in range(14):
            assert shared[parent - 2, child] == len(mine & set(other.postings(child)[0].tolist()))
