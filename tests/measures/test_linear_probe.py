"""Probes against scikit-learn's own counting, and their bounds against resampling by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from sae_core.embedding.embeddings import Embeddings
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.measures.intervals import auroc_bounds, draw_speakers
from sae_core.measures.linear_probe import COLUMNS, _measure, probe_attributes, read_probes
from tests.planting import plant_corpus, plant_embeddings


@pytest.fixture
def spoken():
    """A corpus whose embeddings say the gender and know nothing of the language; one language has two voices."""
    corpus = plant_corpus(
        800,
        80,
        gender=lambda speaker: "mf"[speaker % 2],
        language=lambda speaker: "eu" if speaker < 2 else ["es", "en"][speaker // 2 % 2],
    )
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(800, 16))
    vectors[:, 0] += np.where(corpus.has_value("gender", "m"), 3, -3)
    embeddings = Embeddings.make(
        vectors.astype(np.float32), None, embedder="planted", revision="1", sample_rate_hz=16000
    )
    return corpus, embeddings


def test_a_probe_hears_what_is_there_and_nothing_else(spoken, tmp_path):
    corpus, embeddings = spoken
    table = probe_attributes(corpus, embeddings, tmp_path).set_index(["attribute", "value"])
    gender, language = table.loc[("gender", "m")], table.loc[("language", "es")]
    assert gender["evidence"] == UNSEEN_SPEAKERS and gender["f1"] > 0.97 and gender["auroc"] > 0.99
    assert 0.35 < language["auroc"] < 0.65
    assert table.loc[("language", "eu"), "evidence"] == SEEN_SPEAKERS
    for name in ("precision", "recall", "f1", "auroc"):
        assert (table[f"{name}_low"] <= table[name] + 1e-6).all()
        assert (table[name] <= table[f"{name}_high"] + 1e-6).all()


def test_measures_equal_scikit_learn():
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=300), rng.random(300) < 0.3
    scores[positive] += 0.8
    found = _measure(scores, scores > 0.5, positive, np.arange(300) % 30)
    assert found["precision"] == pytest.approx(precision_score(positive, scores > 0.5))
    assert found["recall"] == pytest.approx(recall_score(positive, scores > 0.5))
    assert found["f1"] == pytest.approx(f1_score(positive, scores > 0.5))
    assert found["auroc"] == pytest.approx(roc_auc_score(positive, scores))


def auroc_of_drawn_clips(scores, positive, groups):
    """The bounds from clips that are copied as often as their speaker is drawn, one draw at a time."""
    areas = []
    for draw in draw_speakers(len(np.unique(groups)), seed=0):
        copies = draw[groups].astype(int)
        drawn = np.repeat(np.arange(len(scores)), copies)
        if 0 < positive[drawn].sum() < len(drawn):
            areas.append(roc_auc_score(positive[drawn], scores[drawn]))
    return np.quantile(areas, [0.025, 0.975])


@pytest.mark.parametrize("levels", [None, 4])
def test_auroc_bounds_equal_resampling_clip_by_clip(levels):
    rng = np.random.default_rng(2)
    scores, positive, groups = rng.normal(size=120), rng.random(120) < 0.4, np.arange(120) % 12
    scores = scores + positive if levels is None else np.round(scores * levels) / levels
    found = auroc_bounds(scores, positive, groups)
    np.testing.assert_allclose(found, auroc_of_drawn_clips(scores, positive, groups), atol=1e-6)


def test_auroc_bounds_of_many_levels_stay_close():
    rng = np.random.default_rng(3)
    positive, groups = rng.random(4000) < 0.3, np.arange(4000) % 40
    scores = rng.normal(size=4000) + positive
    exact = auroc_bounds(np.round(scores, 1), positive, groups)
    np.testing.assert_allclose(auroc_bounds(scores, positive, groups), exact, atol=5e-3)


def test_one_voice_or_one_side_gives_no_bounds():
    scores = np.arange(10.0)
    assert auroc_bounds(scores, scores > 4, np.zeros(10, dtype=np.int64)) is None
    assert auroc_bounds(scores, scores > -1, np.arange(10) % 3) is None


def test_probes_are_kept_until_labels_or_embeddings_change(spoken, tmp_path, monkeypatch):
    corpus, embeddings = spoken
    assert read_probes(corpus, embeddings, tmp_path) is None
    table = probe_attributes(corpus, embeddings, tmp_path)
    assert list(table.columns) == list(COLUMNS)
    monkeypatch.setattr(
        "sae_core.measures.linear_probe._probe", lambda *_: pytest.fail("finished work was done again")
    )
    assert probe_attributes(corpus, embeddings, tmp_path).equals(table)
    other = plant_corpus(800, 80, gender=lambda speaker: "mf"[speaker // 3 % 2])
    assert read_probes(other, embeddings, tmp_path) is None
    assert read_probes(corpus, plant_embeddings(800), tmp_path) is None
    (tmp_path / "probes.parquet").write_bytes(b"damaged")
    assert read_probes(corpus, embeddings, tmp_path) is None
