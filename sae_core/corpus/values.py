"""What people write in their own ways, written in one: what is not known, genders, languages, splits, truths.

Every layout and every table of labels is read through these, so that one spelling means one thing.
"""

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from sae_core.corpus.clips import SPLITS
from sae_core.corpus.languages import is_language, language_of
from sae_core.corpus.wordlists import words_of

AttributeValue = tuple[str, str]
"""An attribute and one of its values: `("language", "es")`."""

UNKNOWN_WORDS = frozenset(
    """
    unknown|unkown|unk|unkn|<unk>|nan|<na>|n/a|#n/a|n.a.|n.a|na.|n\\a|none|null|nil|nul|\\n|void|missing|empty|
    undefined|undetermined|unspecified|unassigned|unlabeled|unlabelled|unidentified|anonymous|anon|not known|
    not available|not applicable|not specified|not given|not stated|not provided|no data|no answer|nothing|
    prefer not to say|prefer not to answer|do not wish to say|do_not_wish_to_say|declined|tbd|to be determined|
    ?|??|???|-|--|---|–|—|_|.|..|...|…|*|/|und|mul|zxx|
    infer|dummy|placeholder|
    unbekannt|keine angabe|k.a.|k. a.|inconnu|inconnue|desconocido|desconocida|desconhecido|sconosciuto|onbekend|
    nieznany|неизвестно|нет данных|غير معروف|未知|不明|不详|無|无|알 수 없음
    """.replace("\n", "").replace("  ", "").strip().split("|")
)  # fmt: skip
# A word for "not known" and a name of its own: a speaker NA among AA and NB, Namibia among countries.
_AMBIGUOUS = "na"
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_UNSEEN_AT_ENDS = " \t\u00a0\u200b\u200c\u200d\u200e\u200f\u202f\u2060\u3000\ufeff"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
MAX_VALUE_LENGTH = 2_000

_GENDER_WORDS = {
    "male": (
        "m male man men boy masculine male_masculine masc mr he hombre masculino masculin homme männlich maennlich "
        "mann maschio uomo homem mannelijk man hane erkek mies mężczyzna muž муж м мужской мужчина чоловік чоловіча "
        "ذكر رجل 男 男性 男声 男人 남 남자 남성 पुरुष נם זכר"
    ),
    "female": (
        "f female woman women girl feminine female_feminine fem mrs ms w she mujer femenino femenina féminin feminin "
        "femme weiblich frau femmina donna mulher feminino vrouwelijk vrouw kvinna kadın nainen kobieta žena жен ж "
        "женский женщина жінка жіноча أنثى انثى امرأة 女 女性 女声 女人 여 여자 여성 महिला נקבה"
    ),
    "other": "other d divers diverse andere autre otro",
    "intersex": "intersex",
    "transgender": "transgender trans",
    "non-binary": "non-binary nonbinary non_binary nb enby",
}
GENDERS = {word: gender for gender, words in _GENDER_WORDS.items() for word in words.split()}

_SPLIT_WORDS = {
    "train": "train training tr trn fit",
    "selection": "selection validation valid val dev development devel cv tuning tune",
    "held-out": "held-out heldout held_out test testing tst tt eval evaluation",
}
SPLIT_WORDS = {word: split for split, words in _SPLIT_WORDS.items() for word in words.split()}
_SPLIT_NAME = re.compile(r"([a-z]+?)[\W_]?(?:\d+[hkm]?|clean|other|all|set|split|data)(?:[\W_].*)?")


def clean_text(value: str) -> str:
    """A text without blanks around it, control characters, and what nobody sees at its ends (direction marks, joiners).

    Nothing else changes, so that ids keep every character.
    """
    if value.isascii() and value.isprintable():
        return value.strip()
    text = _CONTROL.sub(" ", value.strip()).encode("utf-8", "backslashreplace").decode()
    return text.strip(_UNSEEN_AT_ENDS)


def is_unknown(text: str) -> bool:
    """Whether a text says that something is not known, in words, signs or nothing at all."""
    word = " ".join(_INVISIBLE.sub("", text).split()).casefold().strip("\"'`()[]{} ")
    return not word or word in UNKNOWN_WORDS or text.strip().casefold() in UNKNOWN_WORDS


def known(column: pd.Series) -> pd.Series:
    """The column as text, cleaned, null where it says that nothing is known.

    "NA" is a name where the other values are of its kind, such as AA and NB; else it is not known.
    """
    texts = column.astype("object")
    answers: dict[object, str | None] = {}
    for value in texts.dropna().unique():
        text = clean_text(str(value))[:MAX_VALUE_LENGTH]
        answers[value] = None if is_unknown(text) else text
    named = {text for text in answers.values() if text is not None}
    for value, word in answers.items():
        if word is not None and word.casefold() == _AMBIGUOUS and not _is_code_among(word, named):
            answers[value] = None
    return texts.map(answers).astype("str")


def _is_code_among(text: str, others: Iterable[str]) -> bool:
    alike = [
        len(other) == 2 and other.isalpha() and other.isupper() == text.isupper()
        for other in others
        if other.casefold() != _AMBIGUOUS
    ]
    return len(alike) > 1 and sum(alike) > 0.6 * len(alike)


def gender_of(text: str) -> str | None:
    """`female`, `male` or another gender in words; None where it is not understood."""
    return GENDERS.get(text.strip().casefold().rstrip("."))


def genders_of(column: pd.Series) -> pd.Series:
    """`female`, `male` or another gender in words; null where it is not known, as it is where it is not understood."""
    plain = known(column)
    return plain.map({text: gender_of(text) or text for text in plain.dropna().unique()}).astype("str")


def languages_of(column: pd.Series) -> pd.DataFrame:
    """`language`, the primary tag of a language, and `locale`, the whole tag, where any says more than the language.

    Tags may be written with `-` or `_` and in any case, or be a language's name; what is none stays as it is.
    """
    plain = known(column)
    found = {text: language_of(text) or (text, text) for text in plain.dropna().unique()}
    primary = plain.map({text: tags[0] for text, tags in found.items()}).astype("str")
    described = pd.DataFrame({"language": primary}, index=column.index)
    if any(primary != whole and "-" in whole for primary, whole in found.values()):
        described["locale"] = plain.map({text: tags[1] for text, tags in found.items()}).astype("str")
    return described


def split_word(text: str) -> str | None:
    """The split that a published name means, such as `train` for "train-clean-100"; None where it is none."""
    word = text.strip().casefold()
    if word in SPLIT_WORDS:
        return SPLIT_WORDS[word]
    found = _SPLIT_NAME.fullmatch(word)
    return SPLIT_WORDS.get(found[1]) if found is not None else None


_CLASSES = words_of(
    """
    speech music noise singing silence background babble ambient song human machine synthetic natural tts vc
    happy happiness sad sadness angry anger neutral fear fearful disgust disgusted surprise surprised calm excited
    bored boredom frustrated positive negative yes no on off up down left right go stop true false
    spoof bonafide bona-fide bona_fide genuine real fake deepfake original clean noisy studio phone telephone mobile
    landline headset young old adult child children teens twenties thirties forties fourties fifties sixties
    seventies eighties nineties
    audio wav wavs clips recordings data files flac mp3 sound sounds
    """
)


def is_class_word(text: str) -> bool:
    """Whether a text names a language, a gender, a split or another class of recordings rather than a person."""
    word = text.strip().casefold()
    return (
        word in _CLASSES
        or gender_of(word) is not None
        or split_word(word) is not None
        or (is_language(text) and not text.isdigit())
    )


def splits_from(subsets: pd.Series, roles: Mapping[str, str]) -> pd.Series:
    """The split that each published subset plays, where all three are there; else null, to split by speaker.

    `roles` says which: only for subsets that share no speaker.
    """
    splits = subsets.map(roles).astype("str")
    return splits if set(splits.dropna()) == set(SPLITS) else splits.where(pd.Series(False, splits.index))
