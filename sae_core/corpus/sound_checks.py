"""Warnings that the sound itself gives reason for: clipped, cancelling, two-sided, silent and speechless clips."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sae_core.audio.looks import (
    MAX_CLIPPED_FRACTION,
    MAX_ENVELOPE_CORRELATION,
    MAX_PEAK,
    MAX_SIDE_CORRELATION,
    MIN_CLIPPED_PEAK,
    MIN_MIXING_LOSS_DB,
)
from sae_core.audio.reading import SILENCE_RMS
from sae_core.corpus.clips import Corpus

N_NAMED = 3
SPLIT_HINT = (
    "two different sides, as both ends of a call have; mixed, two speakers become one: import with --channels split to "
    "make each side clips of its own"
)
_SILENT_DBFS = 20 * float(np.log10(SILENCE_RMS))


def find_faults(sounds: pd.DataFrame) -> dict[str, np.ndarray]:
    """Fault → bool[n], by clip. sounds: the measures and the sound checks of every clip; what is null is no fault."""
    numbers = sounds.drop(columns=["sound_digest", "clip_mark"], errors="ignore").astype("Float64")

    def value(name: str) -> np.ndarray:
        return np.asarray(numbers[name].to_numpy(dtype=np.float64, na_value=np.nan))

    level = value("level_dbfs")
    is_silent = level < _SILENT_DBFS
    digests = sounds["sound_digest"].fillna("").astype(str)
    return {
        "out of range": value("peak") > MAX_PEAK,
        "clipped": (value("clipped_fraction") > MAX_CLIPPED_FRACTION) & (value("peak") > MIN_CLIPPED_PEAK),
        "cancelling": value("mixing_loss_db") > MIN_MIXING_LOSS_DB,
        "two sides": (np.abs(value("side_correlation")) < MAX_SIDE_CORRELATION)
        & (value("envelope_correlation") < MAX_ENVELOPE_CORRELATION),
        "silent": is_silent,
        "no speech": np.isfinite(level) & ~is_silent & np.isnan(value("f0_median_hz")),
        "same sound": (digests.duplicated() & (digests != "")).to_numpy() & ~is_silent,
    }


_WORDS = {
    "out of range": ("lies", "lie", "beyond full scale, so that players distort it"),
    "clipped": ("is", "are", "clipped: tops were cut off when it was recorded"),
    "cancelling": (
        "has",
        "have",
        "channels that cancel each other when they are mixed; choose one with --channel 0",
    ),
    "two sides": ("has", "have", SPLIT_HINT),
    "silent": ("is", "are", "silent and cannot be embedded"),
    "no speech": ("holds", "hold", "hardly any speech: no pitch was found in it"),
    "same sound": ("sounds", "sound", "exactly like another clip (duplicates); Data check lists them"),
}


def sound_warnings(corpus: Corpus, sounds: pd.DataFrame) -> tuple[str, ...]:
    """A sentence for each kind of fault, with how many clips have it and the names of the first."""
    return tuple(_sentences(corpus, find_faults(sounds)))


def _sentences(corpus: Corpus, faults: dict[str, np.ndarray]) -> Iterator[str]:
    names = corpus.table["clip_id"].astype(str).to_numpy(object)
    for fault, is_faulty in faults.items():
        rows = np.flatnonzero(is_faulty)
        if len(rows):
            one, many, words = _WORDS[fault]
            counted = f"1 clip {one}" if len(rows) == 1 else f"{len(rows):,} clips {many}"
            more = ", …" if len(rows) > N_NAMED else ""
            yield f"{counted} {words} ({', '.join(names[rows[:N_NAMED]])}{more})"
