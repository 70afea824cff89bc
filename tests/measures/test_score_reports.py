"""Reports, identification and score files against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.files.errors import CorpusError
from sae_core.measures.calibration import fit_calibration
from sae_core.measures.score_files import match_scores, parse_scores, read_scores
from sae_core.measures.score_reports import enrol, identify, open_set, report_scores
from sae_core.measures.verification import Trials, draw_pairs, verify
from tests.planting import plant_corpus


def scored(n=3_000, *, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    speaker = np.arange(200) % 25
    one, other = rng.integers(200, size=(2, n))
    is_target = rng.random(n) < 0.4
    other[is_target] = (one[is_target] + 25 * rng.integers(1, 8, size=is_target.sum())) % 200
    is_target = speaker[one] == speaker[other]
    scores = (0.3 * is_target + 0.12 * rng.normal(size=n) + shift).astype(np.float32)
    return scores, Trials(one, other, is_target), speaker


def test_thresholds_are_fixed_on_another_list():
    development, dev_trials, _ = scored(2_500, seed=1)
    scores, trials, speaker = scored(seed=2)
    found = report_scores(scores, trials, speaker, development=(development, dev_trials.is_target))
    assert not found.is_own
    assert found.calibration == fit_calibration(development, dev_trials.is_target)
    for prior, (actual, low, high) in found.actual_dcf.items():
        assert found.verified.min_dcf[prior] <= actual + 1e-9 and low <= actual <= high
        threshold = found.calibration.threshold(prior)
        frr, far = (
            (scores[trials.is_target] < threshold).mean(),
            (scores[~trials.is_target] >= threshold).mean(),
        )
        assert actual == pytest.approx((prior * frr + (1 - prior) * far) / prior, abs=1e-3)
    assert found.min_cllr <= found.cllr and found.cllr_bounds[0] <= found.cllr <= found.cllr_bounds[1]
    moved = report_scores(
        scores + np.float32(0.2), trials, speaker, development=(development, dev_trials.is_target)
    )
    assert moved.cllr > found.cllr + 0.1 and moved.min_cllr == pytest.approx(found.min_cllr, abs=1e-3)
    assert moved.verified.eer == pytest.approx(found.verified.eer, abs=1e-3)
    own = report_scores(scores + np.float32(0.2), trials, speaker)
    assert own.is_own and own.cllr < moved.cllr
    assert own.line()["actual_dcf_0.05"] == own.actual_dcf[0.05][0]
    assert verify(scores, trials, speaker, drawn=draw_pairs(trials, speaker)).eer == found.verified.eer


@given(st.integers(0, 100))
def test_ranks_are_counted_model_by_model_and_ties_count_against(seed):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(15, 6)), 1)
    truth = rng.integers(6, size=15)
    found = identify(scores, truth, rng.integers(5, size=15))
    for row in range(15):
        better = sum(
            scores[row, model] >= scores[row, truth[row]] for model in range(6) if model != truth[row]
        )
        assert found.ranks[row] == better + 1
    assert found.rank_1 == pytest.approx((found.ranks == 1).mean())
    assert found.cmc["rate"].is_monotonic_increasing and found.cmc["rate"].iloc[-1] == 1
    assert (
        (found.cmc["low"] <= found.cmc["rate"] + 1e-6) & (found.cmc["rate"] <= found.cmc["high"] + 1e-6)
    ).all()


def test_an_open_set_counts_names_given_wrongly_and_not_at_all():
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.7, 0.4], [0.5, 0.3], [0.1, 0.2]])
    truth = np.array([0, 1, 1, -1, -1])  # the third is taken for another
    table = open_set(scores, truth, n_points=5).set_index("threshold")
    assert table.loc[0.9].tolist() == [0, pytest.approx(2 / 3)]
    assert table.loc[0.6].tolist() == [0, pytest.approx(1 / 3)]
    assert table.loc[0.5].tolist() == [0.5, pytest.approx(1 / 3)]
    assert table.loc[0.2].tolist() == [1, pytest.approx(1 / 3)]
    with pytest.raises(ValueError, match="others"):
        open_set(scores, np.zeros(5, dtype=int))


def test_models_of_several_clips():
    rng = np.random.default_rng(0)
    vectors, models = rng.normal(size=(9, 4)), np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    test = rng.normal(size=4)
    test /= np.linalg.norm(test)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    by_scores, by_vectors = enrol(vectors, models, by="mean of scores"), enrol(vectors, models)
    for model in range(3):
        mine = unit[models == model]
        assert by_scores[model] @ test == pytest.approx(np.mean(mine @ test))
        mean = mine.mean(axis=0)
        assert by_vectors[model] @ test == pytest.approx(mean @ test / np.linalg.norm(mean))
    with pytest.raises(ValueError, match="mean of vectors or mean of scores"):
        enrol(vectors, models, by="median")


LAYOUTS = {
    "plain": lambda one, other, score, hit: f"{one} {other} {score}",
    "with words": lambda one, other, score, hit: f"{one} {other} {score} {'target' if hit else 'nontarget'}",
    "label first": lambda one, other, score, hit: f"{int(hit)}\t{one}\t{other}\t{score}",
    "score first": lambda one, other, score, hit: f"{score},{one},{other}",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_scores_of_another_system_are_read_in_every_order(tmp_path, layout):
    corpus, rng = plant_corpus(), np.random.default_rng(0)
    one, other = rng.integers(240, size=(2, 60))
    scores = rng.normal(size=60).round(4)
    ids, groups = corpus.table["clip_id"], corpus.speaker_groups
    hits = groups[one] == groups[other]
    lines = [layout(ids[a], ids[b], s, h) for a, b, s, h in zip(one, other, scores, hits, strict=True)]
    path = tmp_path / "scores.txt"
    path.write_text("\n".join([*lines, "nobody else 0.5"]), "utf-8")
    found = read_scores(path, corpus)
    np.testing.assert_array_equal(found.trials.enrol_rows, one)
    np.testing.assert_array_equal(found.trials.is_target, hits)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    assert found.left_out.startswith("1 of its 61 lines")
    swapped = Trials(np.append(other, 0), np.append(one, 1), np.append(hits, False))
    matched, is_there = match_scores(found, swapped)
    assert is_there[:60].all()
    last = {frozenset(pair): score for *pair, score in zip(one, other, scores, strict=True)}
    plain = {(a, b): s for a, b, s in zip(one, other, scores, strict=True)}
    for at, (a, b) in enumerate(zip(one, other, strict=True)):
        expected = plain.get((b, a), plain[a, b])
        assert matched[at] == pytest.approx(expected, abs=1e-6) and frozenset((a, b)) in last


@pytest.mark.parametrize(
    "text", ["", "a b c", "c00001 c00002", "c00001 c00002 yes\nc00003 c00004 no", "x y 0.3\nz w 0.4"]
)
def test_what_holds_no_scores_is_refused(text):
    with pytest.raises(CorpusError) as caught:
        parse_scores(text, plant_corpus(), where="mine.txt")
    assert caught.value.where == "mine.txt" and "enrol test score" in caught.value.remedy
