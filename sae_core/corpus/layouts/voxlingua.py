"""VoxLingua107: stretches of videos, a folder a language."""

import re
from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.values import languages_of

LAYOUT = """`<language>/<video>__U__S1---0012.340-0019.560.wav`, the video named by its YouTube id; `dev/` may hold such
folders too. Fills language. Who speaks is unknown: all that comes from one video counts as one speaker, named
`video <id>`, so that no video stands in two splits; different speakers in one video are not told apart."""
EXPECTED = "recordings such as es/dQw4w9WgXcQ__U__S1---0012.340-0019.560.wav"

_STRETCH = r"(?P<video>[^/]+?)(?:__U__S\d+)?---\d+\.\d+-\d+\.\d+\.[^./]+$"
UTTERANCE = rf"^(?:.*/)?(?P<language>[a-z]{{2,3}})/{_STRETCH}"
_IN_ONE_LANGUAGE = re.compile(_STRETCH)


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    named = (name for name in seen.files if _IN_ONE_LANGUAGE.fullmatch(name.rpartition("/")[2]))
    first = next(named, None)
    return f"it holds {first}" if first is not None else None


def read(folder: Path) -> Rows:
    """Every stretch of a video, by language; CorpusError when no recording is named so."""
    listing = list_recordings(folder)
    names = pd.Series(listing.names, dtype="str")
    here = folder.resolve().name
    found = (f"{here}/" + names).str.extract(UTTERANCE)
    is_known = found["video"].notna()
    if not is_known.any():
        raise glimpse(folder).misfit("VoxLingua107", EXPECTED)
    found, paths = found[is_known], names[is_known]
    is_dev = paths.str.contains(r"(?:^|/)dev/")
    table = pd.DataFrame(
        {"audio_path": paths, "speaker_id": "video " + found["video"], "kind": "speech"}
    ).join(languages_of(found["language"]))
    table[SUBSET_COLUMN] = pd.Series("train", table.index, dtype="str").where(~is_dev, "dev")
    unread = [(name, "is not named VIDEO---START-END in a language's folder") for name in names[~is_known]]
    return Rows(
        table.reset_index(drop=True),
        folder,
        unread=(*listing.unread, *unread),
        is_listed=True,
        sources={"speaker_id": "the video that each is cut from"},
    )
