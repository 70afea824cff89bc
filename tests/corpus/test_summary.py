"""What an import understood: counted as planted, said in words, kept and read again, refused where it cannot be."""

import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.corpus.rows import Rows
from sae_core.corpus.summary import FILE, ImportSummary, summarise, warn_of_few
from tests.damage import ODD

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, 10**9)
SUMMARIES = st.builds(
    ImportSummary,
    layout=TEXTS,
    evidence=TEXTS,
    n_recordings=COUNTS,
    n_clips=COUNTS,
    speakers_from=TEXTS,
    n_speakers=COUNTS,
    n_unknown=COUNTS,
    splits=st.dictionaries(TEXTS, st.tuples(COUNTS, COUNTS), max_size=3),
    attributes=st.dictionaries(TEXTS, COUNTS, max_size=3),
    values=st.dictionaries(TEXTS, st.dictionaries(TEXTS, COUNTS, max_size=3), max_size=3),
    left_out=st.dictionaries(TEXTS, TEXTS, max_size=3),
    n_failed=COUNTS,
    notices=st.lists(TEXTS, max_size=3).map(tuple),
    warnings=st.lists(TEXTS, max_size=3).map(tuple),
)


@given(summary=SUMMARIES)
def test_what_is_kept_is_read_again(tmp_path_factory, summary):
    folder = tmp_path_factory.mktemp("w")
    summary.save(folder)
    assert ImportSummary.load(folder) == summary
    assert ImportSummary.load(folder).lines() == summary.lines()


@pytest.fixture
def planted():
    """Five clips of four recordings by two speakers, one clip of nobody."""
    clips = pd.DataFrame(
        {
            "audio_path": ["a.wav", "a.wav", "b.wav", "c.wav", "d.wav"],
            "speaker_id": pd.Series(["x", "x", "y", "y", None], dtype="str"),
            "split": ["train", "train", "train", "train", "held-out"],
            "language": ["es", "es", "uk", None, "es"],
            "mood": ["calm", "calm", "calm", "angry", "sad"],
        }
    )
    rows = Rows(
        clips.drop_duplicates("audio_path"), Path("t.csv"), sources={"speaker_id": "column 'who'"},
        left_out={"id": "says something else of every recording"}, notices=("a notice",),
    )  # fmt: skip
    return summarise(
        rows, clips, layout="labels", evidence="t.csv", attributes=("language", "mood"), n_failed=2
    )


def test_everything_planted_is_counted(planted):
    assert (planted.n_recordings, planted.n_clips, planted.n_failed) == (4, 5, 2)
    assert (planted.n_speakers, planted.n_unknown, planted.speakers_from) == (2, 1, "column 'who'")
    assert planted.splits == {"train": (2, 4), "selection": (0, 0), "held-out": (1, 1)}
    assert planted.attributes == {"language": 2, "mood": 3}
    assert planted.values == {"language": {"es": 3, "uk": 1}}
    assert len(planted.warnings) == 1 and "no speaker is in selection" in planted.warnings[0]


def test_it_is_said_a_fact_a_line(planted):
    assert planted.lines() == [
        "read as labels: t.csv",
        "speakers: 2, from column 'who'; 1 clips of unknown speaker",
        "splits: train 4 clips of 2 speakers, selection 0 clips of 0 speakers, held-out 1 clips of 1 speaker",
        "attributes: language (2 values), mood (3 values)",
        "language: es 3, uk 1",
        "columns left out: 'id' (says something else of every recording)",
        "note: a notice",
        "warning: no speaker is in selection, so that nothing can be measured on unseen speakers",
    ]


@pytest.mark.parametrize(
    ("speakers", "splits", "words"),
    [
        (["x", "x"], ["train", "train"], "only one speaker"),
        (["x", "y"], ["selection", "held-out"], "no speaker is in the train split"),
        (["x", "y"], ["train", "selection"], "no speaker is in held-out"),
    ],
)
def test_what_will_not_go_well_is_said_while_it_can_be_changed(speakers, splits, words):
    clips = pd.DataFrame({"audio_path": ["a.wav", "b.wav"], "speaker_id": speakers, "split": splits})
    found = summarise(Rows(clips, Path("t")), clips, layout="", evidence="", attributes=())
    assert words in " ".join(found.warnings)


def test_fewer_training_clips_than_latents_is_a_warning(planted):
    assert "4 training clips and 5 latents" in warn_of_few(planted, 5).warnings[-1]
    assert warn_of_few(planted, 4) == planted
    assert warn_of_few(replace(planted, splits={}), 5).warnings == planted.warnings


def test_many_attributes_and_values_are_named_in_part():
    found = ImportSummary(
        "", "", 1, attributes={f"a{n}": n for n in range(23)}, values={"language": {f"l{n}": 1 for n in range(9)}},
        left_out={f"c{n}": "why" for n in range(8)},
    )  # fmt: skip
    words = "\n".join(found.lines())
    assert "and 3 more" in words and "and 3 more values" in words and "and 2 more" in words
    assert "no speaker is known; each of 0 recordings" in words


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_stranger_wrote_is_no_summary_or_one_that_can_be_said(tmp_path, planted, seed):
    chance = random.Random(seed)
    told = json.loads(json.dumps(asdict(planted)))
    place = told
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key]) or chance.random() < 0.4:
            break
        place = place[key]
    place[key] = chance.choice(ODD)
    (tmp_path / FILE).write_text(json.dumps(told), "utf-8")
    found = ImportSummary.load(tmp_path)
    assert found is None or all(isinstance(line, str) for line in found.lines())


def test_no_summary_is_none(tmp_path):
    assert ImportSummary.load(tmp_path) is None
