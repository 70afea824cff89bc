"""Pages on an imported SAE: every one opens on it, and says what it is."""

import shutil
from pathlib import Path

import pytest

from tests.foreign import write_sae

NAME = "theirs"


@pytest.fixture(scope="module")
def workspace(small_workspace, tmp_path_factory) -> Path:
    """The small workspace with an imported JumpReLU SAE beside its own."""
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.build.steps import index_workspace

    folder = tmp_path_factory.mktemp("foreign")
    copy = Path(shutil.copytree(small_workspace, folder / "workspace"))
    import_foreign(copy, write_sae(folder / "theirs"), name=NAME)
    index_workspace(copy, names=[NAME])
    return copy


@pytest.mark.parametrize(
    "page",
    [
        None,
        "latents",
        "clips",
        "map",
        "steering",
        "verification",
        "match",
        "movement",
        "sweep",
        "notes",
        "probe",
    ],
)
def test_every_page_opens_on_it(app_test, workspace, words, page):
    app = app_test(workspace, page, sae=NAME).run()
    assert not app.exception
    assert "went wrong" not in words(app)
    chosen = [box.value for box in app.selectbox]
    assert NAME in chosen or page in ("sweep", "notes")


def test_the_picker_offers_it_beside_those_trained_here(app_test, workspace):
    app = app_test(workspace, "latents").run()
    assert sum(NAME in option for option in app.selectbox(key="sae_choice").options) == 1


def test_latents_shows_the_clips_of_its_index(app_test, workspace, drawn):
    from sae_core.workspace.workspace import open_workspace

    view = open_workspace(workspace).sae(NAME)
    latent = int(view.latents["n_active"].argmax())
    app = app_test(workspace, "latents", sae=NAME, latent=str(latent)).run()
    opened = [card["opens"] for card in drawn(app, "clips_strongest")["clips"]]
    assert opened == view.examples(latent).strongest.rows.tolist()


def test_movement_runs_from_it_to_another(app_test, workspace, words):
    from sae_core.workspace.workspace import open_workspace

    other = next(name for name in open_workspace(workspace).sae_names() if name != NAME)
    app = app_test(workspace, "movement", sae=NAME, after=other).run()
    assert not app.exception
    assert "went wrong" not in words(app)


def test_overview_shows_the_card_with_its_file(app_test, workspace, words):
    app = app_test(workspace, sae=NAME).run()
    card = (workspace / "saes" / NAME / "card.md").read_text("utf-8")
    # blank lines at the end are not shown
    assert [code.value.strip() for code in app.code] == [card.strip()]
    assert "Model card" in [expander.label for expander in app.expander]
    assert "Markdown" in [button.label for button in app.get("download_button")]
    assert "up to" in words(app)
    assert ", imported; on " in words(app)
