"""Small corpora and codes with known truth, for tests."""

from pathlib import Path

import numpy as np
import pandas as pd


def plant_corpus(n_clips=240, n_speakers=24, *, root=Path("."), seed=0, **columns):
    """A corpus of numbered clips, speakers taking turns; columns may be arrays or functions of the speaker number."""
    from sae_core.corpus.clips import Corpus, attribute_columns, split_of

    speaker = np.arange(n_clips) % n_speakers
    table = pd.DataFrame(
        {
            "clip_id": [f"c{number:05d}" for number in range(n_clips)],
            "audio_path": [f"s{number}/c{clip}.wav" for clip, number in enumerate(speaker)],
            "start_s": 0.0,
            "duration_s": 1.0,
            "audio_channel": -1,
            "speaker_id": [f"s{number}" for number in speaker],
            "split": [split_of(f"speaker:s{number}") for number in speaker],
        }
    )
    for name, values in columns.items():
        table[name] = [values(number) for number in speaker] if callable(values) else values
    return Corpus(table, root, attribute_columns(table))


def plant_codes(n_clips=240, n_latents=20, k=4, *, seed=0, levels=None):
    """Random sparse codes; with `levels`, activations take only that many values, so that ties abound."""
    from sae_core.sae.codes import SparseCodes

    rng = np.random.default_rng(seed)
    latents = np.argsort(rng.random((n_clips, n_latents)), axis=1)[:, :k].astype(np.int32)
    activations = np.abs(rng.normal(size=(n_clips, k)))
    if levels is not None:
        activations = np.round(activations * levels) / levels
    return SparseCodes(latents, -np.sort(-activations, axis=1).astype(np.float32), n_latents)


def plant_embeddings(n_clips=240, dim=16, *, seed=0, failed=()):
    """Random unit embeddings with some rows failed."""
    from sae_core.embedding.embeddings import Embeddings

    failures = pd.DataFrame(
        {"row": list(failed), "clip_id": [f"c{row:05d}" for row in failed], "reason": "silent"}
    )
    vectors = np.random.default_rng(seed).normal(size=(n_clips, dim)).astype(np.float32)
    return Embeddings.make(
        vectors, failures if len(failed) else None, embedder="planted", revision="1", sample_rate_hz=16000
    )


def plant_measures(n_clips=240, *, seed=0, **columns):
    """Acoustic measures, and checks that found nothing: random, rounded so that ties abound, some pitches missing."""
    from sae_core.corpus.acoustics import ACOUSTIC_COLUMNS, CHECK_COLUMNS

    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            name: pd.array(np.round(100 + 10 * rng.normal(size=n_clips)), "Float32")
            for name in ACOUSTIC_COLUMNS
        }
    )
    table.loc[rng.random(n_clips) < 0.2, "f0_median_hz"] = None
    for name, values in columns.items():
        table[name] = pd.array(np.asarray(values, dtype=float), "Float32")
    for name in set(CHECK_COLUMNS) - {"clip_mark"} - set(table):
        table[name] = "" if name == "sound_digest" else pd.array([None] * n_clips, "Float32")
    return table
