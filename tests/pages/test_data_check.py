"""The Data check page: findings of the core, a decision that is kept, and a name that is asked for first."""

import shutil

import pandas as pd
import pytest

from sae_core.analysis.data_check import LEAVE_OUT, check_workspace, decisions_for_import
from sae_core.workspace.workspace import open_workspace
from tests.sealing import reseal


@pytest.fixture
def folder(small_workspace, tmp_path):
    """A copy in which one clip stands again under another id: the same vector, so a near copy."""
    import numpy as np

    folder = shutil.copytree(small_workspace, tmp_path / "workspace")
    place = folder / "embeddings" / "synthetic"
    vectors = np.load(place / "vectors.npy")
    vectors[40] = vectors[7]
    np.save(place / "vectors.npy", vectors)
    reseal(place / "meta.json")
    return folder


def shown(app) -> pd.DataFrame:
    return app.dataframe[0].value


def test_the_strongest_finding_is_open_and_is_that_of_the_core(app_test, folder, drawn):
    app = app_test(folder, "data_check").run()
    assert not app.exception
    workspace = open_workspace(folder)
    found = check_workspace(workspace, workspace.embeddings("synthetic"))
    copies = found[found["kind"] == "near copy"]
    assert (copies["row"].iloc[0], copies["other_row"].iloc[0]) == (40, 7)
    assert shown(app)["words"].tolist() == copies["words"].tolist()
    clips = workspace.corpus.table["clip_id"]
    assert [card["title"] for card in drawn(app, "finding_clips")["clips"]] == [clips[40], clips[7]]


def test_a_decision_needs_a_name_and_is_then_kept(app_test, folder):
    app = app_test(folder, "data_check").run()
    app.button(key=f"decide_{LEAVE_OUT}").click().run()
    assert "your name" in app.warning[0].value
    assert not decisions_for_import(folder).left_out
    app.text_input(key="notes_author").input("Ada").run()
    app.button(key=f"decide_{LEAVE_OUT}").click().run()
    clip = str(open_workspace(folder).corpus.table["clip_id"][40])
    assert decisions_for_import(folder).left_out == {clip}
    assert shown(app)["decision"].iloc[0] == LEAVE_OUT
    app.toggle(key="undecided").set_value(True).run()
    assert not app.exception
    assert LEAVE_OUT not in set(shown(app)["decision"]) if len(app.dataframe) else app.info


def test_a_corpus_without_findings_says_so(app_test, small_workspace, monkeypatch):
    from pages.shared import data_checks

    nothing = check_workspace(
        open_workspace(small_workspace), open_workspace(small_workspace).embeddings("synthetic")
    ).head(0)
    monkeypatch.setattr(data_checks, "checked", lambda view: nothing)
    app = app_test(small_workspace, "data_check").run()
    assert not app.exception and "Nothing stands out" in app.success[0].value


def test_the_overview_leads_to_the_data_check_and_says_what_was_heard(
    app_test, small_workspace, monkeypatch, words
):
    from pages.shared import data_checks

    monkeypatch.setattr(data_checks, "first_look", lambda *_: {"clipped": 2, "same sound": 1})
    data_checks._first_look.clear()
    app = app_test(small_workspace).run()
    data_checks._first_look.clear()
    assert not app.exception
    assert "**Data check**: of the clips, 2 clipped, 1 with the same sound as another." in words(app)
    assert any(link.proto.label.startswith("Data check") for link in app.get("page_link"))
