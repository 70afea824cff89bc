"""The Movement page: flows, groups and clips are what the core follows, whatever the address asks for."""

import numpy as np
import pytest

PLAIN, NESTED = "synthetic-topk-64-k8-s1", "synthetic-matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def workspace(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    return open_workspace(small_workspace)


@pytest.fixture
def value(workspace):
    view = workspace.sae(PLAIN)
    best = view.latents[view.latents["is_named"]].sort_values("best_f1", ascending=False).iloc[0]
    return str(best["best_attribute"]), str(best["best_value"])


@pytest.fixture
def movement(workspace, value):
    from sae_core.analysis.movement import best_active_set, follow_clips

    return follow_clips([best_active_set(workspace.sae(name), *value) for name in (PLAIN, NESTED)])


@pytest.fixture
def open_movement(app_test, small_workspace, value):
    """`open_movement(**query)` runs the page from the plain SAE to the nested one."""

    def run(**query):
        asked = {"value": "=".join(value), "from": PLAIN, "to": NESTED, **query}
        app = app_test(small_workspace, "movement", **asked).run()
        assert not app.exception
        return app

    return run


def test_the_ends_and_counts_are_those_of_the_core(open_movement, movement, words):
    app = open_movement()
    shown = {metric.label: metric.value for metric in app.metric}
    names = {"Kept": "stay", "Lost": "leave", "Gained": "enter"}
    assert shown == {name: f"{len(movement.rows_that(move)):,}" for name, move in names.items()}
    assert PLAIN in words(app) and NESTED in words(app) and "F1" in words(app)


def test_flows_are_those_of_the_core_and_add_up(open_movement, movement, drawn):
    from sae_core.measures.movement import IN_INDEX

    figure = drawn(open_movement(), "movement_flow")
    assert figure["titles"] == [PLAIN, NESTED]
    by_tone = {}
    for link in figure["links"]:
        by_tone[link["tone"]] = by_tone.get(link["tone"], 0) + link["n"]
        _, station, source, target = link["picks"].split(":")
        gathered = movement.gather(8)
        assert link["n"] == len(gathered.rows_of_flow(int(station), int(source), int(target)))
    assert by_tone == {move: n for move in ("stay", "leave", "enter") if (n := len(movement.rows_that(move)))}
    names = {node["name"] for node in figure["nodes"]}
    assert f"0:{IN_INDEX}" in names and {link["source"] for link in figure["links"]} <= names


def test_a_picked_flow_lists_its_clips(open_movement, movement, drawn):
    figure = drawn(open_movement(), "movement_flow")
    link = next(link for link in figure["links"] if link["tone"] == "leave")
    app = open_movement(clips_of=link["picks"])
    _, station, source, target = link["picks"].split(":")
    rows = movement.gather(8).rows_of_flow(int(station), int(source), int(target))
    clips = drawn(app, "movement_clips_list")
    assert {card["opens"] for card in clips["clips"]} <= set(rows.tolist()) and clips["clips"]
    assert clips["label"].startswith("Lost") and f"{len(rows):,} clip" in clips["help"]
    assert [link["picks"] for link in drawn(app, "movement_flow")["links"] if link["is_picked"]] == [
        link["picks"]
    ]
    shares = [card["filled"] for card in clips["clips"]]
    assert shares == sorted(shares, reverse=True)


def test_groups_count_the_corpus_and_a_cell_lists_its_clips(open_movement, movement, workspace, drawn):
    table = drawn(open_movement(), "movement_groups")["tables"][0]
    cells = [cell for line in table["lines"] for cell in line["cells"] if cell["opens"]]
    assert sum(int(cell["text"].replace(",", "")) for cell in cells) == len(movement.rows_that("stay"))
    app = open_movement(clips_of=cells[0]["opens"])
    _, _, *values = cells[0]["opens"].split(":")
    corpus = workspace.corpus
    listed = [card["opens"] for card in drawn(app, "movement_clips_list")["clips"]]
    stay = set(movement.rows_that("stay").tolist())
    assert listed and set(listed) <= stay
    clips = corpus.table.iloc[listed].astype(str).to_numpy()
    assert all(set(values) - {"–"} <= set(clip) for clip in clips)
    marked = [cell for table in drawn(app, "movement_groups")["tables"] for line in table["lines"]
              for cell in line["cells"] if cell["is_marked"]]  # fmt: skip
    assert [cell["opens"] for cell in marked] == [cells[0]["opens"]]


FRACTIONS = ["% of active set", "% of group"]
FORMER = ["Share of the index", "Share of the group"]


@pytest.mark.parametrize("shown", [*FRACTIONS, *FORMER])
def test_fractions_come_with_intervals_by_their_present_and_former_names(open_movement, drawn, shown):
    tables = drawn(open_movement(shown=shown), "movement_groups")["tables"]
    cells = [cell for table in tables for line in table["lines"] for cell in line["cells"] if cell["text"]]
    assert cells and all(cell["text"].endswith(" %") and cell["detail"] for cell in cells)


@pytest.mark.parametrize("words", ["Held-out speakers only", "New voices only"])
def test_held_out_speakers_alone_can_be_counted(open_movement, workspace, drawn, words):
    app = open_movement(clips_counted=words)
    listed = [card["opens"] for card in drawn(app, "movement_clips_list")["clips"]]
    assert set(workspace.corpus.table["split"].iloc[listed]) == {"held-out"}
    assert any("held-out speakers only" in caption.value for caption in app.caption)


def test_two_thresholds_of_one_latent_only_lose_clips(open_movement, drawn):
    app = open_movement(between="Thresholds", sae=PLAIN)
    assert {link["tone"] for link in drawn(app, "movement_flow")["links"]} <= {"stay", "leave"}
    slider = next(slider for slider in app.slider if slider.key.startswith("thresholds_"))
    before = {metric.label: int(metric.value.replace(",", "")) for metric in app.metric}
    app = slider.set_value((0.0, 0.9 * slider.max)).run()
    after = {metric.label: int(metric.value.replace(",", "")) for metric in app.metric}
    assert after["Kept"] < before["Kept"] and before["Kept"] + before["Lost"] == after["Kept"] + after["Lost"]


def test_the_successors_are_those_of_the_lineage(open_movement, workspace, value, drawn):
    from sae_core.analysis.movement import best_active_set, split_active_set

    splitting = split_active_set(best_active_set(workspace.sae(PLAIN), *value), workspace.sae(NESTED))
    bars = drawn(open_movement(), "successors")["bars"]
    assert [bar["opens"] for bar in bars] == splitting.successors["successor"].tolist() and bars
    np.testing.assert_allclose([bar["filled"] for bar in bars], splitting.successors["share"])


@pytest.mark.parametrize(
    "query",
    [
        {"clips_of": "flow:9:1:1"},
        {"clips_of": "flow:a:b:c"},
        {"clips_of": "cell:fly:es:male"},
        {"clips_of": "cell:stay:nobody:%"},
        {"clips_of": ":::"},
        {"from": "no-such-sae"},
        {"via": "no-such-sae"},
        {"between": "worlds"},
    ],
)
def test_an_address_that_names_nothing_shows_the_usual(open_movement, query, drawn):
    assert drawn(open_movement(**query), "movement_clips_list")["label"].startswith("All ")


def test_one_sae_alone_has_nowhere_to_move(app_test, own_workspace):
    import shutil

    shutil.rmtree(own_workspace / "saes" / NESTED)
    app = app_test(own_workspace, "movement").run()
    assert not app.exception
    assert len(app.metric) == 3  # from an SAE to itself, everything stays
    assert app.metric[1].value == "0"


def test_before_and_after_a_steering_are_compared(open_movement, workspace, value, words):
    from sae_core.analysis.movement import best_active_set, follow_clips, steer_active_set
    from sae_core.measures.steering import Change

    view = workspace.sae(PLAIN)
    choice = best_active_set(view, *value)
    by_default = follow_clips([choice, steer_active_set(choice, [Change(choice.latent, "ablate")])])
    app = open_movement(sae=PLAIN, between="Steering")
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Lost"] == f"{len(by_default.rows_that('leave')):,}"
    assert "every clip is steered and encoded again" in words(app)
    other = (choice.latent + 1) % view.n_latents
    asked = follow_clips([choice, steer_active_set(choice, [Change(other, "scale", 3.0)])])
    app = open_movement(sae=PLAIN, between="Steering", steer=f"{PLAIN}:{other}x3")
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Lost"] == f"{len(asked.rows_that('leave')):,}"


def test_each_threshold_is_said_with_the_f1_measured_at_it(open_movement, workspace, value, words):
    from sae_core.analysis.movement import ActiveSet, best_active_set, measure_detection

    app = open_movement(between="Thresholds", sae=PLAIN)
    slider = next(slider for slider in app.slider if slider.key.startswith("thresholds_"))
    view, latent = workspace.sae(PLAIN), best_active_set(workspace.sae(PLAIN), *value).latent
    said = set()
    for part in (0.3, 0.9):
        low, high = round(0.2 * part * slider.max, 2), round(part * slider.max, 2)
        app = slider.set_value((low, high)).run()
        slider = next(slider for slider in app.slider if slider.key.startswith("thresholds_"))
        for threshold in (low, high):
            f1 = measure_detection(ActiveSet(view, latent, threshold, *value)).f1
            said.add(f"above {threshold:.2f}" in words(app))
            line = next(text.value for text in app.markdown if f"above {threshold:.2f}" in text.value)
            assert f"F1 {f1[0]:.2f} ({f1[1]:.2f}–{f1[2]:.2f})" in line
            assert "precision" in line and "recall" in line
    assert said == {True}


def test_a_steering_says_which_other_latents_and_clips_change(open_movement, workspace, value, drawn, words):
    from sae_core.analysis.movement import best_active_set, side_effects, steer_active_set
    from sae_core.measures.steering import Change

    view = workspace.sae(PLAIN)
    before = best_active_set(view, *value)
    found = side_effects(before, steer_active_set(before, [Change(before.latent, "ablate")]))
    app = open_movement(sae=PLAIN, between="Steering")
    assert "no finding" in words(app)
    bars = drawn(app, "side_effect_latents")["bars"]
    assert [bar["opens"] for bar in bars] == found.latents["latent"].head(10).tolist() and bars
    assert before.latent not in [bar["opens"] for bar in bars]
    cards = drawn(app, "side_effect_clips")["clips"]
    assert [card["opens"] for card in cards] == found.clips["row"].head(6).tolist()
    other = open_movement(sae=PLAIN, between="Steering", steer=f"{PLAIN}:{(before.latent + 1) % 64}x3")
    assert "no finding" not in words(other)
