"""Saved views: kept beside notes, appended and never lost, and nothing but pages of the app."""

import sqlite3

import pytest

from sae_core.files.errors import ArtifactError
from sae_core.workspace.note_entries import LABEL, Subject
from sae_core.workspace.notes import Notes
from sae_core.workspace.saved_views import SavedViews, ViewEntry, read_address, view_address

QUERY = {"sae": ["topk-64"], "latent": ["7"], "q": ["a b&c=ä?"], "tags": ["x", "y"], "workspace": ["calls"]}


def test_a_view_is_saved_renamed_and_removed(tmp_path):
    views = SavedViews(tmp_path)
    assert views.views() == [] and not (tmp_path / "notes.sqlite").exists()
    made = views.save(" Hold\nmusic ", "latents", QUERY, author="Ana")
    assert (made.name, made.page, made.author) == ("Hold music", "latents", "Ana")
    assert dict(made.query) == {"sae": "topk-64", "latent": "7", "q": "a b&c=ä?", "tags": "y"}
    assert [value for name, value in made.query if name == "tags"] == ["x", "y"]
    later = views.save("Overview", "", {}, author="Ben")
    views.rename(made.uid, "On hold", author="Ben")
    others = SavedViews(tmp_path)
    assert [(view.name, view.author) for view in others.views()] == [("Overview", "Ben"), ("On hold", "Ana")]
    others.remove(later.uid, author="Ana")
    assert [view.name for view in views.views()] == ["On hold"] and len(views.entries()) == 4
    with pytest.raises(ArtifactError, match="no such view"):
        views.rename(later.uid, "Again", author="Ana")


@pytest.mark.parametrize(
    "address",
    [
        "http://evil.test/", "//evil.test", "javascript:alert(1)", "latents/../sign-out", "\\\\evil.test", "latents#x",
        "Latents", "latents?invitation=abc", "latents?q=a&q=", "latents?x=" + 5000 * "a", "a b", "latents?a=1 2",
    ],
)  # fmt: skip
def test_no_view_leads_out_of_the_app(address):
    at = "2026-01-31T09:30:00.000000+00:00"
    with pytest.raises(ValueError):
        ViewEntry(32 * "a", 32 * "a", "name", address, "Ana", at)


def test_an_address_goes_there_and_back():
    address = view_address("latents", [("q", "a b&c=ä?#/\\"), ("latent", "7"), ("tags", "x"), ("tags", "y")])
    assert view_address(*read_address(address)) == address and address.startswith("latents?q=a+b%26c%3D")
    assert view_address(*read_address("")) == ""


def test_a_file_of_notes_alone_is_read_and_stays_as_it_was_until_a_view_is_saved(tmp_path):
    notes, views = Notes(tmp_path), SavedViews(tmp_path)
    notes.write(Subject(clip="a"), LABEL, text="laughter", author="Ana")

    def version():
        database = sqlite3.connect(tmp_path / "notes.sqlite")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        database.close()
        return found

    assert views.views() == [] and version() == 1
    views.save("Here", "clips", {"clip": ["a"]}, author="Ana")
    assert version() == 2
    notes.write(Subject(clip="b"), LABEL, text="cough", author="Ben")
    assert sorted(Notes(tmp_path).clip_labels().items()) == [("a", "laughter"), ("b", "cough")]
    assert [view.name for view in SavedViews(tmp_path).views()] == ["Here"]


def test_a_view_alone_makes_a_file_that_notes_read(tmp_path):
    SavedViews(tmp_path).save("Here", "clips", {}, author="Ana")
    assert Notes(tmp_path).entries() == []


def test_a_damaged_view_is_told(tmp_path):
    SavedViews(tmp_path).save("Here", "clips", {}, author="Ana")
    database = sqlite3.connect(tmp_path / "notes.sqlite")
    database.execute("UPDATE views SET address = 'http://evil.test'")
    database.commit()
    database.close()
    with pytest.raises(ArtifactError, match="a view that cannot be read"):
        SavedViews(tmp_path).views()
