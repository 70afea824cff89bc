"""Movement against plain sets."""

import numpy as np
import pytest

from sae_core.measures.movement import (
    ELSEWHERE,
    ENTER,
    IN_INDEX,
    LEAVE,
    NO_LATENT,
    STAY,
    LatentIndex,
    follow,
    share_with_bounds,
    tabulate_moves,
    tell_apart,
)
from sae_core.sae.codes import SparseCodes
from tests.planting import plant_codes, plant_corpus

EVERY = np.ones(240, dtype=bool)


def two_stations(**weights):
    return (
        LatentIndex(plant_codes(240, 10, 3, seed=1), 4, 0.4, **weights),
        LatentIndex(plant_codes(240, 30, 6, seed=2), 7, 0.2),
    )


def members(station, is_counted):
    """The index of a station as a set, from dense codes."""
    is_in = (station.codes.dense()[:, station.latent] > station.threshold) & is_counted
    return set(np.flatnonzero(is_in).tolist())


def test_every_clip_of_either_index_moves_once_and_rightly():
    before, after = two_stations()
    is_counted = np.arange(240) % 11 != 0
    movement = follow([before, after], is_counted)
    was, now = members(before, is_counted), members(after, is_counted)
    assert set(movement.rows_that(STAY).tolist()) == was & now
    assert set(movement.rows_that(LEAVE).tolist()) == was - now
    assert set(movement.rows_that(ENTER).tolist()) == now - was
    assert movement.rows.tolist() == sorted(was | now)
    for number, station in enumerate((before, after)):
        dense = station.codes.dense()
        dense[:, station.latent] = 0
        for row, place in zip(movement.rows, movement.places[:, number], strict=True):
            inside = row in (was, now)[number]
            assert place == (IN_INDEX if inside else dense[row].argmax())


def test_weights_decide_which_other_latent_tells_a_clip():
    weights = np.linspace(5, 0.1, 10)
    before, after = two_stations(weights=weights)
    movement = follow([before, after], EVERY)
    dense = before.codes.dense() * weights
    dense[:, before.latent] = 0
    entering = movement.places[movement.places[:, 0] != IN_INDEX, 0]
    rows = movement.rows[movement.places[:, 0] != IN_INDEX]
    assert entering.tolist() == dense[rows].argmax(axis=1).tolist()
    plain = follow(two_stations(), EVERY)
    assert (plain.places[:, 0] != movement.places[:, 0]).any()


def test_flows_add_up_and_each_can_be_listed():
    movement = follow(two_stations(), EVERY).gather(3)
    flows = movement.flows()
    assert flows["n"].sum() == len(movement.rows)
    for flow in flows.itertuples():
        assert len(movement.rows_of_flow(flow.station, flow.source, flow.target)) == flow.n
    shown = [place for place in np.unique(movement.places[:, 1]) if place >= 0]
    assert len(shown) == 3 and ELSEWHERE in movement.places[:, 1]
    whole = follow(two_stations(), EVERY).places[:, 1]
    sizes = {place: (whole == place).sum() for place in np.unique(whole) if place >= 0}
    assert min(sizes[place] for place in shown) >= max(n for place, n in sizes.items() if place not in shown)
    assert movement.rows_that(STAY).tolist() == follow(two_stations(), EVERY).rows_that(STAY).tolist()


def test_three_stations_are_followed_in_a_row():
    middle = LatentIndex(plant_codes(240, 20, 8, seed=3), 2)
    stations = [two_stations()[0], middle, two_stations()[1]]
    movement = follow(stations, EVERY)
    sets = [members(station, EVERY) for station in stations]
    assert set(movement.rows.tolist()) == set.union(*sets)
    flows = movement.flows()
    for station in (0, 1):
        assert flows[flows["station"] == station]["n"].sum() == len(movement.rows)
        stay = movement.rows_of_flow(station, IN_INDEX, IN_INDEX)
        assert set(stay.tolist()) == sets[station] & sets[station + 1]
    only_between = sets[1] - sets[0] - sets[2]
    assert set(movement.rows[movement.moves() == ""].tolist()) == only_between
    assert set(movement.rows_that(LEAVE).tolist()) == sets[0] - sets[2]


def test_two_thresholds_of_one_latent_only_narrow_it():
    codes = plant_codes(240, 10, 5, seed=1)
    movement = follow([LatentIndex(codes, 3, 0.1), LatentIndex(codes, 3, 0.9)], EVERY)
    assert len(movement.rows_that(ENTER)) == 0
    assert len(movement.rows_that(LEAVE)) > 0 and len(movement.rows_that(STAY)) > 0


def test_the_same_index_stays_whole():
    index = LatentIndex(plant_codes(), 3)
    movement = follow([index, index], EVERY)
    assert set(movement.moves()) == {STAY}


def test_what_cannot_be_followed_is_refused():
    index = LatentIndex(plant_codes(), 3)
    with pytest.raises(ValueError, match="at least two"):
        follow([index], EVERY)
    with pytest.raises(ValueError, match="not the same clips"):
        follow([index, LatentIndex(plant_codes(10), 3)], EVERY)
    with pytest.raises(ValueError, match="a move is one of"):
        follow([index, index], EVERY).rows_that("fly")


def test_clips_with_no_other_latent_go_nowhere():
    one = SparseCodes(np.zeros((240, 1), np.int32), np.ones((240, 1), np.float32), 2)
    none = SparseCodes(np.zeros((240, 1), np.int32), np.zeros((240, 1), np.float32), 2)
    movement = follow([LatentIndex(one, 0), LatentIndex(none, 0)], EVERY)
    assert set(movement.places[:, 1]) == {NO_LATENT} and len(movement.rows_that(LEAVE)) == 240
    assert movement.gather(5).flows()["target"].tolist() == [NO_LATENT]


@pytest.fixture
def language_corpus():
    return plant_corpus(
        960,
        24,
        language=lambda speaker: ["es", "en"][speaker % 2],
        gender=lambda speaker: "mf"[speaker // 2 % 2],
        note=lambda speaker: "odd" if speaker < 6 else None,
    )


def stay_or_leave(stays):
    before = SparseCodes(np.zeros((len(stays), 1), np.int32), np.ones((len(stays), 1), np.float32), 1)
    after = SparseCodes(np.zeros((len(stays), 1), np.int32), stays[:, None].astype(np.float32), 1)
    return [LatentIndex(before, 0), LatentIndex(after, 0)]


def test_the_table_counts_by_language_and_gender_with_intervals(language_corpus):
    corpus = language_corpus
    is_spanish = corpus.has_value("language", "es")
    stays = np.where(is_spanish, np.arange(960) % 10 < 9, np.arange(960) % 10 < 2)
    is_counted = np.arange(960) % 4 != 3
    stations = stay_or_leave(stays)
    for movement, kept, other in (
        (follow(stations, is_counted), STAY, LEAVE),
        (follow(stations[::-1], is_counted), STAY, ENTER),
    ):
        table = tabulate_moves(corpus, movement, ("language", "gender"))
        assert table[["n_stay", "n_leave", "n_enter"]].to_numpy().sum() == is_counted.sum()
        for _, cell in table.iterrows():
            inside = (corpus.table["language"] == cell["language"]) & (
                corpus.table["gender"] == cell["gender"]
            )
            inside = inside.to_numpy() & is_counted
            assert cell["n_group"] == inside.sum()
            assert cell[f"n_{kept}"] == stays[inside].sum()
            assert cell[f"{kept}_of_group"] == pytest.approx(stays[inside].mean())
            assert cell[f"{other}_of_index"] == pytest.approx(1 - stays[inside].mean())
            for share in (f"{kept}_of_group", f"{other}_of_index"):
                assert cell[f"{share}_low"] - 1e-6 <= cell[share] <= cell[f"{share}_high"] + 1e-6
            assert cell["n_speakers"] == 6
    assert table["leave_of_index"].notna().all() and table["enter_of_group"].notna().all()


def test_groups_that_do_not_move_are_left_out_and_unknown_ones_are_kept(language_corpus):
    corpus = language_corpus
    stations = stay_or_leave(np.ones(960, dtype=bool))
    only_some = np.asarray(corpus.has_value("language", "es"))
    codes = SparseCodes(np.zeros((960, 1), np.int32), only_some[:, None].astype(np.float32), 1)
    stations = [LatentIndex(codes, 0), LatentIndex(codes, 0)]
    table = tabulate_moves(corpus, follow(stations, np.ones(960, dtype=bool)), ("language", "note"))
    assert table[["language", "note"]].to_numpy().tolist() == [["es", "odd"], ["es", "–"]]
    assert table["n_stay"].sum() == only_some.sum()


def test_shares_and_bounds_say_what_they_cannot_know():
    corpus = plant_corpus(20, 1, language="es")
    rows = np.arange(20)
    assert share_with_bounds(corpus, rows[:0], rows[:0]) == (None, None, None)
    assert share_with_bounds(corpus, rows[:5], rows) == (0.25, None, None)
    many = plant_corpus(200, 20)
    share, low, high = share_with_bounds(many, np.arange(0, 200, 2), np.arange(200))
    assert share == 0.5 and low < 0.5 < high  # speakers are all even or all odd


def test_what_tells_children_apart_is_found(language_corpus):
    """Of two children one holds the men and the other the women; a third holds one voice only."""
    corpus = language_corpus
    whole = np.flatnonzero(corpus.has_value("language", "es"))
    men = whole[corpus.has_value("gender", "m")[whole]]
    women = np.setdiff1d(whole, men)
    one_voice = np.flatnonzero((corpus.table["speaker_id"] == "s4").to_numpy())
    found = tell_apart(corpus, {5: men, 6: women, 9: one_voice}, whole)
    first = found.drop_duplicates("part").set_index("part")
    assert (first.loc[5, "attribute"], first.loc[5, "value"]) == ("gender", "m")
    assert (first.loc[6, "attribute"], first.loc[6, "value"]) == ("gender", "f")
    assert (first.loc[9, "attribute"], first.loc[9, "value"]) == ("speaker_id", "s4")
    assert first.loc[5, "lift"] == pytest.approx(len(whole) / len(men))
    assert first.loc[9, "lift"] == pytest.approx(len(whole) / len(one_voice))
    assert first.loc[5, "share"] == 1 and first.loc[5, "n"] == len(men)
    assert (found["attribute"] != "language").all()  # all of them are Spanish: that tells nothing apart
    assert tell_apart(corpus, {}, whole).empty
