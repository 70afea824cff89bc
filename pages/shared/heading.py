"""The line above a list: what it holds, in a few words, and what to say when it holds nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """label: what the list holds. help: how to read it. empty: what stands there when there is nothing. level: 2 right
    below the page's title, 3 below a section's."""

    label: str = ""
    help: str = ""
    empty: str = "Nothing here."
    level: int = 2


NO_HEADING = Heading()
