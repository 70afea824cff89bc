"""What a path in a table means among recordings that are there: found however it is spelt, and never another's."""

import unicodedata
from pathlib import PurePosixPath

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.names import NameIndex, folded, plain_path, without_suffix

PARTS = st.text("abcéñ 01_-", min_size=1, max_size=6).filter(lambda part: part == part.strip())
NAMES = st.lists(
    st.builds("/".join, st.lists(PARTS, min_size=1, max_size=3)).map(lambda name: f"{name}.wav"),
    min_size=1, max_size=12, unique_by=lambda name: folded(unicodedata.normalize("NFC", name)),
)  # fmt: skip
SPELLINGS = {
    "as it is": lambda name: name,
    "backslashes": lambda name: name.replace("/", "\\"),
    "a leading ./": lambda name: f"./{name}",
    "doubled slashes": lambda name: name.replace("/", "//"),
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "another machine": lambda name: f"/mnt/data/corpus/{name}",
    "a drive": lambda name: f"C:\\Users\\me\\corpus\\{name}".replace("/", "\\"),
    "an address": lambda name: f"s3://bucket/corpus/{name.replace(' ', '%20')}?version=1",
    "a template": lambda name: f"{{data_root}}/{name}",
    "in capitals": lambda name: name.upper(),
    "direction marks": lambda name: f"\u200e{name}\u200f",
    "another suffix": lambda name: f"{name[:-4]}.flac",
    "no suffix": lambda name: name[:-4],
}


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
@given(names=NAMES)
def test_each_name_is_found_however_it_is_spelt_or_not_at_all(spelt, names):
    index = NameIndex(names)
    for name in names:
        assert index.find(spelt(name)) in (name, None), "never another one's"
    one = names[0]
    if "/" in one or spelt not in (
        SPELLINGS["another machine"],
        SPELLINGS["a drive"],
        SPELLINGS["an address"],
    ):
        assert NameIndex([one]).find(spelt(one)) == one


@given(names=NAMES)
def test_a_column_is_looked_up_as_its_paths_are(names):
    asked = [*names, None, "gone/nowhere.wav", names[0]]
    found = NameIndex(names).find_all(pd.Series(asked, index=range(5, 5 + len(asked)), dtype="str"))
    assert found.index.tolist() == list(range(5, 5 + len(asked)))
    expected = [*names, None, NameIndex(names).find("gone/nowhere.wav"), names[0]]
    assert [None if pd.isna(name) else name for name in found] == expected


def test_the_last_folders_must_agree():
    index = NameIndex(["alice/1.wav", "alice/2.wav", "bob/2.wav"])
    assert index.find("bob/1.wav") is None
    assert index.find("old/alice/1.wav") == "alice/1.wav"
    assert index.find("1.wav") == "alice/1.wav"
    assert index.find("2.wav") is None and sorted(index.rivals("2.wav")) == ["alice/2.wav", "bob/2.wav"]
    assert index.count(["alice/1.wav", "2.wav", "bob/2"]) == 2


def test_what_was_moved_to_other_folders_is_known_by_its_name_only_where_nothing_else_is_found():
    index = NameIndex(["new/1.wav", "new/2.wav"])
    assert index.find_all(pd.Series(["old/1.wav", "old/2.wav"])).tolist() == ["new/1.wav", "new/2.wav"]
    found = index.find_all(pd.Series(["new/1.wav", "old/2.wav"]))
    assert found.isna().tolist() == [False, True]


def test_the_suffix_that_is_written_goes_before_another():
    index = NameIndex(["a/x.wav", "a/x.mp3"])
    assert index.find("elsewhere/a/x.mp3") == "a/x.mp3"
    assert index.find("a/x.flac") is None


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_plain_path_stays_plain_and_leads_nowhere_new(text):
    path = plain_path(text)
    assert not path.startswith("/") and "\\" not in path and "//" not in path
    assert ".." not in path.split("/") or ".." in text.replace("\\", "/") or "%" in text
    assert NameIndex(["a.wav"]).find(text) in (None, "a.wav"), "only listed names come back"


@given(name=st.text("abc.019-_", min_size=1, max_size=12))
def test_a_number_after_a_point_is_no_suffix(name):
    stem = without_suffix(name)
    assert name.startswith(stem)
    suffix = PurePosixPath(f"x{name}").suffix
    assert (stem != name) == (
        len(suffix) > 1 and suffix[1:].isalnum() and suffix[1].isalpha() and len(suffix) < 9
    ) or ("_" in suffix or "-" in suffix)
