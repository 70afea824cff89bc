"""Attribute statistics against scikit-learn on dense activations, and against planted truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sae_core.files.errors import ArtifactError
from sae_core.measures.attributes import (
    SEEN_SPEAKERS,
    UNSEEN_SPEAKERS,
    AttributeStatistics,
    attribute_targets,
    measure_attributes,
)
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes, plant_corpus


def measure(corpus, codes):
    return measure_attributes(corpus, FeatureIndex.build(codes), np.ones(len(corpus), dtype=bool))


@given(seed=st.integers(0, 999), levels=st.sampled_from([None, 1, 3]))
@settings(max_examples=6)
def test_measures_equal_scikit_learns_on_the_dense_array(seed, levels):
    rng = np.random.default_rng(seed)
    corpus = plant_corpus(
        300, 60, language=rng.choice(["es", "en", None], 300), is_loud=rng.random(300) < 0.3
    )
    codes = plant_codes(300, 8, 3, seed=seed, levels=levels)
    statistics = measure(corpus, codes)
    dense = codes.dense()
    for value_row, target in enumerate(attribute_targets(corpus, np.ones(300, dtype=bool))):
        truth = target.is_positive[target.is_reported]
        for latent in range(8):
            found = {name: float(array[latent, value_row]) for name, array in statistics.measures.items()}
            activation = dense[target.is_reported, latent]
            told = activation > found["threshold"]
            assert found["auroc"] == pytest.approx(roc_auc_score(truth, activation), abs=1e-6)
            assert found["average_precision"] == pytest.approx(
                average_precision_score(truth, activation), abs=1e-6
            )
            assert found["precision"] == pytest.approx(
                precision_score(truth, told, zero_division=0), abs=1e-6
            )
            assert found["recall"] == pytest.approx(recall_score(truth, told), abs=1e-6)
            assert found["f1"] == pytest.approx(f1_score(truth, told, zero_division=0), abs=1e-6)
            assert found["mcc"] == pytest.approx(matthews_corrcoef(truth, told), abs=1e-6)
            assert found["lift"] == pytest.approx(found["precision"] / truth.mean(), rel=1e-5)


def test_the_threshold_is_the_best_one_on_the_selection_clips():
    corpus = plant_corpus(300, 60, language=np.random.default_rng(3).choice(["es", "en"], 300))
    codes = plant_codes(300, 6, 3, levels=4)
    statistics = measure(corpus, codes)
    target = attribute_targets(corpus, np.ones(300, dtype=bool))[0]
    truth = target.is_positive[target.is_selection]
    for latent in range(6):
        activation = codes.dense()[target.is_selection, latent]
        every_cut = np.append(np.unique(activation), 0.0)
        best = max(f1_score(truth, activation > cut, zero_division=0) for cut in every_cut)
        chosen = f1_score(truth, activation > statistics.measures["threshold"][latent, 0], zero_division=0)
        assert statistics.measures["selection_f1"][latent, 0] == pytest.approx(best, abs=1e-6)
        assert chosen == pytest.approx(best, abs=1e-6)


def test_a_latent_planted_for_a_value_is_found_with_an_interval_around_the_truth():
    """Latent 3 fires on nine in ten Spanish clips and on one in ten others, on unseen speakers as on old ones."""
    corpus = plant_corpus(4000, 100, language=lambda speaker: "es" if speaker % 2 else "en")
    rng = np.random.default_rng(0)
    is_spanish = corpus.has_value("language", "es")
    fires = rng.random(4000) < np.where(is_spanish, 0.9, 0.1)
    latents = np.stack([np.full(4000, 3), rng.integers(0, 3, 4000)], axis=1).astype(np.int32)
    activations = np.stack([np.where(fires, 2.0, 0.0), rng.random(4000)], axis=1).astype(np.float32)
    statistics = measure(corpus, SparseCodes(latents, activations, 4))
    assert statistics.predominant("language", "es") == 3
    facts = statistics.of(3, statistics.value_row("language", "es"))
    assert facts["evidence"] == UNSEEN_SPEAKERS
    for name, truth in (("precision", 0.9), ("recall", 0.9), ("f1", 0.9)):
        assert facts[f"{name}_low"] < truth < facts[f"{name}_high"]
    assert facts["recall_high"] - facts["recall_low"] < 0.1


def test_intervals_resample_speakers_not_clips():
    """Where whole speakers fire or stay silent, an interval over clips would be far too narrow."""
    corpus = plant_corpus(4000, 40, language=lambda speaker: "es" if speaker % 2 else "en")
    fires = (corpus.speaker_groups % 4) < 2
    codes = SparseCodes(np.zeros((4000, 1), np.int32), fires[:, None].astype(np.float32), 2)
    statistics = measure(corpus, codes)
    facts = statistics.of(0, statistics.value_row("language", "es"))
    n_clips = facts["n_reported_positive"]
    width_over_clips = 2 * 1.96 * np.sqrt(facts["recall"] * (1 - facts["recall"]) / n_clips)
    assert facts["recall_high"] - facts["recall_low"] > 2 * width_over_clips


def test_values_of_too_few_voices_are_marked_same_voices():
    corpus = plant_corpus(
        600, 100, language=lambda speaker: "ro" if speaker < 2 else ["es", "en"][speaker % 2]
    )
    statistics = measure(corpus, plant_codes(600))
    evidence = dict(zip(statistics.values["value"], statistics.values["evidence"], strict=True))
    assert evidence == {"en": UNSEEN_SPEAKERS, "es": UNSEEN_SPEAKERS, "ro": SEEN_SPEAKERS}
    target = next(
        target for target in attribute_targets(corpus, np.ones(600, dtype=bool)) if target.value == "ro"
    )
    assert not (target.is_selection & target.is_reported).any()
    assert (target.is_positive & target.is_reported).sum() >= 5


def test_unknown_and_failed_clips_take_no_part():
    language = np.where(np.arange(600) % 3 == 0, None, np.where(np.arange(600) % 2 == 0, "es", "en"))
    corpus = plant_corpus(600, 60, language=language)
    is_valid = np.arange(600) % 5 != 0
    for target in attribute_targets(corpus, is_valid):
        for mask in (target.is_selection, target.is_reported, target.is_positive):
            assert not (mask & ~(corpus.is_known("language") & is_valid)).any()


def test_rare_values_are_not_measured():
    corpus = plant_corpus(300, 30, language=["es"] * 295 + ["en"] * 5)
    statistics = measure(corpus, plant_codes(300))
    assert len(statistics.values) == 0
    with pytest.raises(ValueError, match="not measured"):
        statistics.predominant("language", "es")


def test_statistics_survive_saving(tmp_path):
    corpus = plant_corpus(600, 60, language=lambda speaker: ["es", "en"][speaker % 2])
    statistics = measure(corpus, plant_codes(600))
    statistics.save(tmp_path)
    again = AttributeStatistics.load(tmp_path, n_latents=20, remedy="index")
    assert again.of(4, 1) == statistics.of(4, 1)
    with pytest.raises(ArtifactError, match="does not fit"):
        AttributeStatistics.load(tmp_path, n_latents=21, remedy="index")
