"""Saved views on the pages: the view on screen under a name, for everyone, and back to it by one click."""

import pytest

from pages.shared.person import to_header
from pages.shared.views_menu import script_of
from sae_core.workspace.people import Person
from sae_core.workspace.saved_views import SavedView
from sae_core.workspace.workspace import open_workspace

EVIL = "[x](http://e.test) <b>b</b> :red[y]"


@pytest.fixture
def views(own_workspace):
    return open_workspace(own_workspace).saved_views


def opened(app):
    """The same page with its menu open."""
    app.session_state["views_menu"] = True
    return app.run()


def links(app):
    return {link.proto.label: link.proto for link in app.get("page_link")}


def test_the_view_on_screen_is_saved_and_leads_back(app_test, own_workspace, views, words):
    app = opened(app_test(own_workspace, "latents", latent="7", q="spanish").run())
    assert "No view is saved yet" in words(app)
    app.text_input(key="view_name").set_value(EVIL)
    app.button(key="view_save").click().run()
    assert "1 to 60 signs" in words(app) and views.views() == []
    app.text_input(key="view_author").set_value("Ana")
    app.button(key="view_save").click().run()
    (saved,) = views.views()
    assert (saved.name, saved.page, saved.author) == (EVIL, "latents", "Ana")
    asked = dict(saved.query)
    assert asked["latent"] == "7" and asked["q"] == "spanish" and "sae" in asked
    other = opened(app_test(own_workspace, "sweep").run())
    (link,) = [proto for label, proto in links(other).items() if "e.test" in label]
    assert "http://e.test" not in link.label and "latent=7" in link.query_string
    assert link.page == "latents"


def test_views_are_renamed_and_removed_on_notes(app_test, own_workspace, views):
    made = views.save("Old", "map", {"map": ["codes"]}, author="Ana")
    app = app_test(own_workspace, "notes").run()
    app.text_input(key="views_author").set_value("Ben").run()
    app.text_input(key=f"view_rename {made.uid}").set_value("New").run()
    assert [view.name for view in views.views()] == ["New"]
    assert "Open “New”" in links(app)
    app.button(key="view_remove").click().run()
    assert views.views() == [] and not app.exception


def test_readers_open_views_and_change_none(app_test, own_workspace, views, monkeypatch, words):
    views.save("Ours", "map", {}, author="Ana")
    reader = Person("eve", {own_workspace.name: "read"})
    monkeypatch.setattr("pages.shared.person._header", lambda: to_header(reader))
    app = opened(app_test(own_workspace, "notes").run())
    assert {"Ours", "Open “Ours”"} <= set(links(app))
    keys = {str(element.key) for element in (*app.button, *app.text_input)}
    assert not [key for key in keys if key.startswith("view_")]


@pytest.mark.parametrize(
    ("page", "script"), [("", "pages/overview.py"), ("nosuch", None), ("__init__", None)]
)
def test_only_pages_of_the_app_are_opened(page, script):
    assert script_of(SavedView("a", "name", page, (), "Ana", "")) == script
