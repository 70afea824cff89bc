"""Where the recordings of rows lie, and what rows say that cannot all be: each odd row left out and counted.

Paths are compared with the names of recordings that are there, and lead nowhere else.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sae_core.audio.reading import AudioInfo
from sae_core.corpus.folders import Listing
from sae_core.corpus.names import NameIndex
from sae_core.corpus.rows import SUBSET_COLUMN, Rows
from sae_core.corpus.values import split_word
from sae_core.files.errors import CorpusError

STRETCH = ("audio_path", "start_s", "duration_s", "audio_channel")
MAX_OVERSHOOT_S = 0.5
MAX_OVERSHOOT = 0.25
"""So much of a stretch may lie beyond the end of its recording, as lengths of other decoders do."""
_MS = 1000.0


def place_rows(rows: Rows, root: Path, listing: Listing, index: NameIndex) -> Rows:
    """The rows whose recordings are there, with paths relative to `root`; the others are in `unread`, with reasons.

    CorpusError where none is there.
    """
    rows = _without_paths(rows)
    placed = rows if rows.is_listed else _find_all(rows, root, listing, index)
    return settle_splits(_settle_ids(_without_repeats(placed)))


def _without_paths(rows: Rows) -> Rows:
    """The rows that name a recording."""
    missing = rows.table["audio_path"].isna()
    if not missing.any():
        return rows
    unread = tuple(
        (f"{rows.where.name} {rows.unit} {number}", "names no recording")
        for number in rows.table.index[missing]
    )
    return replace(rows, table=rows.table[~missing], unread=(*rows.unread, *unread))


def _find_all(rows: Rows, root: Path, listing: Listing, index: NameIndex) -> Rows:
    wanted = rows.table["audio_path"]
    found = index.find_all(wanted)
    finder = _Finder(root, beside=rows.where.parent)
    own = {text: finder.find(text) for text in wanted[found.isna()].unique()}
    found = found.where(found.notna(), wanted.map(own).astype("str")).astype("str")
    is_gone = found.isna()
    if is_gone.all() and len(wanted):
        raise _nothing_found(rows, root, listing, index)
    why_unread = dict(listing.unread)
    unread = tuple(
        (str(text), _why_gone(rows, number, text, index, why_unread))
        for number, text in wanted[is_gone].items()
    )
    table = rows.table[~is_gone].assign(audio_path=found[~is_gone])
    n_elsewhere = int((wanted[~is_gone] != table["audio_path"]).sum())
    notices = rows.notices
    if n_elsewhere:
        first = table.index[(wanted[~is_gone] != table["audio_path"]).to_numpy()][0]
        notices = (
            *notices,
            f"{n_elsewhere:,} paths in {rows.where.name} were found under other names: "
            f"{wanted[first]!r} as {table['audio_path'][first]!r}",
        )
    return replace(rows, table=table, unread=(*rows.unread, *unread), notices=notices)


def _why_gone(rows: Rows, number: object, text: str, index: NameIndex, unread: Mapping[str, str]) -> str:
    rivals = index.rivals(text)
    if rivals:
        return f"could be any of {len(rivals)} recordings, such as {rivals[0]!r} and {rivals[1]!r}; name its folder"
    return unread.get(text, f"is named in {rows.where.name} ({rows.unit} {number}) and is not there")


def _nothing_found(rows: Rows, root: Path, listing: Listing, index: NameIndex) -> CorpusError:
    wanted = str(rows.table["audio_path"].iloc[0])
    why_unread = dict(listing.unread)
    linked = next(
        (why for name, why in listing.unread if name == wanted or NameIndex([name]).find(wanted)), None
    )
    n = rows.table["audio_path"].nunique()
    if linked is not None:
        return CorpusError(
            f"none of its {n:,} recordings can be used; {wanted!r} {linked}", where=rows.where,
            remedy="import the folder that holds the files themselves, or one above both",
        )  # fmt: skip
    rivals = index.rivals(wanted)
    if rivals:
        there = f"which could be any of {len(rivals)}, such as {rivals[0]!r} and {rivals[1]!r}"
    elif index.names:
        there = f"in {root} there are recordings such as {index.names[0]!r}"
    else:
        there = f"there are no recordings in {root}" + (
            f" ({len(why_unread)} left out)" if why_unread else ""
        )
    return CorpusError(
        f"none of the {n:,} recordings that it names is there: it names, for example, {wanted!r}; {there}",
        where=rows.where,
        remedy="check that the folder and the table belong together",
    )


class _Finder:
    """Finds what is not listed, such as hidden files, as it is written, and only inside the folder."""

    def __init__(self, root: Path, *, beside: Path) -> None:
        self._root = os.path.abspath(root)
        self._real_root = os.path.realpath(root)
        self._beside = os.path.abspath(beside)

    def find(self, name: str) -> str | None:
        """The path relative to the folder of a file that is there; None where none is, or it lies outside."""
        if "\0" in name:
            return None
        for start in (self._root, self._beside):
            plain = os.path.normpath(os.path.join(start, name))
            real = os.path.realpath(plain)
            root = next((root for root in (self._root, self._real_root) if _is_inside(plain, root)), None)
            if root is not None and _is_inside(real, self._real_root) and os.path.isfile(real):
                return plain[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
        return None


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _without_repeats(rows: Rows) -> Rows:
    """The rows without those that say the same stretch again: the first is kept, and the others are counted."""
    table = rows.table
    columns = [name for name in STRETCH if name in table]
    is_again = table.duplicated(columns)
    if "clip_id" in table:
        is_again &= table["clip_id"].isna() | table.duplicated([*columns, "clip_id"])
    if not is_again.any():
        return rows
    differs = is_again & ~table.duplicated()
    words = f"{int(is_again.sum()):,} rows of {rows.where.name} describe what an earlier one does and were left out"
    if differs.any():
        words += f"; {int(differs.sum()):,} of them say otherwise, the first is {rows.name([table.index[differs][0]])}"
    return replace(rows, table=table[~is_again], notices=(*rows.notices, words))


def _settle_ids(rows: Rows) -> Rows:
    """The rows with ids of their own where given ones repeat."""
    if "clip_id" not in rows.table:
        return rows
    ids = rows.table["clip_id"]
    repeated = ids.duplicated(keep=False) & ids.notna()
    if not repeated.any():
        return rows
    words = (
        f"{int(repeated.sum()):,} rows of {rows.where.name} share a clip_id, the first is "
        f"{ids[repeated].iloc[0]!r} ({rows.name(list(ids.index[repeated]))}); they are called by their paths"
    )
    table = rows.table.assign(clip_id=ids.where(~repeated).astype("str"))
    return replace(rows, table=table, notices=(*rows.notices, words))


def settle_splits(rows: Rows) -> Rows:
    """The rows with VoxScope's splits for published ones, or with none where those cannot be used, and that is said."""
    if "split" not in rows.table:
        return rows
    given = rows.table["split"]
    meant = given.map({text: split_word(text) for text in given.dropna().unique()}).astype("str")
    odd = given.notna() & meant.isna()
    why = ""
    if odd.any():
        why = f"it says {given[odd].iloc[0]!r} ({rows.name(list(given.index[odd]))}), which is no split"
    elif (torn := torn_speaker(rows.table, meant)) is not None:
        why = f"one speaker stands in more than one split, the first is {torn!r}"
    elif given.isna().all():
        return replace(rows, table=rows.table.drop(columns="split"))
    if not why:
        return replace(rows, table=rows.table.assign(split=meant))
    table = rows.table.drop(columns="split")
    if SUBSET_COLUMN not in table:
        table = table.assign(**{SUBSET_COLUMN: given})
    words = (
        f"the split column is not used, since {why}; clips are split by speaker (correct it, or leave the split column "
        "out)"
    )
    return replace(rows, table=table, notices=(*rows.notices, words))


def torn_speaker(table: pd.DataFrame, splits: pd.Series) -> str | None:
    """The first speaker, or recording of an unknown one, that stands in several splits."""
    recordings = table["audio_path"].astype("object")
    who = recordings
    if "speaker_id" in table:
        speakers = table["speaker_id"].astype("object")
        who = speakers.where(speakers.notna(), recordings)
    torn = splits.groupby(who).nunique() > 1
    return str(torn.index[torn][0]) if torn.any() else None


def settle_times(rows: Rows, probes: Mapping[str, AudioInfo | str]) -> Rows:
    """The rows with stretches that end a little beyond their recordings cut to them, and counted.

    CorpusError where the times are milliseconds by all evidence: that is asked, not guessed.
    """
    names = [name for name in ("start_s", "duration_s") if name in rows.table]
    if not names:
        return rows
    lengths = rows.table["audio_path"].map(
        {name: info.duration_s if isinstance(info, AudioInfo) else None for name, info in probes.items()}
    )
    times = {name: pd.to_numeric(rows.table[name], errors="coerce") for name in names}
    lengths = pd.to_numeric(lengths, errors="coerce")
    start = times.get("start_s", pd.Series(0.0, rows.table.index)).fillna(0.0)
    duration = times.get("duration_s", pd.Series(float("nan"), rows.table.index))
    _refuse_milliseconds(rows, start, duration, lengths)
    beyond = start + duration - lengths
    is_little = (beyond > 0) & (beyond <= MAX_OVERSHOOT_S) & (beyond <= MAX_OVERSHOOT * duration)
    if not is_little.any():
        return rows
    cut = rows.table["duration_s"].where(~is_little, lengths - start)
    words = (
        f"{int(is_little.sum()):,} stretches ended up to {beyond[is_little].max():.2f} s beyond their recordings and "
        "were cut to them"
    )
    return replace(rows, table=rows.table.assign(duration_s=cut), notices=(*rows.notices, words))


def _refuse_milliseconds(rows: Rows, start: pd.Series, duration: pd.Series, lengths: pd.Series) -> None:
    """CorpusError where hardly any stretch fits its recording in seconds, and nearly all do in milliseconds."""
    end = (start + duration.fillna(0.0))[lengths.notna()]
    length = lengths[lengths.notna()]
    asked = end > 0
    fits = (end <= length + MAX_OVERSHOOT_S)[asked]
    fits_ms = (end / _MS <= length + MAX_OVERSHOOT_S)[asked]
    if (
        not len(fits)
        or fits.mean() > 0.1
        or fits_ms.mean() < 0.9
        or (end[asked] / length[asked]).median() < 20
    ):
        return
    first = fits.index[0]
    raise CorpusError(
        f"its times are milliseconds, it seems: {end[first]:g} ({rows.name([first])}) for a recording of "
        f"{length[first]:.2f} s",
        where=rows.where,
        remedy="name the columns start_ms and duration_ms, or write seconds",
    )
