"""Explanations of matches: parts that sum to the score, ablations equal to the long way, and no favourite clip."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def plant_model(seed, *, dim=12, n_latents=20, k=4):
    """A random SAE with a centre, a scale and a bias of its own: nothing about it is orthogonal or unbiased."""
    from sae_core.sae.model import SaeConfig, SparseAutoencoder

    rng = np.random.default_rng(seed)
    config = SaeConfig(dim=dim, n_latents=n_latents, k=k, seed=seed)
    model = SparseAutoencoder.untrained(
        config, rng.normal(0, 0.3, dim).astype(np.float32), rng.uniform(0.05, 2)
    )
    model.requires_grad_(False)
    model.b_dec += np.float32(0.1) * model.W_dec[0]
    model.b_enc += 0.3
    return model


def plant_match(seed, **shape):
    from sae_core.analysis.match import MatchExplanation

    model = plant_model(seed, **shape)
    rng = np.random.default_rng([seed, 1])
    vectors = rng.normal(size=(2, model.config.dim)).astype(np.float32)
    vectors[1] += vectors[0] * np.float32(rng.uniform(-1, 2))  # from opposite to nearly the same
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) * np.float32(rng.uniform(0.5, 1.5))
    return model, vectors, MatchExplanation.of(model, vectors, model.encode(vectors))


def steered(match, factors):
    """Both embeddings with some latents multiplied, added up the long way."""
    wide = np.array([factors.get(int(latent), 1.0) - 1 for latent in match.latents])
    return match.vectors + (match.activations * wide) @ match.steps


def cosine(one, other):
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


@given(st.integers(0, 10_000), st.sampled_from([(12, 20, 4), (5, 40, 16), (30, 8, 1)]))
def test_parts_sum_to_the_score(seed, shape):
    dim, n_latents, k = shape
    model, vectors, match = plant_match(seed, dim=dim, n_latents=n_latents, k=k)
    expected = cosine(*vectors.astype(np.float64))
    assert match.score == pytest.approx(expected, abs=1e-12)
    assert match.parts.sum() == pytest.approx(expected, abs=1e-10)
    by_latent = match.latent_table["contribution"].sum()
    assert by_latent + match.parts["bias"] + match.parts["error"] == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(match.rebuilt, model.decode(model.encode(vectors)), atol=1e-5)
    assert match.rebuilt_score == pytest.approx(cosine(*match.rebuilt), abs=1e-12)


@given(st.integers(0, 10_000))
def test_parts_are_the_shares_of_all_orders_of_adding_them(seed):
    """Shapley's definition, over every order in which parts may be added to two empty clips."""
    *_, match = plant_match(seed, dim=4, n_latents=3, k=1)
    contributions = match.latent_table.set_index("latent")["contribution"]
    parts = [match.activations[:, [place]] * match.steps[place] for place in range(len(match.latents))]
    parts += [np.stack([match.bias] * 2), match.vectors - match.rebuilt]
    norms = np.linalg.norm(match.vectors, axis=1).prod()
    gained, orders = np.zeros(len(parts)), list(permutations(range(len(parts))))
    for order in orders:
        built, before = np.zeros_like(match.vectors), 0.0
        for place in order:
            built = built + parts[place]
            after = float(built[0] @ built[1]) / norms
            gained[place] += (after - before) / len(orders)
            before = after
    found = [contributions[latent] for latent in match.latents]
    np.testing.assert_allclose(gained, [*found, match.parts["bias"], match.parts["error"]], atol=1e-9)


@given(st.integers(0, 10_000), st.data())
def test_without_some_latents_the_score_is_that_of_vectors_added_up_again(seed, data):
    _, _, match = plant_match(seed)
    some = (
        data.draw(st.lists(st.sampled_from(list(match.latents)), unique=True)) if len(match.latents) else []
    )
    factors = {int(latent): data.draw(st.floats(0, 3)) for latent in some}
    assert match.score_scaled(factors) == pytest.approx(cosine(*steered(match, factors)), abs=1e-9)
    assert match.score_without([]) == pytest.approx(match.score, abs=1e-12)
    for line in match.latent_table.itertuples():
        expected = cosine(*steered(match, {line.latent: 0.0}))
        assert line.without == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000))
def test_slopes_and_contributions_are_finite_differences(seed):
    _, vectors, match = plant_match(seed)
    norms, step = np.linalg.norm(vectors.astype(np.float64), axis=1).prod(), 1e-5
    for line in match.latent_table.itertuples():
        high, low = ({line.latent: 1 + way * step} for way in (1, -1))
        slope = (match.score_scaled(high) - match.score_scaled(low)) / (2 * step)
        assert line.slope == pytest.approx(slope, abs=1e-7)
        # with the norms held still, what a contribution is half the rate of
        dots = [float(np.prod(steered(match, factors), axis=0).sum()) for factors in (high, low)]
        assert line.contribution == pytest.approx((dots[0] - dots[1]) / (4 * step * norms), abs=1e-7)


@given(st.integers(0, 10_000))
def test_it_does_not_matter_which_clip_comes_first(seed):
    from sae_core.analysis.match import MatchExplanation

    model, vectors, match = plant_match(seed)
    other = MatchExplanation.of(model, vectors[::-1].copy(), model.encode(vectors[::-1].copy()))
    swap = {"first": "second", "second": "first", "both": "both", "bias": "bias", "error": "error"}
    assert other.score == pytest.approx(match.score, abs=1e-12)
    for part, value in match.parts.items():
        assert other.parts[swap[str(part)]] == pytest.approx(value, abs=1e-9)
    one, two = (table.latent_table.set_index("latent") for table in (match, other))
    for column in ("contribution", "itself", "without", "slope"):
        np.testing.assert_allclose(two.loc[one.index, column], one[column], atol=1e-9)
    assert two.loc[one.index, "active_on"].tolist() == [swap[name] for name in one["active_on"]]


def test_a_clip_matches_itself_whatever_is_taken_out():
    from sae_core.analysis.match import MatchExplanation

    model, vectors, _ = plant_match(3)
    same = vectors[[0, 0]]
    match = MatchExplanation.of(model, same, model.encode(same))
    assert match.score == pytest.approx(1, abs=1e-12)
    assert (match.latent_table["active_on"] == "both").all()
    np.testing.assert_allclose(match.latent_table["without"], 1, atol=1e-9)
    np.testing.assert_allclose(match.latent_table["slope"], 0, atol=1e-9)
    assert match.flips_alone(0.9) == [] and match.flips_together(0.9) == []


def test_clips_that_share_no_latent_still_sum():
    from sae_core.analysis.match import MatchExplanation
    from sae_core.sae.codes import SparseCodes

    model, vectors, _ = plant_match(5)
    none = SparseCodes(np.zeros((2, 4), np.int32), np.zeros((2, 4), np.float32), 20)
    match = MatchExplanation.of(model, vectors, none)
    assert len(match.latent_table) == 0
    assert match.parts[["bias", "error"]].sum() == pytest.approx(match.score, abs=1e-10)
    latents, activations = none.latents.copy(), none.activations.copy()
    latents[:, 0], activations[:, 0] = [3, 7], 1.0
    match = MatchExplanation.of(model, vectors, SparseCodes(latents, activations, 20))
    assert match.latent_table["active_on"].tolist().count("both") == 0
    assert match.parts["both"] == 0 and match.latent_table["itself"].abs().max() == 0
    assert match.parts.sum() == pytest.approx(match.score, abs=1e-10)


def test_a_decision_flips_when_the_score_crosses_the_threshold():
    n_flips = 0
    for seed in range(30):
        _, _, match = plant_match(seed)
        for threshold in (match.score - 0.05, match.score + 0.05):
            was = match.score >= threshold
            table = match.latent_table
            expected = set(table["latent"][(table["without"] >= threshold) != was])
            assert set(match.flips_alone(threshold)) == expected
            together = match.flips_together(threshold)
            n_flips += len(together) > 1
            if together:
                assert (match.score_without(together) >= threshold) != was
                assert len(together) == 1 or (match.score_without(together[:-1]) >= threshold) == was
            assert together[:1] == match.flips_alone(threshold)[:1] or len(together) > 1 or not together
    assert n_flips  # several latents were needed somewhere


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


def test_real_pairs_score_as_trials_do_and_steering_agrees(view):
    from sae_core.analysis.match import explain_match
    from sae_core.analysis.trial_sets import draw_trials
    from sae_core.measures.steering import Change, Steering

    trial_set = draw_trials(view, n_trials=40)
    pairs = trial_set.clip_trials
    for place in range(0, len(pairs), 8):
        rows = np.array([pairs.enrol_rows[place], pairs.test_rows[place]])
        match = explain_match(view, *(int(row) for row in rows))
        assert match.score == pytest.approx(float(trial_set.scores[place]), abs=1e-6)
        assert abs(match.parts.sum() - match.score) < 1e-12
        line = match.latent_table.iloc[0]
        vectors = np.asarray(view.embeddings.vectors[rows])
        steering = Steering.prepare(
            vectors, view.decoder().steps, view.codes.take(rows), (int(line["latent"]),)
        )
        trial = type(pairs)(np.array([0]), np.array([1]), np.array([True]))
        delta = steering.deltas([Change(int(line["latent"]), "ablate")])
        after = steering.similarities(np.array([match.score], dtype=np.float32), trial, delta)
        assert line["without"] == pytest.approx(float(after[0]), abs=1e-6)


def test_a_clip_without_an_embedding_is_named(view, monkeypatch):
    from sae_core.analysis.match import explain_match
    from sae_core.files.errors import CorpusError

    is_valid = view.embeddings.is_valid.copy()
    is_valid[5] = False
    monkeypatch.setitem(view.embeddings.__dict__, "is_valid", is_valid)
    name = view.workspace.corpus.table["clip_id"].iloc[5]
    with pytest.raises(CorpusError, match=f"{name} has no embedding"):
        explain_match(view, 3, 5)


def test_hardest_partners_are_the_hard_cases_of_both_kinds(view):
    from sae_core.analysis.match import hardest_partners

    vectors, voices = np.asarray(view.embeddings.vectors), view.workspace.corpus.speaker_groups
    for row in (0, 17, 599):
        found = hardest_partners(view, row)
        cosines = vectors @ vectors[row]
        same = [other for other in range(len(voices)) if voices[other] == voices[row] and other != row]
        others = [other for other in range(len(voices)) if voices[other] != voices[row]]
        assert cosines[found["same"]] == min(cosines[same]) and found["same"] in same
        assert cosines[found["other"]] == max(cosines[others]) and found["other"] in others


def test_partners_can_be_sought_among_some_clips_only(view):
    from sae_core.analysis.match import hardest_partners

    corpus = view.workspace.corpus
    is_offered = np.arange(len(corpus)) % 2 == 1
    found = hardest_partners(view, 17, is_offered=is_offered)
    cosines = np.asarray(view.embeddings.vectors) @ view.embeddings.vectors[17]
    others = np.flatnonzero(is_offered & (corpus.speaker_groups != corpus.speaker_groups[17]))
    assert found["other"] == others[cosines[others].argmax()]
    assert hardest_partners(view, 17, is_offered=np.zeros(len(corpus), dtype=bool)) == {}


def test_the_opening_pair_is_the_clearest_wrong_decision_that_few_latents_flip(view):
    from sae_core.analysis.match import FEW_TO_FLIP, N_TRIED, explain_match, is_accepted, opening_pair
    from sae_core.analysis.trial_sets import draw_trials, usual_among

    trial_set = draw_trials(view, among=usual_among(view.workspace.corpus))
    rows, threshold = opening_pair(view, trial_set), trial_set.threshold("equal errors")
    corpus, pairs = view.workspace.corpus, trial_set.clip_trials
    assert corpus.has_value("kind", "speech")[list(rows)].all()
    assert corpus.speaker_groups[rows[0]] != corpus.speaker_groups[rows[1]]
    assert is_accepted(explain_match(view, *rows).score, threshold)
    wrong = [
        (trial_set.scores[trial], int(pairs.enrol_rows[trial]), int(pairs.test_rows[trial]))
        for trial in np.flatnonzero(~pairs.is_target)
        if trial_set.scores[trial] >= np.float32(threshold)
    ]
    falling = [pair[1:] for pair in sorted(wrong, reverse=True)]
    assert rows in falling
    n_flips = [len(explain_match(view, *pair).flips_together(threshold)) or 99 for pair in falling]
    place = falling.index(rows)
    assert 1 <= n_flips[place] <= FEW_TO_FLIP
    is_spaced = np.isin(np.arange(len(falling)), np.linspace(0, len(falling) - 1, N_TRIED).astype(int))
    clearer = [n for n, is_tried in zip(n_flips[:place], is_spaced, strict=False) if is_tried]
    assert all(n > FEW_TO_FLIP for n in clearer)


def test_without_false_acceptances_another_trial_opens(view):
    from dataclasses import replace

    from sae_core.analysis.match import opening_pair
    from sae_core.analysis.trial_sets import draw_trials

    drawn = draw_trials(view, n_trials=400)
    is_target, pairs = drawn.trials.is_target, drawn.clip_trials
    apart = np.where(is_target, 0.9, 0.1).astype(np.float32)
    hardest = int(np.flatnonzero(~is_target)[3])
    apart[hardest] = 0.5
    rows = opening_pair(view, replace(drawn, scores=apart))
    assert rows == (pairs.enrol_rows[hardest], pairs.test_rows[hardest])
