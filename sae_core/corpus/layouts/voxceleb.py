"""VoxCeleb 1 and 2: interviews of celebrities, with the lists of trials that verification is measured on."""

import re
from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, Listing, glimpse, is_beside, list_recordings
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.texts import read_text
from sae_core.corpus.trial_lists import looks_like_trials, read_trial_lines
from sae_core.corpus.values import genders_of
from sae_core.files.errors import CorpusError

LAYOUT = """`…/id10270/<video>/00001.wav` (VoxCeleb2: `.m4a`), with `vox1_meta.csv` and `vox2_meta.csv` and the lists
of trials (`veri_test.txt`, `veri_test2.txt`, `list_test_hard.txt`, `list_test_all.txt` …) in one of the upper folders.
Fills speaker, gender and nationality. Speakers of the published test sets are held out, the others split by speaker;
the lists are kept in the workspace, for the Verification page."""
EXPECTED = "vox1_meta.csv or vox2_meta.csv, or recordings as id10270/<video>/00001.wav"

META = re.compile(r"(?:.*/)?(?:full_)?vox[12]_meta\.csv")
TRIAL_LIST = re.compile(r"(?:.*/)?((?:veri_test2?|list_test_(?:hard|all)2?|voxceleb1_test(?:_v2)?)\.txt)")
UTTERANCE = r"(?:^|/)(?P<utterance>(?P<speaker_id>id\d{5})/[^/]+/[^/]+?)\.[^./]+$"
VIDEO = re.compile(r"(?:.*/)?id\d{5}/[^/]+")
FIRST_OF_VOXCELEB1 = "id10001"


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    meta = next((name for name in seen.files if META.fullmatch(name)), None)
    video = next((name for name in seen.folders if VIDEO.fullmatch(name)), None)
    if meta is not None:
        return f"it holds {meta}"
    return f"it holds {video}/" if video is not None else None


def read(folder: Path) -> Rows:
    """Every utterance below a speaker's folder, labelled by the tables of speakers; CorpusError when there is none."""
    seen = glimpse(folder)
    listing = list_recordings(folder)
    table, unread = _utterances(listing)
    if not len(table):
        raise seen.misfit("VoxCeleb", EXPECTED)
    speakers = _read_speakers(folder, seen)
    for name in speakers.columns:
        table[name] = table["speaker_id"].map(speakers[name]).astype("str")
    if SUBSET_COLUMN not in table:
        table[SUBSET_COLUMN] = table["audio_path"].str.extract(r"(?:^|/)(dev|test)/", expand=False)
    table["split"] = table[SUBSET_COLUMN].map({"test": "held-out"}).astype("str")
    trials, used, words = _read_trials(folder, seen, table)
    return Rows(
        table.drop(columns="utterance"),
        folder,
        unread=(*listing.unread, *unread),
        is_listed=True,
        sources={"speaker_id": "the folder of each speaker"},
        trials=trials,
        used=(*used, *(name for name in seen.files if META.fullmatch(name))),
        notices=tuple(words),
    )


def _utterances(listing: Listing) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """A row for each utterance, once even where it is there in two formats; and the recordings that are left out."""
    names = pd.Series(listing.names, dtype="str")
    found = names.str.extract(UTTERANCE).assign(audio_path=names)
    is_other = found["utterance"].isna()
    known = found[~is_other].sort_values(
        "audio_path", key=lambda paths: ~paths.str.endswith(".wav"), kind="stable"
    )
    is_again = known["utterance"].duplicated()
    unread = [(name, "does not lie in a folder of a speaker and a video") for name in names[is_other]]
    unread += [(name, "is there in another format too") for name in known["audio_path"][is_again]]
    table = known[~is_again].sort_values("audio_path", ignore_index=True)
    is_first = table["speaker_id"] >= FIRST_OF_VOXCELEB1
    source = pd.Series("VoxCeleb2", table.index, dtype="str").where(~is_first, "VoxCeleb1")
    return table.assign(kind="speech", source=source), unread


def _read_speakers(folder: Path, seen: Glimpse) -> pd.DataFrame:
    """What the tables of speakers tell, by speaker: gender, nationality, and whether dev or test."""
    tables = [_read_meta(folder / name) for name in seen.files if META.fullmatch(name)]
    if not tables:
        return pd.DataFrame()
    speakers = pd.concat(tables)
    return speakers[~speakers.index.duplicated()].dropna(axis="columns", how="all")


def _read_meta(path: Path) -> pd.DataFrame:
    """One table: separated by tabs (VoxCeleb1) or commas (VoxCeleb2), with blanks around its values."""
    lines = read_text(path).lines
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    header, *records = ([value.strip() for value in line.split(delimiter)] for line in lines or [""])
    names = [name.replace("_", " ").lower() for name in header]
    speaker = next((name for name in names if name.startswith("voxceleb")), None)
    if speaker is None or "gender" not in names:
        raise CorpusError(
            f"has no columns 'VoxCeleb1 ID' (or 2) and 'Gender'; its first line has {lines[0][:80]!r}"
            if lines
            else "is empty",
            where=path,
            remedy="download this table of the corpus again",
        )
    table = pd.DataFrame([dict(zip(names, record, strict=False)) for record in records], columns=names)
    table = table.astype("str").set_index(speaker)
    described = pd.DataFrame({"gender": genders_of(table["gender"])})
    for name, column in (("nationality", "nationality"), (SUBSET_COLUMN, "set")):
        if column in table:
            described[name] = table[column].where(table[column] != "")
    return described


def _read_trials(
    folder: Path, seen: Glimpse, table: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], list[str], list[str]]:
    """The lists of trials by name, their recordings by path and null where they are not there; the files that were
    read; and what to say of lines that are no trials."""
    index = NameIndex(list(table["audio_path"]))
    lists: dict[str, pd.DataFrame] = {}
    used, words = [], []
    for place in seen.files:
        name = place.rpartition("/")[2]
        if name in lists or META.fullmatch(place) or not is_beside(place):
            continue
        try:
            text = read_text(folder / place)
        except CorpusError:
            continue
        if not TRIAL_LIST.fullmatch(place) and not looks_like_trials(
            text, lambda clip: index.find(clip) is not None
        ):
            continue
        try:
            read = read_trial_lines(text, place)
        except CorpusError as error:
            words.append(f"found, not used: {place} ({error.what})")
            continue
        used.append(place)
        if read.unread:
            words.append(f"{len(read.unread):,} lines of {place} are no trials (line {read.unread[0]} first)")
        sides = {side: index.find_all(read.table[side]) for side in ("enrol", "test")}
        lists[name] = read.table.assign(**sides).reset_index(drop=True)
    return lists, used, words
