"""The Universality page: which latents are elsewhere, which SAE detects what, groups; and the verdict on Latents."""

import shutil

import pytest

from sae_core.analysis.groups import absorption_of
from sae_core.analysis.universality import latents_elsewhere, match_saes, values_by_sae
from sae_core.workspace.workspace import Workspace

PLAIN, NESTED = "synthetic-topk-64-k8-s1", "synthetic-matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def folder(small_workspace, tmp_path_factory):
    """The small workspace with groups of one SAE, to read from."""
    from sae_core.build.groups import store_groups

    folder = shutil.copytree(small_workspace, tmp_path_factory.mktemp("universality") / "w")
    store_groups(folder, [PLAIN])
    return folder


@pytest.fixture(scope="module")
def views(folder):
    workspace = Workspace(folder)
    return workspace.sae(PLAIN), workspace.sae(NESTED)


def open_page(app_test, folder, **query):
    app = app_test(folder, "universality", sae=PLAIN, **query).run()
    assert not app.exception, app.exception[0].value
    return app


def titles(drawn, app, key):
    return [card["title"] for card in drawn(app, key)["clips"]]


def test_the_table_holds_what_the_other_sae_has_too_and_a_pair_plays(app_test, folder, views, drawn, words):
    plain, nested = views
    app = open_page(app_test, folder)
    table = latents_elsewhere(plain, [nested])
    universal = table[table["is_universal"]]
    assert app.dataframe[0].value["latent"].tolist() == universal["latent"].tolist()
    assert f"**{len(universal)} of {len(table)}** active latents" in words(app)
    assert NESTED in app.query_params["with"], "compared with at first"
    clips = plain.workspace.corpus.table["clip_id"]
    for view, latent in ((plain, universal["latent"].iloc[0]), (nested, universal[NESTED].iloc[0])):
        strongest = view.index.top(int(latent), 1)[0][0]
        assert titles(drawn, app, f"universal_{view.name}")[0] == clips[strongest]


def test_latents_of_this_sae_alone_show_no_counterpart(app_test, folder, views, words):
    plain, nested = views
    table = latents_elsewhere(plain, [nested])
    alone = table[table["n_found"] == 0]
    latent = int(alone["latent"].iloc[-1])
    app = open_page(app_test, folder, found="Only here", latent=str(latent))
    assert set(app.dataframe[0].value["latent"]) == set(alone["latent"])
    assert "No counterpart beyond chance" in words(app)
    assert str(latent) in app.query_params["latent"]


def test_the_matrix_is_that_of_the_core_and_leads_to_the_other_sae(app_test, folder, views, drawn):
    plain, nested = views
    table = drawn(open_page(app_test, folder), "universality_matrix")["tables"][0]
    (own, there), (back, other) = (line["cells"] for line in table["lines"])
    found = match_saes(nested, plain)
    fraction = found.fractions((found.threshold_at(),))["best_of_one"].iloc[0]
    assert back["text"] == f"{100 * fraction:.0f} %" and back["opens"] == NESTED
    assert own["text"] == other["text"] == "" and there["opens"] is None


def test_an_address_with_an_unknown_sae_says_so_and_shows_the_usual(app_test, folder, words):
    app = open_page(app_test, folder, **{"with": "topk-9"})
    assert "topk-9" in words(app) and len(app.dataframe)


def test_each_value_stands_in_each_sae(app_test, folder, views, drawn):
    app = open_page(app_test, folder, look="Values by SAE")
    table = values_by_sae(views[0].workspace, [PLAIN, NESTED])
    cells = [
        cell
        for evidence in table["evidence"].unique()
        for part in drawn(app, f"values_cells_{evidence.split()[0]}")["tables"]
        for line in part["lines"]
        for cell in line["cells"]
        if cell["opens"]
    ]
    assert sorted((cell["opens"], cell["text"].removesuffix(" ?")) for cell in cells) == sorted(
        (f"{line.sae}#{line.latent}", f"{line.f1:.2f}") for line in table.itertuples()
    )
    assert sum(cell["filled"] is not None for cell in cells) == table["is_confirmed"].sum()


def test_a_group_is_opened_with_its_clips_and_can_be_steered(app_test, folder, views, drawn):
    plain = views[0]
    line = plain.groups().table.query("n_latents == 4").iloc[0]
    value = f"{line['attribute']}={line['value']}"
    app = open_page(app_test, folder, look="Groups of latents", value=value, size="4")
    group = plain.groups().group(line["attribute"], line["value"], 4)
    bars = {bar["opens"]: bar["value_text"] for bar in drawn(app, "group_members")["bars"]}
    assert bars == {
        int(latent): f"{weight:+.2f}" for latent, weight in zip(group.latents, group.weights, strict=True)
    }
    strongest = plain.group_examples(group).strongest.rows
    clips = plain.workspace.corpus.table["clip_id"]
    assert titles(drawn, app, "clips_strongest") == clips[strongest].tolist()
    link = next(each for each in app.get("page_link") if each.proto.label == "Steer this group")
    steered = [str(latent) for latent, weight in zip(group.latents, group.weights, strict=True) if weight > 0]
    assert ("%2C".join(steered) in link.proto.query_string) or (",".join(steered) in link.proto.query_string)
    marked = [
        cell["opens"]
        for table in drawn(app, "groups_cells")["tables"]
        for row in table["lines"]
        for cell in row["cells"]
        if cell["is_marked"]
    ]
    assert marked == [f"{value}|4"]


def test_absorbed_clips_are_counted_and_can_be_heard(app_test, folder, views, drawn, words):
    plain = views[0]
    table = plain.predominant_latents()
    found = {
        (line.attribute, line.value): absorption_of(plain, line.attribute, line.value)
        for line in table.itertuples()
    }
    value = max(found, key=lambda pair: len(found[pair].clips))
    absorbed = found[value]
    assert len(absorbed.clips), "something is absorbed among 64 latents"
    app = open_page(app_test, folder, look="Groups of latents", value="=".join(value))
    assert f"**{len(absorbed.clips)} of {absorbed.n_positive} clips**" in words(app)
    clips = plain.workspace.corpus.table["clip_id"][absorbed.clips["row"]]
    assert set(titles(drawn, app, "absorbed_clips")) <= set(clips)


def test_without_groups_the_page_says_how_to_make_them(app_test, folder, words):
    app = app_test(folder, "universality", sae=NESTED, look="Groups of latents").run()
    assert not app.exception
    assert f"sae_core trust --workspace {folder} --sae {NESTED}" in words(app)


def test_a_latent_shows_its_verdict_and_what_was_not_measured(app_test, folder, views, words):
    plain = views[0]
    latent = int(plain.latents.index[plain.latents["is_named"]][0])
    app = app_test(folder, "latents", sae=PLAIN, latent=str(latent)).run()
    assert not app.exception
    said = words(app)
    assert "confirmed]" in said and "stability not measured" in said and "another encoder" in said
    assert "--variants topk --latents 64 --k 8 --seeds 0,1,2" in said and "sae_core trust" not in said
    assert "stability" not in app.dataframe[0].value


def test_stability_is_a_column_a_filter_and_a_verdict(app_test, folder, views, words, monkeypatch):
    import numpy as np
    import pandas as pd

    from sae_core.workspace.trust import Stability
    from sae_core.workspace.workspace import SaeView

    n = views[0].n_latents
    cosine = np.linspace(0, 1, n)
    table = pd.DataFrame({"latent": np.arange(n), "cosine": cosine, "correlation": 1 - cosine})
    table = table.assign(n_found=(cosine > 0.7) * 2, n_seeds=2)
    monkeypatch.setattr(SaeView, "stability", lambda _: Stability(table, 0.5, ("a", "b")))
    app = app_test(folder, "latents", sae=PLAIN, stable="0.8", order="Most stable").run()
    assert not app.exception
    shown = app.dataframe[0].value
    assert shown["latent"].tolist() == [latent for latent in range(n - 1, -1, -1) if cosine[latent] >= 0.8]
    assert "in 2 of 2 other seeds · cosine 1.00" in words(app)
