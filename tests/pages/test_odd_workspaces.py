"""Every page opens on every odd workspace: what cannot be shown is said in words, and nothing goes wrong."""

import pytest

from tests.odd_workspaces import KINDS, UNTRAINED, write_odd_workspace

PAGES = (
    "overview", "latents", "clips", "map", "match", "probe", "sweep", "movement", "universality", "steering", "erasure",
    "verification", "data_check", "build", "notes",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`made(kind)` is a workspace of that kind, made once; tests only read it."""
    folders = {}

    def find(kind):
        if kind not in folders:
            folders[kind] = write_odd_workspace(kind, tmp_path_factory.mktemp("odd") / kind)
        return folders[kind]

    return find


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        *((page, kind) for page in PAGES for kind in KINDS if kind not in UNTRAINED),
        *((page, UNTRAINED[0]) for page in PAGES),
        ("overview", UNTRAINED[1]),
    ],
)
def test_every_page_opens(app_test, made, words, page, kind):
    app = app_test(made(kind), page).run()
    assert not app.exception, app.exception[0].value
    assert "went wrong" not in words(app)
    assert app.title


def test_what_cannot_be_trained_on_is_said_before_training(made):
    from sae_core.build.steps import train_in_workspace
    from sae_core.files.errors import CorpusError
    from sae_core.sae.config import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    for kind in UNTRAINED:
        with pytest.raises(CorpusError, match="one and the same embedding") as told:
            train_in_workspace(Workspace(made(kind)), SaeConfig(dim=24, n_latents=8, k=2), TrainingConfig())
        assert "import more recordings" in str(told.value)


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("latents", {"latent": "11", "order": "Fires most", "sure": "true"}),
        ("map", {"map": "directions"}),
        ("map", {"map": "codes", "colour": "latent"}),
        ("map", {"colour": "voice"}),
        ("clips", {"find": "nothing of this kind"}),
        ("match", {"latent": "3"}),
        ("movement", {"between": "Thresholds"}),
        ("universality", {"look": "Values by SAE"}),
        ("universality", {"look": "Groups of latents"}),
    ],
)
@pytest.mark.parametrize("kind", ["two clips", "dead latents"])
def test_views_within_pages_open_too(app_test, made, words, page, query, kind):
    app = app_test(made(kind), page, **query).run()
    assert not app.exception, app.exception[0].value
    assert "went wrong" not in words(app)


@pytest.mark.parametrize("part", ["Scores", "Identification", "Fairness"])
@pytest.mark.parametrize("kind", ["dead latents", "forty attributes"])
def test_parts_of_verification_open_too(app_test, made, words, part, kind):
    app = app_test(made(kind), "verification", part=part).run()
    assert not app.exception
    assert "went wrong" not in words(app)


def test_a_latents_page_without_measured_values_leaves_their_bounds_empty(app_test, made):
    shown = app_test(made("no labels"), "latents").run().dataframe[0].value
    assert len(shown)
    assert (shown["f1_interval"] == "").all()


def test_a_workspace_without_sound_says_so_once_and_offers_no_player(app_test, made, words, drawn):
    for page in PAGES:
        if page == "build":
            continue
        app = app_test(made("no sound"), page).run()
        assert words(app).count("No clip can be played") == 1, page
        assert "cannot be played" not in words(app), page
        assert "sae_core measure" not in words(app) and "click a row to hear it" not in words(app), page
    app = app_test(made("no sound"), "clips").run()
    assert all(card["is_mute"] and not card["url"] for card in drawn(app, "nearest_clips")["clips"])


def test_new_sounds_cannot_be_probed_with_vectors_of_ones_own(app_test, made, words):
    app = app_test(made("no sound"), "probe").run()
    assert not app.get("file_uploader"), "clips of the corpus are offered first"
    app = app_test(made("no sound"), "probe", clip="clip-003").run()
    assert not app.exception and "went wrong" not in words(app)
    assert "new sounds cannot be embedded" in words(app)
    app = app_test(made("no sound"), "probe", sound="yours").run()
    assert not app.get("file_uploader")
    assert "new sounds cannot be embedded" in words(app)
