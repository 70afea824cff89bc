"""The Map page: dots, colours and details are the core's, choices stand in the address, trouble says what to run."""

import io
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest

from tests.plain_maps import copy_with_maps


@pytest.fixture(scope="module")
def mapped(small_workspace, tmp_path_factory):
    return copy_with_maps(small_workspace, tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def view(mapped):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(mapped)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture
def files(monkeypatch):
    """The bytes behind each address that the map handed to the browser."""
    from pages.figures.point_map import point_map

    kept, register = {"": b""}, point_map.media_url

    def remember(content, mime, slot):
        url = register(content, mime, slot)
        kept[url] = content
        return url

    monkeypatch.setattr(point_map, "media_url", remember)
    return kept


def test_a_workspace_without_maps_says_what_to_run(app_test, small_workspace, words):
    app = app_test(small_workspace, "map").run()
    assert not app.exception
    assert "holds no map of the clips by embedding yet" in words(app)
    assert f"python -m sae_core map --workspace {small_workspace}" in words(app)
    app = app_test(small_workspace, "map", map="directions").run()
    assert "holds no map of the latents yet" in words(app)


def test_dots_and_colours_are_those_of_the_core(app_test, mapped, view, drawn, files):
    from sae_core.analysis.map_colours import group_by_attribute
    from sae_core.build.workspace_maps import open_map

    app = app_test(mapped, "map", colour="gender").run()
    assert not app.exception
    data, found = drawn(app, "point_map"), open_map(view, "clips")
    expected = group_by_attribute(view, found.rows, "gender")
    assert files[data["places_url"]] == found.packed()
    assert files[data["codes_url"]] == expected.codes.tobytes()
    assert [(group["key"], group["n"]) for group in data["groups"]] == [(g.key, g.n) for g in expected.groups]
    assert data["sizes_url"] == ""
    names = files[data["names_url"]].decode().split("\n")
    assert len(names) == len(found.rows)
    clip = view.workspace.corpus.table.iloc[found.rows[5]]
    assert names[5].startswith(f"{clip['clip_id']}\t")


def test_after_new_labels_dots_are_named_by_them(app_test, small_workspace, tmp_path, drawn, files):
    from sae_core.build.steps import index_workspace
    from sae_core.corpus.clips import Corpus

    folder = copy_with_maps(small_workspace, tmp_path)
    before = drawn(app_test(folder, "map").run(), "point_map")
    corpus = Corpus.load(folder)
    corpus.table[corpus.attributes[0]] = "quite another word"
    Corpus(corpus.table, corpus.audio_root, corpus.attributes).save(folder)
    index_workspace(folder)
    after = drawn(app_test(folder, "map").run(), "point_map")
    assert after["places_url"] == before["places_url"]
    assert b"quite another word" not in files[before["names_url"]]
    assert files[after["names_url"]].count(b"quite another word") == len(corpus.table)


def test_latents_are_sized_by_firing_rate_and_named_only_on_evidence(app_test, mapped, view, drawn, files):
    from sae_core.analysis.map_colours import sizes_by_firing
    from sae_core.build.workspace_maps import open_map

    app = app_test(mapped, "map", map="directions").run()
    data, found = drawn(app, "point_map"), open_map(view, "directions")
    assert files[data["sizes_url"]] == sizes_by_firing(view, found.rows).tobytes()
    is_named = view.latents["is_named"].to_numpy()[found.rows]
    assert sum(group["n"] for group in data["groups"] if group["role"] == "value") == is_named.sum()
    assert {group["label"] for group in data["groups"] if group["key"] == "unnamed"} == {"no name yet"}


def test_clips_by_a_latent_show_its_threshold(app_test, mapped, view, drawn):
    latent = int(view.latents["best_threshold"].fillna(0).to_numpy().argmax())
    app = app_test(mapped, "map", colour="latent", latent=str(latent)).run()
    data = drawn(app, "point_map")
    assert data["legend"].startswith(f"#{latent}")
    told = (view.index.postings(latent)[1] > view.threshold_of(latent)).sum()
    assert {group["label"]: group["n"] for group in data["groups"]}["above its threshold"] == told


def test_a_link_opens_exactly_one_dot(app_test, mapped, view, drawn):
    from sae_core.build.workspace_maps import open_map

    row = 42
    clip_id = view.workspace.corpus.table["clip_id"].iloc[row]
    app = app_test(mapped, "map", map="codes", colour="voice", clip=clip_id).run()
    data, found = drawn(app, "point_map"), open_map(view, "codes")
    assert found.rows[data["chosen"]["point"]] == row
    card = drawn(app, "map_dot")["clips"][0]
    assert card["title"] == clip_id
    assert data["chosen"]["url"] == card["url"] != ""
    latents = view.codes.active(row)[0].tolist()
    assert [bar["opens"] for bar in drawn(app, "map_dot_latents")["bars"]] == latents[:10]
    assert app.query_params["map"] == "codes"


def test_an_open_latent_plays_its_strongest_clip(app_test, mapped, view, drawn):
    app = app_test(mapped, "map", map="directions", latent="9").run()
    assert app.header[0].value.startswith("#9")
    cards = drawn(app, "map_dot")["clips"]
    assert [card["opens"] for card in cards] == view.examples(9, n=3).strongest.rows.tolist()
    assert drawn(app, "point_map")["chosen"]["url"] == cards[0]["url"]


@pytest.mark.parametrize(
    "query", [{"map": "globe"}, {"colour": "../x"}, {"clip": "no such clip"}, {"only": "language|nowhere"}]
)
def test_an_address_that_names_nothing_shows_the_usual_map(app_test, mapped, drawn, query):
    app = app_test(mapped, "map", **query).run()
    assert not app.exception
    data = drawn(app, "point_map")
    assert (data["legend"], data["chosen"]) == ("Language", None)
    assert app.query_params["map"] == query.get("map", "clips")


AREA = [[-0.4, -0.4], [0.5, -0.4], [0.5, 0.6], [-0.4, 0.6]]


def with_area(app, view, kind="clips"):

    app.query_params["area"] = f"{kind}:" + "_".join(f"{x},{y}" for x, y in AREA)
    return app.run()


def rows_in_area(view, kind, is_shown=None):
    from sae_core.analysis.map_selection import rows_inside
    from sae_core.build.workspace_maps import open_map

    return rows_inside(open_map(view, kind), np.array(AREA), is_shown=is_shown)


def test_an_area_tells_what_sets_its_clips_apart(app_test, mapped, view, drawn, words):
    from sae_core.analysis.map_selection import in_turns, latents_apart, values_apart

    app = with_area(app_test(mapped, "map"), view)
    rows = rows_in_area(view, "clips")
    assert 10 < len(rows) < 500
    assert f"{len(rows):,} clips" in words(app)
    values = values_apart(view, rows)
    values = values[values["mcc"] > 0]
    bars = drawn(app, "map_values_apart")["bars"]
    np.testing.assert_allclose([bar["filled"] for bar in bars], values["share"][:10])
    np.testing.assert_allclose([bar["marker"] for bar in bars], values["base_rate"][:10])
    latents = latents_apart(view, rows)
    opened = [bar["opens"] for bar in drawn(app, "map_latents_apart")["bars"]]
    assert opened == latents["latent"][latents["mcc"] > 0].head(10).tolist()
    listed = [card["opens"] for card in drawn(app, "map_selected_clips")["clips"]]
    turns = in_turns(view.workspace.corpus, rows).tolist()
    assert listed == turns[:12]
    app.button(key="map_page_next").click().run()
    assert [card["opens"] for card in drawn(app, "map_selected_clips")["clips"]] == turns[12:24]


def test_an_area_holds_only_the_groups_that_are_shown(app_test, mapped, view, words):
    from sae_core.build.workspace_maps import open_map

    app = with_area(app_test(mapped, "map", colour="language", only="language|es"), view)
    is_spanish = view.workspace.corpus.has_value("language", "es")[open_map(view, "clips").rows]
    assert f"{len(rows_in_area(view, 'clips', is_spanish)):,} clips" in words(app)


def test_an_area_of_latents_lists_named_ones_first(app_test, mapped, view, drawn):
    app = with_area(app_test(mapped, "map", map="directions"), view, "directions")
    rows = rows_in_area(view, "directions")
    assert len(rows) > 3
    listed = [card["opens"] for card in drawn(app, "map_selected_clips")["clips"]]
    assert set(listed) <= set(rows.tolist())
    is_named = view.latents["is_named"].to_numpy()[listed]
    assert (np.diff(is_named.astype(int)) <= 0).all()


def test_an_area_belongs_to_the_map_it_was_drawn_on(app_test, mapped, view, drawn):
    app = with_area(app_test(mapped, "map", map="codes"), view, "clips")
    assert drawn(app, "point_map")["area"] == []
    assert not any(element.key == "map_selected_clips" for element in app.get("bidi_component"))


def test_the_exported_table_joins_values_and_latents(view, small_workspace):
    from pages.parts.map.selection import apart_table
    from pages.shared.tables import csv_bytes

    rows = rows_in_area_of_all(view)
    table = pd.read_csv(io.BytesIO(csv_bytes(apart_table(view, rows))))
    assert set(table["kind"]) == {"value", "latent"}
    assert table["lift"].notna().all()


def rows_in_area_of_all(view):
    return np.arange(0, len(view.workspace.corpus), 3)


def test_choosing_another_map_keeps_the_open_clip(app_test, mapped, view, drawn):
    clip_id = view.workspace.corpus.table["clip_id"].iloc[7]
    app = app_test(mapped, "map", clip=clip_id).run()
    app.selectbox(key="colour_choice").set_value("voice").run()
    assert app.query_params["colour"] == "voice"
    assert drawn(app, "point_map")["legend"] == "Speaker"
    assert drawn(app, "map_dot")["clips"][0]["title"] == clip_id
    app.get("button_group")[0].set_value("codes").run()
    assert app.query_params["map"] == "codes"
    assert drawn(app, "map_dot")["clips"][0]["title"] == clip_id


def test_a_latent_and_a_clip_lead_to_the_map_where_there_is_one(app_test, mapped, small_workspace, view):
    clip_id = str(view.workspace.corpus.table["clip_id"].iloc[5])
    places = {
        ("latents", "latent", "3"): {"map": ["clips"], "colour": ["latent"], "latent": ["3"]},
        ("clips", "clip", clip_id): {"map": ["clips"], "clip": [clip_id]},
    }
    for (page, name, value), wanted in places.items():
        app = app_test(mapped, page, **{name: value}).run()
        (link,) = (found.proto for found in app.get("page_link") if found.proto.label == "Show on the map")
        assert wanted.items() <= parse_qs(link.query_string).items()
    app = app_test(small_workspace, "latents", latent="3").run()
    assert "Show on the map" not in [found.proto.label for found in app.get("page_link")]


def test_words_that_look_like_a_formula_stay_words_in_a_spreadsheet():
    from pages.shared.tables import csv_bytes

    table = pd.DataFrame(
        {
            "label": ["=1+1", "hold music", None, "@home"],
            "language": pd.Categorical(["-", "es", None, "es"]),
            "cosine": [-0.5, 0.5, 0.0, 1.0],
        }
    )
    assert csv_bytes(table).decode().splitlines() == [
        "label,language,cosine", "'=1+1,'-,-0.5", "hold music,es,0.5", ",,0.0", "'@home,es,1.0",
    ]  # fmt: skip
