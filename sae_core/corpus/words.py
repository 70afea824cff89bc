"""How attribute values and numbers are said to people, the same on pages and in reports."""

from typing import SupportsFloat, SupportsInt

import pandas as pd

from sae_core.corpus.language_names import LANGUAGES


def value_words(attribute: str, value: str) -> str:
    """An attribute value as people say it: Spanish for language `es`, else as it is labelled."""
    return LANGUAGES.get(value.split("-", maxsplit=1)[0], value) if attribute == "language" else value


def percent(share: SupportsFloat, digits: int = 0) -> str:
    """A share as a percentage, small ones not rounded away."""
    share = float(share)
    if 0 < share < 0.5 * 10 ** (-digits - 2):
        return f"<{10**-digits:g} %"
    return f"{100 * share:.{digits}f} %"


def bounds(low: object, high: object) -> str:
    """The bounds of a 95 % interval; nothing where they are not known."""
    return "" if pd.isna(low) or pd.isna(high) else f"{low:.2f}–{high:.2f}"


def with_interval(value: object, low: object, high: object) -> str:
    """A number and its 95 % interval, as far as they are known."""
    if pd.isna(value):
        return "–"
    around = bounds(low, high)
    return f"{value:.2f} ({around})" if around else f"{value:.2f}"


def counted(n: SupportsInt, noun: str) -> str:
    """`1 speaker`, `1,234 speakers`."""
    n = int(n)
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
