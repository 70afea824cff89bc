"""A plain folder of recordings: the tables in it say what is what, else the names of its folders."""

from pathlib import Path

from sae_core.corpus.folders import Glimpse, list_recordings
from sae_core.corpus.rows import Rows

LAYOUT = """Any folder of recordings. A table of labels in it is used, whatever it is called; else its folders' names
are the labels: the level that is the speaker by its names, and the uppermost other one as the attribute `folder`."""


def recognise(seen: Glimpse) -> str:  # noqa: ARG001
    """Why a folder is taken for this layout: it fits any."""
    return "the names of its folders are the labels"


def read(folder: Path) -> Rows:
    """The recordings below `folder`, by path, labelled by its folders as `LAYOUT` says."""
    from sae_core.corpus.reading import read_plain_folder

    return read_plain_folder(folder, list_recordings(folder), takes_tables=False)[0]
