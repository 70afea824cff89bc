"""Erasure on a small workspace: points of the curve against embeddings steered and probed anew."""

from unittest.mock import Mock

import numpy as np
import pytest

import sae_core as vox
from sae_core.analysis.erasure import (
    CURVE_COLUMNS,
    EVERY_LATENT,
    LEACE,
    erasure_curve,
    measure_cost,
    measure_leftover,
    steered_vectors,
)
from sae_core.analysis.trial_sets import draw_trials, usual_among
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.errors import CorpusError
from sae_core.measures.attributes import attribute_targets
from sae_core.measures.erasure import fit_linear_probe, judge_probe
from sae_core.measures.steering import Change
from sae_core.measures.verification import equal_error_rate, verify
from sae_core.sae.codes import SparseCodes
from sae_core.sae.decoder import Decoder
from sae_core.sae.feature_index import FeatureIndex
from sae_core.workspace.workspace import SaeView, Workspace
from tests.planting import plant_corpus

VALUE = ("gender", "female")


@pytest.fixture(scope="module")
def view(small_workspace):
    return vox.open_sae(small_workspace)


@pytest.fixture(scope="module")
def trials(view):
    return draw_trials(view, n_trials=2_000)


@pytest.fixture(scope="module")
def curve(view, trials):
    return erasure_curve(view, VALUE, trials, n_steps=6)


def test_each_point_is_a_steering_probed_anew(view, trials, curve):
    corpus = view.workspace.corpus
    target = next(
        t for t in attribute_targets(corpus, view.embeddings.is_valid) if (t.attribute, t.value) == VALUE
    )
    fitted = np.flatnonzero((corpus.table["split"] == "train").to_numpy() & corpus.is_known("gender"))
    reported = np.flatnonzero(target.is_reported)
    for method in ("most telling", "greedy", "random"):
        assert len(curve.orders[method]) == len(set(curve.orders[method])) == 6
        for n_latents in (0, 3, 6):
            point = curve.points.query("method == @method and n_latents == @n_latents").iloc[0]
            vectors = steered_vectors(view, curve.changes(method, n_latents))
            probe = fit_linear_probe(vectors[fitted], target.is_positive[fitted])
            found = judge_probe(
                probe.scores(vectors[reported]), target.is_positive[reported], corpus.speaker_groups[reported]
            )
            assert point["balanced_accuracy"] == pytest.approx(found.balanced_accuracy, abs=0.01)
            cost = measure_cost(trials, vectors[trials.rows])
            assert point["eer"] == pytest.approx(cost.after.eer, abs=1e-3)
            assert point["eer_change"] == pytest.approx(point["eer"] - trials.verified.eer)
    assert set(curve.points.columns) == set(CURVE_COLUMNS)


def planted_view():
    """An SAE of 24 latents of which the first three follow the speaker's gender, and nothing else does."""
    corpus = plant_corpus(900, 90, gender=lambda number: ("female", "male")[number // 2 % 2])
    is_female, rng = corpus.has_value("gender", "female"), np.random.default_rng(0)
    dense = rng.random((900, 24)) * (rng.random((900, 24)) < 0.3)
    dense[:, :3] = rng.random((900, 3)) * is_female[:, None] + 0.05
    steps = (rng.normal(size=(24, 32)) / 4).astype(np.float32)
    identity = rng.normal(size=(90, 32))[np.arange(900) % 90]
    vectors = dense @ steps + 0.3 * identity + 0.1 * rng.normal(size=(900, 32))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    latents = np.argsort(-dense, axis=1).astype(np.int32)
    activations = np.take_along_axis(dense / norms, latents, axis=1).astype(np.float32)
    view = Mock(spec=SaeView, n_latents=24)
    view.embeddings = Embeddings.make(vectors, embedder="planted", revision="1", sample_rate_hz=16_000)
    view.codes = SparseCodes(latents, activations, 24)
    view.index = FeatureIndex.build(view.codes)
    view.decoder = lambda: Decoder(steps, np.zeros(32, np.float32))
    view.workspace = Mock(spec=Workspace, corpus=corpus)
    view.workspace.kept = lambda *_, **__: np.full(900, -1)
    return view


def test_the_latents_of_a_value_are_found_and_without_them_it_is_gone():
    view = planted_view()
    found = erasure_curve(view, VALUE, draw_trials(view, n_trials=1_000), n_steps=4)
    points = found.points.set_index(["method", "n_latents"])["balanced_accuracy"]
    assert points["random", 0] > 0.9
    assert set(found.orders["most telling"][:3]) == {0, 1, 2}
    for method in ("greedy", "most telling"):
        assert points[method, 3] < 0.7 and points["random", 3] > 0.85
        assert found.fewest(method) == 3
    assert points[LEACE].iloc[0] < points["random", 0] - 0.05
    assert "Without 3 latents" in found.sentence()


def test_the_finding_in_one_sentence(curve):
    from dataclasses import replace

    def told(*low, rest=False):
        points = curve.points.copy()
        greedy = points["method"] == "greedy"
        points["is_at_chance"] = points["method"].eq(EVERY_LATENT) & rest
        points.loc[greedy, "is_at_chance"] = list(low)
        return replace(curve, points=points)

    falls = told(False, False, True, False, True, True, True)
    assert falls.fewest() == 4 and falls.sentence().startswith("Without 4 latents")
    assert told(*[False] * 5, True, True).fewest() == 5
    never = told(*[False] * 7, rest=False)
    assert never.fewest() is None and "reconstruction error" in never.sentence()
    assert "other latents" in told(*[False] * 7, rest=True).sentence()
    assert told(*[True] * 7).fewest() == 0


def test_what_is_left_and_what_it_costs(view, trials):
    latent = int(view.latents["n_active"].idxmax())
    changes = [Change(latent, "ablate")]
    found = measure_leftover(view, changes, trials, erased=[VALUE])
    table = found.table
    assert table["probe"].tolist()[:2] == ["linear", "non-linear"]
    assert (table["value"][:2] == "female").all() and table["is_erased"].sum() == 2
    assert np.allclose(table["change"], table["after"] - table["before"])
    assert ((table["after_low"] <= table["after"]) & (table["after"] <= table["after_high"])).all()
    assert not (table["is_hurt"] & (table["change_high"] >= 0)).any()
    outcome = vox.measure_steering(view, changes)
    usual = draw_trials(view, among=usual_among(view.workspace.corpus))
    cost = measure_cost(usual, steered_vectors(view, changes)[usual.rows])
    assert cost.after.eer == pytest.approx(outcome.after.eer, abs=1e-4)
    for name in ("eer", "min_dcf", "cllr"):
        figures = getattr(found.cost, name)
        assert figures["change"][0] == pytest.approx(figures["after"][0] - figures["before"][0])
        assert figures["change"][1] <= figures["change"][0] <= figures["change"][2]
    assert found.cost.cllr_kept >= found.cost.cllr["after"][0] - 1e-9


def test_draws_of_the_least_cost_agree_with_the_trials_drawn(trials):
    from sae_core.measures.verification import min_dcf_draws

    ones = type(trials.draws)(np.ones((1, trials.draws.draws.shape[1])), trials.draws.one, trials.draws.other)
    found = min_dcf_draws(trials.scores, trials.trials.is_target, ones, prior=0.05)
    assert found[0] == pytest.approx(
        verify(trials.scores, trials.trials, trials.speaker_groups).min_dcf[0.05]
    )
    assert equal_error_rate(trials.scores, trials.trials.is_target) == trials.verified.eer


def test_a_value_without_evidence_is_refused(view, trials):
    with pytest.raises(CorpusError, match="too few unseen speakers"):
        erasure_curve(view, ("gender", "none"), trials)
