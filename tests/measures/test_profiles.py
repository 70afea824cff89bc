"""Profiles against plain counting."""

import numpy as np
import pandas as pd
import pytest

from sae_core.measures import profiles
from sae_core.measures.indexing import describe_latents
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes, plant_corpus, plant_embeddings


def labelled_corpus(n_clips=240):
    return plant_corpus(
        n_clips,
        language=lambda speaker: ["es", "en", None][speaker % 3],
        gender=lambda speaker: "female" if speaker % 2 else "male",
        source=lambda speaker: "phone" if speaker < 20 else "radio",
    )


def test_shares_are_counts_over_the_known_clips():
    corpus, rows = labelled_corpus(), np.arange(0, 240, 7)
    is_valid = np.arange(240) != 5
    shares = profiles.value_shares(profiles.BaseCounts(corpus, is_valid), rows)
    line = shares[(shares["attribute"] == "language") & (shares["value"] == "es")].iloc[0]
    labels = corpus.table["language"]
    assert line["n"] == (labels.iloc[rows] == "es").sum()
    assert line["share"] == pytest.approx((labels.iloc[rows].dropna() == "es").mean())
    assert line["base_rate"] == pytest.approx((labels[is_valid].dropna() == "es").mean())
    assert line["lift"] == pytest.approx(line["share"] / line["base_rate"])


def test_cross_counts_equal_pandas():
    corpus, rows = labelled_corpus(), np.arange(0, 240, 5)
    cells = profiles.cross_counts(
        profiles.BaseCounts(corpus, np.ones(240, dtype=bool)), rows, ("language", "gender")
    )
    expected = corpus.table.iloc[rows].groupby(["language", "gender"]).size()
    for _, cell in cells.iterrows():
        assert cell["n"] == expected.get((cell["language"], cell["gender"]), 0)
    assert cells["n_all"].sum() == corpus.table["language"].notna().sum()


def test_corpus_summary_counts_clips_speakers_and_hours():
    summary = profiles.summarise_corpus(labelled_corpus())
    assert (summary.n_clips, summary.n_speakers) == (240, 24)
    assert summary.hours == pytest.approx(240 / 3600)
    assert summary.table["n_clips"].sum() == 240
    assert set(summary.table["language"]) == {"es", "en", "–"}
    assert summary.splits["n_speakers"].sum() == 24


def test_nearest_clips_are_the_highest_cosines_without_the_clip_itself_or_failures():
    embeddings = plant_embeddings(50, failed=(7,))
    found = profiles.nearest_clips(embeddings.vectors, embeddings.is_valid, 3, 5)
    cosine = embeddings.vectors @ embeddings.vectors[3]
    expected = [row for row in np.argsort(-cosine) if row not in (3, 7)][:5]
    assert list(found["row"]) == expected
    assert profiles.nearest_clips(embeddings.vectors, embeddings.is_valid, 7, 5).empty
    assert len(profiles.nearest_clips(embeddings.vectors, embeddings.is_valid, 3, 500)) == 48


def test_similar_latents_by_direction_and_by_company():
    codes = plant_codes(300, 12, 3)
    index = FeatureIndex.build(codes)
    sets = [set(index.postings(latent)[0].tolist()) for latent in range(12)]
    found = profiles.nearest_by_coactivation(codes, index, 4, 3)
    expected = sorted(
        (-len(sets[4] & other) / len(sets[4] | other), number)
        for number, other in enumerate(sets)
        if number != 4
    )
    assert list(found["latent"]) == [number for _, number in expected[:3]]
    assert found["jaccard"].tolist() == pytest.approx([-share for share, _ in expected[:3]])
    directions = plant_embeddings(12, 5).vectors
    nearest = profiles.nearest_by_direction(directions, 4, 11)
    assert len(nearest) == 11 and 4 not in set(nearest["latent"])
    assert nearest["cosine"].is_monotonic_decreasing


def test_histogram_counts_every_activation():
    _, activations = FeatureIndex.build(plant_codes()).postings(1)
    histogram = profiles.activation_histogram(activations)
    assert histogram["n"].sum() == len(activations)
    assert histogram["high"].iloc[-1] == pytest.approx(activations[0])
    assert profiles.activation_histogram(np.empty(0, np.float32))["n"].sum() == 0


def test_latents_are_described_by_who_is_behind_them():
    from sae_core.measures.attributes import measure_attributes
    from sae_core.sae.codes import SparseCodes

    corpus = labelled_corpus()
    speaker = corpus.table["speaker_id"].str[1:].astype(int).to_numpy()
    latents = np.select([speaker == 3, speaker >= 20, speaker < 12], [0, 1, 2], default=4)
    codes = SparseCodes(latents[:, None].astype(np.int32), np.ones((240, 1), np.float32), 6)
    index = FeatureIndex.build(codes)
    statistics = measure_attributes(corpus, index, np.ones(240, dtype=bool))
    table = describe_latents(corpus, index, statistics, n_clips=240)
    assert table["warning"].iloc[0] == "mostly one speaker: s3"
    assert table["warning"].iloc[1] == "mostly one source: radio"
    assert table["warning"].iloc[5] == "never active"
    assert table["n_speakers"].tolist()[:3] == [1, 4, 11]
    assert table["firing_rate"].sum() == pytest.approx(1)
    assert "source" not in set(table["best_attribute"]) | set(table["seen_attribute"])
    assert len(table) == 6 and table["best_f1"].iloc[5] != table["best_f1"].iloc[5]


def test_striking_latents_are_good_varied_and_without_warning_first():
    table = pd.DataFrame(
        {
            "latent": range(5),
            "n_active": [9, 9, 9, 9, 0],
            "best_attribute": ["a", "a", "b", "b", None],
            "best_value": ["x", "x", "y", "z", None],
            "best_mcc": [0.5, 0.9, 0.8, 0.99, None],
            "warning": [None, None, None, "mostly one speaker: s1", "never active"],
            "is_named": False,
        }
    )
    assert profiles.striking_latents(table, 3) == [1, 2, 3]
    assert profiles.striking_latents(table, 9) == [1, 2, 3, 0]
    named = table.assign(is_named=[True, False, False, True, False])
    assert profiles.striking_latents(named, 9) == [0, 3, 2, 1]
