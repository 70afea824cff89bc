"""The Match page on the small workspace: it draws what the core says, and any two clips of the app lead to it."""

import json

import numpy as np
import pytest

from tests.sealing import reseal


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def threshold(view):
    from sae_core.analysis.trial_sets import draw_trials, usual_among

    return draw_trials(view, among=usual_among(view.workspace.corpus)).threshold("equal errors")


def clip(view, row):
    return str(view.workspace.corpus.table["clip_id"].iloc[row])


def open_match(app_test, folder, view, rows, **query):
    first, second = (clip(view, row) for row in rows)
    return app_test(folder, "match", sae=view.name, a=first, b=second, **query).run()


def bars(app):
    """Widths of the waterfall's bars, the score last."""
    figure = json.loads(next(chart.proto.spec for chart in app.get("plotly_chart") if chart.proto.spec))
    widths = figure["data"][0]["x"]
    if isinstance(widths, dict):
        import base64

        widths = np.frombuffer(base64.b64decode(widths["bdata"]), dtype=widths["dtype"])
    return [float(width) for width in widths]


def a_pair(view, threshold, *, accepted):
    """Two clips of one voice whose decision a few latents turn."""
    from sae_core.analysis.match import explain_match

    voices = view.workspace.corpus.speaker_groups
    for row in range(0, len(voices), 7):
        for other in np.flatnonzero(voices == voices[row])[:3]:
            match = explain_match(view, row, int(other))
            if (match.score >= threshold) == accepted and row != other and match.flips_together(threshold):
                return (row, int(other)), match
    raise AssertionError("no such pair is planted")


def test_it_opens_on_a_pair_worth_hearing(app_test, small_workspace, view, drawn, words):
    from sae_core.analysis.match import opening_pair
    from sae_core.analysis.trial_sets import draw_trials, usual_among

    app = app_test(small_workspace, "match").run()
    assert not app.exception and "went wrong" not in words(app)
    first, second = (drawn(app, f"pair_card_{side}")["clips"][0]["opens"] for side in "ab")
    assert (first, second) == opening_pair(view, draw_trials(view, among=usual_among(view.workspace.corpus)))
    assert ":orange-badge[false acceptance]" in words(app)
    assert (app.query_params["a"], app.query_params["b"]) == (clip(view, first), clip(view, second))


def test_the_bars_sum_to_the_score_of_the_core(app_test, small_workspace, view, threshold):
    from sae_core.analysis.match import explain_match

    app = open_match(app_test, small_workspace, view, (3, 103))
    match, shown = explain_match(view, 3, 103), {metric.label: metric.value for metric in app.metric}
    *parts, score = bars(app)
    assert sum(parts) == pytest.approx(score, abs=1e-6) and score == pytest.approx(match.score, abs=1e-6)
    assert shown["Score"] == f"{match.score:.3f}" and shown["Threshold"] == f"{threshold:.3f}"
    assert float(shown["Residual"].replace("−", "-")) == pytest.approx(match.parts["error"], abs=6e-4)
    table = app.dataframe[-1].value
    expected = match.latent_table[match.latent_table["active_on"] == "both"]
    np.testing.assert_allclose(table["contribution"], expected["contribution"])
    np.testing.assert_allclose(table["without"], expected["without"])


@pytest.mark.parametrize("accepted", [True, False])
def test_taking_latents_out_says_whether_the_decision_flips(
    app_test, small_workspace, view, threshold, words, accepted
):
    rows, match = a_pair(view, threshold, accepted=accepted)
    app = open_match(app_test, small_workspace, view, rows)
    said = words(app)
    assert ("Accepted" if accepted else "Rejected") in said
    assert (":green-badge[correct acceptance]" if accepted else ":orange-badge[false rejection]") in said
    app.button(key="match_turn").click().run()
    out = match.flips_together(threshold)
    assert app.query_params["out"] == ",".join(
        str(latent) for latent in match.latent_table["latent"] if latent in out
    )
    said = words(app)
    assert "the decision flips" in said and f"{match.score_without(out):.3f}" in said
    app.multiselect(key="match_out").set_value([]).run()
    assert "out" not in app.query_params
    alone = match.flips_alone(threshold)
    assert ("any one of these flips the decision" in words(app)) == bool(alone)


def test_the_chosen_latent_sounds_in_both_clips_and_at_its_strongest(app_test, small_workspace, view, drawn):
    from sae_core.analysis.match import explain_match

    latent = int(explain_match(view, 3, 103).latents[-1])
    app = open_match(app_test, small_workspace, view, (3, 103), latent=str(latent), match_shown="All")
    cards = drawn(app, "match_sounds")["clips"]
    assert [card["opens"] for card in cards[:2]] == [3, 103]
    strongest = [row for row in view.examples(latent, n=6).strongest.rows.tolist() if row not in (3, 103)]
    assert [card["opens"] for card in cards[2:]] == strongest[:4]
    assert drawn(app, "match_sounds")["label"].startswith(f"#{latent}")


def test_partners_and_swap_choose_other_clips(app_test, small_workspace, view):
    from sae_core.analysis.match import hardest_partners

    app = open_match(app_test, small_workspace, view, (3, 103))
    for kind, row in hardest_partners(view, 3).items():
        app.button(key=f"partner_{kind}").click().run()
        assert app.query_params["b"] == clip(view, row)
    app.button(key="swap").click().run()
    assert (app.query_params["a"], app.query_params["b"]) == (clip(view, row), clip(view, 3))


def test_the_same_clip_twice_scores_one(app_test, small_workspace, view, words):
    app = open_match(app_test, small_workspace, view, (5, 5))
    assert {metric.label: metric.value for metric in app.metric}["Score"] == "1.000"
    assert "No single latent flips the decision" in words(app)


def test_an_unknown_clip_is_told_and_another_stands_in(app_test, small_workspace, view):
    app = app_test(small_workspace, "match", a="no such clip", b=clip(view, 9)).run()
    assert "no such clip" in app.warning[0].value
    assert app.query_params["b"] == clip(view, 9) and app.query_params["a"] == "no such clip"


def test_clips_lead_to_a_match_with_a_partner_of_their_own(app_test, small_workspace, view, drawn):
    app = app_test(small_workspace, "clips", clip=clip(view, 42)).run()
    nearest = drawn(app, "nearest_clips")
    assert (nearest["kept"], nearest["is_fixed"]) == (clip(view, 42), True)
    assert all(card["clip"] for card in nearest["clips"])
    app.button(key="compare_clip").click().run()
    assert app.title[0].value == "Match" and app.query_params["a"] == clip(view, 42)


@pytest.fixture
def broken_view(own_workspace, view):
    """A workspace whose clips 3 and 4 could not be embedded, judged by a table alone."""
    import pandas as pd

    from sae_core.files.artifacts import read_table, write_table

    file = own_workspace / "embeddings" / view.embeddings.name / "failures.parquet"
    lost = pd.DataFrame({"row": [3], "clip_id": [clip(view, 3)], "reason": ["it is silent"]})
    write_table(file, pd.concat([read_table(file), lost], ignore_index=True).astype({"row": "int64"}))
    vectors = np.load(file.with_name("vectors.npy"))
    vectors[3] = 0
    np.save(file.with_name("vectors.npy"), vectors)
    reseal(file.with_name("meta.json"))
    return own_workspace


def test_a_clip_without_an_embedding_is_told_with_its_reason(app_test, broken_view, view):
    app = open_match(app_test, broken_view, view, (3, 103))
    assert not app.exception and not app.metric
    assert clip(view, 3) in app.info[0].value and "it is silent" in app.info[0].value


def test_music_is_no_verification_trial_and_gets_no_verdict(app_test, small_workspace, view, words):
    corpus = view.workspace.corpus
    music = np.flatnonzero(corpus.has_value("kind", "music"))
    others = music[corpus.speaker_groups[music] != corpus.speaker_groups[music[0]]]
    said = words(open_match(app_test, small_workspace, view, (int(music[0]), int(others[0]))))
    assert "no verification trial" in said and "music" in said
    assert "badge[false" not in said and "badge[correct" not in said
    everyone = open_match(app_test, small_workspace, view, (int(music[0]), int(others[0])), among="all")
    assert "no verification trial" not in words(everyone)


def test_partners_of_speech_are_speech(view):
    from pages.parts.match.choice import _partners

    corpus = view.workspace.corpus
    is_speech = corpus.has_value("kind", "speech")
    for row in (*np.flatnonzero(is_speech)[:20], *np.flatnonzero(~is_speech)[:3]):
        for partner in _partners(view, int(row)).values():
            assert is_speech[partner] or not is_speech[row]


def test_columns_of_the_search_have_names_for_people(app_test, small_workspace, view):
    from pages.parts.match.choice import _columns_of
    from pages.shared import tables

    columns = _columns_of(tables.clip_rows(view.workspace))
    assert columns[:3] == ["clip_id", "language", "gender"]
    assert set(columns) == set(tables.clip_rows(view.workspace))
