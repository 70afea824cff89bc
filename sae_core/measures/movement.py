"""Movement: which clips stay in, leave and enter the index of a latent from one SAE (or threshold) to another.

For one attribute value, A's predominant latent has an index, a set of clips; so has B's. Of A's clips some stay, some
leave and then mostly belong to another latent of B, and others enter (arXiv 2502.00127, figure 4). Any number of
indexes can be followed in a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int, Int8, Int64

from sae_core.corpus.clips import Corpus
from sae_core.measures.intervals import SpeakerCounts, bounds, draw_speakers, resampling_units
from sae_core.sae.codes import SparseCodes

STAY, LEAVE, ENTER = "stay", "leave", "enter"
MOVES = (STAY, LEAVE, ENTER)
NO_LATENT, IN_INDEX, ELSEWHERE = -1, -2, -3
VOICE = "speaker_id"
MIN_LIFT = 1.2
SHARE_COLUMNS = ["share", "share_low", "share_high", "share_of_whole"]
_PIECE = 4096
"""Clips whose codes are looked at together: few enough to stay in the cache."""
APART_COLUMNS = ["part", "attribute", "value", "n", *SHARE_COLUMNS, "lift"]


@dataclass(frozen=True)
class LatentIndex:
    """One station of a movement: a latent, the threshold above which it counts, and the codes it is read from.

    weights: f32[L] or None, what other latents' activations are multiplied by when looking for the one that says most
        of a clip outside the index: rare latents tell more of a clip than one that is active on most.
    rows: the clips above the threshold, where a feature index has told them already; None looks through all codes.
    """

    codes: SparseCodes
    latent: int
    threshold: float = 0.0
    weights: Float[np.ndarray, " L"] | None = None
    rows: Int[np.ndarray, " m"] | None = None

    def members(self) -> Bool[np.ndarray, " n"]:
        """True for the clips in the index."""
        if self.rows is not None:
            is_member = np.zeros(len(self.codes), dtype=bool)
            is_member[self.rows] = True
            return is_member
        told = (np.asarray(self.codes.latents) == self.latent) & (
            np.asarray(self.codes.activations) > self.threshold
        )
        return told.any(axis=1)

    def strongest_others(self, rows: Int[np.ndarray, " m"]) -> Int64[np.ndarray, " m"]:
        """The latent other than this one that tells most of each clip; `NO_LATENT` where none is active."""
        pieces = [
            self._strongest_other(rows[start : start + _PIECE]) for start in range(0, len(rows), _PIECE)
        ]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)

    def _strongest_other(self, rows: Int[np.ndarray, " m"]) -> Int64[np.ndarray, " m"]:
        latents = np.asarray(self.codes.latents[rows])
        activations = np.where(latents == self.latent, 0, np.asarray(self.codes.activations[rows]))
        if self.weights is not None:
            activations = activations * self.weights[latents]
        best = activations.argmax(axis=1)
        found = latents[np.arange(len(rows)), best].astype(np.int64)
        return np.where(activations[np.arange(len(rows)), best] > 0, found, NO_LATENT)


@dataclass(frozen=True)
class Movement:
    """Where each clip is at every station, for the clips that are in at least one of the indexes.

    rows: i64[m], ascending. places: i64[m, s]: `IN_INDEX`, or else the latent that tells most of the clip there,
        `NO_LATENT` where none is active, `ELSEWHERE` for latents that `gather` put together.
    is_counted: bool[n], the clips that were looked at.
    """

    rows: Int64[np.ndarray, " m"]
    places: Int64[np.ndarray, "m s"]
    is_counted: Bool[np.ndarray, " n"]

    def moves(self) -> np.ndarray:
        """What each clip does from the first station to the last: `STAY`, `LEAVE`, `ENTER`, or "" for a clip that is
        only in an index between them."""
        return np.array(["", *MOVES])[self.move_numbers()]

    def move_numbers(self) -> Int8[np.ndarray, " m"]:
        """The same as numbers: 1 + the place in `MOVES`, 0 for none of them."""
        was, is_in = self.places[:, 0] == IN_INDEX, self.places[:, -1] == IN_INDEX
        numbers = [1 + MOVES.index(move) for move in (STAY, LEAVE, ENTER)]
        return np.select([was & is_in, was, is_in], numbers, default=0).astype(np.int8)

    def rows_that(self, move: str) -> Int64[np.ndarray, " k"]:
        """The clips that stay, leave or enter from the first station to the last."""
        if move not in MOVES:
            raise ValueError(f"a move is one of {', '.join(MOVES)}, not {move!r}")
        return self.rows[self.move_numbers() == 1 + MOVES.index(move)]

    def rows_of_group(self, corpus: Corpus, move: str, values: Mapping[str, str]) -> Int64[np.ndarray, " k"]:
        """Those of `rows_that` whose attributes have these values, "–" for unknown."""
        rows = self.rows_that(move)
        for name, value in values.items():
            rows = rows[_labels(corpus, name, rows) == value]
        return rows

    def gather(self, n_largest: int) -> "Movement":
        """The same with all but the `n_largest` other latents of each station put together as `ELSEWHERE`."""
        places = self.places.copy()
        for station in range(places.shape[1]):
            others, counts = np.unique(places[places[:, station] >= 0, station], return_counts=True)
            kept = others[np.argsort(-counts, kind="stable")[:n_largest]]
            is_small = (places[:, station] >= 0) & ~np.isin(places[:, station], kept)
            places[is_small, station] = ELSEWHERE
        return replace(self, places=places)

    def flows(self) -> pd.DataFrame:
        """How many clips go from where to where: station (the earlier one), source, target, n; largest first."""
        parts = []
        for station in range(self.places.shape[1] - 1):
            # one number a pair: sorting numbers is many times faster than sorting pairs
            lowest = int(self.places.min(initial=0))
            base = int(self.places.max(initial=0)) - lowest + 1
            source, target = (self.places[:, station : station + 2] - lowest).T
            pairs, counts = np.unique(source * base + target, return_counts=True)
            table = pd.DataFrame(
                {
                    "station": station,
                    "source": pairs // base + lowest,
                    "target": pairs % base + lowest,
                    "n": counts,
                }
            )
            parts.append(table.sort_values("n", ascending=False, kind="stable"))
        return pd.concat(parts, ignore_index=True)

    def rows_of_flow(self, station: int, source: int, target: int) -> Int64[np.ndarray, " k"]:
        """The clips of one flow."""
        chosen = (self.places[:, station] == source) & (self.places[:, station + 1] == target)
        return self.rows[chosen]


def follow(stations: Sequence[LatentIndex], is_counted: Bool[np.ndarray, " n"]) -> Movement:
    """Return how the counted clips move from index to index.

    Raises ValueError for fewer than two stations, or stations that do not describe the same clips.
    """
    if len(stations) < 2:
        raise ValueError("a movement needs at least two stations")
    lengths = {len(station.codes) for station in stations} | {len(is_counted)}
    if len(lengths) > 1:
        raise ValueError(f"stations of {sorted(lengths)} clips are not the same clips")
    members = np.stack([station.members() & is_counted for station in stations], axis=1)
    rows = np.flatnonzero(members.any(axis=1))
    places = np.full((len(rows), len(stations)), IN_INDEX, dtype=np.int64)
    for number, station in enumerate(stations):
        is_out = ~members[rows, number]
        places[is_out, number] = station.strongest_others(rows[is_out])
    return Movement(rows, places, is_counted)


def tabulate_moves(
    corpus: Corpus, movement: Movement, attributes: tuple[str, ...], *, seed: int = 0
) -> pd.DataFrame:
    """Stay, leave and enter from the first station to the last by attribute values, with shares and their intervals.

    Columns: the attributes ("–" where unknown), n_group (counted clips of the group), n_stay, n_leave, n_enter,
    n_speakers (of those three); then for each move its share of the group (`stay_of_group`) and of the index that it is
    taken from (`stay_of_index`: the former one for stay and leave, the later one for enter), each with _low and _high
    (95 %, speakers resampled). None where there is nothing to divide by; no bounds where the clips are of one speaker.
    Groups without a moving clip are left out.
    """
    moves = np.zeros(len(corpus), dtype=np.int8)
    moves[movement.rows] = movement.move_numbers()
    counted = np.flatnonzero(movement.is_counted)
    labels = pd.DataFrame({name: _labels(corpus, name, counted) for name in attributes})
    lines = []
    for key, places in labels.groupby(list(attributes), sort=True, observed=True).indices.items():
        rows = counted[places]
        if moves[rows].any():
            named = dict(zip(attributes, key if len(attributes) > 1 else [key], strict=True))
            lines.append(named | _count_group(corpus.speaker_groups[rows], moves[rows], seed))
    names = ["n_group", *(f"n_{move}" for move in MOVES), "n_speakers"]
    names += [f"{share}{part}" for share in SHARES for part in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=[*attributes, *names])


SHARES = tuple(f"{move}_of_{whole}" for whole in ("group", "index") for move in MOVES)


def _labels(corpus: Corpus, name: str, rows: Int[np.ndarray, " m"]) -> pd.Categorical:
    """What the attribute of some clips is, "–" where unknown; in order of the alphabet."""
    codes, values = corpus.coded(name)
    labels = pd.Categorical.from_codes(np.where(codes[rows] < 0, len(values), codes[rows]), [*values, "–"])
    return labels.reorder_categories(sorted(labels.categories))


def _count_group(
    speaker_groups: Int[np.ndarray, " m"], moves: Int8[np.ndarray, " m"], seed: int
) -> dict[str, object]:
    """Counts, shares and intervals of one group; the same draws of its speakers serve every share."""
    n_units, unit = resampling_units(speaker_groups)
    n_kinds = 1 + len(MOVES)
    by_move = np.bincount(unit * n_kinds + moves, minlength=n_units * n_kinds).reshape(n_units, n_kinds)
    of = {move: by_move[:, 1 + number] for number, move in enumerate(MOVES)}
    line: dict[str, object] = {"n_group": len(moves), **{f"n_{move}": int(n.sum()) for move, n in of.items()}}
    line["n_speakers"] = len(np.unique(speaker_groups[moves > 0]))
    parts = [*of.values(), by_move.sum(axis=1), of[STAY] + of[LEAVE], of[STAY] + of[ENTER]]
    counts = np.stack(parts, axis=1).astype(np.float64)
    draws = draw_speakers(n_units, seed=seed) @ counts
    for place, move in enumerate(MOVES):
        for whole, whole_place in (("group", 3), ("index", 5 if move == ENTER else 4)):
            share, low, high = _share(counts[:, [place, whole_place]], draws[:, [place, whole_place]])
            name = f"{move}_of_{whole}"
            line |= {name: share, f"{name}_low": low, f"{name}_high": high}
    return line


def _count_speakers(
    corpus: Corpus, parts: list[np.ndarray], whole: np.ndarray, seed: int
) -> tuple[Float64[np.ndarray, "S p"], Float64[np.ndarray, "B p"]]:
    """Clips of each part by speaker of the whole, and in draws of these speakers."""
    is_chosen = np.zeros(len(corpus), dtype=bool)
    is_chosen[whole] = True
    speakers = SpeakerCounts.over(corpus.speaker_groups, is_chosen)
    counts = speakers.count(parts).T.toarray()
    return counts, draw_speakers(speakers.n_speakers, seed=seed) @ counts


def _share(
    counts: Float64[np.ndarray, "S 2"], draws: Float64[np.ndarray, "B 2"]
) -> tuple[float | None, float | None, float | None]:
    part, whole = counts.sum(axis=0)
    if not whole:
        return None, None, None
    if (counts[:, 1] > 0).sum() < 2:
        return part / whole, None, None
    drawn = draws[draws[:, 1] > 0]
    low, high = bounds((drawn[:, 0] / drawn[:, 1])[:, None])[0]
    return part / whole, float(low), float(high)


def share_with_bounds(
    corpus: Corpus, part: Int[np.ndarray, " p"], whole: Int[np.ndarray, " w"], *, seed: int = 0
) -> tuple[float | None, float | None, float | None]:
    """The share of `part` in `whole` (rows that hold it) and its 95 % bounds when speakers are resampled; no share of
    nothing, no bounds from one speaker."""
    return _share(*_count_speakers(corpus, [part, whole], whole, seed)) if len(whole) else (None, None, None)


def tell_apart(
    corpus: Corpus,
    parts: Mapping[int, Int[np.ndarray, " _"]],
    whole: Int[np.ndarray, " w"],
    *,
    n_each: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what sets each part of some clips apart from all of them: attribute values and speakers with their lift.

    Columns: part, attribute (or "speaker_id"), value, n, share (of the part's clips), share_low and share_high (95 %,
    speakers resampled; None for speakers and where one speaker has all of the value), share_of_whole, lift; the
    `n_each` highest lifts of each part, among values that hold at least a tenth of it and have a lift of at least
    `MIN_LIFT`.
    """
    tables = []
    for name in (*corpus.attributes, VOICE):
        tell = _voices if name == VOICE else partial(_labels, name=name)
        base = pd.Series(tell(corpus, rows=whole)).value_counts(normalize=True)
        for number, rows in parts.items():
            counts = pd.Series(tell(corpus, rows=rows)).value_counts()
            table = pd.DataFrame({"n": counts, "share": counts / max(len(rows), 1)})
            table["share_of_whole"] = base.reindex(table.index).fillna(0.0)
            table["value"], table["part"], table["attribute"] = table.index, number, name
            tables.append(table[(table["share"] >= 0.1) & (table["value"] != "–")])
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=APART_COLUMNS)
    found = found.assign(lift=found["share"] / found["share_of_whole"].clip(lower=1e-9))
    found = found[found["lift"] >= MIN_LIFT]
    found = (
        found.sort_values(["part", "lift"], ascending=[True, False], kind="stable")
        .groupby("part")
        .head(n_each)
    )
    keys = zip(found["part"], found["attribute"], found["value"], strict=True)
    bounds_of = [_value_bounds(corpus, parts[part], (name, value), seed) for part, name, value in keys]
    found["share_low"], found["share_high"] = ([pair[side] for pair in bounds_of] for side in (0, 1))
    return found[APART_COLUMNS].reset_index(drop=True)


def _voices(corpus: Corpus, rows: Int[np.ndarray, " m"]) -> np.ndarray:
    """Who speaks on some clips, "–" where unknown."""
    return corpus.table["speaker_id"].iloc[rows].fillna("–").to_numpy(dtype="object")


def _value_bounds(
    corpus: Corpus, rows: np.ndarray, value: tuple[str, str], seed: int
) -> tuple[float | None, float | None]:
    if value[0] == VOICE:
        return None, None
    part = rows[_labels(corpus, value[0], rows) == value[1]]
    return share_with_bounds(corpus, part, rows, seed=seed)[1:]
