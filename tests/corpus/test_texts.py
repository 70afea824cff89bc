"""Tables written by any system are read as what was written, or the encoding that was taken is said."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.texts import EIGHT_BIT, Text, decode, guess_encoding, name_of_encoding, read_text
from sae_core.files.errors import CorpusError

# words of which each one tells its encoding
WORDS = {
    "cp1250": "Łukasz Kraków świeży Dvořák Ďuriš źródło młodość łódź wąż",
    "cp1251": "Иван Анна Ольга Владимир русский женщина Україна жінка Беларусь Петар мужской",
    "cp1253": "Ελένη Αθήνα ελληνικά γυναίκα Νίκος Δημήτρης άνδρας",
    "cp1252": "José Müller François Søren Zoë niño été Straße Ångström garçon João mañana Léa",
    "cp1257": "Žemaitė Ašmenė Šilutė",
    "cp850": "José Müller François niño garçon mañana",
    "koi8_r": "Иван Анна Ольга русский женщина мужской",
}


def table_of(words):
    return "audio_path,speaker,language\n" + "".join(f"{n}.wav,{word},x\n" for n, word in enumerate(words))


@pytest.mark.parametrize(
    ("encoding", "word"), [(name, word) for name in WORDS for word in WORDS[name].split()]
)
def test_one_word_in_a_table_is_read_as_it_was_written(encoding, word):
    found = decode(table_of([word]).encode(encoding))
    assert found.text == table_of([word])
    assert found.encoding == name_of_encoding(guess_encoding(table_of([word]).encode(encoding)))
    assert found.encoding in found.notice("t.csv")[0]


@pytest.mark.parametrize("encoding", WORDS)
@given(chosen=st.data())
def test_a_few_words_of_a_language_are_read_as_they_were_written(encoding, chosen):
    words = chosen.draw(st.lists(st.sampled_from(WORDS[encoding].split()), min_size=1, max_size=6))
    assert decode(table_of(words).encode(encoding)).text == table_of(words)


def test_letters_of_several_languages_are_western_and_that_is_said():
    found = decode(table_of(["Přemysl"]).encode("cp1250"))
    assert found.text == table_of(["Pøemysl"])
    assert found.notice("t.csv") == (
        "t.csv is not UTF-8; it was read as Windows-1252 (Western); if names look wrong, save it as UTF-8",
    )
    with_others = table_of(["Přemysl", "Dvořák", "Němec"])
    assert decode(with_others.encode("cp1250")).text == with_others


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "audio_path,speaker\n0.wav,さくら\n1.wav,たなか ひろし\n"),
        ("gb18030", "audio_path,speaker\n0.wav,王小明\n1.wav,李娜\n"),
        ("cp949", "audio_path,speaker\n0.wav,김민수\n1.wav,이영희\n"),
    ],
)
def test_scripts_of_two_bytes_are_read_from_a_few_names(encoding, text):
    assert decode(text.encode(encoding)).text == text


def test_names_of_recordings_decide_where_words_cannot():
    raw = "audio_path\nØehoø.wav\n".encode("cp1252")
    assert decode(raw).text == "audio_path\nØehoø.wav\n"
    assert decode(raw, names=["Řehoř.wav"]).text == "audio_path\nŘehoř.wav\n"


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_utf_8_and_marked_encodings_come_back_whole(text):
    assert decode(text.encode("utf-8")) == Text(text)
    assert decode(codecs.BOM_UTF8 + text.encode("utf-8")) == Text(text)
    for mark, encoding in (
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ):
        assert decode(mark + text.encode(encoding)).text == text


@given(text=st.text("abcdefgh ,\n", min_size=4))
def test_utf_16_without_a_mark_is_known_by_its_zeros(text):
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode(text.encode(encoding)).text == text


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_text_or_none_and_nothing_else(raw):
    found = decode(raw)
    assert found is None or (
        isinstance(found.text, str) and all(line == line.strip("\n\r") for line in found.lines)
    )
    assert guess_encoding(raw) in EIGHT_BIT


def test_a_damaged_byte_in_much_utf_8_is_damage_and_no_other_encoding():
    text = "audio_path,speaker\n" + "".join(f"{n}.wav,Žaneta Nováková\n" for n in range(40))
    raw = bytearray(text.encode())
    raw[raw.index("Ž".encode())] = 0xFF
    found = decode(bytes(raw))
    assert found.text.count("Žaneta Nováková") == 39 and "damaged" in found.encoding


@pytest.mark.parametrize(("ends", "n"), [("a\nb\n", 2), ("a\r\nb", 2), ("a\rb\r", 2), ("a\n\nb", 3), ("", 0)])
def test_lines_end_as_any_system_ends_them(ends, n):
    assert len(Text(ends).lines) == n


def test_what_cannot_be_read_is_said_with_its_place(tmp_path):
    (tmp_path / "zeros.csv").write_bytes(bytes(1000))
    for path in (tmp_path / "gone.csv", tmp_path, tmp_path / "zeros.csv"):
        with pytest.raises(CorpusError) as refused:
            read_text(path)
        assert refused.value.where == str(path) and refused.value.remedy
