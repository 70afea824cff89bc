"""What may be wrong with a corpus, by its embeddings and labels: copies, names, labels, outliers, sources, leaks.

Every finding is a suspicion with a strength: how many robust standard deviations it stands from what is usual in this
corpus (median and MAD of the same statistic, scaled by 1.4826). A person decides; nothing here changes anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int

from sae_core.files.progress import Progress, ignore

KINDS = (
    "exact copy",
    "near copy",
    "leak between splits",
    "speaker under two names",
    "two speakers under one name",
    "speaker label",
    "attribute label",
    "outlier",
    "source stands for a value",
)
COLUMNS = ("kind", "strength", "score", "row", "other_row", "subject", "counterpart")

N_NEIGHBOURS = 10
ROWS_AT_ONCE = 1_024
MIN_STRENGTH = 3.0
MIN_DEVIATION = 0.01
"""Statistics here lie between -1 and 1; where more than half are equal, this stands for their deviation."""
MIN_COPY_COSINE = 0.95
MIN_CLIPS_OF_SPEAKER = 3
MIN_CLIPS_TO_DIVIDE = 6
MIN_CLIPS_OF_VALUE = 10
MIN_SOURCE_FRACTION = 0.95
MIN_KAPPA = 0.3
MAX_FINDINGS_A_KIND = 1_000
_UNKNOWN = -1


@dataclass(frozen=True)
class Neighbours:
    """Nearest clips by cosine, the nearest first.

    rows, cosines: of all clips but itself. others, other_cosines: of clips by other speakers, where a clip of unknown
    speaker counts as one of its own. Rows of clips without embedding, and places that nothing fills, hold -1 and 0.
    """

    rows: Int[np.ndarray, "n k"]
    cosines: Float32[np.ndarray, "n k"]
    others: Int[np.ndarray, "n k"]
    other_cosines: Float32[np.ndarray, "n k"]


@dataclass(frozen=True)
class CheckedCorpus:
    """What the check looks at; row i is the same clip everywhere.

    vectors: unit rows, zeros where `is_valid` is False. speakers: codes into `speaker_names`, -1 where unknown.
    attributes: name → values, None or NaN where unknown. sources: the same for columns that say where a clip is from.
    splits: the name of each clip's split. digests: equal where the sound is the same to the byte, "" where unknown.
    """

    vectors: Float32[np.ndarray, "n d"]
    is_valid: Bool[np.ndarray, " n"]
    speakers: Int[np.ndarray, " n"]
    speaker_names: tuple[str, ...]
    attributes: Mapping[str, np.ndarray]
    sources: Mapping[str, np.ndarray]
    splits: np.ndarray
    digests: np.ndarray


def check(corpus: CheckedCorpus, *, progress: Progress = ignore) -> pd.DataFrame:
    """Every suspicion about a corpus, the strongest of each kind first; columns `COLUMNS`, kinds in order of `KINDS`.

    Takes n² d operations and n memory. A corpus with fewer than three embedded clips has no neighbours to speak of, and
    only exact copies and sources are looked at.
    """
    parts = [exact_copies(corpus), one_source(corpus)]
    if corpus.is_valid.sum() >= MIN_CLIPS_OF_SPEAKER:
        near = neighbours(corpus, progress=progress)
        copies = near_copies(corpus, near)
        parts += [copies, outliers(corpus, near), attribute_labels(corpus, near)]
        parts += [speaker_labels(corpus), divided_names(corpus), joined_names(corpus)]
    found = pd.concat(parts, ignore_index=True)
    found = pd.concat([found, leaks(corpus, found)], ignore_index=True)
    order = found["kind"].map(KINDS.index)
    found = found.assign(order=order).sort_values(
        ["order", "strength", "score"], ascending=[True, False, False]
    )
    return (
        found.groupby("kind", sort=False)
        .head(MAX_FINDINGS_A_KIND)
        .drop(columns="order")
        .reset_index(drop=True)
    )


def neighbours(corpus: CheckedCorpus, *, k: int = N_NEIGHBOURS, progress: Progress = ignore) -> Neighbours:
    """The k nearest clips of every clip, in all and by other speakers; exact, `ROWS_AT_ONCE` rows at a time."""
    n = len(corpus.vectors)
    rows, others = np.full((n, k), -1, np.int64), np.full((n, k), -1, np.int64)
    cosines, other_cosines = np.zeros((n, k), np.float32), np.zeros((n, k), np.float32)
    for start in range(0, n, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, n))
        products = corpus.vectors[part] @ corpus.vectors.T
        products[:, ~corpus.is_valid] = -np.inf
        products[np.arange(part.stop - start), np.arange(start, part.stop)] = -np.inf
        rows[part], cosines[part] = _largest(products, k)
        known = corpus.speakers[part, None] != _UNKNOWN
        products[known & (corpus.speakers[part, None] == corpus.speakers[None, :])] = -np.inf
        others[part], other_cosines[part] = _largest(products, k)
        progress(part.stop, n, "nearest clips")
    for found, values in ((rows, cosines), (others, other_cosines)):
        found[~corpus.is_valid], values[~corpus.is_valid] = -1, 0
    return Neighbours(rows, cosines, others, other_cosines)


def _largest(products: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of the k largest of each row, largest first; -1 and 0 where there are fewer."""
    n_found = min(k, products.shape[1])
    columns = np.argpartition(-products, n_found - 1, axis=1)[:, :n_found]
    values = np.take_along_axis(products, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
    missing = ~np.isfinite(values)
    columns[missing], values[missing] = -1, 0
    padding = ((0, 0), (0, k - n_found))
    return np.pad(columns, padding, constant_values=-1), np.pad(values, padding)


def strengths(statistic: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """How many robust standard deviations each number stands above the median of `usual` (itself by default)."""
    usual = statistic if usual is None else usual
    if not len(usual):
        return np.zeros(len(statistic))
    middle = np.median(usual)
    deviation = 1.4826 * float(np.median(np.abs(usual - middle)))
    return (statistic - middle) / max(deviation, MIN_DEVIATION)


def exact_copies(corpus: CheckedCorpus) -> pd.DataFrame:
    """Clips whose sound is the same to the byte as that of an earlier one; certain, so of infinite strength."""
    digests = pd.Series(corpus.digests)
    first = digests.groupby(digests).transform(lambda part: part.index[0])
    is_copy = (digests != "").to_numpy() & (first.to_numpy() != np.arange(len(digests)))
    rows = np.flatnonzero(is_copy)
    others = first.to_numpy()[rows].astype(np.int64) if len(rows) else rows
    return _findings("exact copy", np.full(len(rows), np.inf), np.ones(len(rows)), clips=(rows, others))


def near_copies(corpus: CheckedCorpus, near: Neighbours) -> pd.DataFrame:
    """Pairs of clips nearer to each other than clips here ever are: −log(1 − cosine) against every clip's nearest."""
    distance = np.maximum(1 - near.cosines, 1e-7)
    strength = strengths(-np.log(distance.ravel()), -np.log(distance[corpus.is_valid, 0])).reshape(
        distance.shape
    )
    rows = np.repeat(np.arange(len(near.rows)), near.rows.shape[1])
    others, cosines, strength = near.rows.ravel(), near.cosines.ravel(), strength.ravel()
    same_sound = (corpus.digests[rows] != "") & (corpus.digests[rows] == corpus.digests[others])
    kept = (cosines >= MIN_COPY_COSINE) & (strength >= MIN_STRENGTH) & (others >= 0) & ~same_sound
    low, high = np.minimum(rows, others)[kept], np.maximum(rows, others)[kept]
    _, first = np.unique(low * len(near.rows) + high, return_index=True)
    return _findings(
        "near copy", strength[kept][first], cosines[kept][first], clips=(high[first], low[first])
    )


def leaks(corpus: CheckedCorpus, found: pd.DataFrame) -> pd.DataFrame:
    """Copies, and one speaker under two names, that stand on both sides of a border between splits."""
    pairs = found[found["kind"].isin(["exact copy", "near copy", "speaker under two names"])]
    splits = corpus.splits
    across = splits[pairs["row"].to_numpy(np.int64)] != splits[pairs["other_row"].to_numpy(np.int64)]
    return pairs[across].assign(kind="leak between splits") if len(pairs) else pairs


def outliers(corpus: CheckedCorpus, near: Neighbours) -> pd.DataFrame:
    """Clips far from everything: the mean cosine to their nearest five, against that of all others."""
    rows = np.flatnonzero(corpus.is_valid)
    loneliness = 1 - near.cosines[rows, :5].mean(axis=1)
    strength = strengths(loneliness)
    kept = strength >= MIN_STRENGTH
    return _findings(
        "outlier", strength[kept], loneliness[kept], clips=(rows[kept], near.rows[rows[kept], 0])
    )


def attribute_labels(corpus: CheckedCorpus, near: Neighbours) -> pd.DataFrame:
    """Clips whose value is contradicted by the clips nearest to them, for attributes that those predict at all.

    Two juries vote, weighted by cosine: the nearest clips of all, and the nearest by other speakers, so that a single
    clip and a whole speaker can both be wrong. score: the mean over both of the fraction of votes for the value that
    wins, less that for the clip's own. An attribute counts as predicted where Cohen's κ between its values and the
    votes of other speakers' clips reaches `MIN_KAPPA`.
    """
    parts = [_attribute_label(corpus, near, name, values) for name, values in corpus.attributes.items()]
    return pd.concat([_findings("attribute label", *_NOTHING), *parts], ignore_index=True)


def _attribute_label(corpus: CheckedCorpus, near: Neighbours, name: str, values: np.ndarray) -> pd.DataFrame:
    codes, words = pd.factorize(pd.Series(values, dtype="object"), use_na_sentinel=True)
    rows = np.flatnonzero(corpus.is_valid & (codes >= 0))
    if len(words) < 2 or len(rows) < MIN_CLIPS_OF_VALUE:
        return _findings("attribute label", *_NOTHING)
    own, each = codes[rows], np.arange(len(rows))
    by_others = _votes(codes, near.others[rows], near.other_cosines[rows], len(words))
    if kappa(own, by_others.argmax(axis=1), len(words)) < MIN_KAPPA:
        return _findings("attribute label", *_NOTHING)
    votes = (by_others + _votes(codes, near.rows[rows], near.cosines[rows], len(words))) / 2
    winner = votes.argmax(axis=1)
    score = votes[each, winner] - votes[each, own]
    strength = strengths(score)
    kept = (score > 0) & (strength >= MIN_STRENGTH)
    return _findings(
        "attribute label",
        strength[kept],
        score[kept],
        clips=(rows[kept], near.rows[rows[kept], 0]),
        names=(
            [f"{name} = {words[code]}" for code in own[kept]],
            [f"{name} = {words[code]}" for code in winner[kept]],
        ),
    )


def _votes(
    codes: np.ndarray, clips: np.ndarray, cosines: np.ndarray, n_values: int
) -> Float32[np.ndarray, "n v"]:
    """For each row the fraction of its neighbours' votes that each value has; zeros where no neighbour has one."""
    voted = np.where(clips >= 0, codes[clips], -1)
    place = np.broadcast_to(np.arange(len(clips))[:, None], voted.shape)
    votes = np.zeros((len(clips), n_values), np.float32)
    np.add.at(votes, (place[voted >= 0], voted[voted >= 0]), np.maximum(cosines, 0)[voted >= 0])
    return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-6)


def kappa(first: np.ndarray, second: np.ndarray, n_values: int) -> float:
    """Cohen's κ of two labellings with codes 0 … n − 1: agreement beyond what chance gives, 1 when they are equal."""
    shares = (
        np.bincount(first, minlength=n_values) / len(first),
        np.bincount(second, minlength=n_values) / len(second),
    )
    by_chance = float(shares[0] @ shares[1])
    return (float(np.mean(first == second)) - by_chance) / max(1 - by_chance, 1e-9)


@dataclass(frozen=True)
class _Speakers:
    """Sums of the vectors of each speaker with embedded clips, by code. n: clips. within: mean cosine between two."""

    codes: np.ndarray
    sums: np.ndarray
    n: np.ndarray

    @property
    def within(self) -> np.ndarray:
        norms = np.einsum("sd,sd->s", self.sums, self.sums)
        return (norms - self.n) / np.maximum(self.n * (self.n - 1), 1)


def _speakers(corpus: CheckedCorpus, *, min_clips: int) -> _Speakers:
    rows = np.flatnonzero(corpus.is_valid & (corpus.speakers != _UNKNOWN))
    counts = np.bincount(corpus.speakers[rows], minlength=len(corpus.speaker_names))
    sums = np.zeros((len(counts), corpus.vectors.shape[1]), np.float64)
    np.add.at(sums, corpus.speakers[rows], corpus.vectors[rows])
    codes = np.flatnonzero(counts >= min_clips)
    return _Speakers(codes, sums[codes], counts[codes])


def speaker_labels(corpus: CheckedCorpus) -> pd.DataFrame:
    """Clips nearer to another speaker than to their own: the difference of cosines to the two mean vectors.

    The clip itself is left out of its own speaker's mean.
    """
    speakers = _speakers(corpus, min_clips=MIN_CLIPS_OF_SPEAKER)
    if len(speakers.codes) < 2:
        return _findings("speaker label", *_NOTHING)
    place = np.full(len(corpus.speaker_names), -1)
    place[speakers.codes] = np.arange(len(speakers.codes))
    rows = np.flatnonzero(corpus.is_valid & (corpus.speakers != _UNKNOWN))
    rows = rows[place[corpus.speakers[rows]] >= 0]
    means = speakers.sums / np.linalg.norm(speakers.sums, axis=1, keepdims=True)
    score, best = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        own, vectors = place[corpus.speakers[rows[part]]], corpus.vectors[rows[part]].astype(np.float64)
        rest = speakers.sums[own] - vectors
        cosines = vectors @ means.T
        cosines[np.arange(len(own)), own] = -np.inf
        best[part] = cosines.argmax(axis=1)
        to_own = np.einsum("nd,nd->n", rest, vectors) / np.maximum(np.linalg.norm(rest, axis=1), 1e-9)
        score[part] = cosines.max(axis=1) - to_own
    strength = strengths(score)
    kept = (score > 0) & (strength >= MIN_STRENGTH)
    names = np.asarray(corpus.speaker_names, dtype=object)
    return _findings(
        "speaker label",
        strength[kept],
        score[kept],
        clips=(rows[kept], np.full(kept.sum(), -1)),
        names=(names[corpus.speakers[rows[kept]]], names[speakers.codes[best[kept]]]),
    )


def joined_names(corpus: CheckedCorpus) -> pd.DataFrame:
    """Pairs of names as alike as the clips of one speaker: mean cosine between them less the mean within each.

    A pair is held against what is usual between a name and its second nearest: the nearest may be the same person.
    """
    speakers = _speakers(corpus, min_clips=MIN_CLIPS_OF_SPEAKER)
    n = len(speakers.codes)
    if n < 3:
        return _findings("speaker under two names", *_NOTHING)
    within, found = speakers.within, []
    second_nearest = np.full(n, -np.inf)
    for start in range(0, n, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, n))
        between = (speakers.sums[part] @ speakers.sums.T) / (speakers.n[part, None] * speakers.n[None, :])
        score = between - (within[part, None] + within[None, :]) / 2
        score[np.arange(part.stop - start), np.arange(start, part.stop)] = -np.inf
        second_nearest[part] = np.partition(score, -2, axis=1)[:, -2]
        first, second = np.nonzero(score > np.quantile(score, 1 - min(1.0, 20 / n)))
        found.append((first + start, second, score[first, second]))
    first, second, score = (np.concatenate(part) for part in zip(*found, strict=True))
    kept = first < second
    first, second, score = first[kept], second[kept], score[kept]
    strength = strengths(score, second_nearest)
    kept = strength >= MIN_STRENGTH
    rows = _one_clip_of(corpus, speakers.codes)
    names = np.asarray(corpus.speaker_names, dtype=object)
    return _findings(
        "speaker under two names",
        strength[kept],
        score[kept],
        clips=(rows[first[kept]], rows[second[kept]]),
        names=(names[speakers.codes[first[kept]]], names[speakers.codes[second[kept]]]),
    )


def divided_names(corpus: CheckedCorpus) -> pd.DataFrame:
    """Names whose clips fall into two groups: mean cosine within the two less that between them, after 2-means.

    row and other_row: a clip of each group, the one nearest to its middle.
    """
    speakers = _speakers(corpus, min_clips=MIN_CLIPS_TO_DIVIDE)
    divided = [_divide(corpus, rows) for rows in _rows_of(corpus, speakers.codes)]
    if not divided:
        return _findings("two speakers under one name", *_NOTHING)
    score = np.array([part[0] for part in divided])
    strength = strengths(score)
    kept = strength >= MIN_STRENGTH
    names = np.asarray(corpus.speaker_names, dtype=object)[speakers.codes[kept]]
    return _findings(
        "two speakers under one name",
        strength[kept],
        score[kept],
        clips=(np.array([part[1] for part in divided])[kept], np.array([part[2] for part in divided])[kept]),
        names=(names, ""),
    )


def _rows_of(corpus: CheckedCorpus, codes: np.ndarray) -> Iterator[np.ndarray]:
    """The embedded clips of each of these speakers."""
    order = np.argsort(np.where(corpus.is_valid, corpus.speakers, _UNKNOWN), kind="stable")
    sorted_codes = np.where(corpus.is_valid, corpus.speakers, _UNKNOWN)[order]
    for code in codes:
        start, stop = np.searchsorted(sorted_codes, [code, code + 1])
        yield order[start:stop]


def _one_clip_of(corpus: CheckedCorpus, codes: np.ndarray) -> np.ndarray:
    return np.array([rows[0] for rows in _rows_of(corpus, codes)], dtype=np.int64)


def _divide(corpus: CheckedCorpus, rows: np.ndarray) -> tuple[float, int, int]:
    """Separation of the two groups that 2-means finds, begun on the first principal axis; a clip of each."""
    vectors = corpus.vectors[rows].astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    is_first = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0
    for _ in range(10):
        if is_first.all() or not is_first.any():
            break
        means = [
            part / max(np.linalg.norm(part), 1e-9)
            for part in (vectors[is_first].sum(0), vectors[~is_first].sum(0))
        ]
        again = vectors @ means[0] > vectors @ means[1]
        if (again == is_first).all():
            break
        is_first = again
    n_first, n_second = int(is_first.sum()), int((~is_first).sum())
    if min(n_first, n_second) < 2:
        return 0.0, int(rows[0]), int(rows[-1])
    first, second = vectors[is_first].sum(axis=0), vectors[~is_first].sum(axis=0)
    between = float(first @ second) / (n_first * n_second)
    within = [(float(part @ part) - n) / (n * (n - 1)) for part, n in ((first, n_first), (second, n_second))]
    middle = [
        int(rows[side][(vectors[side] @ total).argmax()])
        for side, total in ((is_first, first), (~is_first, second))
    ]
    return (within[0] + within[1]) / 2 - between, middle[0], middle[1]


def one_source(corpus: CheckedCorpus) -> pd.DataFrame:
    """Values nearly all of whose clips come from one source, though the corpus has several: they may stand for it."""
    found = []
    for name, values in corpus.attributes.items():
        value_codes, words = pd.factorize(pd.Series(values, dtype="object"), use_na_sentinel=True)
        for column, places in corpus.sources.items():
            if column == name:
                continue
            source_codes, sources = pd.factorize(pd.Series(places, dtype="object"), use_na_sentinel=True)
            known = (value_codes >= 0) & (source_codes >= 0)
            if len(words) < 2 or len(sources) < 2 or not known.any():
                continue
            counts = np.zeros((len(words), len(sources)))
            np.add.at(counts, (value_codes[known], source_codes[known]), 1)
            found += list(_one_source(counts, value_codes, source_codes, (name, words, column, sources)))
    table = pd.DataFrame(found, columns=list(COLUMNS))
    return (
        table.astype(_findings("outlier", *_NOTHING).dtypes.to_dict())
        if found
        else _findings("outlier", *_NOTHING)
    )


def _one_source(
    counts: np.ndarray,
    value_codes: np.ndarray,
    source_codes: np.ndarray,
    words: tuple[str, pd.Index, str, pd.Index],
) -> Iterator[tuple[str, float, float, int, int, str, str]]:
    name, values, column, sources = words
    totals, overall = counts.sum(axis=1), counts.sum(axis=0) / counts.sum()
    for value in np.flatnonzero(totals >= MIN_CLIPS_OF_VALUE):
        source = int(counts[value].argmax())
        fraction = counts[value, source] / totals[value]
        deviation = np.sqrt(overall[source] * (1 - overall[source]) / totals[value])
        strength = (fraction - overall[source]) / max(float(deviation), 1e-6)
        if fraction >= MIN_SOURCE_FRACTION and strength >= MIN_STRENGTH:
            row = int(np.flatnonzero((value_codes == value) & (source_codes == source))[0])
            subject, counterpart = f"{name} = {values[value]}", f"{column} = {sources[source]}"
            yield (
                "source stands for a value",
                float(strength),
                float(fraction),
                row,
                -1,
                subject,
                counterpart,
            )


_NOTHING = (np.zeros(0), np.zeros(0))


def _findings(
    kind: str,
    strength: np.ndarray,
    score: np.ndarray,
    *,
    clips: tuple[object, object] = (-1, -1),
    names: tuple[object, object] = ("", ""),
) -> pd.DataFrame:
    """Findings of one kind as a table; what all of them share may be given once."""
    n = len(strength)
    columns: dict[str, object] = {"kind": kind, "strength": strength, "score": score}
    columns |= {"row": clips[0], "other_row": clips[1], "subject": names[0], "counterpart": names[1]}
    table = pd.DataFrame(columns, index=range(n), columns=list(COLUMNS))
    kinds = {"strength": "float64", "score": "float64", "row": "int64", "other_row": "int64"}
    return table.astype({"kind": "object", "subject": "object", "counterpart": "object"} | kinds)
