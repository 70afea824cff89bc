"""What pages say when something is missing, out of date or broken: what happened and what to run, never a traceback."""

import logging
import shutil

import numpy as np
import pytest

from tests.sealing import reseal

PAGES = [None, "latents", "clips"]


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_says_import(app_test, tmp_path, words, page):
    app = app_test(tmp_path, page).run()
    assert not app.exception
    assert "holds no clips yet" in words(app)
    assert f"python -m sae_core import FOLDER --workspace {tmp_path}" in words(app)


def test_a_workspace_that_does_not_exist_says_so(app_test, tmp_path, words):
    app = app_test(tmp_path / "nowhere").run()
    assert not app.exception
    assert "is not a folder" in words(app)


def test_a_server_without_workspace_says_serve(app_test, tmp_path, words, monkeypatch):
    app = app_test(tmp_path)
    monkeypatch.delenv("VOXSCOPE_WORKSPACE")
    assert "python -m sae_core serve --workspace FOLDER" in words(app.run())


def test_changed_labels_say_index_and_a_new_index_is_noticed(app_test, own_workspace, words):
    from sae_core.build.steps import index_workspace
    from sae_core.corpus.clips import Corpus

    corpus = Corpus.load(own_workspace)
    name = corpus.attributes[0]
    corpus.table.loc[0, name] = (
        corpus.values_of(name)[-1] if corpus.values_of(name)[-1] != corpus.table[name][0] else None
    )
    Corpus(corpus.table, corpus.audio_root, corpus.attributes).save(own_workspace)
    app = app_test(own_workspace, "latents").run()
    assert not app.exception
    assert "out of date" in words(app)
    assert f"python -m sae_core index --workspace {own_workspace}" in words(app)
    index_workspace(own_workspace)
    app.run()
    assert "out of date" not in words(app)
    assert app.header[0].value.startswith("Latent #")


def test_a_workspace_without_sae_says_train(app_test, own_workspace, words):
    shutil.rmtree(own_workspace / "saes")
    app = app_test(own_workspace, "latents").run()
    assert not app.exception
    assert f"python -m sae_core train --workspace {own_workspace}" in words(app)


def test_a_damaged_sae_leaves_the_others_usable(app_test, own_workspace, words):
    from sae_core.workspace.workspace import open_workspace

    first, second = open_workspace(own_workspace).sae_names()
    (own_workspace / "saes" / first / "latents.parquet").write_bytes(b"garbage")
    app = app_test(own_workspace, "latents").run()
    assert "latents.parquet" in words(app)
    app.selectbox(key="sae_choice").set_value(second).run()
    assert app.header[0].value.startswith("Latent #")


@pytest.mark.parametrize(
    ("page", "lists"), [(None, "striking"), ("latents", "clips_strongest"), ("clips", "nearest_clips")]
)
def test_missing_recordings_leave_the_page_usable(app_test, own_workspace, words, drawn, page, lists):
    from sae_core.corpus.clips import Corpus

    corpus = Corpus.load(own_workspace)
    for row in range(len(corpus)):
        corpus.audio_file(row).unlink(missing_ok=True)
    app = app_test(own_workspace, page).run()
    assert not app.exception
    cards = drawn(app, lists)["clips"]
    assert cards
    assert all(card["problem"] and not card["url"] for card in cards)
    assert "cannot be played" in words(app)


def test_a_latent_that_never_fires_says_so(app_test, own_workspace, words):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(own_workspace)
    silence(own_workspace / "saes" / workspace.sae_names()[0], latent=4)
    app = app_test(own_workspace, "latents", latent="4").run()
    assert not app.exception
    assert "active on no clip" in words(app)
    assert app.header[0].value == "Latent #4"


def silence(folder, *, latent):
    """Take one latent out of the index and the codes of an SAE."""
    from sae_core.files.artifacts import read_table, write_table
    from sae_core.sae.codes import SparseCodes
    from sae_core.sae.feature_index import FeatureIndex

    table = read_table(folder / "latents.parquet")
    codes = SparseCodes.load(folder, n_latents=len(table), remedy="")
    activations = np.where(codes.latents == latent, 0, codes.activations).astype(np.float32)
    order = np.argsort(-activations, axis=1, kind="stable")
    codes = SparseCodes(
        np.take_along_axis(np.asarray(codes.latents), order, axis=1),
        np.take_along_axis(activations, order, axis=1),
        len(table),
    )
    codes.save(folder)
    FeatureIndex.build(codes).save(folder)
    table.loc[latent, ["n_active", "firing_rate", "max_activation", "mean_activation", "n_speakers"]] = 0
    table.loc[latent, ["best_value", "seen_value", "best_f1", "seen_f1"]] = None
    table.loc[latent, "is_named"] = False
    table.loc[latent, "warning"] = "never active"
    write_table(folder / "latents.parquet", table)
    reseal(folder / "index.json")


def test_an_unforeseen_error_is_logged_and_told_in_a_sentence(
    app_test, small_workspace, words, monkeypatch, caplog
):
    from sae_core.workspace.workspace import SaeView

    monkeypatch.setattr(SaeView, "method_example", lambda *_, **__: 1 / 0)
    with caplog.at_level(logging.ERROR, logger="voxscope"):
        app = app_test(small_workspace).run()
    assert not app.exception
    assert "Something went wrong" in words(app)
    assert "ZeroDivisionError" not in words(app)
    assert "ZeroDivisionError" in caplog.text


def test_labels_with_markup_stay_text():
    from streamlit.testing.v1 import AppTest

    def page() -> None:
        from pages.shared.facts import fact_list

        fact_list({"<b>voice</b>": "<img src=x onerror=alert(1)>"})

    app = AppTest.from_function(page).run()
    body = app.get("html")[0].proto.body
    assert "<img" not in body
    assert "&lt;img src=x onerror=alert(1)&gt;" in body
