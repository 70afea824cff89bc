"""The maps of a workspace: made once, kept, made anew when their data change, and refused when stale."""

import json

import numpy as np
import pytest

from sae_core.__main__ import main
from sae_core.build import workspace_maps
from sae_core.files.errors import ArtifactError, StaleArtifactError
from sae_core.measures.maps import MapSettings
from sae_core.workspace.workspace import Workspace
from tests.plain_maps import copy_with_maps, lay_out_plainly


@pytest.fixture
def laid(monkeypatch):
    """Lays out plainly and counts how often."""
    calls = []

    def counted(points, is_placed, settings):
        calls.append(len(is_placed))
        return lay_out_plainly(points, is_placed, settings)

    monkeypatch.setattr(workspace_maps, "lay_out", counted)
    return calls


@pytest.fixture
def mapped(small_workspace, tmp_path, laid):
    return copy_with_maps(small_workspace, tmp_path)


def default_view(path):
    workspace = Workspace(path)
    return workspace.sae(workspace.sae_names()[0])


def test_maps_of_the_default_sae_are_made_by_default(own_workspace, laid):
    report = workspace_maps.map_workspace(own_workspace)
    name = Workspace(own_workspace).sae_names()[0]
    names = ["embeddings/synthetic/clips", f"saes/{name}/codes", f"saes/{name}/directions"]
    assert (report.made, report.kept, report.failures) == (names, [], [])
    view = default_view(own_workspace)
    assert workspace_maps.stored_maps(view) == ["clips", "codes", "directions"]
    assert len(workspace_maps.open_map(view, "clips").rows) == view.embeddings.is_valid.sum()
    silent = np.flatnonzero(view.index.n_active() == 0)
    assert not workspace_maps.open_map(view, "directions").is_placed[silent].any()


def test_what_exists_is_kept_and_every_sae_can_be_asked_for(mapped, laid):
    laid.clear()
    names = Workspace(mapped).sae_names()
    report = workspace_maps.map_workspace(mapped, saes=["all"])
    assert len(report.kept) == 3
    assert report.made == [f"saes/{names[1]}/codes", f"saes/{names[1]}/directions"]
    assert len(laid) == 2
    assert len(workspace_maps.map_workspace(mapped, rebuild=True).made) == 3


def test_other_settings_make_a_map_anew(mapped):
    before = workspace_maps.map_fingerprint(default_view(mapped), "clips")
    report = workspace_maps.map_workspace(mapped, settings=MapSettings(seed=9))
    assert len(report.made) == 3
    assert workspace_maps.map_fingerprint(default_view(mapped), "clips") != before
    assert workspace_maps.open_map(default_view(mapped), "clips").settings["seed"] == 9


def test_an_interrupted_run_goes_on_where_it_was(own_workspace, laid, monkeypatch):
    def stop_at_second(points, is_placed, settings):
        if laid:
            raise KeyboardInterrupt
        laid.append(1)
        return lay_out_plainly(points, is_placed, settings)

    monkeypatch.setattr(workspace_maps, "lay_out", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        workspace_maps.map_workspace(own_workspace)
    assert workspace_maps.stored_maps(default_view(own_workspace)) == ["clips"]
    monkeypatch.setattr(workspace_maps, "lay_out", lay_out_plainly)
    report = workspace_maps.map_workspace(own_workspace)
    assert (len(report.kept), len(report.made)) == (1, 2)


def test_a_damaged_map_is_made_again(mapped):
    name = Workspace(mapped).sae_names()[0]
    (mapped / "saes" / name / "map_codes.npy").unlink()
    with pytest.raises(ArtifactError, match=r"map_codes\.npy.*map --workspace"):
        workspace_maps.open_map(default_view(mapped), "codes")
    assert workspace_maps.map_workspace(mapped).made == [f"saes/{name}/codes"]


def test_maps_of_other_data_are_stale_and_name_the_command(mapped):
    view = default_view(mapped)
    for kind in workspace_maps.MAP_KINDS:
        place = workspace_maps.place_of_map(view, kind)
        file = place.folder / f"map_{kind}.json"
        meta = json.loads(file.read_text())
        meta["parents"] = dict.fromkeys(meta["parents"], "0" * 16)
        file.unlink()
        file.write_text(json.dumps(meta))
        with pytest.raises(StaleArtifactError, match=rf"python -m sae_core map --workspace {mapped}"):
            workspace_maps.open_map(view, kind)
    assert workspace_maps.stored_maps(view) == []
    assert len(workspace_maps.map_workspace(mapped).made) == 3


def test_a_map_that_was_never_made_says_what_to_run(small_workspace):
    view = default_view(small_workspace)
    with pytest.raises(
        ArtifactError, match=rf"holds no map of the latents yet.*map --workspace .* --sae {view.name}"
    ):
        workspace_maps.open_map(view, "directions")


def test_what_cannot_be_mapped_is_told_and_the_rest_is_made(own_workspace, laid):
    report = workspace_maps.map_workspace(own_workspace, saes=["no-such-sae"])
    assert report.made == ["embeddings/synthetic/clips"]
    [(name, reason)] = report.failures
    assert name == "saes/no-such-sae"
    assert "has no SAE named 'no-such-sae'" in reason


def test_the_command_makes_and_keeps(own_workspace, laid, capsys):
    assert main(["map", "--workspace", str(own_workspace), "--seed", "2"]) == 0
    assert "made embeddings/synthetic/clips" in capsys.readouterr().out
    assert main(["map", "--workspace", str(own_workspace), "--seed", "2", "--sae", "no-such-sae"]) == 0
    said = capsys.readouterr().out
    assert "kept embeddings/synthetic/clips" in said
    assert "could not be made: saes/no-such-sae" in said
    assert main(["map", "--workspace", str(own_workspace), "--min-dist", "7"]) == 2
