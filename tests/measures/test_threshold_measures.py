"""Measures along the postings of many latents at once, against one latent and one value at a time."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sae_core.measures.threshold_measures import MEASURES, NOT_ASKED, Labels, measure_latents
from sae_core.sae.feature_index import FeatureIndex
from tests.plain_detection import Masks, measure_latent
from tests.planting import plant_codes


def masks_of(selection, reported):
    """The same question as masks, one column a value."""

    def columns(labels):
        asked = np.repeat((labels.value_of_row > NOT_ASKED)[:, None], labels.n_values, axis=1)
        return labels.value_of_row[:, None] == np.arange(labels.n_values), asked

    chosen, reported = columns(selection), columns(reported)
    counts = [part.sum(0) for part in (*chosen, *reported)]
    return Masks(*chosen, *reported, *counts)


@settings(max_examples=60)
@given(
    n_clips=st.integers(1, 60),
    n_latents=st.integers(1, 8),
    n_values=st.integers(1, 4),
    levels=st.sampled_from([None, 1, 3]),
    silent=st.integers(0, 7),
    seed=st.integers(0, 10_000),
)
@example(n_clips=1, n_latents=1, n_values=1, levels=1, silent=0, seed=0)
def test_many_latents_at_once_are_each_alone(n_clips, n_latents, n_values, levels, silent, seed):
    rng = np.random.default_rng(seed)
    codes = plant_codes(n_clips, n_latents, min(2, n_latents), seed=seed, levels=levels)
    codes.activations[codes.latents == silent] = 0
    index = FeatureIndex.build(codes)
    # -2: not asked about, -1: another value; so some values may be missing from one split
    selection, reported = (
        Labels(rng.integers(-2, n_values, n_clips).astype(np.int32), n_values) for _ in range(2)
    )
    latents = range(int(rng.integers(n_latents)), n_latents)
    found = measure_latents(index, latents, selection, reported)
    assert set(found) == set(MEASURES)
    masks = masks_of(selection, reported)
    for place, latent in enumerate(latents):
        rows, activations = index.postings(latent)
        if len(rows):
            alone = measure_latent(rows, activations, masks)
            for name in MEASURES:
                assert found[name][place] == pytest.approx(alone[name], abs=1e-12), name
        else:
            assert found["auroc"][place] == pytest.approx(0.5)
            base_rate = masks.n_reported_positive / np.maximum(masks.n_reported, 1)
            assert found["average_precision"][place] == pytest.approx(base_rate)
            for name in set(MEASURES) - {"auroc", "average_precision"}:
                assert not found[name][place].any()


def test_a_threshold_tells_neighbouring_floats():
    """Between two activations that float32 has nothing between, the threshold is the lower one itself."""
    high = np.float32(1.0)
    low = np.nextafter(high, np.float32(0))
    index = FeatureIndex(np.array([0, 2]), np.array([0, 1], np.int32), np.array([high, low]))
    labels = Labels(np.array([0, -1], np.int32), 1)
    found = measure_latents(index, range(1), labels, labels)
    assert found["threshold"][0, 0] == low
    assert found["f1"][0, 0] == 1
