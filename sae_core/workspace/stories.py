"""Stories: guided tours of the pages, as Markdown; each step is a page with its choices, and words to go with it.

    # Title

    ## [One latent by ear](latents?q=music)

    Text of the step.

    > What the presenter may say.

A workspace that holds a file story.md shows that one; every other shows the one that comes along.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from sae_core.files.errors import ArtifactError
from sae_core.files.product import asset
from sae_core.workspace.saved_views import read_address, view_address

OWN_FILE = "story.md"
MAX_STORY_BYTES = 256 * 1024
MAX_STEPS, MAX_TITLE_CHARS, MAX_TEXT_CHARS = 40, 120, 2_000
_HEAD = re.compile(r"## \[(?P<title>[^\]\n]+)\]\((?P<address>[^\s)]*)\)\s*")
_REMEDY = "write each step as: ## [title](page?parameters), then its text"


@dataclass(frozen=True)
class Step:
    """One step: title, text (an empty line between paragraphs), presenter's words, and the page with its parameters."""

    title: str
    text: str
    presenter: str
    page: str
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Story:
    """A tour of the pages."""

    title: str
    steps: tuple[Step, ...]


def story_of(workspace: Path) -> Story:
    """Return the workspace's own story, or the one that comes along; ArtifactError where it cannot be read."""
    own = workspace / OWN_FILE
    return read_story(own if own.is_file() else asset(OWN_FILE))


def read_story(file: Path) -> Story:
    """Return the story in a file; ArtifactError where it has no steps, too many, or one that is no page of the app."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_STORY_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", where=file, remedy=_REMEDY) from error
    except UnicodeDecodeError as error:
        raise ArtifactError("is no text in UTF-8", where=file, remedy=_REMEDY) from error
    if len(content) > MAX_STORY_BYTES:
        raise ArtifactError(f"is larger than {MAX_STORY_BYTES // 1024} KiB", where=file, remedy=_REMEDY)
    head, *parts = re.split(r"^(?=## )", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    if not 1 <= len(parts) <= MAX_STEPS:
        raise ArtifactError(
            f"has {len(parts)} steps, and a story has 1 to {MAX_STEPS}", where=file, remedy=_REMEDY
        )
    title = head.strip().removeprefix("#").strip().split("\n")[0][:MAX_TITLE_CHARS] or "Story"
    return Story(title, tuple(_step(part, number, file) for number, part in enumerate(parts, start=1)))


def _step(part: str, number: int, file: Path) -> Step:
    first, _, body = part.partition("\n")
    found = _HEAD.fullmatch(first)
    if found is None:
        raise ArtifactError(f"step {number} has no title with an address", where=file, remedy=_REMEDY)
    lines = body.strip().split("\n")
    spoken = " ".join(line.removeprefix(">").strip() for line in lines if line.startswith(">"))
    text = "\n".join(line for line in lines if not line.startswith(">")).strip()
    if max(len(text), len(spoken)) > MAX_TEXT_CHARS or len(found["title"]) > MAX_TITLE_CHARS:
        raise ArtifactError(f"step {number} is too long", where=file, remedy=_REMEDY)
    try:
        page, query = read_address(found["address"])
        view_address(page, query)
    except ValueError as error:
        raise ArtifactError(f"step {number}: {error}", where=file, remedy=_REMEDY) from error
    return Step(found["title"].strip(), text, spoken, page, tuple(query))
