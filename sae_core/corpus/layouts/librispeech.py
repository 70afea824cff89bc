"""LibriSpeech (and LibriTTS): audiobooks, a folder a subset, a reader and a chapter."""

import re
from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.texts import read_text
from sae_core.corpus.values import genders_of, splits_from
from sae_core.files.errors import CorpusError

LAYOUT = """`SPEAKERS.TXT` beside `<subset>/<reader>/<chapter>/*.flac`, such as `train-clean-100/103/1240/`. Fills
speaker, gender, language (English) and quality (clean or other). Published splits are kept where train, dev and test
are all there (they share no reader)."""
EXPECTED = "SPEAKERS.TXT beside folders such as train-clean-100/, dev-clean/ or test-other/"

SUBSET = re.compile(r"(?:.*/)?(?:train|dev|test)-(?:clean|other)(?:-\d+)?")
UTTERANCE = (
    r"(?:^|/)(?P<subset>(?P<part>train|dev|test)-(?P<quality>clean|other)(?:-\d+)?)"
    r"/(?P<speaker_id>\d+)/\d+/[^/]+$"
)
ROLES = {"train": "train", "dev": "selection", "test": "held-out"}
N_FIELDS = 5  # the last is a name, which may hold the separator


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    speakers = _speakers_file(seen)
    subset = next((name for name in seen.folders if SUBSET.fullmatch(name)), None)
    return f"it holds {speakers} and {subset}/" if speakers is not None and subset is not None else None


def _speakers_file(seen: Glimpse) -> str | None:
    return next((name for name in seen.files if f"/{name}".lower().endswith("/speakers.txt")), None)


def read(folder: Path) -> Rows:
    """Every utterance in a subset's folder, labelled by SPEAKERS.TXT; CorpusError when there is none of either."""
    seen = glimpse(folder)
    speakers = _speakers_file(seen)
    listing = list_recordings(folder)
    names = pd.Series(listing.names, dtype="str")
    found = names.str.extract(UTTERANCE)
    is_known = found["speaker_id"].notna()
    if speakers is None or not is_known.any():
        raise seen.misfit("LibriSpeech", EXPECTED)
    table = found[is_known].reset_index(drop=True)
    sexes, notices = _read_speakers(folder / speakers)
    table = table.drop(columns="part").assign(
        audio_path=names[is_known].to_numpy(),
        gender=genders_of(table["speaker_id"].map(sexes).astype("str")),
        language="en",
        kind="speech",
        split=splits_from(table["part"], ROLES),
    )
    unread = [
        (name, "does not lie in a folder of a subset, a reader and a chapter") for name in names[~is_known]
    ]
    return Rows(
        table.rename(columns={"subset": SUBSET_COLUMN}),
        folder,
        unread=(*listing.unread, *unread),
        is_listed=True,
        sources={"speaker_id": "the folder of each reader"},
        used=(speakers,),
        notices=notices,
    )


def _read_speakers(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Reader → F or M, from lines `14 | F | train-clean-360 | 25.03 | name`, and what to say of other lines; those
    after `;` are comments. CorpusError where no line says so."""
    sexes, odd = {}, []
    for number, line in enumerate(read_text(path).lines, start=1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = [field.strip() for field in line.split("|", maxsplit=N_FIELDS - 1)]
        if len(fields) < 3 or not fields[0].isdigit():
            odd.append((number, line))
        else:
            sexes[fields[0]] = fields[1]
    if odd and not sexes:
        number, line = odd[0]
        raise CorpusError(
            f"line {number} is not `reader | F or M | subset | …` but {line[:60]!r}",
            where=path,
            remedy="unpack the corpus again, or import it with --layout folder",
        )
    words = (
        f"{len(odd):,} lines of {path.name} say nothing of a reader (line {odd[0][0]} first)" if odd else ""
    )
    return sexes, (words,) if words else ()
