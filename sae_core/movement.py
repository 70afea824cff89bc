"""Movement: which clips stay in, leave and enter the index of a latent from one SAE (or threshold) to another.

For one attribute value, A's predominant latent has an index, a set of clips; so has B's. Of A's clips some stay, some
leave and are then mostly told by another latent of B, and others enter (arXiv 2502.00127, figure 4).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from sae_core.corpus import Corpus
from sae_core.intervals import SpeakerCounts, bounds, draw_speakers
from sae_core.sparse_codes import SparseCodes

STAY, LEAVE, ENTER = "stay", "leave", "enter"
NO_LATENT = -1


@dataclass(frozen=True)
class LatentIndex:
    """One end of a movement: a latent, the threshold above which it counts, and the codes it is read from."""

    codes: SparseCodes
    latent: int
    threshold: float = 0.0

    def members(self) -> Bool[np.ndarray, " n"]:
        """True for the clips in the index."""
        told = (np.asarray(self.codes.latents) == self.latent) & (
            np.asarray(self.codes.activations) > self.threshold
        )
        return told.any(axis=1)

    def strongest_others(self, rows: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
        """The strongest latent of each clip other than this one; `NO_LATENT` where none is active."""
        latents = np.asarray(self.codes.latents[rows])
        activations = np.where(latents == self.latent, 0, np.asarray(self.codes.activations[rows]))
        if not len(rows):
            return np.empty(0, dtype=np.int64)
        best = activations.argmax(axis=1)
        found = latents[np.arange(len(rows)), best].astype(np.int64)
        return np.where(activations[np.arange(len(rows)), best] > 0, found, NO_LATENT)


@dataclass(frozen=True)
class Movement:
    """Clips that stay, leave or enter, and where from or to.

    moves: one row a clip that is in either index: row, move (`STAY`, `LEAVE`, `ENTER`), other (the latent of B that a
        leaving clip goes to, the latent of A that an entering clip comes from; `NO_LATENT` where none).
    """

    moves: pd.DataFrame

    def rows(self, move: str, other: int | None = None) -> Int[np.ndarray, " m"]:
        """Clips of one move, or only those to or from one other latent."""
        chosen = self.moves["move"] == move
        if other is not None:
            chosen &= self.moves["other"] == other
        return self.moves["row"][chosen].to_numpy()

    def flows(self, *, n_largest: int = 8) -> pd.DataFrame:
        """The flows of a diagram: move, other, n; leaving and entering clips by other latent, the smallest together
        under `other` = None."""
        parts = [
            pd.DataFrame({"move": [STAY], "other": [None], "n": [int((self.moves["move"] == STAY).sum())]})
        ]
        for move in (LEAVE, ENTER):
            counts = self.moves["other"][self.moves["move"] == move].value_counts()
            counts = counts.sort_index().sort_values(ascending=False, kind="stable")
            head, rest = counts.head(n_largest), int(counts.iloc[n_largest:].sum())
            others = [*map(int, head.index), *([None] if rest else [])]
            sizes = [*map(int, head), *([rest] if rest else [])]
            parts.append(pd.DataFrame({"move": move, "other": pd.Series(others, dtype="object"), "n": sizes}))
        return pd.concat(parts, ignore_index=True)


def follow(before: LatentIndex, after: LatentIndex, is_valid: Bool[np.ndarray, " n"]) -> Movement:
    """Return how clips move from one index to the other; clips without an embedding take no part.

    Raises ValueError when the two sides do not describe the same clips.
    """
    if len(before.codes) != len(after.codes):
        raise ValueError(
            f"{len(before.codes)} clips before and {len(after.codes)} after are not the same clips"
        )
    was, is_in = before.members() & is_valid, after.members() & is_valid
    parts = []
    for move, mask, side in (
        (STAY, was & is_in, None),
        (LEAVE, was & ~is_in, after),
        (ENTER, ~was & is_in, before),
    ):
        rows = np.flatnonzero(mask)
        other = np.full(len(rows), NO_LATENT) if side is None else side.strongest_others(rows)
        parts.append(pd.DataFrame({"row": rows, "move": move, "other": other}))
    return Movement(pd.concat(parts, ignore_index=True))


def tabulate(
    corpus: Corpus, movement: Movement, attributes: tuple[str, ...], *, seed: int = 0
) -> pd.DataFrame:
    """Stay, leave and enter by attribute values: n of each, and the share of the former index that stays.

    Columns: the attributes ("–" where unknown), n_stay, n_leave, n_enter, n_speakers, stay_share with stay_low and
    stay_high (95 %, speakers resampled); empty cells are left out.
    """
    rows = movement.moves["row"].to_numpy()
    keys = {
        name: np.array([*corpus.coded(name)[1], "–"], dtype=object)[corpus.coded(name)[0][rows]]
        for name in attributes
    }
    frame = pd.DataFrame({**keys, "row": rows, "move": movement.moves["move"].to_numpy()})
    lines = []
    for key, cell in frame.groupby(list(attributes), sort=True):
        counts = {move: int((cell["move"] == move).sum()) for move in (STAY, LEAVE, ENTER)}
        low, high = _share_bounds(corpus, cell, seed)
        n_before = counts[STAY] + counts[LEAVE]
        n_speakers = len(np.unique(corpus.speaker_groups[cell["row"]]))
        share = counts[STAY] / n_before if n_before else 0.0
        lines.append((*key, counts[STAY], counts[LEAVE], counts[ENTER], n_speakers, share, low, high))
    names = [*attributes, "n_stay", "n_leave", "n_enter", "n_speakers", "stay_share", "stay_low", "stay_high"]
    return pd.DataFrame(lines, columns=names)


def _share_bounds(corpus: Corpus, cell: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Bounds of stay / (stay + leave) in one cell; 0…1 where one voice or none was there before."""
    was_in = cell[cell["move"] != ENTER]
    is_chosen = np.zeros(len(corpus), dtype=bool)
    is_chosen[was_in["row"]] = True
    speakers = SpeakerCounts.over(corpus.speaker_groups, is_chosen)
    if speakers.n_speakers < 2:
        return 0.0, 1.0
    counts = speakers.count([was_in["row"][was_in["move"] == STAY].to_numpy(), was_in["row"].to_numpy()])
    draws = draw_speakers(speakers.n_speakers, seed=seed) @ counts.T.toarray()
    low, high = bounds((draws[:, 0] / np.maximum(draws[:, 1], 1))[:, None])[0]
    return float(low), float(high)
