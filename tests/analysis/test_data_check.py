"""The data check of a real workspace: findings are about its clips, decisions hold until they are taken back."""

import numpy as np
import pandas as pd
import pytest

from sae_core.analysis.data_check import (
    KEEP,
    LEAVE_OUT,
    MERGE,
    check_workspace,
    decide,
    decisions_for_import,
)
from sae_core.corpus.decisions import Decisions
from sae_core.workspace.workspace import open_workspace

EMBEDDER = "synthetic"


@pytest.fixture
def workspace(own_workspace):
    return open_workspace(own_workspace)


def finding(**fields):
    return {"kind": "outlier", "row": 0, "other_row": -1, "subject": "", "counterpart": ""} | fields


def test_findings_name_clips_and_say_what_is_suspected(workspace):
    digests = np.full(len(workspace.corpus), "", dtype=object)
    digests[[5, 9]] = "the same"
    found = check_workspace(workspace, workspace.embeddings(EMBEDDER), digests=digests)
    first, clips = found.iloc[0], workspace.corpus.table["clip_id"]
    assert (first["kind"], first["row"], first["other_row"]) == ("exact copy", 9, 5)
    assert first["words"] == f"{clips[9]} holds the same sound as {clips[5]}."
    assert found["words"].str.endswith(".").all() and (found["decision"] == "").all()


def test_a_drawn_sample_stands_for_many_clips(workspace, monkeypatch):
    monkeypatch.setattr("sae_core.analysis.data_check.MAX_CHECKED", 200)
    digests = np.full(len(workspace.corpus), "the same", dtype=object)
    found = check_workspace(workspace, workspace.embeddings(EMBEDDER), digests=digests)
    copies = found[found["kind"] == "exact copy"]
    assert len(copies) == 199 and copies["row"].max() > 200, "rows are those of the whole table"


def test_the_last_decision_holds(workspace, own_workspace):
    clip = str(workspace.corpus.table["clip_id"][0])
    decide(workspace, finding(), LEAVE_OUT, author="Ada")
    assert decisions_for_import(own_workspace).left_out == {clip}
    decide(workspace, finding(), KEEP, author="Ben")
    assert decisions_for_import(own_workspace) == Decisions()


def test_two_names_are_merged(workspace, own_workspace):
    pair = finding(kind="speaker under two names", subject="a “b” c", counterpart="d")
    decide(workspace, pair, MERGE, author="Ada")
    assert decisions_for_import(own_workspace).renamed == {"a “b” c": "d"}
    with pytest.raises(ValueError, match="no two speakers"):
        decide(workspace, finding(), MERGE, author="Ada")


def test_decisions_are_shown_with_the_findings(workspace):
    digests = np.full(len(workspace.corpus), "", dtype=object)
    digests[[5, 9]] = "the same"
    decide(workspace, finding(kind="exact copy", row=9), LEAVE_OUT, author="Ada")
    assert (
        check_workspace(workspace, workspace.embeddings(EMBEDDER), digests=digests)["decision"].iloc[0]
        == LEAVE_OUT
    )


def test_names_follow_chains_and_circles_end():
    decisions = Decisions(renamed={"a": "b", "b": "c", "x": "y", "y": "x"})
    names = decisions.rename(pd.Series(["a", "b", "c", None, "x"], dtype="str"))
    assert names[:3].tolist() == ["c", "c", "c"] and pd.isna(names[3])
    assert names[4] in {"x", "y"}


def test_what_was_measured_of_the_sound_is_among_the_findings(workspace, monkeypatch):
    n = len(workspace.corpus)
    faults = {"clipped": np.arange(n) == 4, "silent": np.arange(n) == 8, "same sound": np.ones(n, bool)}
    sounds = pd.DataFrame({"sound_digest": pd.Series([""] * n, dtype="str")})
    monkeypatch.setattr("sae_core.analysis.data_check._sounds", lambda *_: sounds)
    monkeypatch.setattr("sae_core.analysis.data_check.find_faults", lambda _: faults)
    found = check_workspace(workspace, workspace.embeddings(EMBEDDER)).set_index("kind")
    clips = workspace.corpus.table["clip_id"]
    assert found.loc["clipped", "row"] == 4 and found.loc["clipped", "words"] == f"{clips[4]} is clipped."
    assert found.loc["silent", "row"] == 8 and "same sound" not in found.index
    assert found.loc["clipped", "subject"] == "" and found["row"].dtype == np.int64


def test_every_kind_of_finding_is_explained_on_the_page():
    from pages.parts.data_check.findings import MEANINGS
    from sae_core.analysis.data_check import SOUND_KINDS
    from sae_core.measures.data_check import KINDS

    assert set(MEANINGS) == {*KINDS, *SOUND_KINDS}
