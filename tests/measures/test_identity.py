"""What latents carry: planted identity and planted nuisance, and closed forms against decoding again."""

import numpy as np
import pytest

from sae_core.measures.identity import ablation_eers, changes_with_interval, speaker_variances
from sae_core.measures.steering import Steering
from sae_core.measures.verification import Trials, cosine_scores, equal_error_rate, verify
from sae_core.sae.codes import SparseCodes
from tests.planting import plant_codes, plant_embeddings

VOICE, PASSING, SILENT = 0, 1, 2


def plant_identity(n_speakers=20, n_each=15, *, seed=0):
    """Latent 0 is steady within a speaker, latent 1 is chance, latent 2 is silent; speakers stand in turn."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(n_speakers), n_each)
    of_voice = rng.uniform(1, 3, size=n_speakers)[speaker] + rng.normal(0, 0.1, size=len(speaker))
    activations = np.stack([of_voice, rng.uniform(0.5, 3, size=len(speaker))], axis=1)
    latents = np.tile([VOICE, PASSING], (len(speaker), 1)).astype(np.int32)
    return SparseCodes(latents, activations.astype(np.float32), 3), speaker


def test_variance_lies_between_speakers_for_a_voice_and_within_for_chance():
    codes, speaker = plant_identity()
    table = speaker_variances(codes, speaker, np.arange(len(speaker)))
    assert table["speaker_fraction"][VOICE] > 0.95
    assert table["speaker_fraction"][PASSING] < 0.1
    assert table["within_between"][VOICE] < 0.05
    assert table["within_between"][PASSING] > 10
    assert (
        table["speaker_fraction"][SILENT],
        table["within_between"][SILENT],
        table["n_active"][SILENT],
    ) == (
        0,
        0,
        0,
    )


def test_variances_equal_a_textbook_analysis_of_variance():
    codes, rng = plant_codes(200, 12, 4, seed=3), np.random.default_rng(3)
    speaker, rows = rng.integers(9, size=200), np.flatnonzero(rng.random(200) < 0.8)
    found = speaker_variances(codes, speaker, rows)
    dense, who = codes.dense(rows).astype(np.float64), speaker[rows]
    names, sizes = np.unique(who, return_counts=True)
    means = np.stack([dense[who == name].mean(axis=0) for name in names])
    n, s = len(rows), len(names)
    within = sum(((dense[who == name] - means[i]) ** 2).sum(axis=0) for i, name in enumerate(names)) / (n - s)
    among = (sizes[:, None] * (means - dense.mean(axis=0)) ** 2).sum(axis=0) / (s - 1)
    typical = (n - (sizes**2).sum() / n) / (s - 1)
    between = np.maximum(among - within, 0) / typical
    np.testing.assert_allclose(found["within"], within, atol=1e-9)
    np.testing.assert_allclose(found["between"], between, atol=1e-9)
    np.testing.assert_allclose(found["speaker_fraction"], between / (between + within), atol=1e-9)
    assert (found["n_active"] == (dense > 0).sum(axis=0)).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_eer_without_a_latent_is_that_of_vectors_decoded_without_it(seed):
    codes, vectors = plant_codes(60, 10, 4, seed=seed), plant_embeddings(60, 16, seed=seed).vectors
    steps = plant_embeddings(10, 16, seed=seed + 7).vectors * np.float32(0.4)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(60)[:40])
    trials = Trials(rng.integers(40, size=400), rng.integers(40, size=400), np.arange(400) % 2 == 0)
    scores = cosine_scores(vectors[rows], trials)
    found = ablation_eers(vectors[rows], steps, codes.take(rows), scores=scores, trials=trials)
    dense = codes.dense(rows)
    for latent in range(10):
        without = vectors[rows] - dense[:, [latent]] * steps[latent]
        expected = equal_error_rate(cosine_scores(without, trials), trials.is_target)
        # scores that differ in their last digit may change places: one trial of either kind at most
        assert found[latent] == pytest.approx(expected, abs=1 / 200)


def test_taking_out_a_voice_hurts_and_taking_out_chance_helps():
    codes, speaker = plant_identity(40, 10)
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(16, 16)))[0].astype(np.float32)
    # a voice is told by how strong latent 0 is against a common part; latent 1 only gets in the way
    dense = codes.dense()
    vectors = (dense @ basis[:3] + 1.5 * basis[3]).astype(np.float32)
    one, other = rng.integers(400, size=(2, 4000))
    keep = one != other
    trials = Trials(one[keep], other[keep], speaker[one[keep]] == speaker[other[keep]])
    scores = cosine_scores(vectors, trials)
    steering = Steering.prepare(vectors, basis[:3], codes, (VOICE, PASSING))
    before = verify(scores, trials, speaker)
    table = changes_with_interval(
        steering, scores=scores, trials=trials, speaker_groups=speaker, before=before
    ).set_index("latent")
    assert table["low"][VOICE] > 0 and table["eer_change"][VOICE] > 0.05
    assert table["high"][PASSING] < 0 and table["eer_change"][PASSING] < -0.05
