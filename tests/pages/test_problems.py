"""What is broken is told once, by the page that meets it, with what to do; no page ends in a traceback."""

import pytest
from streamlit.testing.v1 import AppTest

PAGES = (
    "overview", "latents", "clips", "map", "match", "probe", "sweep", "movement", "universality", "steering", "erasure",
    "verification", "data_check", "build", "notes",
)  # fmt: skip
BROKEN = {
    "the clips": "clips.parquet",
    "the embeddings": "embeddings/synthetic/vectors.npy",
    "the weights": "saes/{sae}/weights.safetensors",
    "the index": "saes/{sae}/latents.parquet",
    "the notes": "notes.sqlite",
    "the measures": "acoustics.parquet",
}


@pytest.fixture(scope="module")
def broken(small_workspace, tmp_path_factory):
    """`broken(part)` is a copy of the small workspace with garbage in that part of its default SAE's chain."""
    import shutil

    from sae_core.workspace.workspace import open_workspace

    folders = {}

    def find(part):
        if part not in folders:
            folder = tmp_path_factory.mktemp("broken") / "workspace"
            shutil.copytree(small_workspace, folder)
            file = folder / BROKEN[part].format(sae=open_workspace(folder).sae_names()[0])
            file.write_bytes(b"garbage, and enough of it to look like something")
            folders[part] = folder
        return folders[part]

    return find


@pytest.mark.parametrize(
    ("page", "part"),
    [
        *((page, "the weights") for page in PAGES),
        *((page, part) for page in ("overview", "latents", "clips", "notes") for part in BROKEN),
    ],
)
def test_a_broken_part_is_told_in_words(app_test, broken, words, page, part):
    app = app_test(broken(part), page).run()
    assert not app.exception, app.exception[0].value
    assert "went wrong" not in words(app)


def test_the_same_trouble_is_told_once_on_a_page(app_test, broken, words):
    app = app_test(broken("the weights"), "steering").run()
    assert words(app).count("weights.safetensors") == 1


def two_troubles():
    import streamlit as st

    from pages.shared import problems
    from sae_core.files.errors import ArtifactError

    @problems.part_of_page
    def left():
        raise ArtifactError("has *no* ears", where="left_hand", remedy="look for them")

    @problems.part_of_page
    def right():
        raise ArtifactError("has no ears", remedy="run: pip install ears, then train again")

    with problems.shown():
        left()
        right()
        st.markdown("the rest")
        raise ArtifactError("has *no* ears", where="left_hand")


def test_several_troubles_stand_beside_each_other(words):
    app = AppTest.from_function(two_troubles).run()
    assert not app.exception
    assert len(app.header) == 2
    assert "the rest" in words(app)
    assert words(app).count(r"has \*no\* ears") == 1
    assert "**What to do:** look for them." in words(app)
    assert [block.value for block in app.code] == ["pip install ears"]
    assert "Then train again." in words(app)


def test_the_way_again_runs_the_whole_page(words):
    app = AppTest.from_function(two_troubles).run()
    app.button[0].click().run()
    assert not app.exception
    assert words(app).count(r"has \*no\* ears") == 1
