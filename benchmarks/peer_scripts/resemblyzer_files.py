"""Resemblyzer as its own examples use it: a file at a time, read, prepared and embedded."""

import warnings

import librosa
import numpy as np
from resemblyzer import VoiceEncoder, normalize_volume, preprocess_wav

warnings.simplefilter("ignore")
SAMPLE_RATE_HZ = 16_000
QUIET_DBFS = -30
_encoder = VoiceEncoder("cpu", verbose=False)


def embed(paths: list[str], out: str, cuts_silence: bool) -> int:
    """Embed every file and store the vectors; without `cuts_silence`, `preprocess_wav` but for its voice detector."""
    vectors = []
    for path in paths:
        if cuts_silence:
            waveform = preprocess_wav(path)
        else:
            waveform, rate_hz = librosa.load(path, sr=None)
            waveform = librosa.resample(waveform, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
            waveform = normalize_volume(waveform, QUIET_DBFS, increase_only=True)
        vectors.append(_encoder.embed_utterance(waveform))
    np.save(out, np.stack(vectors))
    return len(vectors)
