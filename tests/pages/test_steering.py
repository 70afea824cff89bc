"""The Steering page on the small workspace: it draws what the core says, and the address says what is steered."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.analysis.steering_experiment import MAX_STEERED
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


@pytest.fixture(scope="module")
def latents(view):
    return [int(latent) for latent in view.latents.sort_values("n_active", ascending=False)["latent"].head(3)]


def steered(app):
    """What the address steers: the SAE, and its changes as text."""
    return app.query_params["steer"].split(":")


def test_at_first_sight_an_attribute_value_is_off(app_test, small_workspace, view, drawn, words):
    from sae_core.analysis.first_value import first_value
    from sae_core.analysis.steering_experiment import steering_presets

    app = app_test(small_workspace, "steering").run()
    assert not app.exception and "went wrong" not in words(app)
    rows = drawn(app, "steering_desk")["rows"]
    presets = steering_presets(view)
    opening = [preset for preset in presets if (preset.attribute, preset.value) == first_value(view)]
    opened = opening[0] if opening and opening[0].is_confirmed else presets[0]
    assert opened.is_confirmed
    assert tuple(row["latent"] for row in rows) == opened.latents
    assert {row["mode"] for row in rows} == {"ablate"}
    assert steered(app) == [view.name, ",".join(str(row["latent"]) for row in rows)]
    assert "none of these speakers" in words(app)


def test_an_address_steers_exactly_what_it_says(app_test, small_workspace, view, trial_set, latents, drawn):
    from sae_core.analysis.steering_experiment import SteeringExperiment

    one, two, three = latents
    text = f"{view.name}:{one},{two}x0.5,{three}=2"
    app = app_test(small_workspace, "steering", sae=view.name, steer=text, who="gender=female").run()
    assert not app.exception
    assert app.query_params["steer"] == text
    changes = [Change(one, "ablate"), Change(two, "scale", 0.5), Change(three, "set", 2.0)]
    experiment = SteeringExperiment(view, trial_set, latents, steered=("gender", "female"))
    desk, expected = drawn(app, "steering_desk"), experiment.histograms(changes)
    assert [(row["latent"], row["mode"], row["amount"]) for row in desk["rows"]] == [
        (change.latent, change.mode, change.amount) for change in changes
    ]
    assert [group["name"] for group in desk["groups"]] == list(trial_set.groups)
    for group in desk["groups"]:
        assert group["after"] == pytest.approx(expected.groups[group["name"]].after.tolist(), abs=1e-4)
        assert group["n"] == trial_set.groups[group["name"]].sum()
    outcome = experiment.outcome(changes, operating_point="equal errors")
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["EER before"] == f"{100 * outcome.before.eer:.2f} %"
    assert shown["EER after"] == f"{100 * outcome.after.eer:.2f} %"
    assert app.dataframe[0].value["shift"].tolist() == pytest.approx(outcome.shifts["shift"].tolist())
    assert desk["threshold"] == pytest.approx(trial_set.threshold("equal errors"))


def test_choices_survive_a_change_of_page(app_test, small_workspace, view, latents, drawn):
    text = f"{view.name}:{latents[0]}=2"
    app = app_test(small_workspace, "steering", steer=text, who="gender=female").run()
    app.query_params.clear()
    app.switch_page("pages/verification.py").run()
    assert (app.query_params["steer"], app.query_params["who"]) == (text, "gender=female")
    app.query_params.clear()
    app.switch_page("pages/steering.py").run()
    assert app.query_params["steer"] == text
    assert [row["latent"] for row in drawn(app, "steering_desk")["rows"]] == [latents[0]]


@pytest.mark.parametrize("text", ["", ":::", "{name}:99999,abc,-3", "{name}:7=1e99", "{name}:7xnan"])
def test_senseless_addresses_steer_nothing_of_it(app_test, small_workspace, view, drawn, text):
    app = app_test(small_workspace, "steering", steer=text.format(name=view.name)).run()
    assert not app.exception
    assert 99999 not in [row["latent"] for row in drawn(app, "steering_desk")["rows"]]


def test_what_is_steered_in_one_sae_is_not_taken_for_another(app_test, small_workspace, view, drawn):
    other = view.workspace.sae_names()[1]
    app = app_test(small_workspace, "steering", sae=other, steer=f"{view.name}:1,2,3,4").run()
    assert steered(app)[0] == other
    assert [row["latent"] for row in drawn(app, "steering_desk")["rows"]] != [1, 2, 3, 4]


def test_presets_search_and_nothing(app_test, small_workspace, view, latents, drawn):
    from sae_core.analysis.steering_experiment import steering_presets

    app = app_test(small_workspace, "steering", steer=f"{view.name}:{latents[0]}").run()
    preset = steering_presets(view)[0]
    app.button(key=f"preset_{preset.attribute}_{preset.value}").click().run()
    assert tuple(row["latent"] for row in drawn(app, "steering_desk")["rows"]) == preset.latents
    app.button(key="steer_nothing").click().run()
    desk = drawn(app, "steering_desk")
    assert desk["rows"] == []
    assert all(group["before"] == pytest.approx(group["after"], abs=2e-3) for group in desk["groups"])
    assert "near_before" not in [element.key for element in app.get("bidi_component")]
    app.selectbox(key="add_latent").set_value(latents[1]).run()
    rows = drawn(app, "steering_desk")["rows"]
    assert [(row["latent"], row["mode"], row["amount"]) for row in rows] == [(latents[1], "scale", 1)]
    assert app.selectbox(key="add_latent").value is None
    assert steered(app) == [view.name, f"{latents[1]}x1"]


def test_relative_change_stands_around_zero(app_test, small_workspace, view, latents, drawn):
    app = app_test(
        small_workspace, "steering", steer=f"{view.name}:{latents[0]}=3", shown="relative change"
    ).run()
    desk = drawn(app, "steering_desk")
    assert desk["low"] == -desk["high"] < 0 and desk["threshold"] is None


def test_neighbours_before_and_after_can_be_played(
    app_test, small_workspace, view, trial_set, latents, drawn
):
    from sae_core.analysis.steering_experiment import SteeringExperiment

    changes = [Change(latents[0], "ablate")]
    experiment = SteeringExperiment(view, trial_set, latents[:1])
    app = app_test(small_workspace, "steering", steer=f"{view.name}:{latents[0]}").run()
    row = drawn(app, "steered_card")["clips"][0]["opens"]
    assert row == experiment.strongest_rows(1)[0]
    before, after = experiment.neighbours(row, changes)
    assert [card["opens"] for card in drawn(app, "near_before")["clips"]] == before["row"].tolist()
    cards = drawn(app, "near_after")["clips"]
    assert [card["opens"] for card in cards] == after["row"].tolist()
    assert all(card["url"] for card in cards)
    assert [card["note"] == "new" for card in cards] == [
        row not in set(before["row"]) for row in after["row"]
    ]


def test_every_latent_leads_to_the_steering_page(app_test, small_workspace, view):
    app = app_test(small_workspace, "latents", latent="13").run()
    links = [element.proto for element in app.get("page_link")]
    assert [link.query_string for link in links if link.label == "Steer this"] == [
        f"sae={view.name}&steer={view.name}%3A13"
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 99), st.sampled_from(["ablate", "scale", "set"]), st.integers(0, 9_999_999_999)
        ),
        max_size=90,
    )
)
def test_an_address_reads_back_as_it_was_written(listed):
    """Amounts of up to six decimals, each latent once."""
    from pages.shared.steering_state import as_address, parse_changes

    changes = {
        latent: Change(latent, mode, 0.0 if mode == "ablate" else n / 10**6) for latent, mode, n in listed
    }
    text = as_address(SimpleNamespace(name="some-sae"), list(changes.values())).removeprefix("some-sae:")
    assert parse_changes(text, n_latents=100) == tuple(changes.values())[:MAX_STEERED]


def test_sliders_are_read_as_json_and_nothing_senseless_is_taken():
    from pages.shared.steering_state import read_changes

    good = [{"latent": 3, "mode": "scale", "amount": 0.12345}, {"latent": 4, "mode": "ablate", "amount": 0}]
    assert read_changes(good, n_latents=5) == (Change(3, "scale", 0.123), Change(4, "ablate"))
    bad = [
        None, "3x0.5", {}, {"latent": 5, "mode": "set", "amount": 1}, {"latent": -1, "mode": "set", "amount": 1},
        {"latent": True, "mode": "set", "amount": 1}, {"latent": 1.0, "mode": "set", "amount": 1},
        {"latent": 1, "mode": "double", "amount": 1}, {"latent": 1, "mode": ["set"], "amount": 1},
        {"latent": 1, "mode": "set", "amount": -1}, {"latent": 1, "mode": "set", "amount": float("nan")},
        {"latent": 1, "mode": "set", "amount": float("inf")}, {"latent": 1, "mode": "set", "amount": 9999.9999},
        {"latent": 1, "mode": "set", "amount": "2"}, {"latent": 1, "mode": "set"},
    ]  # fmt: skip
    assert read_changes([*bad, *good], n_latents=5) == read_changes(good, n_latents=5)
    assert read_changes({"latent": 1}, n_latents=5) == read_changes("1", n_latents=5) == ()


def test_a_late_step_of_a_drag_does_not_undo_its_release(view, monkeypatch):
    """Both may arrive at once; a preset or another slider's release then ends the drag."""
    from pages.shared import links, steering_state

    monkeypatch.setattr(steering_state.st, "session_state", {})
    kept = {}
    monkeypatch.setattr(links, "choose", kept.__setitem__)
    monkeypatch.setattr(links, "chosen", kept.get)

    def slide(amount, tick, *, is_released):
        row = {"latent": 2, "mode": "scale", "amount": amount}
        steering_state.SteeringState.of(view).follow(
            {"changes": [row], "tick": tick}, is_released=is_released
        )
        return steering_state.SteeringState.of(view)

    moved = slide(0.5, 1, is_released=False)
    assert (moved.live, moved.changes, moved.tick) == ((Change(2, "scale", 0.5),), (), 1)
    assert not moved.take_release()
    released = slide(0.7, 3, is_released=True)
    late = slide(0.6, 2, is_released=False)
    assert released.live == late.live == late.changes == (Change(2, "scale", 0.7),)
    assert late.take_release() and not late.take_release()
    late.settle([])
    assert steering_state.SteeringState.of(view).live == ()
    assert kept == {"steer": f"{view.name}:"}


def test_a_change_that_moves_nothing_is_no_effect(app_test, small_workspace, view, latents, words):
    app = app_test(small_workspace, "steering", steer=f"{view.name}:{latents[0]}x1").run()
    said = words(app)
    assert "**No effect**" in said and "Largest shift" not in said
    assert "0 of " in said
    strong = words(app_test(small_workspace, "steering", steer=f"{view.name}:{latents[0]}=30").run())
    assert "Largest shift" in strong and "No effect" not in strong


def test_nothing_steered_changes_no_clip(app_test, small_workspace, view, trial_set, words):
    said = words(app_test(small_workspace, "steering", steer=f"{view.name}:").run())
    assert f"0 of {len(trial_set.rows):,} clips change" in said


def test_a_saved_table_says_what_was_steered(view, trial_set, latents):
    from pages.parts.steering.export import export_of, file_name
    from sae_core.analysis.steering_experiment import SteeringExperiment

    changes = [Change(latents[0], "ablate"), Change(latents[1], "scale", 0.5)]
    experiment = SteeringExperiment(view, trial_set, latents[:2], steered=("gender", "female"))
    outcome = experiment.outcome(changes, operating_point="equal errors")
    table = export_of(experiment, changes, lambda: outcome.shifts)
    assert table["steered"].eq(f"#{latents[0]} ablated; #{latents[1]} × 0.5").all()
    assert table["applied_to"].eq("gender=female").all() and table["sae"].eq(view.name).all()
    assert table["n_clips_changed"].eq(experiment.count_steered(changes)).all()
    assert table["shift"].tolist() == outcome.shifts["shift"].tolist()
    assert (
        file_name(view, changes, "shifts") == f"steering-{view.name}-latents-{latents[0]}-{latents[1]}-shifts"
    )
    assert file_name(view, [], "shifts") == f"steering-{view.name}-nothing-shifts"


def test_presets_are_said_in_whole_sentences():
    from pages.parts.steering.choices import _what_it_does
    from sae_core.analysis.steering_experiment import SteeringPreset

    one = _what_it_does(SteeringPreset("language", "es", (128,), True, 0.31, 0.13, 0.44), "Spanish")
    assert one == "Ablates #128, which detects Spanish: F1 0.31 (0.13–0.44) on held-out speakers."
    two = _what_it_does(SteeringPreset("gender", "male", (0, 5), True, 0.85, 0.68, 0.95), "male")
    assert "which detect male" in two and "for #0" in two
    assert "not confirmed" in _what_it_does(
        SteeringPreset("language", "cs", (3,), False, 0.3, None, None), "Czech"
    )


def test_neighbours_that_differ_are_counted_in_good_grammar():
    import pandas as pd

    from pages.parts.steering.listening import _difference

    def near(*rows):
        return pd.DataFrame({"row": rows, "cosine": [0.9 - 0.1 * place for place in range(len(rows))]})

    assert _difference(near(1, 2, 3, 4), near(1, 2, 3, 9)) == "1 of 4 is new"
    assert _difference(near(1, 2, 3, 4), near(1, 2, 8, 9)) == "2 of 4 are new"
    assert _difference(near(1, 2), near(2, 1)) == "the same clips, at other distances"
    assert "do not change this clip" in _difference(near(1, 2), near(1, 2))


def test_what_is_left_is_measured_when_asked_for(app_test, view, trial_set, latents):
    from sae_core.analysis.erasure import measure_leftover

    text = f"{view.name}:{latents[0]},{latents[1]}"
    folder = view.workspace.path
    app = app_test(folder, "steering", sae=view.name, steer=text, erased="gender=female").run()
    assert not [table for table in app.dataframe if "majority_rate" in table.value]
    app.button(key="measure_leftover").click().run()
    assert not app.exception
    changes = [Change(latent, "ablate") for latent in latents[:2]]
    expected = measure_leftover(view, changes, trial_set, erased=[("gender", "female")])
    shown = next(table.value for table in app.dataframe if "majority_rate" in table.value)
    assert shown["change"].tolist() == pytest.approx(expected.table["change"].tolist())
    assert shown["probe"].tolist()[:2] == ["linear", "non-linear"]
    costs = {metric.label: metric.value for metric in app.metric}
    assert costs["Cllr"] == " → ".join(f"{expected.cost.cllr[side][0]:.3f}" for side in ("before", "after"))


def test_the_recipe_to_take_away_steers_as_the_page_does(app_test, view, trial_set, latents, tmp_path):
    import io
    import zipfile

    from pages.parts.steering.recipe import network, zipped
    from sae_core.analysis.erasure import steered_vectors
    from sae_core.analysis.recipes import make_recipe
    from sae_core.measures.recipes import read_recipe

    changes = [Change(latents[0], "ablate"), Change(latents[1], "scale", 0.5)]
    recipe = make_recipe(view, changes, trial_set=trial_set)
    zipfile.ZipFile(io.BytesIO(zipped(recipe, "taken"))).extractall(tmp_path)
    steered = read_recipe(tmp_path / "taken").apply(view.embeddings.vectors)
    assert steered == pytest.approx(steered_vectors(view, changes), abs=1e-5)
    assert network(recipe)[:1] == b"\x08"
    text = f"{view.name}:{latents[0]},{latents[1]}x0.5"
    app = app_test(view.workspace.path, "steering", sae=view.name, steer=text).run()
    assert any(f'load_recipe("steering-{view.name}-latents-' in code.value for code in app.code)
    assert {"Recipe", "ONNX network"} <= {button.proto.label for button in app.get("download_button")}
