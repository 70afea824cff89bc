"""Reports on the pages: offered to whoever may keep sounds, and made when somebody asks for one."""

from pages.shared import person
from pages.shared.reports import report_bytes
from sae_core.workspace.people import Person
from sae_core.workspace.workspace import open_workspace


def test_whoever_may_write_can_take_a_report(app_test, small_workspace, monkeypatch):
    def offered(page, **query):
        app = app_test(small_workspace, page, **query).run()
        assert not app.exception
        return {button.proto.label for button in app.get("download_button")}

    assert "Make a report" in offered("overview")
    assert "Report on this latent" in offered("latents", latent="7")
    guest = Person("guest", {small_workspace.name: "read"})
    monkeypatch.setattr(person, "current_person", lambda: guest)
    assert "Make a report" not in offered("overview")


def test_it_is_made_once_and_anew_when_somebody_writes(own_workspace, monkeypatch):
    monkeypatch.setattr("sae_core.workspace.notes.FRESH_S", 0)
    workspace = open_workspace(own_workspace)
    view = workspace.sae(workspace.sae_names()[0])
    first = report_bytes(view, 7)
    assert report_bytes(view, 7) is first
    workspace.notes.write(view.subject(7), "label", text="hold <music>", author="Ana")
    assert "#7 “hold &lt;music&gt;”".encode() in report_bytes(view, 7)
