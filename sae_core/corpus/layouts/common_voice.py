"""Mozilla Common Voice: tables of clips by volunteers, a folder a language."""

from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.text_tables import read_text_table
from sae_core.corpus.values import genders_of, languages_of

LAYOUT = """`<language>/validated.tsv` (or train, dev, test, other) beside `<language>/clips/*.mp3`; the folder may be
one language, one release (`cv-corpus-*`) or hold several. Fills language (and locale), gender, age, accent, variant and
speaker. Invalidated clips are left out. The published subset of each clip is kept, but the splits are VoxScope's own:
test and dev hold the speakers with fewest clips, often one, and nothing could be verified on them."""
EXPECTED = "a folder clips/ beside validated.tsv, train.tsv, dev.tsv, test.tsv or other.tsv"

# A clip of several tables is taken to be where the first of them says: validated repeats train, dev and test.
TABLES = ("train", "dev", "test", "validated", "other")
NEEDED = ("client_id", "path")
WANTED = ("gender", "age", "accents", "accent", "variant", "locale")
SOURCES = {"speaker_id": "column 'client_id'"}
AGES = {"fourties": "forties"}
SPEAKER_LENGTH = 16


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    places = _languages(seen)
    if not places:
        return None
    first = next(name for name in TABLES if f"{places[0]}{name}.tsv" in seen.files)
    return f"{places[0]}{first}.tsv stands beside {places[0]}clips/"


def _languages(seen: Glimpse) -> list[str]:
    """The folders that hold clips/ and a table, each with a closing `/` (the folder itself: nothing)."""
    files = set(seen.files)
    beside = [name.removesuffix("clips") for name in seen.folders if f"/{name}".endswith("/clips")]
    return [place for place in beside if any(f"{place}{name}.tsv" in files for name in TABLES)]


def read(folder: Path) -> Rows:
    """The clips that the tables name and that are there, labelled by them; CorpusError when there is no table."""
    seen = glimpse(folder)
    places = _languages(seen)
    if not places:
        raise seen.misfit("Common Voice", EXPECTED)
    tables, unread = [], []
    for place in places:
        table, missing = _read_language(folder, place, set(seen.files))
        tables.append(table)
        unread += missing
    whole = pd.concat(tables, ignore_index=True)
    used = tuple(f"{place}{name}.tsv" for place in places for name in TABLES)
    return Rows(_describe(whole), folder, unread=tuple(unread), is_listed=True, used=used, sources=SOURCES)


def _read_language(folder: Path, place: str, files: set[str]) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The rows of one language, a recording once, by the path where it was found; and what was not found."""
    tables, unread = [], []
    for name in TABLES:
        if f"{place}{name}.tsv" in files:
            read = read_text_table(folder / f"{place}{name}.tsv", needed=NEEDED, wanted=WANTED)
            tables.append(read.table.assign(**{SUBSET_COLUMN: name}))
            unread += [(place + where, why) for where, why in read.unread]
    table = pd.concat(tables, ignore_index=True).drop_duplicates("path", ignore_index=True)
    listing = list_recordings(folder / f"{place}clips")
    unread += [(f"{place}clips/{name}", why) for name, why in listing.unread]
    found = NameIndex(listing.names).find_all(table["path"])
    is_gone = found.isna()
    gone = table[is_gone]
    unread += [
        (f"{place}clips/{path}", f"is named in {subset}.tsv and is not in clips/")
        for path, subset in zip(gone["path"].fillna(""), gone[SUBSET_COLUMN], strict=True)
    ]
    table = table[~is_gone].assign(audio_path=f"{place}clips/" + found[~is_gone])
    if "locale" not in table:
        table = table.assign(locale=None)
    here = (folder / place).resolve().name
    return table.assign(locale=table["locale"].astype("str").fillna(here)), unread


def _describe(table: pd.DataFrame) -> pd.DataFrame:
    described = pd.DataFrame(
        {"audio_path": table["audio_path"], "speaker_id": _shorten(table["client_id"]), "kind": "speech"}
    ).join(languages_of(table["locale"]))
    if "gender" in table:
        described["gender"] = genders_of(table["gender"])
    if "age" in table:
        described["age"] = table["age"].replace(AGES)
    accents = [table[name] for name in ("accents", "accent") if name in table]
    if accents:
        described["accent"] = accents[0].fillna(accents[-1])
    if "variant" in table:
        described["variant"] = table["variant"]
    return described.assign(**{SUBSET_COLUMN: table[SUBSET_COLUMN]})


def _shorten(speakers: pd.Series) -> pd.Series:
    """The first characters of each volunteer's id of 128, which tell them apart; the whole where they would not."""
    short = speakers.str.slice(0, SPEAKER_LENGTH)
    return short if short.nunique() == speakers.nunique() else speakers
