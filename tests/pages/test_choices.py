"""Choices that stand in the address: kept, shown, and open about addresses that ask for what is not here."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.plain_maps import copy_with_maps


def page():
    import streamlit as st

    from pages.shared.choices import choose_one

    options = {"one": "The first", "two": "The second", "three": "The third"}
    st.markdown(choose_one("number", options, usual="two", noun="the number", label="Number"))


def test_the_usual_one_is_chosen_and_stands_in_the_address():
    app = AppTest.from_function(page).run()
    assert (app.markdown[0].value, app.query_params["number"]) == ("two", "two")
    app.selectbox[0].set_value("three").run()
    assert (app.markdown[0].value, app.query_params["number"]) == ("three", "three")
    app.query_params.clear()
    app.run()
    assert (app.markdown[0].value, app.query_params["number"]) == ("three", "three")


def test_an_unknown_one_is_told_until_somebody_chooses():
    app = AppTest.from_function(page)
    app.query_params["number"] = "thre*e*"
    app.run()
    app.run()
    assert app.markdown[0].value == "two"
    assert app.query_params["number"] == "thre*e*"
    assert r"asks for the number **thre\*e\***" in app.warning[0].value
    assert "The second" in app.warning[0].value
    assert app.button[0].label == "Open three"
    app.button[0].click().run()
    assert (app.markdown[0].value, app.query_params["number"]) == ("three", "three")
    assert not app.warning


@pytest.mark.parametrize(
    ("page", "query", "said", "near"),
    [
        ("latents", {"latent": "9999"}, "the latent **9999**", ["63"]),
        ("latents", {"latent": "-1"}, "the latent **\u2060-1**", []),
        ("latents", {"latent": "x" * 400}, "the latent **xxx", []),
        ("latents", {"latent": "٣"}, "the latent **٣**", []),
        ("overview", {"sae": "../../etc"}, "the SAE **../../etc**", []),
        (
            "match",
            {"sae": "synthetic-topk-64-k9"},
            "the SAE **synthetic-topk-64-k9**",
            ["synthetic-topk-64-k8-s1"],
        ),
        ("clips", {"clip": "clip-00000420"}, "the clip **clip-00000420**", ["clip-0000420"]),
        ("probe", {"clip": "nosuch"}, "the clip **nosuch**", []),
        ("sweep", {"value": "language=xx"}, "the attribute value **language=xx**", ["language=uk"]),
        ("steering", {"among": "kind=shout"}, "clips of **kind=shout**", ["kind=speech"]),
        ("build", {"job": "nosuch"}, "the build **nosuch**", []),
        ("match", {"a": "clip-00000420"}, "the clip **clip-00000420**", ["clip-0000420"]),
        ("match", {"latent": "9999"}, "the latent **9999**", ["63"]),
        (
            "movement",
            {"from": "synthetic-topk-64-k9"},
            "the SAE **synthetic-topk-64-k9**",
            ["synthetic-topk-64-k8-s1"],
        ),
    ],
)
def test_every_page_tells_what_is_not_here(app_test, small_workspace, page, query, said, near):
    app = app_test(small_workspace, page, **query).run()
    assert not app.exception
    told = [warning.value for warning in app.warning]
    assert any(said in words for words in told), told
    offered = [button.label.replace("\\", "") for button in app.button if button.label.startswith("Open ")]
    assert offered[: len(near)] == [f"Open {name}" for name in near]
    assert bool(offered) == bool(near)
    name, wanted = next(iter(query.items()))
    assert app.query_params[name] == wanted


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("latents", {"evidence": "nosuch"}),
        ("clips", {"is_language": "nosuch"}),
        ("sweep", {"measure": "nosuch"}),
        ("verification", {"seed": "nosuch"}),
    ],
)
def test_an_option_that_no_choice_has_is_told_once(app_test, small_workspace, page, query):
    app = app_test(small_workspace, page, **query).run()
    assert [toast.value.split("**")[1] for toast in app.toast] == ["nosuch"]
    app.run()
    assert not app.toast


def test_options_that_are_there_are_not_told(app_test, small_workspace):
    query = {
        "evidence": "Seen speakers",
        "order": "Number",
        "starred": "true",
        "f1": "0.5",
        "q": "a",
        "clip": "x",
    }
    app = app_test(small_workspace, "latents", **query).run()
    assert [toast.value for toast in app.toast] == []


def test_a_steering_that_is_not_here_is_told(app_test, small_workspace):
    app = app_test(small_workspace, "steering", steer="nosuch:1").run()
    assert "asks to steer **nosuch:1**" in app.warning[0].value.replace("\\", "").replace("\u2060", "")
    assert not app.run().warning


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"colour": "nosuch"}, "the colouring **nosuch**"),
        ({"map": "nosuch"}, "the map **nosuch**"),
        ({"map": "directions", "latent": "9999"}, "the latent **9999**"),
        ({"clip": "nosuch"}, "the clip **nosuch**"),
    ],
)
def test_the_map_tells_what_is_not_on_it(app_test, small_workspace, tmp_path_factory, query, said):
    folder = copy_with_maps(small_workspace, tmp_path_factory.mktemp("maps"))
    app = app_test(folder, "map", **query).run()
    assert not app.exception
    assert any(said in warning.value for warning in app.warning)


def test_the_offered_latent_opens(app_test, small_workspace):
    app = app_test(small_workspace, "latents", latent="9999").run()
    assert app.header[0].value.startswith(f"Latent #{app.dataframe[0].value['latent'].iloc[0]}")
    next(button for button in app.button if button.label == "Open 63").click().run()
    assert app.header[0].value.startswith("Latent #63")
    assert app.query_params["latent"] == "63"
    assert not app.warning
