"""Lists of words, written as text."""


def words_of(text: str) -> frozenset[str]:
    """The words of a text, which blanks and line ends part."""
    return frozenset(text.split())
