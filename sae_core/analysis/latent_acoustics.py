"""What a latent has to do with how clips sound: rank correlations and ranges, with intervals over speakers.

Over all embedded clips: a silent clip counts as activation 0, as everywhere. Of a large corpus whole speakers are
drawn, up to `MAX_CLIPS` clips.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from sae_core.corpus.acoustics import ACOUSTIC_COLUMNS, Acoustics, load_acoustics
from sae_core.measures.intervals import bounds, draw_speakers
from sae_core.workspace.workspace import SaeView, Workspace

MAX_CLIPS = 100_000
MAX_SPEAKERS = 2_000
MIN_SPEAKERS = 5
"""Fewer speakers than these among a latent's clips give no interval: they could be anything else that those share."""
MIN_CLIPS = 20
COVERED = 0.9
"""A range is cut so that it holds this share of the latent's clips."""
GRAINS = {
    "f0_median_hz": 10.0,
    "f0_range_semitones": 0.5,
    "snr_db": 1.0,
    "bandwidth_hz": 100.0,
    "loudness_lufs": 0.5,
    "syllables_per_s": 0.1,
    "duration_s": 0.1,
}
"""What limits of ranges are rounded to, so that a sentence can say them."""
CORRELATION_COLUMNS = ("measure", "correlation", "low", "high", "n_clips")
RANGE_COLUMNS = (
    "measure",
    "is_below",
    "limit",
    "share",
    "share_low",
    "other_fraction",
    "excess_low",
    "excess_high",
)

MAX_KEPT = 2048


@dataclass(frozen=True)
class LatentAcoustics:
    """How the clips of one latent sound.

    correlations: one row a measure that clips have: measure, Spearman's rank correlation with the activation, its 95 %
        bounds over speakers (null from fewer than `MIN_SPEAKERS` speakers), n_clips that it is over.
    ranges: one row a measure: the limit on one side of which `COVERED` of the latent's clips lie, below it where
        is_below; their share there and its lower bound, the share of all other clips, bounds of the difference.
    n_clips: embedded clips it is over. is_sample: whether they are fewer than there are.
    """

    correlations: pd.DataFrame
    ranges: pd.DataFrame
    n_clips: int
    is_sample: bool


def acoustics_of(workspace: Workspace) -> Acoustics:
    """The acoustic measures of a workspace's clips, read once; ArtifactError or StaleArtifactError says what to run."""
    file = workspace.path / "acoustics.json"
    changed = file.stat().st_mtime_ns if file.exists() else 0
    return workspace.kept(
        "acoustics", lambda: load_acoustics(workspace.path, workspace.corpus), of=changed, at_most=1
    )


def relate_to_sound(view: SaeView, latent: int) -> LatentAcoustics:
    """How the clips of a latent sound; its ranges are over the clips on which it detects the value that it is named
    for, or over all on which it is active where it has no name.

    Worked out once and kept. Raises ArtifactError or StaleArtifactError where clips are not measured.
    """
    key = (acoustics_of(view.workspace).fingerprint, latent)
    return view.kept("latent acoustics", lambda: _relate(view, latent), of=key, at_most=MAX_KEPT)


def _relate(view: SaeView, latent: int) -> LatentAcoustics:
    sample = sample_of(view)
    rows, activations = view.index.postings(latent)
    places = sample.place_of_row[rows]
    is_in = places >= 0
    places, activations = places[is_in], np.asarray(activations)[is_in]
    threshold = view.threshold_of(latent) if view.latents["is_named"].iloc[latent] else 0.0
    return LatentAcoustics(
        sample.correlations(places, activations),
        sample.ranges(places[activations > threshold]),
        len(sample.speaker),
        sample.is_sample,
    )


def sample_of(view: SaeView) -> "ClipSample":
    """The clips that correlations of this workspace are over; drawn once for all SAEs on the same embeddings."""
    acoustics, corpus = acoustics_of(view.workspace), view.workspace.corpus
    return view.workspace.kept(
        "clip sample",
        lambda: ClipSample.draw(acoustics, corpus.speaker_groups, view.embeddings.is_valid),
        of=(acoustics.fingerprint, view.embeddings.fingerprint),
        at_most=2,
    )


@dataclass(frozen=True)
class ClipSample:
    """Clips with their measures, by speaker, and how often each speaker is drawn in each bootstrap draw.

    place_of_row: for each clip of the corpus its place in the sample, or -1. speaker: of each place.
    values: f32[m, M] in the order of `ACOUSTIC_COLUMNS`, NaN where a clip has none. draws: [B, S].
    """

    place_of_row: Int[np.ndarray, " n"]
    speaker: Int[np.ndarray, " m"]
    values: Float[np.ndarray, "m M"]
    draws: Float[np.ndarray, "B S"]
    is_sample: bool

    @classmethod
    def draw(
        cls, acoustics: Acoustics, speaker_groups: Int[np.ndarray, " n"], is_valid: Bool[np.ndarray, " n"]
    ) -> "ClipSample":
        """Every embedded clip, or those of speakers drawn by a fixed seed until there are `MAX_CLIPS`."""
        rows = np.flatnonzero(is_valid)
        chosen = rows[_few_enough(speaker_groups[rows])]
        groups, speaker = np.unique(speaker_groups[chosen], return_inverse=True)
        place_of_row = np.full(len(is_valid), -1, dtype=np.int64)
        place_of_row[chosen] = np.arange(len(chosen))
        values = np.column_stack([acoustics.values(name)[chosen] for name in ACOUSTIC_COLUMNS])
        draws = draw_speakers(len(groups), seed=0)
        return cls(place_of_row, speaker, values, draws, len(chosen) < len(rows))

    @cached_property
    def is_known(self) -> Bool[np.ndarray, "m M"]:
        """Where a clip has a measure."""
        return np.isfinite(self.values)

    @cached_property
    def ranks(self) -> Float[np.ndarray, "m M"]:
        """Ranks of each measure among the clips that have it, ties shared, over their number and about their mean."""
        found = np.zeros(self.values.shape)
        for column, known in enumerate(self.is_known.T):
            if known.any():
                ranks = _ranks(self.values[known, column]) / known.sum()
                found[known, column] = ranks - ranks.mean()
        return found

    @cached_property
    def measure_sums(self) -> list[Float[np.ndarray, "B M"]]:
        """In each draw, of each measure: clips that have it, the sum of their ranks and of their squares."""
        everywhere = np.arange(len(self.speaker))
        parts = (self.is_known.astype(float), self.ranks, self.ranks**2)
        return [self.draws @ self._by_speaker(everywhere, part) for part in parts]

    def _by_speaker(
        self, places: Int[np.ndarray, " a"], columns: Float[np.ndarray, "a c"]
    ) -> Float[np.ndarray, "S c"]:
        """Sums of columns over some places, one line a speaker."""
        speaker, n = self.speaker[places], self.draws.shape[1]
        return np.column_stack([np.bincount(speaker, column, n) for column in columns.T])

    def correlations(
        self, places: Int[np.ndarray, " a"], activations: Float[np.ndarray, " a"]
    ) -> pd.DataFrame:
        """Spearman's correlation of each measure with an activation that is 0 at all other places.

        Ties share their mean rank. Bounds draw speakers with replacement and keep the ranks of the whole; a draw in
        which the latent is silent counts as 0.
        """
        ranked = self._ranks_over_silence(places, activations)
        sums = [self._by_speaker(places, part) for part in (ranked, ranked**2, ranked * self.ranks[places])]
        n_known = self.is_known.sum(axis=0)
        whole = [n_known, self.ranks.sum(axis=0), (self.ranks**2).sum(axis=0)]
        found = _correlation(whole, [part.sum(axis=0) for part in sums])
        limits = bounds(_correlation(self.measure_sums, [self.draws @ part for part in sums]))
        if len(np.unique(self.speaker[places])) < MIN_SPEAKERS:
            limits[:] = np.nan
        table = pd.DataFrame({"measure": ACOUSTIC_COLUMNS, "correlation": found, "n_clips": n_known})
        for side, name in enumerate(("low", "high")):
            table[name] = pd.array(limits[:, side].astype(float), dtype="Float64")
        varies = (n_known >= MIN_CLIPS) & (np.ptp(self.ranks, axis=0) > 0)
        return table.loc[varies, list(CORRELATION_COLUMNS)].reset_index(drop=True)

    def _ranks_over_silence(
        self, places: Int[np.ndarray, " a"], activations: Float[np.ndarray, " a"]
    ) -> Float[np.ndarray, "a M"]:
        """How far the active clips rank above the silent ones, which share one rank, over the number of clips; for each
        measure among the clips that have it, 0 elsewhere."""
        known, n_known = self.is_known[places], self.is_known.sum(axis=0)
        found = np.zeros(known.shape)
        for column, here in enumerate(known.T):
            n_silent = n_known[column] - here.sum()
            found[here, column] = (_ranks(activations[here]) + (n_silent - 1) / 2) / max(n_known[column], 1)
        return found

    def ranges(self, places: Int[np.ndarray, " a"]) -> pd.DataFrame:
        """Where the clips at some places lie that others do not; empty from too few clips or speakers."""
        if len(places) < MIN_CLIPS or len(np.unique(self.speaker[places])) < MIN_SPEAKERS:
            return pd.DataFrame(columns=list(RANGE_COLUMNS))
        is_detected = np.zeros(len(self.speaker), dtype=bool)
        is_detected[places] = True
        rows = (self._range(column, is_detected) for column in range(len(ACOUSTIC_COLUMNS)))
        return pd.DataFrame([row for row in rows if row is not None], columns=list(RANGE_COLUMNS))

    def _range(self, column: int, is_detected: Bool[np.ndarray, " m"]) -> tuple[object, ...] | None:
        known, values = self.is_known[:, column], self.values[:, column]
        detected, other = known & is_detected, known & ~is_detected
        if detected.sum() < max(MIN_CLIPS, 0.5 * is_detected.sum()) or other.sum() < MIN_CLIPS:
            return None
        name = ACOUSTIC_COLUMNS[column]
        is_below = bool(np.median(values[detected]) < np.median(values[other]))
        grain = GRAINS[name]
        if is_below:
            limit = float((np.floor(np.quantile(values[detected], COVERED) / grain) + 1) * grain)
            hit = values < limit
        else:
            limit = float((np.ceil(np.quantile(values[detected], 1 - COVERED) / grain) - 1) * grain)
            hit = values > limit
        columns = np.column_stack([detected & hit, detected, other & hit, other]).astype(float)
        counts = self._by_speaker(np.arange(len(values)), columns)
        n = self.draws @ counts
        share, other_fraction = n[:, 0] / np.maximum(n[:, 1], 1), n[:, 2] / np.maximum(n[:, 3], 1)
        limits = bounds(np.column_stack([share, share - other_fraction]))
        whole = counts.sum(axis=0)
        return (
            name,
            is_below,
            limit,
            whole[0] / whole[1],
            float(limits[0, 0]),
            whole[2] / whole[3],
            *map(float, limits[1]),
        )


def _few_enough(groups: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
    """Places of all, or those of whole groups, drawn until `MAX_SPEAKERS` or `MAX_CLIPS` are reached."""
    known, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(groups) <= MAX_CLIPS and len(known) <= MAX_SPEAKERS:
        return np.arange(len(groups))
    order = np.random.default_rng(0).permutation(len(known))[:MAX_SPEAKERS]
    n_taken = max(1, int(np.searchsorted(np.cumsum(counts[order]), MAX_CLIPS, side="right")))
    is_taken = np.zeros(len(known), dtype=bool)
    is_taken[order[:n_taken]] = True
    return np.flatnonzero(is_taken[group])


def _correlation(measure_sums: list[np.ndarray], sums: list[np.ndarray]) -> Float[np.ndarray, "... M"]:
    """Pearson's correlation of ranks from n, Σy, Σy² and Σx, Σx², Σxy; 0 where either does not vary."""
    (n, y, yy), (x, xx, xy) = measure_sums, sums
    n = np.maximum(n, 1)
    spread = np.sqrt(np.maximum(xx - x * x / n, 0) * np.maximum(yy - y * y / n, 0))
    found = np.divide(xy - x * y / n, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    return np.clip(found, -1.0, 1.0)


def _ranks(values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Ranks from 1, ties shared."""
    return pd.Series(values).rank().to_numpy()
