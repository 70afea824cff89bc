"""Where the recordings of rows lie: paths as people write them, turned into names below one folder."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sae_core.corpus.clips import SPLITS
from sae_core.corpus.rows import Rows

SPLIT_NAMES = {
    **{name: name for name in SPLITS},
    "validation": "selection",
    "valid": "selection",
    "val": "selection",
    "dev": "selection",
    "test": "held-out",
    "heldout": "held-out",
    "held_out": "held-out",
    "eval": "held-out",
}


def place_rows(rows: Rows, root: Path) -> Rows:
    """The rows with every path relative to `root`; a path that is not there is tried beside the label file too.

    CorpusError, naming the rows, where a row names no recording or one outside `root` (through `..`, as an absolute
    path, or by a symbolic link), a clip_id stands twice, or a split is unknown.
    """
    table = rows.table
    missing = table.index[table["audio_path"].isna()]
    if len(missing):
        raise rows.refuse(
            "rows name no recording", list(missing), "fill in audio_path, or take these rows out"
        )
    placed = table["audio_path"] if rows.is_listed else _find_all(rows, root)
    if "clip_id" in table:
        repeated = table["clip_id"].duplicated(keep=False) & table["clip_id"].notna()
        if repeated.any():
            first = table["clip_id"][repeated].iloc[0]
            raise rows.refuse(
                f"clip_ids stand on more than one row, the first is {first!r}",
                list(table.index[repeated]),
                "give every clip an id of its own, or leave clip_id out",
            )
    return replace(rows, table=_with_known_splits(rows).assign(audio_path=placed.astype("str")))


def _find_all(rows: Rows, root: Path) -> pd.Series:
    finder = _Finder(root, beside=rows.where.parent)
    names = rows.table["audio_path"]
    placed = names.map({name: finder.find(name) for name in names.unique()})
    outside = names.index[placed.isna()]
    if len(outside):
        raise rows.refuse(
            f"recordings lie outside the folder {root}, the first is {names[placed.isna()].iloc[0]!r}",
            list(outside),
            "import the folder that holds them all, or take these rows out",
        )
    return placed


class _Finder:
    """Turns paths as people write them into paths relative to one folder, and lets none lead out of it."""

    def __init__(self, root: Path, *, beside: Path) -> None:
        self._root = os.path.abspath(root)
        self._real_root = os.path.realpath(root)
        self._beside = os.path.abspath(beside)
        self._real_folders: dict[str, str] = {}

    def find(self, name: str) -> str | None:
        """The path relative to the folder; None when it lies outside."""
        if "\0" in name:
            return None
        inside = self._relative(os.path.join(self._root, name))
        if inside is None or not os.path.lexists(os.path.join(self._root, inside)):
            other = self._relative(os.path.join(self._beside, name))
            if other is not None and os.path.lexists(os.path.join(self._root, other)):
                return other
        return inside

    def _relative(self, path: str) -> str | None:
        plain = os.path.normpath(path)
        root = next((root for root in (self._root, self._real_root) if _is_inside(plain, root)), None)
        if root is None:
            return None
        folder, name = os.path.split(plain)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._real_folders[folder], name)
        if os.path.islink(real):
            real = os.path.realpath(real)
        if not _is_inside(real, self._real_root):
            return None
        return plain[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _with_known_splits(rows: Rows) -> pd.DataFrame:
    if "split" not in rows.table:
        return rows.table
    given = rows.table["split"]
    known = given.str.lower().map(SPLIT_NAMES)
    wrong = given.notna() & known.isna()
    if wrong.any():
        raise rows.refuse(
            f"split {given[wrong].iloc[0]!r} is unknown",
            list(given.index[wrong]),
            f"use {', '.join(SPLITS)}, or leave the split column out to split by speaker",
        )
    return rows.table.assign(split=known.astype("str"))
