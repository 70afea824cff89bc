"""A plain folder of recordings: labels are the names of its folders."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from sae_core.importers.rows import Rows

LAYOUT = """Any folder of recordings. One level of folders (`<value>/recording`) becomes the attribute `folder`; where
there are more (`<value>/…/<speaker>/recording`), the top one is `folder`, the one with the recording is the speaker."""

# Files that lie beside recordings and are none; anything else is opened, whatever it is called.
NOT_AUDIO = frozenset(
    f".{suffix}"
    for suffixes in (
        "csv json jsonl parquet toml tsv txt xml yaml yml",
        "ctm lab lrc rttm srt stm textgrid trn vtt",
        "bmp gif jpeg jpg png svg webp",
        "bib doc docx htm html md pdf rst xls xlsx",
        "cfg css ini ipynb js lock log py sh",
        "gz npy npz safetensors sqlite tar zip",
    )
    for suffix in suffixes.split()
)


def read(folder: Path) -> Rows:
    """The recordings below `folder`, by path, labelled by its folders as `LAYOUT` says.

    Hidden files, workspaces and files that are plainly no recordings are passed over; symbolic links are followed to
    files inside the folder only.
    """
    found, unread = [], []
    for path in _walk(folder):
        why = _why_unread(path, folder)
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
        if why is None:
            found.append(name)
        else:
            unread.append((name, why))
    found.sort()
    parents = [PurePosixPath(name).parts[:-1] for name in found]
    table = pd.DataFrame(
        {
            "audio_path": pd.Series(found, dtype="str"),
            "speaker_id": pd.Series(
                [parts[-1] if len(parts) > 1 else None for parts in parents], dtype="str"
            ),
            "folder": pd.Series([parts[0] if parts else None for parts in parents], dtype="str"),
        }
    )
    return Rows(table, folder, unread=tuple(sorted(unread)))


def _walk(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        here = Path(place)
        names[:] = [
            name for name in names if name[0] != "." and not os.path.lexists(here / name / "workspace.json")
        ]
        yield from (here / name for name in names if (here / name).is_symlink())
        yield from (here / name for name in files if name[0] != "." and not _is_beside(name))


def _is_beside(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in NOT_AUDIO


def _why_unread(path: Path, folder: Path) -> str | None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid Unicode; rename it"
    if path.is_symlink():
        if path.is_dir():
            return "is a symbolic link to a folder, and those are not followed; import that folder itself"
        if not path.resolve().is_relative_to(folder.resolve()):
            return "is a symbolic link that leads outside the folder; import the folder it leads to"
    return None
