"""One rule for what is detected and what latents are named for, on planted statistics and on whole workspaces."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.measures.attributes import (
    INTERVAL_COLUMNS,
    SEEN_SPEAKERS,
    UNSEEN_SPEAKERS,
    AttributeStatistics,
    best_values,
    measure_attributes,
)
from sae_core.measures.naming import (
    confirmed_values,
    name_latents,
    named_values,
    passes,
    predominant_latents,
)
from sae_core.measures.threshold_measures import MEASURES
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_corpus

VALUES = [("language", "es"), ("language", "en"), ("kind", "music"), ("source", "radio")]


def statistics_of(selection, held_out, *, evidence=None, values=VALUES):
    """Statistics in which latent l has F1 and MCC `selection[l][v]` on selection clips and MCC `held_out[l][v]` on
    held-out ones; it passes where that is at least 0.3. None leaves the interval out."""
    chosen = np.array(selection, dtype=np.float32)
    reported = np.array([[np.nan if mcc is None else mcc for mcc in line] for line in held_out], np.float32)
    measures = dict.fromkeys(MEASURES, np.full(chosen.shape, 0.5, np.float32))
    measures |= {"selection_f1": chosen, "selection_mcc": chosen, "mcc": np.nan_to_num(reported, nan=0.9)}
    measures |= {"precision": np.full(chosen.shape, 0.8, np.float32)}
    measures |= {"lift": np.full(chosen.shape, 4.0, np.float32)}
    table = pd.DataFrame(values, columns=["attribute", "value"])
    table["evidence"] = evidence or [UNSEEN_SPEAKERS] * len(values)
    pairs = [(*pair, *[0.5] * len(INTERVAL_COLUMNS)) for pair in np.argwhere(~np.isnan(reported)).tolist()]
    intervals = pd.DataFrame(pairs, columns=["latent", "value_row", *INTERVAL_COLUMNS])
    return AttributeStatistics(table, measures, intervals)


def test_a_latent_that_passes_by_chance_is_not_named_where_the_best_one_fails():
    """Latent 0 is the best for Spanish on selection and fails; latent 1 would pass, and proves nothing."""
    statistics = statistics_of(
        [[0.8, 0, 0, 0], [0.4, 0, 0, 0], [0, 0, 0.9, 0]], [[0.1, 0, 0, 0], [0.6, 0, 0, 0], [0, 0, 0.8, 0]]
    )
    assert confirmed_values(statistics).tolist() == [False, False, True, False]
    assert named_values(statistics).tolist() == [-1, -1, 2]


def test_the_best_latent_of_a_confirmed_value_is_named_for_it_though_another_suits_it_better():
    """Latent 0 goes with music on selection more than with Spanish, but held-out speakers confirm Spanish."""
    statistics = statistics_of([[0.5, 0, 0.6, 0], [0, 0, 0.7, 0]], [[0.6, 0, 0.5, 0], [0, 0, 0.1, 0]])
    assert named_values(statistics).tolist() == [0, -1]
    table = name_latents(pd.DataFrame({"latent": [0, 1]}), statistics)
    assert table["best_value"].tolist() == ["es", "music"] and table["is_named"].tolist() == [True, False]
    assert table["best_mcc"].tolist() == [pytest.approx(0.6), pytest.approx(0.1)]


def test_others_that_pass_are_named_for_what_they_detect_best_and_one_name_is_enough():
    statistics = statistics_of(
        [[0.9, 0, 0.5, 0], [0.7, 0, 0.1, 0], [0.6, 0, 0.1, 0], [0, 0, 0, 0]],
        [[0.8, 0, 0.7, 0], [0.5, 0, 0.1, 0], [0.2, 0, 0.1, 0], [0, 0, 0, 0]],
    )
    assert confirmed_values(statistics).tolist() == [True, False, True, False]
    # 0 is the best of both, 1 passes too, 2 does not, 3 is silent
    assert named_values(statistics).tolist() == [0, 0, -1, -1]


def test_seen_speakers_and_missing_intervals_confirm_nothing_and_sources_give_no_name():
    selection, held_out = [[0.9, 0.8, 0.5, 0.7]], [[0.9, 0.9, None, 0.9]]
    statistics = statistics_of(
        selection, held_out, evidence=[SEEN_SPEAKERS, UNSEEN_SPEAKERS, UNSEEN_SPEAKERS, UNSEEN_SPEAKERS]
    )
    assert confirmed_values(statistics).tolist() == [False, True, False, True]
    assert named_values(statistics).tolist() == [1]
    only_source = statistics_of([[0.9]], [[0.9]], values=[("source", "radio")])
    assert named_values(only_source).tolist() == [-1]
    assert predominant_latents(only_source).empty


def test_where_nothing_could_be_measured_nothing_is_named():
    statistics = statistics_of(np.empty((3, 0)), np.empty((3, 0)), values=[])
    table = name_latents(pd.DataFrame({"latent": range(3)}), statistics)
    assert not table["is_named"].any() and table["best_value"].isna().all() and len(table) == 3
    assert predominant_latents(statistics).empty and not len(confirmed_values(statistics))


@given(st.integers(0, 10_000))
def test_names_and_verdicts_never_contradict_each_other(seed):
    rng = np.random.default_rng(seed)
    selection = rng.uniform(0, 1, (12, 4)) * (rng.random((12, 4)) < 0.5)
    statistics = statistics_of(selection, rng.uniform(0, 0.6, (12, 4)))
    named, best = named_values(statistics), predominant_latents(statistics)
    confirmed = confirmed_values(statistics)
    assert best["is_confirmed"].tolist() == confirmed[:3].tolist()
    assert set(named) - {-1} <= set(np.flatnonzero(confirmed[:3]))
    for row, line in best.iterrows():
        if line["is_confirmed"]:
            rival = named[line["latent"]]
            assert rival == row or selection[line["latent"], rival] > selection[line["latent"], row]
    own = best_values(statistics.measures, statistics.values, UNSEEN_SPEAKERS)
    for latent in np.flatnonzero(named >= 0):
        is_best = best["latent"].iloc[named[latent]] == latent
        assert is_best or named[latent] == own[latent]
        assert passes(statistics, np.array([latent]), named[[latent]]).all()


def test_a_value_is_confirmed_only_where_its_best_latent_passes_on_held_out_speakers():
    """Latent 0 fires on every Spanish clip and no other; nothing knows about shade; only two speakers are rare."""
    corpus = plant_corpus(
        1000,
        100,
        language=lambda speaker: ["es", "en"][speaker % 2],
        shade=lambda speaker: ["dark", "pale"][speaker // 2 % 2],
        kind=lambda speaker: "rare" if speaker < 2 else "common",
    )
    latents = np.where(corpus.has_value("language", "es"), 0, np.random.default_rng(0).integers(1, 4, 1000))
    codes = SparseCodes(latents[:, None].astype(np.int32), np.ones((1000, 1), np.float32), 4)
    statistics = measure_attributes(corpus, FeatureIndex.build(codes), np.ones(1000, dtype=bool))
    found = predominant_latents(statistics).set_index("value")
    assert found.loc["es", "latent"] == 0 and found.loc["es", "is_confirmed"]
    assert not found.loc[["dark", "pale", "rare", "common"], "is_confirmed"].any()
    assert found.loc["rare", "evidence"] == SEEN_SPEAKERS
