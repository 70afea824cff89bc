"""A workspace of format version 1 answers as it did, in the words of version 2, and what is written into it is new."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from sae_core.__main__ import main
from sae_core.build.job_records import stored_status
from sae_core.build.steps import index_workspace, is_trained
from sae_core.build.workspace_maps import open_map
from sae_core.corpus.acoustics import load_acoustics
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version, modern_settings, modern_table
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.excerpts import kept_excerpts
from sae_core.workspace.note_entries import Subject
from sae_core.workspace.workspace import Workspace, open_workspace

KEPT = Path(__file__).parent.parent / "workspaces"
WORDS = {"new voices": UNSEEN_SPEAKERS, "same voices": SEEN_SPEAKERS}


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(KEPT / "format1", tmp_path / "format1"))


@pytest.fixture
def workspace(folder) -> Workspace:
    return open_workspace(folder)


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads((KEPT / "format1-facts.json").read_text("utf-8"))


def in_new_words(lines: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([line | {"evidence": WORDS[line["evidence"]]} for line in lines])


def test_it_answers_as_the_version_that_made_it(workspace, facts):
    assert workspace.sae_names() == facts["sae_names"] and len(workspace.corpus) == facts["n_clips"]
    assert workspace.fingerprint == facts["fingerprint"]
    view = workspace.sae(workspace.sae_names()[0])
    values = in_new_words(facts["values"])
    pd.testing.assert_frame_equal(view.statistics.values, values, check_dtype=False)
    assert {UNSEEN_SPEAKERS, SEEN_SPEAKERS} == set(values["evidence"]), "both kinds of evidence are in it"
    best, before = view.predominant_latents(), in_new_words(facts["predominant"])
    shared = [name for name in before.columns if name in best.columns]
    assert {"latent", "attribute", "value", "evidence", "f1", "f1_low", "threshold"} <= set(shared)
    pd.testing.assert_frame_equal(best[shared], before[shared], check_dtype=False, atol=1e-5)


def test_labels_that_people_gave_are_still_there(workspace, facts):
    view = workspace.sae(workspace.sae_names()[0])
    assert view.label_of(3) == "hold music"
    clip = str(workspace.corpus.table["clip_id"][0])
    assert [comment.text for comment in workspace.notes.of(Subject(clip=clip)).comments] == ["clear line"]
    assert len(kept_excerpts(workspace.path)) == 1


def test_nothing_of_it_counts_as_stale_or_unfinished(workspace, folder, capsys):
    assert {part.state for part in workspace.parts()} == {"ready"}
    assert main(["info", str(folder), "--verify"]) == 0
    view = workspace.sae(workspace.sae_names()[0])
    assert is_trained(view.folder, workspace.corpus, view.embeddings)
    assert view.model().fingerprint == view.weights_fingerprint, "an SAE is the same under either version"
    assert load_acoustics(folder, workspace.corpus).table["f0_range_semitones"].notna().any()
    assert "dead_fraction" in view.metrics["held-out"] and "dead_fraction" in view.training
    assert {"top_speaker_fraction", "seen_value"} <= set(view.latents)
    assert len(open_map(view, "clips").rows)
    status = stored_status(folder)
    assert status is not None and [step.state for step in status.steps] == ["done"] * 7


def test_training_again_with_the_same_settings_keeps_what_is_there(folder):
    before = (folder / "saes/topk-16-k4/weights.safetensors").stat().st_mtime_ns
    verb = [
        "train",
        "--workspace",
        str(folder),
        "--variant",
        "topk",
        "--latents",
        "16",
        "--k",
        "4",
        "--epochs",
        "60",
    ]
    assert main(verb) == 0
    assert (folder / "saes/topk-16-k4/weights.safetensors").stat().st_mtime_ns == before


def test_what_is_written_into_it_is_of_the_newest_version(folder):
    index_workspace(folder, rebuild=True)
    name = open_workspace(folder).sae_names()[0]
    stored = json.loads((folder / "saes" / name / "index.json").read_text())
    assert stored["format_version"] == FORMAT_VERSION and "code_latents.npy" in stored["files"]
    words = set(pd.read_parquet(folder / "saes" / name / "attribute_values.parquet")["evidence"])
    assert words == {UNSEEN_SPEAKERS, SEEN_SPEAKERS}
    workspace = open_workspace(folder)
    assert "hold music" in [workspace.sae(name).label_of(3) for name in workspace.sae_names()]


@pytest.mark.parametrize("version", [0, 3, 99, None, "1"])
def test_other_versions_are_refused_with_those_that_are_read(version):
    with pytest.raises(ArtifactError, match="1 and 2"):
        check_version(version, where="workspace.json")


def test_tables_of_other_names_pass_unchanged():
    table = pd.DataFrame({"dead_share": [1.0], "evidence": ["new voices"]})
    assert modern_table("labels.parquet", table) is table


def test_settings_inside_settings_are_translated():
    assert modern_settings({"training": {"warmup_share": 1}, "config": {"format_version": 1}}) == {
        "training": {"warmup_fraction": 1},
        "config": {"format_version": FORMAT_VERSION},
    }


@pytest.mark.parametrize(
    "page",
    [None, "latents", "clips", "map", "match", "sweep", "movement", "steering", "verification", "notes"],
)
def test_every_page_shows_it(app_test, folder, page):
    app = app_test(folder, page).run()
    assert not app.exception
    assert not [sub.value for sub in app.header if "went wrong" in sub.value]


def test_addresses_of_before_open_what_they_opened(app_test, folder):
    app = app_test(folder, "latents", evidence="same voices").run()
    assert not app.exception
    assert app.segmented_control(key="evidence").value == SEEN_SPEAKERS
