"""What says what is what in a folder: a published layout, the tables that lie in it, or the names of its folders.

Tables are chosen by what is in them, and every one that is not used is named with the reason.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from sae_core.corpus import labels as label_file
from sae_core.corpus.columns import find_roles, why_no_speaker
from sae_core.corpus.folders import TABLE_SUFFIXES, Listing
from sae_core.corpus.labels import NO_CHOICES, Choices
from sae_core.corpus.levels import ENOUGH, read_levels
from sae_core.corpus.names import NameIndex, folded
from sae_core.corpus.rows import ROW_COLUMNS, SUBSET_COLUMN, Rows
from sae_core.corpus.tables import RawTable, read_table_file
from sae_core.corpus.texts import MAX_TABLE_BYTES, read_text
from sae_core.corpus.trial_lists import looks_like_trials, read_trial_lines
from sae_core.corpus.values import genders_of, known, languages_of
from sae_core.corpus.wordlists import words_of
from sae_core.files.errors import CorpusError

OWN_FILES = words_of(
    "corpus.json clips.parquet workspace.json build.json import_failures.parquet import_probes.parquet "
    "acoustics.parquet import.json"
)
"""Files that VoxScope writes into a workspace: below a folder of recordings they are nobody's labels."""
ARCHIVES = words_of(".zip .tar .tgz .gz .bz2 .xz .7z .rar")
USUAL_STEMS = ("labels", "metadata", "clips", "manifest")
MAX_TABLES = 60
MAX_READ_BYTES = 512 * 1024**2
MIN_COVERAGE = 0.5
TRIALS = "trials"
LABELLING = "labels the recordings"
_MARK = re.compile(r"[\W_]")
_LEVEL = re.compile(r"(folder|level)\s*\d{1,9}", re.IGNORECASE)
N_NAMED, N_ALIKE = 8, 3
DESCRIBING = (
    "speaker_id",
    "language",
    "gender",
    "age",
    "accent",
    "split",
    "start_s",
    "duration_s",
    "audio_channel",
)


@dataclass(frozen=True)
class _Table:
    """A table in the folder. n_found: recordings that its rows name. why_not: why it cannot label them, else empty."""

    name: str
    raw: RawTable | None
    n_found: int = 0
    n_rows: int = 0
    describes: bool = False
    path_column: str = ""
    why_not: str = ""


@dataclass
class FolderTables:
    """The tables of a folder, sorted by what they are.

    labelling: those that say something of recordings, chosen. speakers: those that list speakers. trials: lists.
    set_aside: name → why it is not used.
    """

    labelling: list[_Table] = field(default_factory=list)
    speakers: list[_Table] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, str]:
        """What each table was taken for, or why it is not used, by name."""
        taken = {table.name: LABELLING for table in self.labelling}
        taken |= {table.name: "says something of speakers" for table in self.speakers}
        taken |= dict.fromkeys(self.trials, "a list of trials")
        return taken | {name: f"not used: {why}" for name, why in self.set_aside.items()}


def read_plain_folder(
    folder: Path,
    listing: Listing,
    *,
    choices: Choices = NO_CHOICES,
    takes_tables: bool = True,
    labels: Path | None = None,
) -> tuple[Rows, str]:
    """The rows of a folder without a published layout, and in words what says so: its tables, or its folders' names.

    labels: the table that people say labels the recordings; None takes those in the folder that fit.
    """
    index = NameIndex(listing.names)
    found = FolderTables()
    if takes_tables:
        found = find_tables(folder, listing, index, asked=labels)
    if labels is not None:
        rows = _with_speakers(
            lambda own: label_file.read(labels, index, choices=own), listing, index, choices
        )
        evidence = f"{_shown(folder, labels)} says what is where"
    elif found.labelling:
        rows, evidence = _read_tables(folder, listing, index, found, choices)
    else:
        rows, evidence = (
            _read_folders(folder, listing, found, choices),
            "the names of its folders are the labels",
        )
    trials = {PurePosixPath(name).name: _read_trials(folder / name, index) for name in found.trials}
    aside = _say_aside(found.set_aside)
    return replace(
        rows,
        trials={**rows.trials, **trials},
        used=(*rows.used, *_names_in(folder, labels), *found.trials),
        notices=(*rows.notices, *aside),
        tables={**found.told(), **dict.fromkeys(_names_in(folder, labels), LABELLING)},
    ), evidence


def _say_aside(set_aside: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each table that is not used, or for all that are not for one reason where they are many."""
    by_reason: dict[str, list[str]] = {}
    for name, why in set_aside.items():
        by_reason.setdefault(why, []).append(name)
    words = []
    for why, names in by_reason.items():
        if len(names) > N_ALIKE:
            words.append(
                f"found, not used: {len(names):,} files such as {', '.join(names[:N_ALIKE])} ({why})"
            )
        else:
            words += [f"found, not used: {name} ({why})" for name in names]
    more = (f"found, not used: {len(words) - N_NAMED:,} more tables",) if len(words) > N_NAMED else ()
    return (*words[:N_NAMED], *more)


def _names_in(folder: Path, file: Path | None) -> tuple[str, ...]:
    """The name of a file relative to the folder that it lies in, or nothing."""
    if file is None or not file.resolve().is_relative_to(folder.resolve()):
        return ()
    return (file.resolve().relative_to(folder.resolve()).as_posix(),)


def _shown(folder: Path, file: Path) -> str:
    """How people know a file: by its name in the folder, else by its path."""
    return next(iter(_names_in(folder, file)), str(file))


def table_candidates(names: Sequence[str]) -> list[str]:
    """The files of some that are looked into for tables, the likeliest first."""
    candidates = [name for name in names if PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES]
    candidates.sort(
        key=lambda name: (name.count("/"), PurePosixPath(name).stem.lower() not in USUAL_STEMS, name)
    )
    return candidates[:MAX_TABLES]


def find_tables(
    folder: Path, listing: Listing, index: NameIndex, *, asked: Path | None = None
) -> FolderTables:
    """The tables below a folder, each read and judged by what is in it.

    Where a table is `asked` for, of the others only the lists of trials are taken.
    """
    found = FolderTables()
    judged, n_bytes = [], 0
    others = _names_in(folder, asked)
    for name in table_candidates(listing.beside):
        if name in others:
            continue
        if PurePosixPath(name).name in OWN_FILES:
            found.set_aside[name] = (
                "it is called as a file of a workspace, and those are not read from a folder"
            )
            continue
        n_bytes += _size(folder / name)
        if n_bytes > MAX_READ_BYTES:
            found.set_aside[name] = "too large to be looked into; give it with --labels"
            continue
        judged.append(_judge(folder, name, index, found))
    if asked is None:
        _choose(judged, index, found, listing)
    else:
        aside = [table for table in judged if table.why_not != TRIALS]
        found.set_aside |= {table.name: table.why_not or f"{asked.name} was asked for" for table in aside}
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return MAX_TABLE_BYTES


def _judge(folder: Path, name: str, index: NameIndex, found: FolderTables) -> _Table:
    """What one file is; a list of trials goes to `found` at once."""
    try:
        if PurePosixPath(name).suffix.lower() not in (".parquet", ".json", ".jsonl"):
            text = read_text(folder / name, names=index.names)
            if looks_like_trials(text, lambda clip: index.find(clip) is not None):
                found.trials.append(name)
                return _Table(name, None, why_not=TRIALS)
        raw = read_table_file(folder / name, index)
    except CorpusError as error:
        return _Table(name, None, why_not=error.what)
    roles = find_roles(raw.frame, index)
    path = roles.columns.get("audio_path")
    if path is None or not len(raw.frame):
        return _Table(name, raw, n_rows=len(raw.frame), why_not="no column of it names recordings")
    placed = index.find_all(raw.frame[path].astype("object"))
    others = [column for column in raw.frame.columns if column not in (path, roles.columns.get("transcript"))]
    describes = any(role in roles.columns for role in DESCRIBING) or any(
        0 < known(raw.frame[column]).nunique() <= 0.5 * len(raw.frame) for column in others
    )
    n_found = int(placed.nunique())
    why_not = "" if n_found else "none of the recordings it names is here"
    return _Table(name, raw, n_found, len(raw.frame), describes, path, why_not)


def _choose(judged: Sequence[_Table], index: NameIndex, found: FolderTables, listing: Listing) -> None:
    """Take the table that describes most recordings, and with it those like it that describe others."""
    able = [table for table in judged if not table.why_not and table.describes]
    enough = MIN_COVERAGE * len(index.names)
    usable = [table for table in able if _is_usual(table.name) or table.n_found >= enough]
    parts = [table for table in able if table not in usable]
    if not usable and sum(table.n_found for table in parts) >= enough:
        usable = parts
    if usable:
        best = max(usable, key=lambda table: (table.n_found, -table.name.count("/")))
        alike = [best, *(table for table in [*usable, *parts] if table is not best and _is_like(table, best))]
        found.labelling = _apart(alike, index)
    named = _speakers_named(found.labelling)
    for table in judged:
        if table in found.labelling or table.why_not == TRIALS:
            continue
        if table.raw is not None and table.n_found == 0 and _lists_speakers(table.raw, listing, named):
            found.speakers.append(table)
        else:
            found.set_aside[table.name] = table.why_not or _why_not_taken(table, found)


def _is_usual(name: str) -> bool:
    return "/" not in name and PurePosixPath(name).stem.lower() in USUAL_STEMS


def _is_like(table: _Table, best: _Table) -> bool:
    assert table.raw is not None and best.raw is not None
    return list(table.raw.frame.columns) == list(best.raw.frame.columns)


def _apart(alike: list[_Table], index: NameIndex) -> list[_Table]:
    """Those of some tables that name recordings which none before them does."""
    seen: set[str] = set()
    taken = []
    for table in alike:
        assert table.raw is not None
        named = set(index.find_all(table.raw.frame[table.path_column].astype("object")).dropna())
        if named - seen:
            taken.append(table)
            seen |= named
    return taken


def _why_not_taken(table: _Table, found: FolderTables) -> str:
    if not table.describes:
        return "it tells nothing of its recordings but their text"
    if found.labelling:
        return f"{found.labelling[0].name} describes as many recordings or more"
    return f"it names only {table.n_found:,} of the recordings; to use it, give it with --labels"


def _speakers_named(tables: Sequence[_Table]) -> set[str]:
    """The speakers that tables of recordings name; nobody where none of them has a column of speakers."""
    found: set[str] = set()
    for table in tables:
        assert table.raw is not None
        column = find_roles(table.raw.frame).columns.get("speaker_id")
        found |= set() if column is None else {folded(one) for one in known(table.raw.frame[column]).dropna()}
    return found


def _beginning(name: str) -> str:
    """What stands before the first mark in the name of a recording: 1001 of 1001_DFA_ANG_XX.wav."""
    return _MARK.split(name.rpartition("/")[2], maxsplit=1)[0]


def _lists_speakers(raw: RawTable, listing: Listing, named: Collection[str]) -> bool:
    """Whether a table has a row for several speakers: those `named` by a table of recordings, else folders, or, where
    it has a column of speakers, what recordings' names begin with."""
    speakers = _speaker_column(raw)
    if speakers is None:
        return False
    names = set(named)
    if not names:
        names = {folded(part) for name in listing.names for part in name.split("/")[:-1]}
        names |= {folded(_beginning(name)) for name in listing.names} if _has_speakers(raw) else set()
    listed = {folded(value) for value in known(raw.frame[speakers]).dropna()}
    return len(listed & names) >= 2


def _has_speakers(raw: RawTable) -> bool:
    """Whether a column is called as speakers are."""
    return "speaker_id" in find_roles(raw.frame).columns


def _speaker_column(raw: RawTable) -> str | None:
    found = find_roles(raw.frame).columns
    if "speaker_id" in found:
        return found["speaker_id"]
    first = str(raw.frame.columns[0]) if len(raw.frame.columns) else None
    return first if first is not None and found.get("audio_path") in (None, first) else None


def _read_tables(
    folder: Path, listing: Listing, index: NameIndex, found: FolderTables, choices: Choices
) -> tuple[Rows, str]:
    names = [table.name for table in found.labelling]
    rows = _with_speakers(
        lambda own: combine_tables(folder, names, index, choices=own), listing, index, choices
    )
    if "speaker_id" in rows.table:
        for table in found.speakers:
            rows = _join_speakers(rows, table, found)
    n_named = sum(table.n_found for table in found.labelling)
    called = " and ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return rows, f"{called} describes {n_named:,} of {len(index.names):,} recordings"


def _with_speakers(
    read: Callable[[Choices], Rows], listing: Listing, index: NameIndex, choices: Choices
) -> Rows:
    """The rows of tables, with the speakers that the folders say where people ask for those, or the tables say none."""
    asked = choices.columns.get("speaker_id", "")
    if asked and _LEVEL.fullmatch(asked):
        rows = read(Choices({**choices.columns, "speaker_id": None}))
        rows = _speakers_from_folders(rows, listing, index, level=_level_asked(asked, rows.where))
    else:
        rows = read(choices)
        if "speaker_id" not in rows.table and asked is not None:
            rows = _speakers_from_folders(rows, listing, index)
            rows = rows if "speaker_id" in rows.table else _say_possible_speakers(rows)
    is_asked = "split" in choices.columns
    return rows if is_asked or "split" in rows.table else _splits_from_folders(rows, listing, index)


def _say_possible_speakers(rows: Rows) -> Rows:
    """The rows of a table without speakers, with a word about columns that could be the speaker."""
    possible = []
    for name in rows.table.columns.difference(
        [*ROW_COLUMNS, *DESCRIBING, SUBSET_COLUMN, *rows.plain], sort=False
    ):
        values = rows.table[name].dropna()
        n = values.nunique()
        is_text = values.dtype.kind not in "fiu"
        if is_text and 2 < n <= 0.5 * len(values) and why_no_speaker(values) is None:
            possible.append(f"{name!r} ({n:,} values)")
    if not possible:
        return rows
    words = (
        f"no column of {rows.where.name} is called as speakers are; {' or '.join(possible[:3])} could be: if so, "
        f"import with --speakers {possible[0].rpartition(' (')[0]}"
    )
    return replace(rows, notices=(*rows.notices, words))


def _splits_from_folders(rows: Rows, listing: Listing, index: NameIndex) -> Rows:
    """The rows of a table without splits, with those that folders are called by."""
    subsets = dict(zip(listing.names, read_levels(listing.names).subsets, strict=True))
    if not any(subsets.values()):
        return rows
    found = index.find_all(rows.table["audio_path"])
    table = rows.table.assign(**{SUBSET_COLUMN: found.map(subsets).astype("str")})
    splits, words = _whole_splits(table.assign(audio_path=found))
    if splits.isna().all():
        return replace(rows, notices=(*rows.notices, *words))
    sources = {**rows.sources, "split": f"folders such as {table[SUBSET_COLUMN].dropna().iloc[0]}"}
    return replace(rows, table=table.assign(split=splits), sources=sources)


def combine_tables(
    folder: Path, names: Sequence[str], index: NameIndex | None, *, choices: Choices = NO_CHOICES
) -> Rows:
    """The rows of one table, or of several that each describe a part; which one is then kept as the subset."""
    parts = [label_file.read(folder / name, index, choices=choices) for name in names]
    if len(parts) == 1:
        return replace(parts[0], used=tuple(names))
    tables = []
    for name, rows in zip(names, parts, strict=True):
        table = rows.table.set_index(f"{name}:" + rows.table.index.astype("str"))
        if SUBSET_COLUMN not in table:
            parent = PurePosixPath(name).parent.name
            stem = PurePosixPath(name).stem
            table = table.assign(**{SUBSET_COLUMN: parent if stem in USUAL_STEMS and parent else stem})
        tables.append(table)
    return Rows(
        pd.concat(tables),
        folder / ", ".join(names),
        "line",
        tuple(entry for rows in parts for entry in rows.unread),
        sources=parts[0].sources,
        left_out={column: why for rows in parts for column, why in rows.left_out.items()},
        plain=frozenset().union(*(rows.plain for rows in parts)),
        used=tuple(names),
        head=parts[0].head,
        notices=tuple(dict.fromkeys(notice for rows in parts for notice in rows.notices)),
    )


def _speakers_from_folders(
    rows: Rows, listing: Listing, index: NameIndex, *, level: int | None = None
) -> Rows:
    """The rows with the speakers that the folders say: at the level that people ask for, or the likeliest."""
    read = read_levels(listing.names, asked=level, is_asked=level is not None)
    if read.speaker_level is None:
        return rows
    by_name = dict(zip(listing.names, read.speakers, strict=True))
    speakers = index.find_all(rows.table["audio_path"]).map(by_name).astype("str")
    return replace(
        rows,
        table=rows.table.assign(speaker_id=speakers),
        sources={**rows.sources, "speaker_id": read.source},
        notices=(*rows.notices, *(() if level else (f"{rows.where.name} has no column of speakers",))),
    )


def _read_folders(folder: Path, listing: Listing, found: FolderTables, choices: Choices) -> Rows:
    """The recordings by path, labelled by their folders and by tables of speakers."""
    listed = {value for table in found.speakers for value in _listed_speakers(table)}
    asked = choices.columns.get("speaker_id", "")
    level = _level_asked(asked, folder) if asked else None
    read = read_levels(listing.names, listed=listed, asked=level, is_asked=asked != "")
    notices, source, who = read.notices, read.source, read.speakers
    if read.speaker_level is None and asked == "" and listed:
        called = [table for table in found.speakers if table.raw is not None and _has_speakers(table.raw)]
        who, source = _speakers_of_names(
            listing, {one for table in called for one in _listed_speakers(table)}
        )
    columns = {"speaker_id": who, "folder": read.folders}
    table = pd.DataFrame({"audio_path": pd.Series(listing.names, dtype="str")})
    for name, values in columns.items():
        table[name] = pd.Series(values, dtype="str")
    if any(value is not None for value in read.subsets):
        table[SUBSET_COLUMN] = pd.Series(read.subsets, dtype="str")
        if choices.columns.get("split", "") is not None:
            table["split"], words = _whole_splits(table)
            notices = (*notices, *words)
    if table["folder"].isna().all() and len(table):
        table = table.drop(columns="folder")
    rows = Rows(
        table,
        folder,
        is_listed=True,
        notices=notices,
        sources={"speaker_id": source} if source else {},
    )
    if "split" in table and table["split"].notna().any():
        rows = replace(rows, sources={**rows.sources, "split": "folders"})
    for speakers in found.speakers:
        rows = _join_speakers(rows, speakers, found)
    return rows


def _speakers_of_names(listing: Listing, listed: Collection[str]) -> tuple[list[str | None], str]:
    """The speaker that each recording's name begins with, where a table lists those of nearly all; and the source."""
    known_names = {folded(one) for one in listed}
    found = [one if folded(one := _beginning(name)) in known_names else None for name in listing.names]
    n_found = sum(one is not None for one in found)
    if n_found < ENOUGH * len(found):
        return [None] * len(found), ""
    return found, "the beginnings of the recordings' names, which a table of speakers lists"


def _whole_splits(table: pd.DataFrame) -> tuple[pd.Series, tuple[str, ...]]:
    """The splits that folders are called by, where all three are there and share no speaker; else null, and why."""
    from sae_core.corpus.placing import torn_speaker
    from sae_core.corpus.values import split_word, splits_from

    words = {word: found for word in table[SUBSET_COLUMN].dropna().unique() if (found := split_word(word))}
    splits = splits_from(table[SUBSET_COLUMN], words)
    called = " and ".join(sorted(map(str, words))[:3])
    if splits.isna().all():
        why = "a split needs folders for train, selection and held-out"
    elif (torn := torn_speaker(table, splits)) is not None:
        why = f"one speaker stands in several, the first is {torn!r}"
        splits = splits.where(pd.Series(False, splits.index))
    else:
        return splits, ()
    return splits, (f"the folders {called} are kept as the subset, and clips are split by speaker: {why}",)


def _level_asked(text: str, folder: Path) -> int:
    number = text.lower().replace("level", "").replace("folder", "").strip()
    if not number.isdigit() or not 1 <= int(number[:9]) <= 64:
        raise CorpusError(
            f"has no table with a column {text!r}",
            where=folder,
            remedy='give the speaker as "folder 1" (the uppermost level), a column of --labels, or none',
        )
    return int(number)


def _listed_speakers(table: _Table) -> list[str]:
    assert table.raw is not None
    column = _speaker_column(table.raw)
    return [] if column is None else list(known(table.raw.frame[column]).dropna())


def _join_speakers(rows: Rows, table: _Table, found: FolderTables) -> Rows:
    """The rows with what a table says of their speakers, where it says one thing of each."""
    assert table.raw is not None
    column = _speaker_column(table.raw)
    speakers = known(table.raw.frame[column]).map(folded, na_action="ignore")
    roles = find_roles(table.raw.frame.drop(columns=[column]))
    told: dict[str, Mapping[str, str]] = {}
    for name in table.raw.frame.columns.drop(column):
        role = roles.by_column.get(str(name))
        values = known(table.raw.frame[name])
        if (values.groupby(speakers).nunique() > 1).any() or role in ("transcript", "audio_path", "split"):
            continue
        if role == "gender":
            values = genders_of(values)
        elif role == "language":
            values = languages_of(values)["language"]
        own = role if role in ("gender", "language", "age", "accent") else str(name)
        if own not in rows.table and own not in ROW_COLUMNS and values.notna().any():
            told[own] = values.groupby(speakers).first().to_dict()
    who = rows.table["speaker_id"].map(folded, na_action="ignore")
    joined = {name: who.map(values).astype("str") for name, values in told.items()}
    joined = {name: values for name, values in joined.items() if values.notna().any()}
    if not joined:
        found.set_aside[table.name] = "it says nothing of the speakers here"
        return rows
    notice = f"{table.name} says of speakers: {', '.join(joined)}"
    if table.raw.unread:
        place, why = table.raw.unread[0]
        notice += f"; {len(table.raw.unread):,} of its rows were left out ({place} {why})"
    return replace(
        rows,
        table=rows.table.assign(**joined),
        used=(*rows.used, table.name),
        notices=(*rows.notices, notice),
    )


def _read_trials(path: Path, index: NameIndex) -> pd.DataFrame:
    """The trials of a list with the recordings of its clips, null where they are not there."""
    text = read_text(path, names=index.names)
    listed = read_trial_lines(text, path, is_clip=lambda clip: index.find(clip) is not None)
    sides = {side: index.find_all(listed.table[side]) for side in ("enrol", "test")}
    return listed.table.assign(**sides).reset_index(drop=True)


def unused_files(names: Sequence[str], used: Sequence[str]) -> str:
    """What lies beside recordings and was not read, by kind, in words; empty where there is nothing."""
    known_names = set(used)
    rest = [name for name in names if name not in known_names]
    if not rest:
        return ""
    kinds = Counter(PurePosixPath(name).suffix.lower() or PurePosixPath(name).name for name in rest)
    words = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common(6))
    packed = "; archives are not opened, unpack them first" if ARCHIVES & kinds.keys() else ""
    if len(rest) <= N_ALIKE:
        return f"found, not used: {', '.join(rest)}{packed}"
    return f"found, not used: {len(rest):,} other files ({words}){packed}"
