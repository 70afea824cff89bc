"""What is kept for everyone: by one helper, under keys that change with whatever the kept thing shows."""

import importlib
from pathlib import Path

import pytest

from tests.plain_maps import copy_with_maps

PAGES = Path(__file__).parents[2] / "pages"
ONLY_HERE = PAGES / "shared" / "caching.py"


def test_pages_keep_things_by_one_helper():
    found = [
        str(file.relative_to(PAGES))
        for file in PAGES.rglob("*.py")
        if file != ONLY_HERE
        and any(word in file.read_text("utf-8") for word in ("cache_resource", "cache_data"))
    ]
    assert found == []


def test_every_class_that_is_known_by_a_key_exists():
    from pages.shared.caching import KEYS

    for path in KEYS:
        module, _, name = path.rpartition(".")
        found = getattr(importlib.import_module(module), name)
        assert f"{found.__module__}.{found.__qualname__}" == path


def test_the_same_view_opened_again_is_the_same_key(small_workspace):
    from pages.shared.caching import cached
    from sae_core.workspace.workspace import SaeView, open_workspace

    asked = []

    @cached(keep=4)
    def named(view: SaeView, word: str) -> str:
        asked.append(word)
        return f"{view.name} {word}"

    first, again = open_workspace(small_workspace), open_workspace(small_workspace)
    one, other = first.sae_names()
    assert named(first.sae(one), "a") == named(again.sae(one), "a") == f"{one} a"
    assert named(first.sae(other), "a") == f"{other} a"
    assert named(first.sae(one), "b") == f"{one} b"
    assert asked == ["a", "a", "b"]


def test_what_shows_notes_is_made_anew_when_somebody_writes(own_workspace):
    from pages.shared.caching import cached
    from sae_core.workspace.workspace import SaeView, Workspace, open_workspace

    @cached(keep=4, shows_notes=True)
    def label(view: SaeView) -> str:
        return view.label_of(3)

    @cached(keep=4, shows_notes=True)
    def labels(workspace: Workspace) -> int:
        return len(workspace.notes.subjects())

    workspace = open_workspace(own_workspace)
    view = workspace.sae(workspace.sae_names()[0])
    assert (label(view), labels(workspace)) == ("", 0)
    workspace.notes.write(view.subject(3), "label", text="hum", author="Ann")
    assert (label(view), labels(workspace)) == ("hum", 1)


@pytest.fixture
def mapped(small_workspace, tmp_path):
    return copy_with_maps(small_workspace, tmp_path)


def opened(folder):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(folder)
    return workspace.sae(workspace.sae_names()[0])


def test_dots_and_legend_show_what_people_call_latents_and_clips_now(mapped):
    from pages.figures.point_map.stored_map import dot_files, legend
    from pages.shared.map_choice import BY_LATENT, MapChoice
    from sae_core.workspace.note_entries import Subject

    view = opened(mapped)
    choice = MapChoice("clips", BY_LATENT, 3)
    assert "hum" not in legend(view, choice).title
    assert b"door bell" not in dot_files(view, "clips").names
    clip = str(view.workspace.corpus.table["clip_id"].iloc[0])
    view.workspace.notes.write(view.subject(3), "label", text="hum", author="Ann")
    view.workspace.notes.write(Subject(clip=clip), "label", text="door bell", author="Ann")
    assert legend(view, choice).title == "#3 “hum”"
    assert "#3 “hum”" in dot_files(view, "directions").names.decode()
    named = dot_files(view, "clips").names.decode().split("\n")
    assert sum("“door bell”" in line for line in named) == 1
    assert next(line for line in named if "door bell" in line).startswith(f"{clip}\t")


def test_clips_maps_are_opened_once_for_all_saes(mapped):
    from pages.figures.point_map.stored_map import opened as opened_map
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(mapped)
    one, other = (workspace.sae(name) for name in workspace.sae_names())
    assert opened_map(one, "clips") is opened_map(other, "clips")
