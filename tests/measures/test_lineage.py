"""Lineage between planted latents whose fate is known, with dense latents that hold others by chance."""

import numpy as np
import pytest

from sae_core.measures.lineage import SuccessionRule, refine, trace
from sae_core.sae.codes import SparseCodes
from tests.planting import plant_codes

N_CLIPS = 400
EVERY = np.ones(N_CLIPS, dtype=bool)


def codes_of(members, n_clips=N_CLIPS):
    """Codes whose latents are active on given sets of clips."""
    k = len(members)
    activations = np.stack([np.isin(np.arange(n_clips), list(rows)) for rows in members], axis=1)
    latents = np.tile(np.arange(k, dtype=np.int32), (n_clips, 1))
    return SparseCodes(latents, activations.astype(np.float32), k)


def unit(*vectors):
    array = np.array(vectors, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def dense_set(share, seed):
    return np.flatnonzero(np.random.default_rng(seed).random(N_CLIPS) < share).tolist()


def test_planted_fates_are_told():
    """Latent 0 stays itself, 1 is split in two, 2 and 3 are merged, 4 is gone, 5 is silent; one latent of B is new."""
    x = np.eye(8)
    predecessors = unit(x[0], x[1] + x[2], x[3] + 0.6 * x[4], x[3] - 0.6 * x[4], x[5], x[6])
    successors = unit(x[0] + 0.2 * x[7], x[1] + 0.9 * x[2], 0.9 * x[1] + x[2], x[3], x[7])
    sets_of_a = [range(10), range(10, 30), range(30, 40), range(40, 50), range(50, 60), []]
    sets_of_b = [range(10), range(10, 20), range(20, 30), range(30, 50), range(90, 100)]
    lineage = trace((predecessors, successors), (codes_of(sets_of_a), codes_of(sets_of_b)), EVERY)
    assert lineage.predecessors["fate"].tolist() == [
        "one-to-one",
        "split",
        "merged",
        "merged",
        "no counterpart",
        "silent",
    ]
    assert lineage.successors["origin"].tolist() == ["one-to-one", "split", "split", "merged", "new"]
    assert sorted(lineage.successors_of(1)["successor"]) == [1, 2]
    assert sorted(lineage.predecessors_of(3)["predecessor"]) == [2, 3]
    edge = lineage.successors_of(0).iloc[0]
    assert edge["jaccard"] == edge["containment"] == edge["beyond_chance"] == 1
    assert edge["cosine"] == pytest.approx(1 / np.sqrt(1.04), abs=1e-5)
    assert edge["lift"] == pytest.approx(N_CLIPS / 10)


def test_a_dense_latent_has_no_kin_by_chance():
    """A latent on two clips of three holds most of any other's clips, and its direction leans towards all of them; only
    its own likeness in the other SAE is its kin, and splits beside it are still told."""
    x = np.eye(12)
    predecessors = unit(x[0] + 0.7 * x[1] + 0.7 * x[2] + 0.7 * x[3], x[1], x[2] + x[3])
    successors = unit(
        x[0] + 0.7 * x[1] + 0.7 * x[2] + 0.6 * x[3], x[1] + 0.4 * x[0], x[2] + 0.4 * x[0], x[3] + 0.4 * x[0]
    )
    dense, again = dense_set(0.67, 1), dense_set(0.67, 1)
    codes = (
        codes_of([dense, range(60), range(60, 140)]),
        codes_of([again, range(60), range(60, 100), range(100, 140)]),
    )
    edges = trace((predecessors, successors), codes, EVERY).edges
    assert set(zip(edges["predecessor"], edges["successor"], strict=True)) == {(0, 0), (1, 1), (2, 2), (2, 3)}
    by_chance = len(set(dense) & set(range(60))) / 60
    assert (
        by_chance > 0.5
    )  # by the share of clips alone, the dense latent would be taken for a predecessor of 1


def test_independent_latents_have_no_kin():
    """Whatever their sizes, latents that fire independently are not kin, even where directions agree somewhat."""
    sizes = np.linspace(0.02, 0.95, 12)
    codes = tuple(codes_of([dense_set(share, seed) for share in sizes]) for seed in (3, 4))
    rng = np.random.default_rng(0)
    directions = tuple(unit(*(np.ones(32) + rng.normal(0, 0.5, 32) for _ in sizes)) for _ in range(2))
    cosine = directions[0] @ directions[1].T
    assert (cosine > SuccessionRule().min_related_cosine).all()
    strict = SuccessionRule(min_cosine=0.999)
    assert trace(directions, codes, EVERY, rule=strict).edges.empty
    assert (
        len(trace(directions, codes, EVERY).edges) <= 1
    )  # agreeing directions do not make up for chance either


def test_an_sae_is_its_own_lineage():
    codes = plant_codes(400, 12, 3)
    directions = np.eye(12, 16, dtype=np.float32)
    lineage = trace((directions, directions), (codes, codes), EVERY)
    assert set(lineage.predecessors["fate"]) == {"one-to-one"}
    assert (lineage.edges["predecessor"] == lineage.edges["successor"]).all()
    assert (lineage.edges["jaccard"] == 1).all()


def test_edges_equal_counting_sets():
    """Every number of every edge, from plain sets of the clips that count."""
    codes = (plant_codes(400, 9, 3, seed=1), plant_codes(400, 14, 5, seed=2))
    is_valid = np.arange(400) % 7 != 0
    directions = tuple(
        unit(*np.random.default_rng(seed).normal(size=(n, 4))) for seed, n in ((1, 9), (2, 14))
    )
    loose = SuccessionRule(min_cosine=0.0, min_related_cosine=0.0, min_beyond_chance=0.0, max_false_pairs=1e9)
    edges = trace(directions, codes, is_valid, rule=loose).edges
    sets = [
        [
            set(np.flatnonzero((part.dense()[:, latent] > 0) & is_valid).tolist())
            for latent in range(part.n_latents)
        ]
        for part in codes
    ]
    n = int(is_valid.sum())
    assert len(edges) > 20
    for edge in edges.itertuples():
        one, other = sets[0][edge.predecessor], sets[1][edge.successor]
        small, large = sorted((len(one), len(other)))
        assert edge.n_shared == len(one & other)
        assert edge.jaccard == pytest.approx(len(one & other) / len(one | other))
        assert edge.containment == pytest.approx(len(one & other) / len(other))
        assert edge.kept == pytest.approx(len(one & other) / len(one))
        assert edge.lift == pytest.approx(len(one & other) / (len(one) * len(other) / n))
        assert edge.beyond_chance == pytest.approx((len(one & other) / small - large / n) / (1 - large / n))
        assert edge.cosine == pytest.approx(
            directions[0][edge.predecessor] @ directions[1][edge.successor], abs=1e-5
        )


def test_blocks_of_latents_change_nothing(monkeypatch):
    codes = (plant_codes(400, 30, 6, seed=1), plant_codes(400, 40, 6, seed=1))
    directions = (np.eye(30, 40, dtype=np.float32), np.eye(40, dtype=np.float32))
    whole = trace(directions, codes, EVERY)
    nested = refine(directions[1], codes[1], EVERY, (8, 40))
    monkeypatch.setattr("sae_core.measures.lineage.LATENTS_AT_ONCE", 7)
    parts = trace(directions, codes, EVERY)
    assert whole.edges.equals(parts.edges) and whole.predecessors.equals(parts.predecessors)
    assert nested.equals(refine(directions[1], codes[1], EVERY, (8, 40)))


def test_a_large_corpus_is_thinned_evenly(monkeypatch):
    codes = codes_of([range(100), range(50), range(50, 100)])
    directions = unit([1, 0.4], [1, 0], [1, 0.8])
    whole = trace((directions, directions), (codes, codes), EVERY).edges
    monkeypatch.setattr("sae_core.measures.lineage.MAX_CLIPS", 100)
    thinned = trace((directions, directions), (codes, codes), EVERY).edges
    assert thinned[["predecessor", "successor"]].equals(whole[["predecessor", "successor"]])
    assert (thinned["n_shared"] < whole["n_shared"]).all()
    np.testing.assert_allclose(thinned["jaccard"], whole["jaccard"], atol=0.05)


def test_later_prefixes_refine_earlier_ones():
    """Prefix 2 holds a broad latent and a dense one; of the later four, two lie inside the broad one, one inside a
    later one and so inside the broad one too, and one lies where chance puts it."""
    broad, dense = range(120), dense_set(0.7, 5)
    sets = [broad, dense, range(60), range(60, 120), range(10, 40), range(100, 220)]
    directions = unit(*np.eye(6))
    refined = refine(directions, codes_of(sets), EVERY, (2, 4, 6)).set_index("successor")
    assert refined["predecessor"].to_dict() == {2: 0, 3: 0, 4: 2}
    assert refined["predecessor_prefix"].to_dict() == {2: 2, 3: 2, 4: 4}
    assert refined["successor_prefix"].to_dict() == {2: 4, 3: 4, 4: 6}
    assert (refined["containment"] == 1).all()
    assert refine(directions, codes_of(sets), EVERY, (6,)).empty


def test_what_cannot_be_compared_is_refused():
    codes = plant_codes(400, 4, 2)
    directions = np.eye(4, dtype=np.float32)
    with pytest.raises(ValueError, match="not the same clips"):
        trace((directions, directions), (codes, plant_codes(30, 4, 2)), EVERY)
    for name in ("min_cosine", "min_related_cosine", "min_beyond_chance"):
        with pytest.raises(ValueError, match=name):
            SuccessionRule(**{name: 1.5})
    with pytest.raises(ValueError, match="max_false_pairs"):
        SuccessionRule(max_false_pairs=0.0)
