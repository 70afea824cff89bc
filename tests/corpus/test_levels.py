"""Which level of folders is the speaker, a value, a split: planted layouts, read as they were meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.levels import read_levels

PEOPLE = ("ana", "bob", "chloe", "dmytro", "eva", "finn")
IDS = tuple(f"id{10270 + n}" for n in range(6))


def tree(*levels, n_each=2):
    """Recordings in every combination of the folders of each level."""
    folders = [""]
    for names in levels:
        folders = [f"{above}{name}/" for above in folders for name in names]
    return [f"{folder}{number}.wav" for folder in folders for number in range(n_each)]


def own(*levels, n_each=2):
    """As `tree`, each speaker of the second level below one folder of the first."""
    above, below = levels
    return [
        f"{above[place % len(above)]}/{name}/{number}.wav"
        for place, name in enumerate(below)
        for number in range(n_each)
    ]


@pytest.mark.parametrize(
    ("names", "level", "folders", "subsets"),
    [
        (tree(IDS), 1, None, None),
        (tree(PEOPLE), None, PEOPLE, None),
        (tree(("es", "uk")), None, ("es", "uk"), None),
        (own(("es", "uk"), IDS), 2, ("es", "uk"), None),
        (own(("es", "uk"), PEOPLE), 2, ("es", "uk"), None),
        (own(("train", "dev", "test"), IDS), 2, None, ("train", "dev", "test")),
        (tree(IDS, ("session1", "session2")), 1, ("session1", "session2"), None),
        (tree(IDS, ("2024-01-02", "2024-01-03")), 1, ("2024-01-02", "2024-01-03"), None),
        (tree(("wav",), IDS), 2, None, None),
        (["a.wav", "b.wav"], None, None, None),
        ([f"{name}/{name}_{n}.wav" for name in PEOPLE for n in range(2)], 1, None, None),
    ],
)  # fmt: skip
def test_planted_layouts_are_read_as_they_were_meant(names, level, folders, subsets):
    found = read_levels(names)
    assert found.speaker_level == level
    assert {name for name in found.speakers if name} == (
        {name.split("/")[level - 1] for name in names} if level else set()
    )
    assert {name for name in found.subsets if name} == set(subsets or ())
    if folders:
        assert {name for name in found.folders if name} == set(folders)
    assert bool(found.source) == (level is not None)


def test_a_table_of_speakers_decides():
    names = tree(PEOPLE)
    assert read_levels(names).speaker_level is None
    found = read_levels(names, listed=[name.upper() for name in PEOPLE])
    assert found.speaker_level == 1 and "a table of speakers lists its names" in found.notices[0]


def test_what_people_say_decides():
    names = own(("es", "uk"), IDS)
    assert read_levels(names, asked=1, is_asked=True).speakers == [name.split("/")[0] for name in names]
    assert read_levels(names, asked=None, is_asked=True).speakers == [None] * len(names)
    assert read_levels(names, asked=9, is_asked=True).speaker_level is None


def test_speakers_that_are_counted_anew_below_each_folder_are_told_apart():
    names = tree(("es", "uk"), ("spk1", "spk2"))
    found = read_levels(names)
    assert found.speaker_level == 2
    assert set(found.speakers) == {"es/spk1", "es/spk2", "uk/spk1", "uk/spk2"}
    assert any("counted anew" in notice for notice in found.notices)


def test_a_folder_for_those_who_are_not_known_is_nobody():
    names = [*tree(IDS), "unknown/1.wav", "unknown/2.wav"]
    assert read_levels(names).speakers[-2:] == [None, None]


@given(
    names=st.lists(
        st.lists(st.text("ab01s", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join), max_size=20
    ),
    asked=st.one_of(st.none(), st.integers(1, 5)),
    is_asked=st.booleans(),
)
def test_any_folders_say_one_thing_of_each_recording_in_any_order(names, asked, is_asked):
    found = read_levels(names, asked=asked, is_asked=is_asked)
    assert len(found.speakers) == len(found.folders) == len(found.subsets) == len(names)
    for name, speaker, folder, subset in zip(
        names, found.speakers, found.folders, found.subsets, strict=True
    ):
        parents = name.split("/")[:-1]
        assert all(part in parents for said in (speaker, folder, subset) if said for part in said.split("/"))
    turned = read_levels(names[::-1], asked=asked, is_asked=is_asked)
    depths = {name.count("/") for name in names}
    if len(depths) < 2:
        assert turned.speakers[::-1] == found.speakers and turned.notices == found.notices
