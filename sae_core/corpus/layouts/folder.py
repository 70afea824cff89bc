"""A plain folder of recordings: labels are the names of its folders."""

from pathlib import Path, PurePosixPath

import pandas as pd

from sae_core.corpus.folders import Glimpse, list_recordings
from sae_core.corpus.rows import Rows

LAYOUT = """Any folder of recordings. One level of folders (`<value>/recording`) becomes the attribute `folder`; where
there are more (`<value>/…/<speaker>/recording`), the top one is `folder`, the one with the recording is the speaker."""


def recognise(seen: Glimpse) -> str:  # noqa: ARG001
    """Why a folder is taken for this layout: it fits any."""
    return "the names of its folders are the labels"


def read(folder: Path) -> Rows:
    """The recordings below `folder`, by path, labelled by its folders as `LAYOUT` says."""
    listing = list_recordings(folder)
    parents = [PurePosixPath(name).parts[:-1] for name in listing.names]
    table = pd.DataFrame(
        {
            "audio_path": pd.Series(listing.names, dtype="str"),
            "speaker_id": pd.Series(
                [parts[-1] if len(parts) > 1 else None for parts in parents], dtype="str"
            ),
            "folder": pd.Series([parts[0] if parts else None for parts in parents], dtype="str"),
        }
    )
    return Rows(table, folder, unread=listing.unread, is_listed=True)
