"""The Sweep page: figures and tables hold what the core measured, and points lead to the latents behind them."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def workspace(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    return open_workspace(small_workspace)


@pytest.fixture
def named(workspace):
    """A value that held-out speakers confirm."""
    view = workspace.sae(workspace.sae_names()[0])
    best = view.latents[view.latents["is_named"]].sort_values("best_f1", ascending=False).iloc[0]
    return str(best["best_attribute"]), str(best["best_value"])


def figures(app):
    return [json.loads(element.proto.spec) for element in app.get("plotly_chart")]


@pytest.mark.parametrize("words", ["F1", "Precision", "Recall", "AUROC"])
def test_points_stand_where_the_core_measured(app_test, small_workspace, workspace, named, words):
    from sae_core.build.sweep import combine_seeds, tabulate_saes

    app = app_test(small_workspace, "sweep", value="=".join(named), measure=words).run()
    assert not app.exception
    measure = words.lower()
    points = combine_seeds(tabulate_saes(workspace, attribute=named[0], value=named[1]), measure)
    lines, trade_off = figures(app)
    for figure in (lines, trade_off):
        drawn = {tuple(point[:2]) for trace in figure["data"] for point in trace["customdata"]}
        assert drawn == {(line.sae, line.latent) for line in points.itertuples()}
    heights = {trace["customdata"][0][0]: _numbers(trace["y"])[0] for trace in lines["data"]}
    assert heights == pytest.approx(dict(zip(points["sae"], points["value"], strict=True)))


def _numbers(axis):
    """Values of a figure's axis, which travel as plain lists or as packed arrays."""
    if isinstance(axis, dict):
        import base64

        return np.frombuffer(base64.b64decode(axis["bdata"]), dtype=axis["dtype"]).tolist()
    return axis


def test_cells_hold_value_and_interval_and_lead_to_the_latent(
    app_test, small_workspace, workspace, named, drawn
):
    from sae_core.build.sweep import combine_seeds, tabulate_saes

    app = app_test(small_workspace, "sweep", value="=".join(named)).run()
    points = combine_seeds(tabulate_saes(workspace, attribute=named[0], value=named[1]), "f1")
    cells = [
        cell
        for table in drawn(app, "grid_cells")["tables"]
        for line in table["lines"]
        for cell in line["cells"]
    ]
    found = {cell["opens"]: (cell["text"], cell["detail"]) for cell in cells if cell["opens"]}
    assert found == {
        f"{line.sae}#{line.latent}": (f"{line.value:.2f}", f"{line.low:.2f}–{line.high:.2f}")
        for line in points.itertuples()
    }
    assert all(f"latent={cell['opens'].split('#')[1]}" in cell["href"] for cell in cells if cell["opens"])


@pytest.mark.parametrize(
    ("shown", "column"), [("Dead fraction", "dead_fraction"), ("Dead share", "dead_fraction"), ("L0", "l0")]
)
def test_cells_can_show_what_an_sae_is_like(app_test, small_workspace, workspace, drawn, shown, column):
    app = app_test(small_workspace, "sweep", cells=shown).run()
    texts = [
        cell["text"]
        for table in drawn(app, "grid_cells")["tables"]
        for line in table["lines"]
        for cell in line["cells"]
        if cell["text"]
    ]
    held_out = [workspace.sae(name).metrics["held-out"][column] for name in workspace.sae_names()]
    expected = [f"{value:.1f}" if shown == "L0" else f"{100 * value:.0f} %" for value in held_out]
    assert sorted(texts) == sorted(expected)


def test_the_best_is_named_with_its_evidence(app_test, small_workspace, workspace, named, words):
    from sae_core.build.sweep import best_of_each, tabulate_saes

    app = app_test(small_workspace, "sweep", value="=".join(named)).run()
    best = best_of_each(tabulate_saes(workspace, attribute=named[0], value=named[1])).iloc[0]
    text = words(app)
    assert f"latent #{best['latent']}" in text and f"F1 {best['f1']:.2f}" in text
    assert "unseen speakers" in text and f"{best['n_reported']:,} held-out clips" in text


def test_without_a_probe_the_page_says_how_to_get_one(app_test, own_workspace, words):
    from sae_core.measures.linear_probe import probe_attributes
    from sae_core.workspace.workspace import open_workspace

    assert "linear probe on the raw embedding, run" in words(app_test(own_workspace, "sweep").run())
    workspace = open_workspace(own_workspace)
    embedder = workspace.embedder_names()[0]
    folder = own_workspace / "embeddings" / embedder
    table = probe_attributes(workspace.corpus, workspace.embeddings(embedder), folder)
    app = app_test(own_workspace, "sweep").run()
    attribute, value = app.selectbox(key="value_choice").value.split("=")
    probe = table[(table["attribute"] == attribute) & (table["value"] == value)].iloc[0]
    assert f"linear probe {probe['f1']:.2f}" in words(app)
    assert any(shape.get("y0") == pytest.approx(probe["f1"]) for shape in figures(app)[0]["layout"]["shapes"])


def test_the_choice_of_a_value_survives_and_stands_in_the_address(app_test, small_workspace):
    app = app_test(small_workspace, "sweep").run()
    other = app.selectbox(key="value_choice").options[1]
    app.selectbox(key="value_choice").select_index(1).run()
    chosen = app.query_params["value"]
    chosen = chosen[0] if isinstance(chosen, list) else chosen
    assert app.selectbox(key="value_choice").value == chosen and other
    app.switch_page("pages/movement.py").run()
    assert app.selectbox(key="value_choice").value == chosen


@pytest.mark.parametrize("query", [{"value": "no=such"}, {"value": "x"}, {"measure": "lift"}, {"cells": "?"}])
def test_an_address_that_names_nothing_opens_the_usual(app_test, small_workspace, query):
    app = app_test(small_workspace, "sweep", **query).run()
    assert not app.exception and app.selectbox(key="value_choice").value


def test_it_opens_on_the_value_that_pages_open_on(app_test, small_workspace, workspace, words):
    from sae_core.analysis.first_value import first_value

    app = app_test(small_workspace, "sweep").run()
    view = workspace.sae(workspace.sae_names()[0])
    assert app.selectbox(key="value_choice").value == "=".join(first_value(view))
    assert "chosen on selection speakers" in words(app)


def test_a_higher_number_elsewhere_in_the_grid_is_explained():
    import pandas as pd

    from pages.parts.sweep.table import higher_elsewhere

    table = pd.DataFrame({"sae": ["chosen", "lucky"], "f1": [0.2, 0.4]})
    assert "lucky reaches 0.40" in higher_elsewhere(table, table.iloc[0], "f1")
    assert higher_elsewhere(table, table.iloc[1], "f1") == ""


def test_cells_show_the_stability_over_seeds_where_it_was_measured(
    app_test, small_workspace, drawn, monkeypatch
):
    from pages.parts.sweep import grid
    from sae_core.workspace.trust import Stability
    from sae_core.workspace.workspace import SaeView

    app = app_test(small_workspace, "sweep").run()
    assert "Stability" not in app.segmented_control(key="cells").options, "there is one seed"
    monkeypatch.setattr(grid, "_has_stability", lambda *_: True)
    monkeypatch.setattr(SaeView, "stability", lambda _: Stability(pd.DataFrame(), 0.5, ("a", "b")))
    app = app_test(small_workspace, "sweep", cells="Stability").run()
    cells = [
        cell
        for table in drawn(app, "grid_cells")["tables"]
        for line in table["lines"]
        for cell in line["cells"]
    ]
    assert {(cell["text"], cell["detail"]) for cell in cells if cell["opens"]} == {("0.50", "3 seeds")}
