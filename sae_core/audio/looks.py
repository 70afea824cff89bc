"""What the samples of a recording look like before anything is done to them: level, clipping, how its channels relate.

All is gathered block by block while a recording is decoded for another reason.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

FRAME_S = 0.05
FLAT_TOP = 1e-4
"""Neighbouring samples this close to the peak, as a fraction of it, are a flat top."""

MAX_PEAK = 1.26
"""2 dB above full scale; lossy codecs overshoot by less."""
MAX_CLIPPED_FRACTION = 0.005
MIN_CLIPPED_PEAK = 0.02
"""Below it equal neighbours are steps of quantisation."""
MIN_MIXING_LOSS_DB = 10.0
MAX_SIDE_CORRELATION, MAX_ENVELOPE_CORRELATION = 0.5, 0.5
MAX_SIDE_DIFFERENCE_DB = 30.0
MIN_SIDE_RMS = 1e-3


@dataclass(frozen=True)
class SoundFacts:
    """What was seen of one clip.

    peak: the highest sample, full scale 1. clipped_fraction: of the samples, those in flat tops at the peak.
    mixing_loss_db: how much less power the mean of both channels has than the channels; None without two of them.
    side_correlation, envelope_correlation: of the two channels, and of their levels in frames of `FRAME_S`; None where
    there are no two channels or one of them is silent.
    """

    peak: float
    clipped_fraction: float
    mixing_loss_db: float | None
    side_correlation: float | None
    envelope_correlation: float | None

    @property
    def is_out_of_range(self) -> bool:
        """Whether samples lie well beyond full scale, so that playing them distorts."""
        return self.peak > MAX_PEAK

    @property
    def is_clipped(self) -> bool:
        """Whether tops were cut off when it was recorded."""
        return self.peak > MIN_CLIPPED_PEAK and self.clipped_fraction > MAX_CLIPPED_FRACTION

    @property
    def is_cancelling(self) -> bool:
        """Whether mixing both channels takes most of the sound away, as with one of them inverted."""
        return self.mixing_loss_db is not None and self.mixing_loss_db > MIN_MIXING_LOSS_DB

    @property
    def has_two_sides(self) -> bool:
        """Whether its two channels are two recordings, such as both sides of a call."""
        if self.side_correlation is None or self.envelope_correlation is None:
            return False
        is_alike = abs(self.side_correlation) > MAX_SIDE_CORRELATION
        return not is_alike and self.envelope_correlation < MAX_ENVELOPE_CORRELATION


FACT_COLUMNS = tuple(field.name for field in fields(SoundFacts))


class SoundLook:
    """Gathers `SoundFacts` from the blocks of one clip."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._n_frame = max(1, round(FRAME_S * sample_rate_hz))
        self._n_samples, self._peak, self._n_flat = 0, 0.0, 0
        self._products = np.zeros(3)
        self._frames: list[np.ndarray] = []
        self._rest = np.empty((0, 2), np.float32)
        self._has_sides = True

    def add(self, block: Float[np.ndarray, "t c"]) -> None:
        """Look at the next samples."""
        if not block.size:
            return
        self._n_samples += block.size
        peak = float(max(block.max(), -block.min()))
        if np.isfinite(peak) and peak > 0:
            self._count_flat(block, peak)
        self._has_sides = self._has_sides and block.shape[1] == 2
        if self._has_sides:
            self._add_sides(block)

    def _count_flat(self, block: np.ndarray, peak: float) -> None:
        edge = 1 - FLAT_TOP
        if peak < edge * self._peak:
            return
        top = max(peak, self._peak)
        self._n_flat = self._n_flat if self._peak >= edge * top else 0
        is_top = np.abs(block) >= edge * top
        self._n_flat += int(np.count_nonzero(is_top[1:] & is_top[:-1]))
        self._peak = top

    def _add_sides(self, block: Float[np.ndarray, "t two"]) -> None:
        left, right = block[:, 0], block[:, 1]
        self._products += (left @ left, right @ right, left @ right)
        held = np.concatenate([self._rest, block])
        n_whole = len(held) // self._n_frame
        whole = held[: n_whole * self._n_frame].reshape(n_whole, self._n_frame, 2)
        self._frames.append(np.sqrt(np.einsum("ftc,ftc->fc", whole, whole) / self._n_frame))
        self._rest = held[n_whole * self._n_frame :]

    def facts(self) -> SoundFacts:
        """What was seen."""
        clipped = self._n_flat / max(1, self._n_samples)
        if not self._has_sides or not self._n_samples:
            return SoundFacts(self._peak, clipped, None, None, None)
        left, right, both = (float(value) for value in self._products)
        power = left + right
        if not np.isfinite(power) or power <= 0:
            return SoundFacts(self._peak, clipped, None, None, None)
        mixed = max((power + 2 * both) / (2 * power), 1e-9)
        return SoundFacts(self._peak, clipped, float(-10 * np.log10(mixed)), *self._correlations())

    def _correlations(self) -> tuple[float | None, float | None]:
        left, right, both = self._products
        lower, higher = sorted((left, right))
        rms = float(np.sqrt(lower / (self._n_samples / 2)))
        if rms < MIN_SIDE_RMS or higher > lower * 10 ** (MAX_SIDE_DIFFERENCE_DB / 10):
            return None, None
        levels = np.concatenate(self._frames)
        envelope = None
        if len(levels) > 2 and (levels.std(axis=0) > 0).all():
            envelope = float(np.corrcoef(levels.T)[0, 1])
        return float(both / np.sqrt(left * right)), envelope
