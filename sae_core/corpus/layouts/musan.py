"""MUSAN: music, speech and noise, each from a few sources, with a line of annotations a recording."""

from pathlib import Path

import pandas as pd

from sae_core.corpus.folders import Glimpse, glimpse, list_recordings
from sae_core.corpus.rows import Rows
from sae_core.corpus.texts import read_text
from sae_core.corpus.values import genders_of, languages_of

LAYOUT = """`music/`, `speech/` and `noise/`, in each `<source>/*.wav` and a file `ANNOTATIONS`. Fills kind, source, and
from the annotations: gender and language of speech; genre (the first named), vocals and artist of music. Speakers are
unknown: each recording counts as a speaker of its own. Recordings last minutes; cut them with --window-s."""
EXPECTED = (
    "folders music/, speech/ and noise/ with <source>/ANNOTATIONS or recordings such as music-fma-0000.wav"
)

KINDS = ("music", "speech", "noise")
UTTERANCE = r"(?:^|/)(?P<kind>music|speech|noise)/(?P<source>[^/]+)/(?P<name>[^/]+)\.[^./]+$"
FIELDS = {"speech": ("gender", "language"), "music": ("genre", "vocals", "artist")}
ANNOTATIONS = "ANNOTATIONS"


def recognise(seen: Glimpse) -> str | None:
    """The evidence that a folder is laid out so, or nothing."""
    notes = [name for name in _annotations(seen) if name.split("/")[-3] in KINDS]
    named = [name for name in seen.files if _is_named_so(name)]
    evidence = next(iter([*notes, *named]), None)
    return f"it holds {evidence}" if evidence is not None else None


def _annotations(seen: Glimpse) -> list[str]:
    return [name for name in seen.files if name.count("/") >= 2 and name.rpartition("/")[2] == ANNOTATIONS]


def _is_named_so(name: str) -> bool:
    """Whether a path is as `music/fma/music-fma-0000.wav`."""
    parts = name.split("/")
    return len(parts) >= 3 and parts[-3] in KINDS and parts[-1].startswith(f"{parts[-3]}-{parts[-2]}-")


def read(folder: Path) -> Rows:
    """Every recording in a source's folder, with its annotations; CorpusError when there is none."""
    seen = glimpse(folder)
    listing = list_recordings(folder)
    names = pd.Series([name for name in listing.names if not name.endswith(f"/{ANNOTATIONS}")], dtype="str")
    names = names[~names.str.rpartition("/")[2].isin(["LICENSE", "README"])].reset_index(drop=True)
    found = names.str.extract(UTTERANCE)
    is_known = found["kind"].notna()
    if not is_known.any():
        raise seen.misfit("MUSAN", EXPECTED)
    table = found[is_known].reset_index(drop=True).assign(audio_path=names[is_known].to_numpy())
    notes = _read_annotations(folder, seen)
    for column in ("gender", "language", "genre", "vocals", "artist"):
        known = notes.get(column, {})
        values = [known.get((kind, name)) for kind, name in zip(table["kind"], table["name"], strict=True)]
        table[column] = pd.Series(values, dtype="str")
    table["gender"] = genders_of(table["gender"])
    table["language"] = languages_of(table["language"])["language"]
    table["genre"] = table["genre"].str.split(",").str[0].astype("str")
    table["vocals"] = table["vocals"].map({"Y": "vocals", "N": "instrumental"}).astype("str")
    unread = [(name, "does not lie in music/, speech/ or noise/ and a source") for name in names[~is_known]]
    return Rows(
        table.drop(columns="name").dropna(axis="columns", how="all"),
        folder,
        unread=(*listing.unread, *unread),
        is_listed=True,
        used=tuple(_annotations(seen)),
    )


def _read_annotations(folder: Path, seen: Glimpse) -> dict[str, dict[tuple[str, str], str]]:
    """What is known of each recording: field → (kind, name of the recording) → value."""
    notes: dict[str, dict[tuple[str, str], str]] = {}
    for place in _annotations(seen):
        kind = place.split("/")[-3]
        fields = FIELDS.get(kind, ())
        for line in read_text(folder / place).lines:
            name, *values = line.split(maxsplit=len(fields)) or [""]
            for field, value in zip(fields, values, strict=False):
                notes.setdefault(field, {})[kind, name] = value.strip()
    return notes
