"""How well activations tell values from each other: counts and measures along the postings of many latents at once.

Clips of one question (one attribute, one split) carry one value each. Down the postings of a latent, strongest first,
the count of clips of a value rises only where such a clip stands, and between two of those every measure is known. So
the work is one entry a posting, however many values there are, and nothing dense is made. Clips where a latent is
silent count as activation 0; equal activations fall together.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int, Int64

from sae_core.sae.feature_index import FeatureIndex

NOT_ASKED, NOT_MEASURED = -2, -1
MEASURES = (
    "threshold",
    "selection_f1",
    "selection_mcc",
    "precision",
    "recall",
    "f1",
    "mcc",
    "auroc",
    "average_precision",
    "lift",
)


@dataclass(frozen=True)
class Labels:
    """Which value each clip of one question carries.

    value_of_row: i8[n] or wider, a number below n_values, `NOT_MEASURED` for any other value, `NOT_ASKED` for a clip
        that takes no part. n_values: V.
    """

    value_of_row: Int[np.ndarray, " n"]
    n_values: int

    @cached_property
    def n_asked(self) -> int:
        """Clips that take part."""
        return int((self.value_of_row > NOT_ASKED).sum())

    @cached_property
    def n_true(self) -> Int64[np.ndarray, " V"]:
        """Clips of each value."""
        return np.bincount(self.value_of_row[self.value_of_row >= 0], minlength=self.n_values)


def measure_latents(
    index: FeatureIndex, latents: range, selection: Labels, reported: Labels
) -> dict[str, Float64[np.ndarray, "m V"]]:
    """Return every measure of some latents and all values, by its name in `MEASURES`.

    The threshold has the highest F1 on the `selection` clips, the highest threshold where several have it; 0, so that
    any activation counts, where no clip of the value is active. The other measures are of the `reported` clips.
    """
    postings = _Postings.of(index, latents)
    chosen, found = _Counts.along(postings, selection), _Counts.along(postings, reported)
    best_f1, cut = _best_cut(chosen)
    predicted, called = chosen.at(cut), found.at(cut)
    n_true, n_asked = np.tile(reported.n_true, len(latents)), reported.n_asked
    precision = called.true / np.maximum(called.asked, 1)
    measures = {
        "threshold": postings.threshold_below(cut, chosen.latent_of_group),
        "selection_f1": best_f1,
        "selection_mcc": matthews(
            predicted.true, predicted.asked, np.tile(selection.n_true, len(latents)), selection.n_asked
        ),
        "precision": precision,
        "recall": called.true / np.maximum(n_true, 1),
        "f1": 2 * called.true / np.maximum(called.asked + n_true, 1),
        "mcc": matthews(called.true, called.asked, n_true, n_asked),
        "auroc": _auroc(found),
        "average_precision": _average_precision(found),
        "lift": precision / np.maximum(n_true / max(n_asked, 1), 1e-12),
    }
    return {name: values.reshape(len(latents), -1) for name, values in measures.items()}


def matthews(
    hit: np.ndarray, called: np.ndarray, n_positive: np.ndarray | int, n_all: np.ndarray | int
) -> np.ndarray:
    """Matthews' correlation coefficient of two yes/no properties from counts (both, one, other, all), broadcast
    against each other; 0 where a property holds for none or for all."""
    both, one, other, n = (np.asarray(part, dtype=np.float64) for part in (hit, called, n_positive, n_all))
    spread = np.sqrt(one * (n - one) * other * (n - other))
    return (both * n - one * other) / np.where(spread > 0, spread, np.inf)


@dataclass(frozen=True)
class _Postings:
    """The postings of some latents end to end; a place is a number below their sum.

    first: i64[m+1], each latent's first place. latent: of each place, 0 for the first of them. run_first, run_last: the
    first and last place with the same latent and activation.
    """

    rows: np.ndarray
    activations: np.ndarray
    first: np.ndarray
    latent: np.ndarray
    run_first: np.ndarray
    run_last: np.ndarray

    @classmethod
    def of(cls, index: FeatureIndex, latents: range) -> "_Postings":
        first = index.offsets[latents.start : latents.stop + 1]
        part = slice(int(first[0]), int(first[-1]))
        rows, activations = np.asarray(index.rows[part]), np.asarray(index.activations[part])
        latent = np.repeat(np.arange(len(latents)), np.diff(first))
        is_new = np.ones(len(rows) + 1, dtype=bool)
        is_new[1:-1] = (activations[1:] != activations[:-1]) | (latent[1:] != latent[:-1])
        begins = np.flatnonzero(is_new)
        lengths = np.diff(begins)
        runs = np.repeat(begins[:-1], lengths), np.repeat(begins[1:] - 1, lengths)
        return cls(rows, activations, first - first[0], latent, *runs)

    def threshold_below(self, place: np.ndarray, latent: np.ndarray) -> Float64[np.ndarray, " g"]:
        """A threshold that separates the activation at each place, the last of its run, from the next one of its
        latent: halfway, or the next one itself where float32 has nothing between; 0 after the last."""
        levels = np.append(self.activations, np.float32(0))
        is_last = place + 1 >= self.first[latent + 1]
        above, below = levels[place], np.where(is_last, np.float32(0), levels[place + 1])
        halfway = (above + below) / np.float32(2)
        halfway = np.where(halfway < above, halfway, below)
        return np.where(is_last, 0.0, halfway.astype(np.float64))


@dataclass(frozen=True)
class _Told:
    """Clips predicted positive down to some places: all that were asked about, and those of the value."""

    asked: np.ndarray
    true: np.ndarray


@dataclass(frozen=True)
class _Counts:
    """Counts of asked and true clips along postings. A group is one latent and one value: g = latent · V + value.

    asked_before: i64[n+1], asked clips before each place. keys: g · (n + 1) + place of each clip with a measured value,
    ascending. A step is a run where such clips stand: recall of its group rises there. group, run_first, run_last: of
    each step. gained: its clips of the value. true: those down to its end.
    """

    postings: _Postings
    labels: Labels
    asked_before: np.ndarray
    keys: np.ndarray
    group: np.ndarray
    run_first: np.ndarray
    run_last: np.ndarray
    gained: np.ndarray
    true: np.ndarray

    @classmethod
    def along(cls, postings: _Postings, labels: Labels) -> "_Counts":
        values = labels.value_of_row[postings.rows]
        n_places = len(values) + 1
        place = np.flatnonzero(values >= 0)
        keys = np.sort((postings.latent[place] * labels.n_values + values[place]) * n_places + place)
        group, place = np.divmod(keys, n_places)
        step = group * n_places + postings.run_last[place]
        last = np.flatnonzero(np.diff(step, append=-1))
        group, place = group[last], place[last]
        return cls(
            postings,
            labels,
            np.concatenate([[0], np.cumsum(values > NOT_ASKED)]),
            keys,
            group,
            postings.run_first[place],
            postings.run_last[place],
            np.diff(last, prepend=-1),
            last + 1 - np.searchsorted(keys, group * n_places),
        )

    @property
    def n_groups(self) -> int:
        return (len(self.postings.first) - 1) * self.labels.n_values

    @property
    def latent_of_group(self) -> np.ndarray:
        return np.arange(self.n_groups) // self.labels.n_values

    @property
    def n_true(self) -> np.ndarray:
        """Clips of each group's value."""
        return np.tile(self.labels.n_true, len(self.postings.first) - 1)

    def asked_through(self, place: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Asked clips of the group's latent down to a place, that place included."""
        first = self.postings.first[group // self.labels.n_values]
        return self.asked_before[place + 1] - self.asked_before[first]

    def at(self, cut: np.ndarray) -> _Told:
        """What is predicted positive when each group is cut after a place."""
        groups = np.arange(self.n_groups)
        start = groups * len(self.asked_before)
        true = np.searchsorted(self.keys, start + cut, side="right") - np.searchsorted(self.keys, start)
        return _Told(self.asked_through(cut, groups), true)

    def sums(self, of_steps: np.ndarray) -> np.ndarray:
        """The sum over each group's steps."""
        return np.bincount(self.group, weights=of_steps, minlength=self.n_groups)


def _best_cut(counts: _Counts) -> tuple[Float64[np.ndarray, " g"], Int64[np.ndarray, " g"]]:
    """Each group's highest F1, and the first place that reaches it; 0 and the latent's last place without a step.

    Between steps F1 only falls, so it is highest at one of them.
    """
    predicted = counts.asked_through(counts.run_last, counts.group)
    f1 = 2 * counts.true / np.maximum(predicted + counts.n_true[counts.group], 1)
    best = np.zeros(counts.n_groups)
    np.maximum.at(best, counts.group, f1)
    cut = counts.postings.first[counts.latent_of_group + 1] - 1
    reaching = np.flatnonzero(f1 == best[counts.group])[::-1]
    cut[counts.group[reaching]] = counts.run_last[reaching]
    return best, cut


def _auroc(counts: _Counts) -> Float64[np.ndarray, " g"]:
    """Area under the ROC curve: the share of pairs, one clip of the value and one without, that the activation puts in
    order; a tie is half in order. 0.5 where there are no pairs."""
    n_true = counts.n_true
    n_false = counts.labels.n_asked - n_true
    above = counts.asked_through(counts.run_first - 1, counts.group) - (counts.true - counts.gained)
    beside = counts.asked_through(counts.run_last, counts.group) - counts.true - above
    active = counts.at(counts.postings.first[counts.latent_of_group + 1] - 1)
    false_active = active.asked - active.true
    wrong_silent = (n_true - active.true) * (false_active + (n_false - false_active) / 2)
    wrong = counts.sums(counts.gained * (above + beside / 2)) + wrong_silent
    n_pairs = n_true * n_false
    return np.where(n_pairs > 0, 1 - wrong / np.maximum(n_pairs, 1), 0.5)


def _average_precision(counts: _Counts) -> Float64[np.ndarray, " g"]:
    """Σ (recall step) × precision over falling thresholds, silent clips as the last step."""
    n_true, n_asked = counts.n_true, max(counts.labels.n_asked, 1)
    predicted = counts.asked_through(counts.run_last, counts.group)
    sums = counts.sums(counts.gained * counts.true / predicted)
    n_active = np.bincount(counts.group, weights=counts.gained, minlength=counts.n_groups)
    return (sums + (n_true - n_active) * n_true / n_asked) / np.maximum(n_true, 1)
