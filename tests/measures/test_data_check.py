"""Planted faults are found again: copies, swapped labels, joined and divided names, outliers, sources, leaks."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sae_core.demo.planted import PlantedTruth
from sae_core.measures import data_check
from sae_core.measures.data_check import COLUMNS, KINDS, CheckedCorpus, check, kappa, neighbours, strengths

N_CLIPS, N_SPEAKERS, N_PLANTED = 2_400, 200, 40


@pytest.fixture(scope="module")
def clean() -> CheckedCorpus:
    """Twelve clips each of 200 planted speakers, with nothing wrong on purpose."""
    pieces = list(PlantedTruth.draw(n_speakers=N_SPEAKERS, seed=5).clips(N_CLIPS))
    table = pd.concat([piece.table for piece in pieces], ignore_index=True)
    codes, names = pd.factorize(table["speaker_id"])
    return CheckedCorpus(
        np.vstack([piece.vectors for piece in pieces]),
        np.ones(N_CLIPS, bool),
        codes.astype(np.int64),
        tuple(names),
        {"gender": table["gender"].to_numpy(object), "kind": table["kind"].to_numpy(object)},
        {"folder": np.array(["a", "b"], dtype=object)[np.arange(N_CLIPS) % 2]},
        table["split"].to_numpy(object),
        np.full(N_CLIPS, "", dtype=object),
    )


@pytest.fixture
def random():
    return np.random.default_rng(3)


def top(found: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The first rows of one kind, a quarter more than were planted."""
    return found[found["kind"] == kind].head(N_PLANTED * 5 // 4)


def with_speakers(corpus: CheckedCorpus, names: np.ndarray) -> CheckedCorpus:
    codes, words = pd.factorize(names)
    return dataclasses.replace(corpus, speakers=codes.astype(np.int64), speaker_names=tuple(words))


def names_of(corpus: CheckedCorpus) -> np.ndarray:
    return np.array(corpus.speaker_names, dtype=object)[corpus.speakers]


def test_clips_recorded_again_are_near_copies(clean, random):
    rows = random.choice(N_CLIPS // 2, N_PLANTED, replace=False)
    noise = random.standard_normal((N_PLANTED, clean.vectors.shape[1]))
    again = clean.vectors[rows] + 0.05 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = clean.vectors.copy()
    vectors[-N_PLANTED:] = again / np.linalg.norm(again, axis=1, keepdims=True)
    found = top(check(dataclasses.replace(clean, vectors=vectors)), "near copy")
    pairs = set(zip(found["other_row"], found["row"], strict=True))
    planted = set(zip(rows, range(N_CLIPS - N_PLANTED, N_CLIPS), strict=True))
    assert len(pairs & planted) >= 0.9 * N_PLANTED


def test_the_same_bytes_are_exact_copies_and_named_once(clean):
    digests = np.full(N_CLIPS, "", dtype=object)
    digests[[3, 7, 11]] = "x"
    found = check(dataclasses.replace(clean, digests=digests))
    copies = found[found["kind"] == "exact copy"]
    assert list(zip(copies["row"], copies["other_row"], strict=True)) == [(7, 3), (11, 3)]
    assert np.isinf(copies["strength"]).all()


def test_swapped_speakers_are_found_with_the_name_that_fits(clean, random):
    rows = random.choice(N_CLIPS, N_PLANTED, replace=False)
    names = names_of(clean)
    truth = names[rows].copy()
    names[rows] = np.roll(truth, 1)
    found = top(check(with_speakers(clean, names)), "speaker label").set_index("row")
    hit = [row for row in rows if row in found.index]
    assert len(hit) >= 0.9 * N_PLANTED
    fits = [found["counterpart"][row] == name for row, name in zip(rows, truth, strict=True) if row in hit]
    assert np.mean(fits) >= 0.9


def test_two_speakers_under_one_name_are_told_apart(clean, random):
    pairs = random.permutation(clean.speaker_names)[: 2 * N_PLANTED].reshape(-1, 2)
    renamed = dict(pairs[:, ::-1])
    names = np.array([renamed.get(name, name) for name in names_of(clean)], dtype=object)
    found = top(check(with_speakers(clean, names)), "two speakers under one name")
    assert len(set(found["subject"]) & set(pairs[:, 0])) >= 0.9 * N_PLANTED
    hit = found[found["subject"].isin(pairs[:, 0])]
    truth = names_of(clean)
    differ = truth[hit["row"].to_numpy()] != truth[hit["other_row"].to_numpy()]
    assert differ.mean() >= 0.9, "a clip of each is there to listen to"


def test_one_speaker_under_two_names_is_joined(clean, random):
    names = names_of(clean)
    chosen = random.choice(clean.speaker_names, N_PLANTED, replace=False)
    for name in chosen:
        names[np.flatnonzero(names == name)[::2]] = f"{name} again"
    found = top(check(with_speakers(clean, names)), "speaker under two names")
    pairs = {frozenset(pair) for pair in zip(found["subject"], found["counterpart"], strict=True)}
    assert len(pairs & {frozenset((name, f"{name} again")) for name in chosen}) >= 0.9 * N_PLANTED


def test_wrong_values_are_contradicted_by_their_neighbours(clean, random):
    genders = clean.attributes["gender"].copy()
    rows = random.choice(np.flatnonzero(pd.notna(genders)), N_PLANTED, replace=False)
    genders[rows] = np.where(genders[rows] == "female", "male", "female")
    found = top(check(dataclasses.replace(clean, attributes={"gender": genders})), "attribute label")
    assert len(set(found["row"]) & set(rows)) >= 0.9 * N_PLANTED


def test_values_that_neighbours_cannot_predict_are_left_alone(clean, random):
    coin = random.permutation(np.array(["heads", "tails"] * (N_CLIPS // 2), dtype=object))
    found = check(dataclasses.replace(clean, attributes={"coin": coin}))
    assert "attribute label" not in set(found["kind"])


def test_a_clip_like_no_other_is_an_outlier(clean, random):
    vectors = clean.vectors.copy()
    noise = random.standard_normal((5, vectors.shape[1]))
    vectors[:5] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    found = check(dataclasses.replace(clean, vectors=vectors))
    assert set(found[found["kind"] == "outlier"]["row"].head(5)) == set(range(5))


def test_a_value_from_one_folder_only_is_named_with_it(clean):
    accents = np.where(np.arange(N_CLIPS) % 4 == 0, "welsh", "other").astype(object)
    found = check(dataclasses.replace(clean, attributes={"accent": accents}))
    hit = found[found["kind"] == "source stands for a value"]
    assert list(zip(hit["subject"], hit["counterpart"], hit["score"], strict=True)) == [
        ("accent = welsh", "folder = a", 1.0)
    ]


def test_copies_on_both_sides_of_a_split_are_leaks(clean):
    train, held_out = (np.flatnonzero(clean.splits == split)[0] for split in ("train", "held-out"))
    digests = np.full(N_CLIPS, "", dtype=object)
    digests[[train, held_out]] = "x"
    found = check(dataclasses.replace(clean, digests=digests))
    leak = found[found["kind"] == "leak between splits"].iloc[0]
    assert {leak["row"], leak["other_row"]} == {train, held_out}


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_a_few_clips_are_no_trouble(clean, n):
    few = dataclasses.replace(
        clean,
        vectors=clean.vectors[:n],
        is_valid=np.ones(n, bool),
        speakers=clean.speakers[:n],
        attributes={name: values[:n] for name, values in clean.attributes.items()},
        sources={},
        splits=clean.splits[:n],
        digests=clean.digests[:n],
    )
    found = check(few)
    assert list(found.columns) == list(COLUMNS) and set(found["kind"]) <= set(KINDS)


def test_without_speakers_or_embeddings_the_rest_is_still_checked(clean):
    nobody = dataclasses.replace(clean, speakers=np.full(N_CLIPS, -1), speaker_names=())
    assert not {"speaker label", "speaker under two names"} & set(check(nobody)["kind"])
    nothing = dataclasses.replace(
        clean, vectors=np.zeros_like(clean.vectors), is_valid=np.zeros(N_CLIPS, bool)
    )
    assert set(check(nothing)["kind"]) <= {"exact copy", "source stands for a value"}


def test_neighbours_are_those_of_a_plain_sort(clean, monkeypatch):
    monkeypatch.setattr(data_check, "ROWS_AT_ONCE", 77)
    few = dataclasses.replace(clean, is_valid=np.arange(N_CLIPS) % 5 != 0)
    near = neighbours(few, k=4)
    for row in range(1, 40, 7):
        cosines = clean.vectors @ clean.vectors[row]
        cosines[~few.is_valid] = cosines[row] = -np.inf
        if few.is_valid[row]:
            assert near.rows[row].tolist() == np.argsort(-cosines)[:4].tolist()
            cosines[few.speakers == few.speakers[row]] = -np.inf
            assert near.others[row].tolist() == np.argsort(-cosines)[:4].tolist()
        else:
            assert set(near.rows[row]) == {-1}


def test_kappa_is_that_of_scikit_learn(random):
    from sklearn.metrics import cohen_kappa_score

    first, second = random.integers(0, 3, 200), random.integers(0, 3, 200)
    second[:100] = first[:100]
    assert kappa(first, second, 3) == pytest.approx(cohen_kappa_score(first, second))


def test_strength_is_in_robust_deviations(random):
    numbers = random.standard_normal(20_000)
    assert strengths(numbers).std() == pytest.approx(1, abs=0.03)
    assert strengths(np.array([5.0]), numbers)[0] == pytest.approx(5, abs=0.15)
