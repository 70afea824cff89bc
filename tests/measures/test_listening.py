"""Which clips are offered for a latent, against what is known of a planted one."""

import numpy as np

from sae_core.measures import listening
from sae_core.measures.listening import choose_examples
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex
from tests.planting import plant_codes, plant_corpus, plant_embeddings


def offered(n_clips=240, *, failed=(), latent=0, threshold=0.0, n=6, codes=None):
    corpus = plant_corpus(n_clips)
    embeddings = plant_embeddings(n_clips, failed=failed)
    index = FeatureIndex.build(codes or plant_codes(n_clips, 6, 2, seed=5))
    return (
        corpus,
        embeddings,
        index,
        choose_examples(corpus, embeddings, index, latent, threshold=threshold, n=n),
    )


def test_groups_hold_what_they_promise():
    _, _, index, examples = offered(threshold=0.5)
    rows, activations = index.postings(0)
    strength = dict(zip(rows.tolist(), activations.tolist(), strict=True))
    assert examples.strongest.rows[0] == rows[0]
    assert (np.diff(examples.strongest.activations) <= 0).all()
    assert (examples.near_threshold.activations > 0.5).all()
    assert examples.near_threshold.activations.max() < np.quantile(activations, 0.7)
    low, high = np.quantile(activations, [0.35, 0.65])
    assert all(low <= activation <= high for activation in examples.middle.activations)
    assert not set(examples.hard_negatives.rows.tolist()) & set(strength)
    for group in (examples.strongest, examples.middle, examples.near_threshold):
        assert [strength[row] for row in group.rows.tolist()] == group.activations.tolist()


def test_one_voice_does_not_fill_the_strongest():
    """The 40 strongest clips are all of one speaker; a third of the places is the most it gets."""
    corpus = plant_corpus(240)
    is_loud = corpus.speaker_groups == corpus.speaker_groups[0]
    activations = np.where(is_loud, 5.0, 1.0) + np.arange(240) / 1000
    codes = SparseCodes(np.zeros((240, 1), np.int32), activations[:, None].astype(np.float32), 1)
    _, _, _, examples = offered(codes=codes)
    assert is_loud[examples.strongest.rows].sum() == 2 and len(examples.strongest.rows) == 6


def test_hard_negatives_are_the_nearest_silent_clips_half_by_the_same_speakers():
    corpus, embeddings, index, examples = offered(failed=(1, 2, 3))
    active = index.postings(0)[0]
    silent = np.setdiff1d(embeddings.valid_rows, active)
    centre = embeddings.vectors[np.sort(active[:24])].mean(axis=0)
    ranked = silent[np.argsort(-(embeddings.vectors[silent] @ centre), kind="stable")]
    speakers = set(corpus.speaker_groups[active[:24]].tolist())
    same = [row for row in ranked if corpus.speaker_groups[row] in speakers][:3]
    rest = [row for row in ranked if row not in same][:3]
    assert examples.hard_negatives.rows.tolist() == [*same, *rest]


def test_of_a_large_corpus_a_part_and_the_same_speakers_are_compared(monkeypatch):
    monkeypatch.setattr(listening, "MAX_COMPARED", 60)
    corpus, embeddings, index, examples = offered()
    active = index.postings(0)[0]
    speakers = set(corpus.speaker_groups[active[:24]].tolist())
    compared = [
        row
        for row in np.setdiff1d(embeddings.valid_rows, active).tolist()
        if row % 4 == 0 or corpus.speaker_groups[row] in speakers
    ]
    centre = embeddings.vectors[np.sort(active[:24])].mean(axis=0)
    ranked = sorted(compared, key=lambda row: -float(embeddings.vectors[row] @ centre))
    same = [row for row in ranked if corpus.speaker_groups[row] in speakers][:3]
    rest = [row for row in ranked if row not in same][:3]
    assert examples.hard_negatives.rows.tolist() == [*same, *rest]
    assert any(row % 4 for row in same)


def test_a_silent_latent_offers_nothing():
    codes = SparseCodes(np.zeros((240, 1), np.int32), np.ones((240, 1), np.float32), 2)
    *_, examples = offered(codes=codes, latent=1)
    assert all(len(group.rows) == 0 for group in vars(examples).values())


def test_a_latent_on_every_clip_has_no_negatives():
    codes = SparseCodes(np.zeros((240, 1), np.int32), np.ones((240, 1), np.float32), 2)
    *_, examples = offered(codes=codes)
    assert len(examples.hard_negatives.rows) == 0 and len(examples.middle.rows) == 6
