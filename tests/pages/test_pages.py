"""Every page on the small workspace: what it draws is what the core says, and links open exactly one view."""

import numpy as np
import pytest


@pytest.fixture
def view(small_workspace):
    """The default SAE of the small workspace, opened beside the app."""
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.mark.parametrize(
    ("page", "title"),
    [(None, "Hear what a speaker embedding encodes"), ("latents", "Latents"), ("clips", "Clips")],
)
def test_every_page_renders(app_test, small_workspace, words, page, title):
    app = app_test(small_workspace, page).run()
    assert not app.exception
    assert [element.value for element in app.title] == [title]
    assert "went wrong" not in words(app)
    assert "is missing" not in words(app)


def test_overview_draws_the_method_from_a_real_clip(app_test, small_workspace, view, drawn):
    app = app_test(small_workspace).run()
    example, figure = view.method_example(), drawn(app, "method_figure")
    np.testing.assert_allclose(figure["embedding"], example.embedding, atol=1e-4)
    np.testing.assert_allclose(figure["reconstruction"], example.reconstruction, atol=1e-4)
    assert [stem["latent"] for stem in figure["stems"]] == example.latents.tolist()
    card = drawn(app, "method_clip")["clips"][0]
    assert card["opens"] == example.row
    assert "/media/" in card["url"]


def test_overview_counts_the_corpus(app_test, small_workspace, view):
    app = app_test(small_workspace).run()
    shown = {metric.label: metric.value for metric in app.metric}
    summary = view.workspace.summary()
    assert (shown["Clips"], shown["Speakers"]) == (f"{summary.n_clips:,}", f"{summary.n_speakers:,}")
    assert (
        shown["Variance explained, held-out"]
        == f"{100 * view.metrics['held-out']['explained_variance']:.1f} %"
    )
    grid = app.dataframe[0].value
    assert grid["Clips"].sum() == summary.n_clips


def test_overview_plays_the_strongest_clip_of_five_latents(app_test, small_workspace, view, drawn):
    from sae_core.analysis.first_value import first_value

    cards = drawn(app_test(small_workspace).run(), "striking")["clips"]
    opens = [card["opens"] for card in cards]
    assert len(opens) == 5 and opens[0] == view.striking_latents(1)[0]
    table = view.predominant_latents().set_index(["attribute", "value"])
    value = first_value(view)
    assert not table.loc[value, "is_confirmed"] or table.loc[value, "latent"] in opens
    assert all(f"latent={card['opens']}" in card["href"] for card in cards)
    assert all(card["url"] and len(card["mel"]) > 0 and not card["problem"] for card in cards)


def test_a_link_opens_exactly_one_latent(app_test, small_workspace, view, drawn):
    other = view.workspace.sae_names()[1]
    app = app_test(small_workspace, "latents", sae=other, latent="13").run()
    assert app.header[0].value.startswith("Latent #13")
    assert app.selectbox(key="sae_choice").value == other
    assert (app.query_params["sae"], app.query_params["latent"]) == (other, "13")
    examples = view.workspace.sae(other).examples(13)
    for group in ("strongest", "middle", "near_threshold", "hard_negatives"):
        opened = [card["opens"] for card in drawn(app, f"clips_{group}")["clips"]]
        assert opened == getattr(examples, group).rows.tolist()
    chosen = app.session_state["latents_table"]["selection"]["rows"]
    assert app.dataframe[0].value["latent"].iloc[chosen[0]] == 13


def test_a_link_carries_the_filters(app_test, small_workspace):
    app = app_test(small_workspace, "latents", latent="5", f1="0.2", order="Number", sure="true").run()
    shown = app.dataframe[0].value
    assert app.slider(key="f1").value == 0.2
    assert shown["latent"].is_monotonic_increasing
    assert (shown["f1"] >= 0.2).all()
    assert (shown["warning"] == "").all()
    assert app.header[0].value.startswith("Latent #5")


def test_the_table_holds_what_the_core_measured(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents").run()
    shown = app.dataframe[0].value.set_index("latent").sort_index()
    np.testing.assert_allclose(shown["f1"], view.latents["best_f1"])
    np.testing.assert_array_equal(shown["n_speakers"], view.latents["n_speakers"])
    np.testing.assert_allclose(shown["fires_on_percent"], 100 * view.latents["firing_rate"])


def test_where_new_voices_tell_nothing_the_table_opens_on_the_same_voices(
    app_test, small_workspace, view, monkeypatch
):
    from sae_core.workspace.workspace import SaeView

    none = view.latents.assign(**{name: np.nan for name in view.latents if name.startswith("best_")})
    none = none.assign(is_named=False, best_value=None, best_attribute=None)
    monkeypatch.setattr(
        SaeView, "latents", property(lambda self: none, lambda self, table: None), raising=False
    )
    app = app_test(small_workspace, "latents").run()
    assert not app.exception
    shown = app.dataframe[0].value.set_index("latent").sort_index()
    np.testing.assert_allclose(shown["f1"], view.latents["seen_f1"])


def test_new_and_same_voices_are_shown_apart(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents").run()
    app.get("button_group")[0].set_value("seen speakers").run()
    shown = app.dataframe[0].value.set_index("latent").sort_index()
    np.testing.assert_allclose(shown["f1"], view.latents["seen_f1"])


def test_search_narrows_the_table_and_steps_follow_it(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents").run()
    word = str(view.latents["best_value"].dropna().iloc[0])
    app.text_input(key="q").set_value(word.upper()).run()
    shown = app.dataframe[0].value
    assert 0 < len(shown) < view.n_latents
    numbers = shown["latent"].tolist()
    app.query_params["latent"] = str(numbers[0])
    app.run()
    app.button(key="step_next_of_latents_table").click().run()
    assert app.query_params["latent"] == str(numbers[1])
    app.button(key="step_previous_of_latents_table").click().run()
    app.button(key="step_previous_of_latents_table").click().run()
    assert app.query_params["latent"] == str(numbers[-1])
    app.button(key="latent_random").click().run()
    assert int(app.query_params["latent"]) in numbers


def test_a_search_without_hits_leaves_the_chosen_latent(app_test, small_workspace):
    app = app_test(small_workspace, "latents", latent="3").run()
    app.text_input(key="q").set_value("no such word").run()
    assert not app.dataframe
    assert any("No latent passes" in info.value for info in app.info)
    assert app.header[0].value.startswith("Latent #3")


def test_a_search_that_hides_the_chosen_latent_opens_the_first_hit(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents", latent="3").run()
    app.text_input(key="q").set_value("#60").run()
    shown = app.dataframe[0].value["latent"].tolist()
    assert 3 not in shown
    assert app.header[0].value.startswith(f"Latent #{shown[0]}")
    assert app.query_params["latent"] == str(shown[0])
    assert app.session_state["latents_table"]["selection"]["rows"] == [0]


def test_near_latents_are_those_of_the_core(app_test, small_workspace, view, drawn):
    app = app_test(small_workspace, "latents", latent="7").run()
    near, together = view.similar_latents(7), view.coactive_latents(7)
    assert [bar["opens"] for bar in drawn(app, "near_by_cosine")["bars"]] == near["latent"].tolist()
    assert [bar["opens"] for bar in drawn(app, "near_by_jaccard")["bars"]] == together["latent"].tolist()


def test_who_fires_it_stands_against_the_base_rate(app_test, small_workspace, view, drawn):
    bars = drawn(app_test(small_workspace, "latents", latent="7").run(), "shares")["bars"]
    shares = view.shares(7)
    excess = (shares["share"] - shares["base_rate"]).sort_values(ascending=False)
    np.testing.assert_allclose([bar["filled"] - bar["marker"] for bar in bars], excess.head(len(bars)))


def test_a_link_opens_exactly_one_clip(app_test, small_workspace, view, drawn):
    clip_id = view.workspace.corpus.table["clip_id"].iloc[42]
    app = app_test(small_workspace, "clips", clip=clip_id).run()
    assert drawn(app, "chosen_clip")["clips"][0]["title"] == clip_id
    latents, activations = view.codes.active(42)
    bars = drawn(app, "active_latents")["bars"]
    assert [bar["opens"] for bar in bars] == latents.tolist()
    assert [bar["value_text"] for bar in bars] == [f"{value:.2f}" for value in activations]
    nearest = [card["opens"] for card in drawn(app, "nearest_clips")["clips"]]
    assert nearest == view.nearest_clips(42, n=12)["row"].tolist()


def test_clips_are_found_by_any_column(app_test, small_workspace, view, drawn):
    app = app_test(small_workspace, "clips").run()
    table = view.workspace.corpus.table
    speaker = str(table["speaker_id"].iloc[10])
    app.text_input(key="find").set_value(speaker).run()
    shown = app.dataframe[0].value
    assert set(shown["speaker_id"]) == {speaker}
    assert len(shown) == (table["speaker_id"] == speaker).sum()
    app.text_input(key="find").set_value("").run()
    app.multiselect(key="is_split").set_value(["held-out"]).run()
    assert len(app.dataframe[0].value) == (table["split"] == "held-out").sum()


def test_choosing_another_sae_keeps_the_page(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents").run()
    other = view.workspace.sae_names()[1]
    app.selectbox(key="sae_choice").set_value(other).run()
    assert app.query_params["sae"] == other
    assert not app.exception
