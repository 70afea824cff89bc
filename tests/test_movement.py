"""Movement against plain sets."""

import numpy as np
import pytest

from sae_core.movement import ENTER, LEAVE, NO_LATENT, STAY, LatentIndex, follow, tabulate
from sae_core.sparse_codes import SparseCodes
from tests.planting import plant_codes, plant_corpus


def test_every_clip_of_either_index_moves_once_and_rightly():
    before = LatentIndex(plant_codes(240, 10, 3, seed=1), 4, 0.4)
    after = LatentIndex(plant_codes(240, 30, 6, seed=2), 7, 0.2)
    is_valid = np.arange(240) % 11 != 0
    movement = follow(before, after, is_valid)
    valid = set(np.flatnonzero(is_valid).tolist())
    was = set(np.flatnonzero(before.codes.dense()[:, 4] > 0.4).tolist()) & valid
    now = set(np.flatnonzero(after.codes.dense()[:, 7] > 0.2).tolist()) & valid
    assert set(movement.rows(STAY).tolist()) == was & now
    assert set(movement.rows(LEAVE).tolist()) == was - now
    assert set(movement.rows(ENTER).tolist()) == now - was
    assert movement.moves["row"].is_unique
    for side, move, latent in ((after, LEAVE, 7), (before, ENTER, 4)):
        dense = side.codes.dense()
        dense[:, latent] = 0
        for row, other in movement.moves[movement.moves["move"] == move][["row", "other"]].to_numpy():
            assert other == dense[row].argmax()


def test_flows_add_up_and_can_be_listed():
    movement = follow(
        LatentIndex(plant_codes(500, 8, 3, seed=1), 1),
        LatentIndex(plant_codes(500, 30, 3, seed=2), 2),
        np.ones(500, dtype=bool),
    )
    flows = movement.flows(n_largest=3)
    assert flows["n"].sum() == len(movement.moves)
    leaving = flows[(flows["move"] == LEAVE) & flows["other"].notna()]
    assert len(leaving) == 3 and leaving["n"].is_monotonic_decreasing
    for _, flow in leaving.iterrows():
        assert len(movement.rows(LEAVE, flow["other"])) == flow["n"]


def test_the_same_index_stays_whole():
    index = LatentIndex(plant_codes(), 3)
    movement = follow(index, index, np.ones(240, dtype=bool))
    assert set(movement.moves["move"]) == {STAY}
    with pytest.raises(ValueError, match="not the same clips"):
        follow(index, LatentIndex(plant_codes(10), 3), np.ones(240, dtype=bool))


def test_clips_with_no_other_latent_go_nowhere():
    one = SparseCodes(np.zeros((20, 1), np.int32), np.ones((20, 1), np.float32), 2)
    none = SparseCodes(np.zeros((20, 1), np.int32), np.zeros((20, 1), np.float32), 2)
    movement = follow(LatentIndex(one, 0), LatentIndex(none, 0), np.ones(20, dtype=bool))
    assert set(movement.moves["other"]) == {NO_LATENT} and len(movement.rows(LEAVE)) == 20


def test_the_table_counts_by_language_and_gender_with_intervals():
    corpus = plant_corpus(
        960,
        24,
        language=lambda speaker: ["es", "en"][speaker % 2],
        gender=lambda speaker: "mf"[speaker // 2 % 2],
    )
    stays = np.where(corpus.has_value("language", "es"), np.arange(960) % 10 < 9, np.arange(960) % 10 < 2)
    before = SparseCodes(np.zeros((960, 1), np.int32), np.ones((960, 1), np.float32), 1)
    after = SparseCodes(np.zeros((960, 1), np.int32), stays[:, None].astype(np.float32), 1)
    movement = follow(LatentIndex(before, 0), LatentIndex(after, 0), np.ones(960, dtype=bool))
    table = tabulate(corpus, movement, ("language", "gender"))
    assert table[["n_stay", "n_leave", "n_enter"]].to_numpy().sum() == 960
    for _, cell in table.iterrows():
        inside = (corpus.table["language"] == cell["language"]) & (corpus.table["gender"] == cell["gender"])
        assert cell["n_stay"] == stays[inside].sum()
        assert cell["stay_share"] == pytest.approx(stays[inside].mean())
        assert cell["stay_low"] - 1e-6 <= cell["stay_share"] <= cell["stay_high"] + 1e-6
        assert cell["n_speakers"] == 6


def test_one_voice_gives_no_interval():
    corpus = plant_corpus(20, 1, language="es")
    index = LatentIndex(SparseCodes(np.zeros((20, 1), np.int32), np.ones((20, 1), np.float32), 1), 0)
    table = tabulate(corpus, follow(index, index, np.ones(20, dtype=bool)), ("language",))
    assert (table["stay_low"].iloc[0], table["stay_high"].iloc[0]) == (0, 1)
