"""Kaldi's data folders: tables without suffixes that say of each utterance where it is and who speaks."""

from pathlib import Path, PurePosixPath

import pandas as pd

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.texts import read_text
from sae_core.corpus.values import genders_of, known, languages_of, split_word, splits_from
from sae_core.files.errors import CorpusError

LAYOUT = """`wav.scp` beside `utt2spk` in one folder or several, such as `data/train/`, anywhere beside or above the
recordings. Fills speaker, and gender, language and stretches where `spk2gender`, `utt2lang` and `segments` say so. A
command in `wav.scp` is never run: the recording that it names is taken. The folders' names are kept as the subset, and
as splits where train, dev and test are all there."""
EXPECTED = "a folder with wav.scp and utt2spk"
PATHS, SPEAKERS, STRETCHES = "wav.scp", "utt2spk", "segments"
READ = (PATHS, SPEAKERS, STRETCHES, "spk2gender", "utt2lang")


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    places = _places(seen)
    return f"{places[0]}{PATHS} stands beside {SPEAKERS}" if places else None


def _places(seen: Glimpse) -> list[str]:
    """The data folders, as what stands before the names of their files: "" or "data/train/"."""
    files = set(seen.files)
    parents = [name.removesuffix(PATHS) for name in seen.files if PurePosixPath(name).name == PATHS]
    return [place for place in parents if f"{place}{SPEAKERS}" in files]


def read(folder: Path) -> Rows:
    """Every utterance of the data folders whose recording is there; CorpusError where there is none of either."""
    seen = glimpse(folder)
    places = _places(seen)
    if not places:
        raise seen.misfit("a Kaldi data folder", EXPECTED)
    listing = list_recordings(folder)
    index = NameIndex(listing.names)
    unread = list(listing.unread)
    parts = [_read_place(folder, place, index, unread) for place in places]
    table = pd.concat(parts, ignore_index=True).drop_duplicates(["audio_path", "clip_id"])
    if len(places) == 1:
        table = table.drop(columns=SUBSET_COLUMN)
    else:
        roles = {name: found for name in table[SUBSET_COLUMN].unique() if (found := split_word(name))}
        table["split"] = splits_from(table[SUBSET_COLUMN], roles)
    if table["start_s"].isna().all():
        table = table.drop(columns=["start_s", "duration_s"])
    if not len(table):
        place, why = unread[-1]
        raise CorpusError(
            f"names no recording that is here; {place}: {why}",
            where=folder / places[0] / PATHS,
            remedy="give the folder that holds both the recordings and the data folders",
        )
    used = tuple(f"{place}{name}" for place in places for name in READ if f"{place}{name}" in seen.files)
    sources = {"speaker_id": SPEAKERS, **({"split": "the data folders"} if "split" in table else {})}
    return Rows(
        table.reset_index(drop=True), folder, unread=tuple(unread), is_listed=True, used=used, sources=sources
    )


def _read_place(folder: Path, place: str, index: NameIndex, unread: list[tuple[str, str]]) -> pd.DataFrame:
    """The utterances of one data folder; what is not here goes to `unread`."""
    told = {name: _pairs(folder / f"{place}{name}") for name in READ}
    paths = {recording: _find(words, index) for recording, words in told[PATHS].items()}
    stretches = told[STRETCHES] or {utterance: utterance for utterance in paths}
    rows = []
    for utterance, words in stretches.items():
        recording, *times = words.split()
        path = paths.get(recording)
        if path is None:
            line = told[PATHS].get(recording)
            why = f"{line!r} is not here" if line else f"{recording!r} is not in {PATHS}"
            unread.append((f"{place}{PATHS}: {utterance}", why))
            continue
        start_s, end_s = (_number(text) for text in [*times, "", ""][:2])
        rows.append((path, utterance, start_s, None if end_s is None else end_s - (start_s or 0.0)))
    table = pd.DataFrame(rows, columns=["audio_path", "clip_id", "start_s", "duration_s"])
    return _described(table, told).assign(**{SUBSET_COLUMN: PurePosixPath(place).name or folder.name})


def _described(table: pd.DataFrame, told: dict[str, dict[str, str]]) -> pd.DataFrame:
    """The utterances with their speakers, genders and languages."""
    speakers = known(table["clip_id"].map(told[SPEAKERS]).astype("str"))
    if len(table) and (speakers == table["clip_id"]).all():
        # each utterance is its own speaker: Kaldi's way to say that nobody is known
        speakers = pd.Series(None, index=table.index, dtype="str")
    columns = {"speaker_id": speakers}
    if told["spk2gender"]:
        columns["gender"] = genders_of(speakers.map(told["spk2gender"]).astype("str"))
    if told["utt2lang"]:
        columns |= {
            str(name): values
            for name, values in languages_of(table["clip_id"].map(told["utt2lang"]).astype("str")).items()
        }
    return table.assign(**columns)


def _pairs(path: Path) -> dict[str, str]:
    """First word → the rest of each line of a table; nothing where there is none."""
    if not path.is_file():
        return {}
    lines = (line.strip().split(maxsplit=1) for line in read_text(path).lines)
    return {words[0]: words[1] for words in lines if len(words) == 2}


def _find(words: str, index: NameIndex) -> str | None:
    """The recording that an entry of wav.scp names, be it a path or a command that ends in `|`."""
    if (whole := index.find(words)) is not None:
        return whole
    return next((found for word in words.split() if (found := index.find(word)) is not None), None)


def _number(text: str) -> float | None:
    try:
        return float(text[:40])
    except ValueError:
        return None
