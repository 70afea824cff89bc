"""What corpora write in their own ways, written in one: genders, languages, and the corpora's own splits."""

from collections.abc import Mapping

import pandas as pd

from sae_core.corpus.clips import SPLITS

AttributeValue = tuple[str, str]
"""An attribute and one of its values: `("language", "es")`."""

GENDERS = {
    "m": "male",
    "male": "male",
    "male_masculine": "male",
    "f": "female",
    "female": "female",
    "female_feminine": "female",
    "other": "other",
    "intersex": "intersex",
    "transgender": "transgender",
    "non-binary": "non-binary",
}
# Tags that mean a language by another one's name, or by an old one.
LANGUAGE_TAGS = {"cmn": "zh", "in": "id", "iw": "he", "jw": "jv", "zh-hk": "yue"}
LANGUAGES_BY_NAME = {
    "arabic": "ar", "cantonese": "yue", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu",
    "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "latin": "la", "mandarin": "zh",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "spanish": "es", "swedish": "sv", "tagalog": "tl", "tamil": "ta", "telugu": "te", "turkish": "tr",
    "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi",
}  # fmt: skip


def genders_of(column: pd.Series) -> pd.Series:
    """`female`, `male` or another gender in words; null where it is not told or not understood."""
    return column.str.strip().str.lower().map(GENDERS).astype("str")


def languages_of(column: pd.Series) -> pd.DataFrame:
    """`language`, the primary tag of a language, and `locale`, the whole tag, where any says more than the language.

    Tags may be written with `-` or `_` and in any case, or be a language's English name.
    """
    known = {text: _locale(text) for text in column.dropna().unique()}
    locales = column.map(known).astype("str")
    primary = {locale: _language(locale) for locale in known.values() if locale is not None}
    described = pd.DataFrame({"language": locales.map(primary).astype("str")}, index=column.index)
    if any("-" in locale for locale in primary):
        described["locale"] = locales
    return described


def _locale(text: str) -> str | None:
    first, *others = text.strip().replace("_", "-").split("-")
    first = LANGUAGES_BY_NAME.get(first.lower(), first.lower())
    return "-".join([first, *(_subtag(part) for part in others)]) or None


def _subtag(part: str) -> str:
    return {2: part.upper(), 4: part.title()}.get(len(part), part)


def _language(locale: str) -> str:
    first = locale.split("-", maxsplit=1)[0]
    return LANGUAGE_TAGS.get(locale.lower(), LANGUAGE_TAGS.get(first, first))


def splits_from(subsets: pd.Series, roles: Mapping[str, str]) -> pd.Series:
    """The split that each published subset plays, where all three are there; else null, to split by speaker.

    `roles` says which: only for subsets that share no speaker.
    """
    splits = subsets.map(roles).astype("str")
    return splits if set(splits.dropna()) == set(SPLITS) else splits.where(pd.Series(False, splits.index))
