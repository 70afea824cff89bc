"""The Verification page on the small workspace: forms, groups and latents as the core has them."""

import numpy as np
import pandas as pd
import pytest

from sae_core.measures.steering import Change


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def trial_set(view):
    from sae_core.analysis.trial_sets import draw_trials, usual_among

    return draw_trials(view, among=usual_among(view.workspace.corpus))


def table(app, column):
    """The table on the page that has this column."""
    return next(element.value for element in app.dataframe if column in element.value)


def test_three_forms_are_compared_without_steering(app_test, small_workspace, view, trial_set, words):
    from sae_core.analysis.verification_forms import compare_forms

    app = app_test(small_workspace, "verification").run()
    assert not app.exception and "went wrong" not in words(app)
    forms = table(app, "min_dcf_0.01")
    results = compare_forms(view, trial_set).results
    assert forms["form"].tolist() == list(results) == ["embedding", "reconstruction", "sparse codes"]
    assert forms["eer"].tolist() == pytest.approx([100 * result.eer for result in results.values()])
    assert "none of these speakers" in words(app)


def test_what_is_steered_stands_beside_them(app_test, small_workspace, view, trial_set):
    from sae_core.analysis.steering_experiment import SteeringExperiment
    from sae_core.analysis.verification_forms import compare_forms

    text = f"{view.name}:3=4"
    app = app_test(small_workspace, "verification", steer=text, who="no=body").run()
    assert app.query_params["who"] == "all"
    forms = table(app, "min_dcf_0.01").set_index("form")
    experiment = SteeringExperiment(view, trial_set, [3])
    expected = compare_forms(view, trial_set, experiment=experiment, changes=[Change(3, "set", 4.0)])
    assert forms["eer"]["steered"] == pytest.approx(100 * expected.results["steered"].eer)
    assert app.query_params["steer"] == text


def test_groups_have_error_rates_with_intervals(app_test, small_workspace, view, trial_set, words):
    from sae_core.analysis.verification_forms import compare_forms

    app = app_test(small_workspace, "verification").run()
    shown = table(app, "is_few")
    expected = compare_forms(view, trial_set).by_value
    said = dict(zip(expected["value"], shown["value"], strict=True))
    assert said["es"] == "Spanish" and said["female"] == "female"
    for rate in ("eer", "frr", "far", "frr_low", "far_high"):
        np.testing.assert_allclose(
            shown[rate].astype(float), 100 * expected[rate].astype(float), equal_nan=True
        )
    app.segmented_control(key="measure").set_value("false rejections").run()
    assert not app.exception
    assert "rejected at the global threshold" in words(app)


def test_latents_are_ranked_and_a_row_opens_its_latent(app_test, small_workspace, view, trial_set):
    from sae_core.analysis.verification_forms import rank_latents

    app = app_test(small_workspace, "verification").run()
    expected = rank_latents(view, trial_set)
    shown = table(app, "eer_change")
    assert shown["eer_change"].tolist() == pytest.approx((100 * expected["eer_change"]).tolist())
    app.selectbox(key="identity_order").set_value("highest between-speaker fraction").run()
    assert table(app, "eer_change")["speaker_fraction"].is_monotonic_decreasing
    by_voice = expected.sort_values("speaker_fraction", ascending=False, kind="stable")["latent"].tolist()
    app.session_state["identity_table"] = {"selection": {"rows": [2], "columns": [], "cells": []}}
    app.run()
    assert not app.exception
    assert app.header[0].value.startswith(f"Latent #{by_voice[2]}")


def test_another_draw_and_other_clips_are_other_trials(app_test, small_workspace, words):
    app = app_test(small_workspace, "verification", among="gender=female").run()
    assert app.selectbox(key="among_choice").value == "gender=female"
    first = table(app, "min_dcf_0.01")["eer"].tolist()
    app.number_input(key="seed").set_value(1).run()
    assert table(app, "min_dcf_0.01")["eer"].tolist() != first


def test_a_list_of_ones_own_is_asked_instead(app_test, small_workspace, view, trial_set, words):
    names = view.workspace.corpus.table["clip_id"]
    pairs = trial_set.clip_trials
    lines = [
        f"{int(is_target)} {names[one]} {names[other]}"
        for one, other, is_target in zip(pairs.enrol_rows, pairs.test_rows, pairs.is_target, strict=True)
    ]
    app = app_test(small_workspace, "verification").run()
    content = "\n".join(lines).encode()
    app.file_uploader(key="trial_list").set_value(("mine.txt", content, "text/plain")).run()
    assert not app.exception
    assert "from your list" in words(app)
    assert table(app, "min_dcf_0.01")["eer"][0] == pytest.approx(100 * trial_set.verified.eer)
    broken = ("mine.txt", b"1 nobody noone", "text/plain")
    app.file_uploader(key="trial_list").set_value(broken).run()
    assert not app.exception
    assert "names 'nobody'" in words(app)


def test_a_list_that_came_with_the_corpus_is_offered_and_stays_in_the_address(app_test, own_workspace, words):
    from sae_core.analysis.trial_sets import draw_trials
    from sae_core.corpus.trial_lists import keep_trial_lists
    from sae_core.workspace.workspace import open_workspace

    assert not [
        box for box in app_test(own_workspace, "verification").run().selectbox if box.label == "Trials from"
    ]
    workspace = open_workspace(own_workspace)
    drawn = draw_trials(workspace.sae(workspace.sae_names()[0]))
    ids, pairs = workspace.corpus.table["clip_id"], drawn.clip_trials
    trials = pd.DataFrame(
        {
            "is_target": pairs.is_target,
            "enrol": ids.iloc[pairs.enrol_rows].to_numpy(),
            "test": ids.iloc[pairs.test_rows].to_numpy(),
        }
    )
    gone = pd.DataFrame({"is_target": [True], "enrol": [ids.iloc[0]], "test": [None]})
    keep_trial_lists(own_workspace, {"veri_test.txt": pd.concat([trials, gone])})
    app = app_test(own_workspace, "verification").run()
    app.selectbox(key="trials_choice").set_value("veri_test.txt").run()
    assert not app.exception
    assert "from veri_test.txt, which came with the corpus; 1 of its " in words(app)
    assert table(app, "min_dcf_0.01")["eer"][0] == pytest.approx(100 * drawn.verified.eer)
    assert app.query_params["trials"] == "veri_test.txt"


def test_too_few_voices_are_told_calmly(app_test, own_workspace, words):
    from sae_core.build.steps import index_workspace
    from sae_core.corpus.clips import Corpus

    corpus = Corpus.load(own_workspace)
    corpus.table["speaker_id"] = [f"alone-{row}" for row in range(len(corpus))]
    Corpus(corpus.table, corpus.audio_root, corpus.attributes).save(own_workspace)
    index_workspace(own_workspace)
    for page in ("verification", "steering"):
        app = app_test(own_workspace, page).run()
        assert not app.exception
        assert "two clips of one speaker" in words(app)


def a_list_of(view, n_speakers):
    """All pairs of the first three clips of some women, as a file."""
    corpus = view.workspace.corpus
    names, groups = corpus.table["clip_id"], corpus.speaker_groups
    found, counts = np.unique(groups[corpus.has_value("gender", "female")], return_counts=True)
    rows = [
        row for speaker in found[counts >= 3][:n_speakers] for row in np.flatnonzero(groups == speaker)[:3]
    ]
    lines = [
        f"{int(groups[one] == groups[other])} {names[one]} {names[other]}"
        for place, one in enumerate(rows)
        for other in rows[:place]
    ]
    return ("mine.txt", "\n".join(lines).encode(), "text/plain")


def test_two_speakers_give_no_interval_and_no_claim(app_test, small_workspace, view, words):
    app = app_test(small_workspace, "verification").run()
    assert "too few for intervals" not in words(app)
    assert "–" not in set(table(app, "min_dcf_0.01")["eer_interval"])
    app.file_uploader(key="trial_list").set_value(a_list_of(view, 2)).run()
    assert not app.exception
    forms = table(app, "min_dcf_0.01")
    assert set(forms["eer_interval"]) == {"–"} and not forms["change"].str.contains("…").any()
    assert "Only 2 speakers with target trials" in words(app)
    assert "nothing is claimed" in words(app)


def test_a_list_of_ones_own_takes_the_place_of_what_draws_trials(app_test, small_workspace, view, words):
    app = app_test(small_workspace, "verification").run()
    assert [box.key for box in app.number_input] == ["seed"]
    app.file_uploader(key="trial_list").set_value(a_list_of(view, 6)).run()
    assert not app.exception and not app.number_input
    assert "among_choice" not in [box.key for box in app.selectbox]
    assert "Trials from **mine" in words(app)


@pytest.mark.parametrize(("former", "rate"), [("misses", "frr"), ("false alarms", "far")])
def test_bars_are_intervals_for_every_measure_also_by_its_former_name(
    app_test, small_workspace, view, trial_set, former, rate
):
    import json

    from pages.parts.verification.charts import group_figure
    from sae_core.analysis.verification_forms import compare_forms

    app = app_test(small_workspace, "verification", measure=former).run()
    assert not app.exception and app.segmented_control(key="measure").value.startswith("false ")
    figures = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart") if chart.proto.spec]
    assert next(trace for trace in figures[-1]["data"] if trace["name"] == "embedding")["error_x"]
    table = compare_forms(view, trial_set).by_value.assign(label="group")
    table = table[table["is_tested"] & (table["form"] == "embedding")]
    bars = group_figure(table, column=rate, forms=["embedding"], overall=0.1).data[0].error_x
    rates, low, high = (
        100 * table[name].astype(float).to_numpy() for name in (rate, f"{rate}_low", f"{rate}_high")
    )
    np.testing.assert_allclose(bars.array, high - rates)
    np.testing.assert_allclose(bars.arrayminus, rates - low)
    assert np.isfinite(high).any()


def test_scores_are_those_of_the_core_and_a_file_stands_beside_them(app_test, view, trial_set, words):
    from sae_core.analysis.score_comparison import compare_scores

    app = app_test(view.workspace.path, "verification", part="Scores").run()
    assert not app.exception and "went wrong" not in words(app)
    expected = compare_scores(view, trial_set)
    shown = table(app, "min_cllr")
    assert shown["cllr"].tolist() == pytest.approx(expected.table["cllr"].tolist())
    assert shown["dcf"].tolist() == pytest.approx(expected.table["actual_dcf_0.05"].tolist())
    assert "fixed on trials of **selection speakers**" in words(app)
    ids, pairs = view.workspace.corpus.table["clip_id"], trial_set.clip_trials
    lines = [
        f"{ids[one]} {ids[other]} {2 * score + 1:.6f}"
        for one, other, score in zip(pairs.enrol_rows, pairs.test_rows, trial_set.scores, strict=True)
    ]
    files = [
        ("theirs.txt", "\n".join(lines).encode(), "text/plain"),
        ("odd.txt", b"\x00\x01", "text/plain"),
    ]
    app.file_uploader(key="score_files").set_value(files).run()
    assert not app.exception and "odd" in app.warning[0].value
    theirs = table(app, "min_cllr").set_index("scores")
    assert theirs["eer"]["theirs.txt"] == pytest.approx(theirs["eer"]["embedding"], abs=1e-3)
    few = ("few.txt", "\n".join(lines[:3]).encode(), "text/plain")
    app.file_uploader(key="score_files").set_value([few]).run()
    assert "is not judged: it has scores of 3 of these" in app.warning[0].value


def test_identification_is_that_of_the_core(app_test, view, trial_set, words):
    from sae_core.analysis.score_comparison import identify_speakers

    app = app_test(view.workspace.path, "verification", part="Identification", enrol="2").run()
    vectors = np.asarray(view.embeddings.vectors)
    found = identify_speakers(view.workspace.corpus, vectors, trial_set.pool_rows, n_enrol=2)
    assert not app.exception and f"**{100 * found.closed.rank_1:.1f} %**" in words(app)
    app.number_input(key="enrol").set_value(20).run()
    assert not app.exception and "fewer than two speakers with more than 20 clips" in words(app)


def test_fairness_shows_the_groups_of_the_core_and_what_a_gap_rests_on(
    app_test, view, trial_set, words, drawn
):
    from sae_core.analysis.fairness import attribute_groups, errors_by_group, explain_gap

    app = app_test(view.workspace.path, "verification", part="Fairness", by="gender").run()
    assert not app.exception and "went wrong" not in words(app)
    groups = attribute_groups(view.workspace.corpus, ["gender"])
    expected = errors_by_group(trial_set, groups, operating_point="equal errors")
    shown = table(app, "frr_ratio")
    for rate in ("frr", "far", "eer"):
        np.testing.assert_allclose(shown[rate], 100 * expected[rate].astype(float))
    assert ((expected["eer_low"] <= expected["eer"]) & (expected["eer"] <= expected["eer_high"])).all()
    order = expected.sort_values("frr", ascending=False)["group"].tolist()
    gap = explain_gap(view, trial_set, groups, worse=order[0], better=order[-1])
    assert table(app, "helps")["gap"].tolist() == pytest.approx((100 * gap.table["gap"]).tolist())
    by_size = gap.table.iloc[np.argsort(-np.abs(gap.table["change"].to_numpy()), kind="stable")]
    assert [card["opens"] for card in drawn(app, "gap_latents")["clips"]] == by_size["latent"].tolist()[:6]
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    remedy = gap.remedy()
    assert ("Open as a steering" in links) == bool(remedy)
    app.selectbox(key="crossed_choice").set_value("language").run()
    assert not app.exception and "female, " in " ".join(table(app, "frr_ratio")["group"])
    assert app.query_params["crossed"] == "language"
