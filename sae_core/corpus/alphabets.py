"""In which 8-bit encodings a few words read as some language writes them: by its letters, its script, its capitals.

A handful of names is too little for the frequencies of letters, but Dvořák read as Dvoøák is written in no language.
"""

import re
from collections.abc import Sequence

# the letters beyond a to z of languages that are written in Latin script
_LATIN = {
    "western": (
        "àâæçéèêëîïôœùûüÿ", "äöüß", "áéíñóúüçàè", "áàâãçéêíóôõúü", "àèéìíîòóùú", "àçèéíïòóúü", "áéëïíóöüèê",
        "æøåéèóòôäöü", "åäöéüà", "äöåšž", "áðéíóúýþæö", "äöõüšž",
    ),
    "central": ("ąćęłńóśźż", "áčďéěíňóřšťúůýžöü", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß"),
    "baltic": ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž"),
    "turkish": ("çğıöşüâîûİ",),
}  # fmt: skip
_SCRIPTS = {
    "cyrillic": (
        "абвгдежзийклмнопрстуфхцчшщъыьэюяё", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
        "абвгдеёжзійклмнопрстуўфхцчшыьэюя", "абвгдђежзијклљмнњопрстћуфхцчџшѓќѕ",
    ),
    "greek": ("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋ",),
    "hebrew": ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",),
}  # fmt: skip
_ALPHABETS = _LATIN | _SCRIPTS
# what no word of a script has: a sign that softens nothing, letters for the end of a word elsewhere, and the reverse
_IMPOSSIBLE = {
    "cyrillic": re.compile("^[ьъыЬЪЫ]"),
    "greek": re.compile("ς.|[^σ]σ$"),
    "hebrew": re.compile("[ךםןףץ]."),
}
_ACCENTED = set("άέήίόύώ")
_WRITTEN_IN = {
    "cp1252": "western", "cp850": "western", "mac_roman": "western", "cp1250": "central", "cp1257": "baltic",
    "cp1254": "turkish", "cp1251": "cyrillic", "koi8_r": "cyrillic", "cp866": "cyrillic", "cp1253": "greek",
    "cp1255": "hebrew",
}  # fmt: skip
_MAX_WORDS = 2_000
_ENOUGH, _SELDOM = 0.85, 0.9
_OF_SEVERAL = 0.95
"""What words of several languages weigh: one language that explains all of them is likelier."""
_MIN_ASCII = 1 / 4
"""Of the letters of a word in Latin script, as in łódź."""
_WORD = re.compile(r"[A-Za-z\u0080-\U0010ffff]+")
_BETWEEN = re.compile("[\u00a0\u00ab\u00bb\u2013\u2014\u2018-\u201e\u2026]+")
"""Blanks, quotes and dashes that word processors write."""


def readable_encodings(sample: bytes, encodings: Sequence[str]) -> list[str]:
    """Those of `encodings` in which nearly all words of one language are spelt rightly, more than in any other one.

    None where no word has a letter beyond ASCII, or languages of several scripts are mixed.
    """
    scores = {encoding: _score(sample, encoding) for encoding in encodings if encoding in _WRITTEN_IN}
    best = max(scores.values(), default=0.0)
    return [encoding for encoding, score in scores.items() if score == best >= _ENOUGH]


def is_latin(encoding: str) -> bool:
    """Whether an encoding is one of a Latin script."""
    return _WRITTEN_IN.get(encoding) in _LATIN


def _score(sample: bytes, encoding: str) -> float:
    """The fraction of words beyond ASCII that are spelt rightly in the language, or languages, that suit the most."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    found = (part for word in _WORD.findall(text) for part in _BETWEEN.split(word) if not part.isascii())
    words = list(dict.fromkeys(found))[:_MAX_WORDS]
    script = _WRITTEN_IN[encoding]
    by_language = [
        [_spelling(word, set(letters), script) for word in words] for letters in _ALPHABETS[script]
    ]
    mixed = sum(map(max, zip(*by_language, strict=True)))
    return max(*map(sum, by_language), _OF_SEVERAL * mixed) / len(words) if words else 0.0


def _spelling(word: str, letters: set[str], script: str) -> float:
    """1 for a word of one script and alphabet with capitals only where words have them; less where that is seldom."""
    n_ascii = sum(character.isascii() for character in word)
    if n_ascii < _MIN_ASCII * len(word) if script in _LATIN else n_ascii:
        return 0.0
    if not all(letter.isascii() or letter in letters or letter.lower() in letters for letter in word):
        return 0.0
    is_cased = word in (word.lower(), word.upper(), word[:1] + word[1:].lower()) or "İ" in word
    if not is_cased or (script in _IMPOSSIBLE and _IMPOSSIBLE[script].search(word)):
        return 0.0
    is_bare = script == "greek" and len(word) > 2 and not _ACCENTED & set(word)
    is_loud = len(word) > 1 and word == word.upper() != word.lower()
    return _SELDOM if is_bare or is_loud else 1.0
