"""What a search among latents means: the value first, then people's words, and ids only where nothing else has them."""

import pandas as pd
import pytest

from pages.parts.latents.table import BY_ID, BY_NOTE, BY_VALUE, NOT_FOUND, search_latents

TABLE = pd.DataFrame(
    {
        "latent": [0, 1, 2],
        "meaning": ["Spanish", "English", ""],
        "attribute": ["language", "language", None],
        "value": ["es", "en", None],
        "warning": ["", "", "mostly one speaker: spanish-anna"],
        "note_words": ["", "a spanish accent", ""],
        "top_speaker": ["carl", "spanish-bob", "spanish-anna"],
        "top_source": ["a", "b", None],
    }
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("spanish accent", [NOT_FOUND, BY_NOTE, NOT_FOUND]),
        ("bob", [NOT_FOUND, BY_ID, NOT_FOUND]),
        ("Span", [BY_VALUE, BY_NOTE, NOT_FOUND]),
        ("#1", [NOT_FOUND, BY_VALUE, NOT_FOUND]),
        ("", [BY_VALUE] * 3),
        ("klingon", [NOT_FOUND] * 3),
    ],
)
def test_a_latent_is_found_by_what_is_meant(text, found):
    assert search_latents(TABLE, text).tolist() == found
