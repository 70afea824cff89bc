"""FLEURS: sentences read in about a hundred languages, a folder a language."""

from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, Listing, glimpse, list_recordings
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.text_tables import read_text_table
from sae_core.corpus.values import genders_of, languages_of, splits_from

LAYOUT = """`<language>/train.tsv` (dev, test), tables of seven columns without a header, beside
`<language>/audio/train/*.wav`; the folder may be one language or hold several. Fills language (and locale, from the
folder's name, such as `es_419`) and gender. Speakers are unknown: each recording counts as a speaker of its own.
Published splits are kept where all three are there: those who read train read neither dev nor test."""
EXPECTED = "train.tsv, dev.tsv or test.tsv beside audio/train/, audio/dev/ or audio/test/"

ROLES = {"train": "train", "dev": "selection", "test": "held-out"}
COLUMNS = ("id", "file_name", "raw_transcription", "transcription", "characters", "num_samples", "gender")


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    parts = _parts(seen)
    return f"{parts[0][0]}{parts[0][1]}.tsv stands beside {parts[0][0]}audio/" if parts else None


def _parts(seen: Glimpse) -> list[tuple[str, str]]:
    """(folder of a language with a closing `/`, subset) of each table that stands beside a folder audio/."""
    folders = set(seen.folders)
    places = [name.rpartition("/") for name in seen.files if name.endswith(".tsv")]
    return [
        (before + slash, name.removesuffix(".tsv"))
        for before, slash, name in places
        if name.removesuffix(".tsv") in ROLES and f"{before}{slash}audio" in folders
    ]


def read(folder: Path) -> Rows:
    """The recordings that the tables name and that are there; CorpusError when there are no such tables."""
    seen = glimpse(folder)
    parts = _parts(seen)
    if not parts:
        raise seen.misfit("FLEURS", EXPECTED)
    tables, unread = [], []
    for place, subset in parts:
        table, missing = _read_part(folder, place, subset)
        tables.append(table)
        unread += missing
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(split=splits_from(table[SUBSET_COLUMN], ROLES))
    used = tuple(f"{place}{subset}.tsv" for place, subset in parts)
    return Rows(table, folder, unread=tuple(unread), is_listed=True, used=used)


def _read_part(folder: Path, place: str, subset: str) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    read = read_text_table(folder / f"{place}{subset}.tsv", needed=COLUMNS, has_header=False)
    unread = [(place + where, why) for where, why in read.unread]
    table = read.table.drop_duplicates("file_name", ignore_index=True)
    audio = f"{place}audio/{subset}/"
    is_there = (folder / audio).is_dir()
    listing = list_recordings(folder / audio) if is_there else Listing([], ())
    hint = "" if is_there else f" (unpack audio/{subset}.tar.gz there)"
    unread += [(audio + name, why) for name, why in listing.unread]
    found = NameIndex(listing.names).find_all(table["file_name"])
    unread += [
        (f"{audio}{name}", f"is named in {subset}.tsv and is not in {audio}{hint}")
        for name in table["file_name"][found.isna()].fillna("")
    ]
    table = table[found.notna()]
    described = pd.DataFrame({"audio_path": audio + found[found.notna()], "kind": "speech"})
    here = pd.Series((folder / place).resolve().name, described.index, dtype="str")
    described = described.join(languages_of(here)).assign(gender=genders_of(table["gender"]))
    return described.assign(**{SUBSET_COLUMN: subset}), unread
