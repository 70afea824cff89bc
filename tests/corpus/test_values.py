"""One spelling for one meaning: genders, languages, splits and what is not known, from what people write."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.languages import _TABLE, is_language, language_of
from sae_core.corpus.values import (
    GENDERS,
    SPLIT_WORDS,
    UNKNOWN_WORDS,
    clean_text,
    gender_of,
    genders_of,
    is_class_word,
    is_unknown,
    known,
    languages_of,
    split_word,
    splits_from,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
AROUND = st.text(" \t\u00a0\u200b\u200e\u200f\ufeff\n", max_size=4)


@given(text=TEXTS)
def test_a_cleaned_text_is_clean_and_keeps_all_that_is_seen(text):
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert not any(unicodedata.category(character) == "Cc" for character in clean)
    seen = [c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")]
    assert [c for c in clean if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")] == seen


@given(name=st.text("abcXYZ019_-.", min_size=1), before=AROUND, after=AROUND)
def test_what_nobody_sees_around_a_name_is_no_part_of_it(name, before, after):
    assert clean_text(f"{before}{name}{after}") == name


@given(word=st.sampled_from(sorted(UNKNOWN_WORDS)), before=AROUND, after=AROUND, shout=st.booleans())
def test_each_word_for_not_known_is_so_in_any_case_and_quotes(word, before, after, shout):
    written = word.upper() if shout and word.upper().casefold() == word.casefold() else word
    assert is_unknown(f"{before}{written}{after}")
    assert is_unknown(f'"{written}"') or not word.isalpha()


@pytest.mark.parametrize(
    "name", ["Nan Goldin", "noneya", "unknown soldier 1", "0", "no", "Null Island", "-1", "x"]
)
def test_names_that_only_resemble_such_words_are_names(name):
    assert not is_unknown(name)
    assert known(pd.Series([name, "other"])).tolist() == [name, "other"]


@pytest.mark.parametrize(
    ("others", "is_name"),
    [
        (["AA", "NB"], True),
        (["DE", "FR", "long word"], True),
        (["ana", "bob"], False),
        (["AA"], False),
        ([], False),
    ],
)
def test_na_is_a_name_only_among_its_kind(others, is_name):
    found = known(pd.Series(["NA", *others]))
    assert found.notna().tolist() == [is_name, *[True] * len(others)]


def test_a_column_keeps_its_rows_and_cuts_endless_values():
    column = pd.Series([" a ", None, "?", "b" * 5_000, 3, 2.5], index=[4, 2, 9, 7, 1, 0])
    found = known(column)
    assert found.index.tolist() == column.index.tolist()
    assert found.isna().tolist() == [False, True, True, False, False, False]
    assert [found[4], len(found[7]), found[1], found[0]] == ["a", 2_000, "3", "2.5"]


@given(word=st.sampled_from(sorted(GENDERS)), before=AROUND)
def test_each_word_for_a_gender_is_that_gender(word, before):
    assert gender_of(word) == gender_of(f" {word.title()} ") == GENDERS[word]
    assert genders_of(pd.Series([f"{before}{word}"])).tolist() == [GENDERS[word]]


def test_a_gender_that_is_not_understood_stays_and_an_unknown_one_is_null():
    assert genders_of(pd.Series(["F", "agender", "unknown", None])).fillna("-").tolist() == [
        "female", "agender", "-", "-",
    ]  # fmt: skip


def words_of_languages():
    for line in _TABLE.strip().splitlines():
        tag, rest = line.split(":", maxsplit=1)
        codes, english, own = rest.split(";")
        for word in (*codes.split(), *english.split(","), *own.split(",")):
            if word.strip():
                yield tag, word.strip()


@pytest.mark.parametrize("spelt", [str, str.upper, str.title, lambda word: f" {word} (spoken)"], ids=range(4))
def test_each_code_and_name_of_a_language_is_its_tag(spelt):
    several = {word.casefold() for tag, word in words_of_languages() for other, same in words_of_languages()
               if same == word and tag != other}  # fmt: skip
    wrong = [
        (tag, word)
        for tag, word in words_of_languages()
        if word.casefold() not in several
        and spelt(word).strip().casefold().startswith(word.casefold())
        and (language_of(spelt(word)) or ("",))[0] != tag
    ]
    assert not wrong


@given(
    tag=st.sampled_from(["en", "pt", "zh", "sr"]),
    script=st.sampled_from(["", "Latn", "Cyrl", "Hans"]),
    region=st.sampled_from(["", "US", "BR", "419"]),
    mark=st.sampled_from("-_"),
    spelt=st.sampled_from([str, str.lower, str.upper]),
)
def test_a_tag_is_one_however_it_is_written(tag, script, region, mark, spelt):
    whole = "-".join(part for part in (tag, script, region) if part)
    assert language_of(spelt(whole.replace("-", mark))) == (tag, whole)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Brazilian Portuguese", "pt"), ("English (India)", "en"), ("zh-HK", "yue"), ("cmn_Hans_CN", "zh"),
        ("iw", "he"),
        ("speaker1", None), ("", None), ("12", None), ("hello world", None),
    ],
)  # fmt: skip
def test_what_is_added_to_a_language_is_passed_over(text, found):
    assert (language_of(text) or (None,))[0] == found
    assert is_language(text) == (found is not None)


def test_locales_are_kept_where_any_says_more_than_the_language():
    assert languages_of(pd.Series(["spa", "English"])).to_dict("list") == {"language": ["es", "en"]}
    found = languages_of(pd.Series(["en-us", "Klingonese tongue", None, "pt"]))
    assert found["language"].fillna("-").tolist() == ["en", "Klingonese tongue", "-", "pt"]
    assert found["locale"].fillna("-").tolist() == ["en-US", "Klingonese tongue", "-", "pt"]


@given(
    word=st.sampled_from(sorted(SPLIT_WORDS)),
    tail=st.sampled_from(["", "-clean-100", "_other", ".clean", "set", "100h"]),
)
def test_published_names_of_splits_are_splits(word, tail):
    if word.isalpha():
        assert split_word(word + tail) == split_word(word.upper() + tail) == SPLIT_WORDS[word]


@pytest.mark.parametrize("name", ["trainer", "testimony", "evan", "device", "", "1", "fitness"])
def test_names_that_begin_like_splits_are_none(name):
    assert split_word(name) is None


def test_splits_count_only_where_all_three_are_there():
    roles = {"train": "train", "dev": "selection", "test": "held-out"}
    assert splits_from(pd.Series(["train", "dev", "test", "x"]), roles).fillna("-").tolist() == [
        "train", "selection", "held-out", "-",
    ]  # fmt: skip
    assert splits_from(pd.Series(["train", "test", "x"]), roles).isna().all()


@pytest.mark.parametrize(
    ("word", "is_class"),
    [
        ("es", True), ("Female", True), ("train", True), ("noise", True), ("happy", True),
        ("id10270", False), ("ana", False), ("1001", False), ("", False),
    ],
)  # fmt: skip
def test_words_for_classes_are_no_people(word, is_class):
    assert is_class_word(word) == is_class
