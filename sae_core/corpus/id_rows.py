"""Rows for clips that are known by their ids alone, as those of vectors that people bring, with or without labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sae_core.corpus import labels as label_file
from sae_core.corpus.columns import shown
from sae_core.corpus.folders import Listing
from sae_core.corpus.names import NameIndex
from sae_core.corpus.placing import place_rows
from sae_core.corpus.rows import Rows
from sae_core.files.errors import CorpusError

_STRETCH = ("start_s", "duration_s", "audio_channel")


@dataclass(frozen=True)
class IdRows:
    """One row an id, `audio_path` being the id. unlabelled: ids that the labels do not name."""

    rows: Rows
    unlabelled: tuple[str, ...] = ()


def rows_by_id(
    ids: Sequence[str], where: Path, *, labels: Path | None = None, has_sound: bool = False
) -> IdRows:
    """The rows of ids that stand in the file `where`, with what a table of labels says of each.

    has_sound: whether recordings are joined afterwards, so that starts, lengths and channels mean something.

    The table is read as that of `import` is; its column of ids is the one most of whose values are ids. Raises
    CorpusError where it is no table, or names none of the ids.
    """
    named = pd.DataFrame({"audio_path": pd.Series(list(ids), dtype="str")})
    if labels is None:
        return IdRows(Rows(named, where, is_listed=True))
    index = NameIndex(list(ids))
    rows = label_file.read(labels, index)
    wanted = rows.table["audio_path"]
    if index.find_all(wanted.dropna()).isna().all():
        raise CorpusError(
            f"describes none of the {len(ids):,} ids: it names, for example, {str(wanted.iloc[0])!r}, and "
            f"{where.name} has {shown(list(ids), 2)}",
            where=labels,
            remedy="check that the labels and the vectors belong together",
        )
    dropped = ["clip_id", *(() if has_sound else _STRETCH)]
    rows = replace(rows, table=rows.table.drop(columns=dropped, errors="ignore"))
    nowhere = labels / "ids"  # below a file: only ids are looked for, no files
    rows = place_rows(rows, nowhere, Listing(list(ids), ()), index)
    unread = tuple((path, _without_vector(why, where)) for path, why in rows.unread)
    table = rows.table.drop_duplicates("audio_path")
    unlabelled = tuple(named["audio_path"][~named["audio_path"].isin(table["audio_path"])])
    table = named.merge(table, on="audio_path", how="left")
    notices = rows.notices
    if unlabelled:
        n, words = len(unlabelled), "id has" if len(unlabelled) == 1 else "ids have"
        notices = (*notices, f"{n:,} {words} no labels in {labels.name}: {shown(unlabelled)}")
    rows = replace(
        rows, table=table, where=where, unit="vector", unread=unread, notices=notices, is_listed=True
    )
    return IdRows(rows, unlabelled)


def _without_vector(why: str, where: Path) -> str:
    return why.replace("and is not there", f"and has no vector in {where.name}")


def join_recordings(rows: Rows, listing: Listing, root: Path) -> Rows:
    """The rows with the recordings that their ids name among those listed below `root`; ids without one are in
    `unread`. CorpusError where none has one."""
    ids = rows.table["audio_path"]
    index = NameIndex(listing.names)
    found = index.find_all(ids)
    if found.isna().all():
        there = f"in {root} there is {listing.names[0]!r}" if listing.names else f"there are none in {root}"
        raise CorpusError(
            f"none of its {len(ids):,} ids names a recording: one is {ids.iloc[0]!r}; {there}",
            where=rows.where,
            remedy="check --audio-root, or leave it out to explore without sound",
        )
    gone = ids[found.isna()]
    unread = tuple((name, _why_gone(name, index, root)) for name in gone)
    table = rows.table.assign(clip_id=ids, audio_path=found)[found.notna()].reset_index(drop=True)
    return replace(rows, table=table, unread=(*rows.unread, *unread), is_listed=True)


def _why_gone(name: str, index: NameIndex, root: Path) -> str:
    rivals = index.rivals(name)
    if rivals:
        return f"could be any of {len(rivals)} recordings, such as {rivals[0]!r} and {rivals[1]!r}"
    return f"has a vector and no recording below {root}"
