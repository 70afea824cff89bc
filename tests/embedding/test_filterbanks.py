"""Filterbanks against libraries and against Kaldi's definition, frame by frame."""

import numpy as np
import pytest
import torch

from sae_core.embedding.filterbanks import (
    KALDI_FFT,
    KALDI_FRAME,
    KALDI_HOP,
    KaldiFilterbank,
    NemoFilterbank,
    kaldi_filters,
    kaldi_windows,
    slaney_filters,
)
from tests.embedding.embedders.voices import batch_of, noisy_voice


@pytest.mark.parametrize("n_mels", [40, 80, 128])
def test_the_filterbank_is_slaneys(n_mels):
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=16_000, n_fft=400, n_mels=n_mels)
    assert np.abs(slaney_filters(n_mels, 400, 16_000) - expected).max() < 1e-7


def by_the_book(waveform: np.ndarray, window: str) -> np.ndarray:
    """Kaldi's features (feature-fbank.cc, mel-computations.cc) in float64, one frame and one filter at a time."""
    rows = []
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 82)
    for start in range(0, len(waveform) - KALDI_FRAME + 1, KALDI_HOP):
        frame = waveform[start : start + KALDI_FRAME].astype(np.float64)
        frame = frame - frame.mean()
        frame[1:] -= 0.97 * frame[:-1].copy()
        frame[0] -= 0.97 * frame[0]
        phase = 2 * np.pi * np.arange(KALDI_FRAME) / (KALDI_FRAME - 1)
        shape = {"povey": (0.5 - 0.5 * np.cos(phase)) ** 0.85, "hamming": 0.54 - 0.46 * np.cos(phase)}[window]
        powers = np.abs(np.fft.rfft(frame * shape, n=KALDI_FFT)) ** 2
        energies = np.zeros(80)
        for mel in range(80):
            left, centre, right = edges[mel : mel + 3]
            for place in range(KALDI_FFT // 2):
                at = 1127 * np.log(1 + place * 16_000 / KALDI_FFT / 700)
                if left < at < right:
                    weight = (
                        (at - left) / (centre - left) if at <= centre else (right - at) / (right - centre)
                    )
                    energies[mel] += weight * powers[place]
        rows.append(np.log(np.maximum(energies, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("window", ["povey", "hamming"])
def test_log_powers_are_kaldis(window):
    waveform = noisy_voice(4_000, 140.0, 1)
    found, n_frames = KaldiFilterbank(window=window, is_centred=False)(*batch_of([waveform]))
    expected = by_the_book(waveform, window)
    assert n_frames.tolist() == [len(expected)]
    assert np.abs(found[0].numpy() - expected).max() < 2e-4


def test_the_scale_is_that_of_sixteen_bit_numbers_where_asked():
    waveform = noisy_voice(4_000, 140.0, 2)
    plain, _ = KaldiFilterbank(is_centred=False)(*batch_of([waveform]))
    scaled, _ = KaldiFilterbank(scale=32_768.0, is_centred=False)(*batch_of([waveform]))
    assert np.allclose(scaled - plain, 2 * np.log(32_768.0), atol=1e-3)


def test_each_clip_of_a_batch_has_its_own_mean_and_silence_after_it():
    clips = [noisy_voice(n, 100.0 + n / 100, n) for n in (9_000, 4_321, 400)]
    together, n_frames = KaldiFilterbank()(*batch_of(clips))
    for row, clip in enumerate(clips):
        alone, [n] = KaldiFilterbank()(*batch_of([clip]))
        assert n_frames[row] == n
        assert torch.allclose(together[row, :n], alone[0], atol=1e-4)
        assert not together[row, n:].any()
        assert np.allclose(together[row, :n].mean(dim=0), 0, atol=1e-4)


def test_filters_leave_out_the_lowest_and_the_last_bin():
    filters = kaldi_filters(80)
    assert filters.shape == (80, 257) and (filters >= 0).all() and filters.max() <= 1
    assert not filters[:, 0].any() and not filters[:, -1].any()
    assert (filters.sum(axis=1) > 0).all()


def test_an_unknown_window_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="povey, hamming, not 'kaiser'"):
        kaldi_windows("kaiser")


def test_nemos_frames_are_those_of_its_configuration():
    """In float64, one frame at a time; mels by librosa."""
    librosa = pytest.importorskip("librosa")
    waveform = noisy_voice(4_321, 140.0, 1)
    found, n_frames = NemoFilterbank()(*batch_of([waveform, noisy_voice(8_000, 90.0, 2)]))
    louder = np.append(waveform[0], waveform[1:] - 0.97 * waveform[:-1]).astype(np.float64)
    padded = np.pad(louder, 256)
    filters = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=80).astype(np.float64)
    window = np.pad(np.hanning(400), 56)
    starts = range(0, 4_321 // 160 * 160, 160)
    mels = np.log(
        [filters @ np.abs(np.fft.rfft(padded[at : at + 512] * window)) ** 2 + 2**-24 for at in starts]
    )
    expected = (mels - mels.mean(axis=0)) / (mels.std(axis=0, ddof=1) + 1e-5)
    assert n_frames.tolist() == [27, 50]
    assert np.abs(found[0, :27].numpy() - expected).max() < 2e-4
    assert not found[0, 27:].any()


@pytest.mark.slow
def test_nemos_frames_are_those_of_nemo():
    asr = pytest.importorskip("nemo.collections.asr")
    theirs = asr.modules.AudioToMelSpectrogramPreprocessor(
        sample_rate=16_000, window_size=0.025, window_stride=0.01, features=80, n_fft=512, frame_splicing=1,
        normalize="per_feature", window="hann", dither=1e-5, pad_to=0,
    ).eval()  # fmt: skip
    clips = batch_of([noisy_voice(n, 140.0, n) for n in (16_000, 7_777, 40_000)])
    expected, expected_frames = theirs(input_signal=clips[0], length=clips[1])
    found, n_frames = NemoFilterbank()(*clips)
    assert n_frames.tolist() == expected_frames.tolist()
    assert (found - expected.transpose(1, 2)[:, : found.shape[1]]).abs().max() < 1e-3
