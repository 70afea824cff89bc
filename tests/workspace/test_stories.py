"""Stories: the one that comes along, and those that teams write, read without trust."""

import pytest

from sae_core.files.errors import ArtifactError
from sae_core.files.product import asset
from sae_core.workspace.stories import MAX_STEPS, read_story, story_of

GOOD = """# Ours

## [First]()

One.

Two **strong**.

> Say this.
> And that.

## [Second](latents?q=hold+music&sae=topk-64)
Three.
"""


def test_a_team_writes_its_own(tmp_path):
    assert len(story_of(tmp_path).steps) == 10
    (tmp_path / "story.md").write_text(GOOD, "utf-8")
    story = story_of(tmp_path)
    assert story.title == "Ours" and [step.title for step in story.steps] == ["First", "Second"]
    first, second = story.steps
    assert (first.page, first.query, first.text, first.presenter) == (
        "",
        (),
        "One.\n\nTwo **strong**.",
        "Say this. And that.",
    )
    assert (second.page, dict(second.query)) == ("latents", {"q": "hold music", "sae": "topk-64"})


def test_the_one_that_comes_along_names_pages_of_the_app():
    from pages.shared.views_menu import script_named

    story = read_story(asset("story.md"))
    assert all(script_named(step.page) and step.text and step.presenter for step in story.steps)


@pytest.mark.parametrize(
    "text",
    [
        "", "# Only a title", "## no address\ntext", "## [x](http://evil.test)", "## [x](//evil.test)", "## [x](../up)",
        "## [x](javascript:alert)", f"## [{200 * 'x'}]()", f"## [x]()\n{3000 * 'x'}", (MAX_STEPS + 1) * "## [x]()\n",
        "## [x](latents?invitation=abc)\n" + 300_000 * "x",
    ],
)  # fmt: skip
def test_what_is_no_story_is_told(tmp_path, text):
    (tmp_path / "story.md").write_text(text, "utf-8")
    with pytest.raises(ArtifactError):
        story_of(tmp_path)


def test_other_encodings_are_told(tmp_path):
    (tmp_path / "story.md").write_bytes(b"## [caf\xe9]()")
    with pytest.raises(ArtifactError, match="UTF-8"):
        story_of(tmp_path)
