"""Saved views: addresses of pages with all their choices, named by people, in notes.sqlite beside the notes.

As with notes, everything is appended and nothing is changed: what a view is called is its newest name, and an empty
name takes it away. An address says a page of the app and its parameters and nothing else, so no view leads elsewhere.
"""

import contextlib
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from sae_core.files.errors import ArtifactError
from sae_core.workspace import notes_file
from sae_core.workspace.note_entries import clean_author, clean_line, utc

MAX_VIEW_NAME_CHARS = 80
MAX_VIEWS = 1_000
MAX_ADDRESS_CHARS, MAX_PARAMETERS = 4_000, 60
NOT_OF_THE_VIEW = frozenset({"workspace", "invitation", "step", "embed", "embed_options"})
"""Parameters that say whose view it is or how it is reached, not what it shows."""
_PAGE = re.compile(r"[a-z][a-z0-9_]{0,40}|")
_ID = re.compile(r"[0-9a-f]{32}")
_COLUMNS = "uid, saved, name, address, author, written_at"
_BUSY = "remove some that nobody needs"
T = TypeVar("T")


@dataclass(frozen=True)
class ViewEntry:
    """One thing that somebody did with a view: saved it, renamed it, or took it away by an empty name.

    uid: 32 hexadecimal digits of this entry. saved: uid of the entry that saved the view. address: `page?parameters`,
    as `view_address` writes it. written_at: in UTC, as of notes.
    """

    uid: str
    saved: str
    name: str
    address: str
    author: str
    written_at: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.uid) or not _ID.fullmatch(self.saved):
            raise ValueError("uid is not 32 hexadecimal digits")
        if self.name != clean_line(self.name) or len(self.name) > MAX_VIEW_NAME_CHARS:
            raise ValueError(
                f"a view's name has at most {MAX_VIEW_NAME_CHARS} signs, all of which can be shown"
            )
        if self.address != view_address(*read_address(self.address)):
            raise ValueError("the address is none of a page of this app")
        if self.author != clean_author(self.author) or self.written_at != utc(self.written_at):
            raise ValueError("author or time cannot be used")


@dataclass(frozen=True)
class SavedView:
    """A view as it is now. author, saved_at: who saved it and when; renamed by somebody else, these stay."""

    uid: str
    name: str
    page: str
    query: tuple[tuple[str, str], ...]
    author: str
    saved_at: str


def view_address(page: str, query: Iterable[tuple[str, str]]) -> str:
    """The address that a view is kept under: the page's name in the app (empty for the first) and its parameters.

    Parameters that say how a view is reached are left out. ValueError where it is no page's name, or too long.
    """
    if not _PAGE.fullmatch(page):
        raise ValueError("a view is of a page of this app")
    kept = [(name, value) for name, value in query if name and value and name not in NOT_OF_THE_VIEW]
    address = f"{page}?{urlencode(kept)}" if kept else page
    if len(kept) > MAX_PARAMETERS or len(address) > MAX_ADDRESS_CHARS:
        raise ValueError("this view has too many choices to be saved")
    return address


def read_address(address: str) -> tuple[str, list[tuple[str, str]]]:
    """Page and parameters of an address."""
    page, _, query = address.partition("?")
    return page, parse_qsl(query, max_num_fields=MAX_PARAMETERS + 1)


class SavedViews:
    """The saved views of one workspace folder. Safe for threads and for several processes at once.

    Every call may raise ArtifactError, as of `Notes`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / notes_file.NOTES_FILE
        self._lock = threading.Lock()
        self._known: tuple[object, list[ViewEntry]] = (None, [])

    def save(self, name: str, page: str, query: Mapping[str, Iterable[str]], *, author: str) -> SavedView:
        """Keep a page with its parameters under a name; ValueError for words or an address that cannot be kept."""
        if not clean_line(name):
            raise ValueError("a view needs a name")
        if len(self.views()) >= MAX_VIEWS:
            raise ArtifactError(f"holds {MAX_VIEWS:,} saved views already", where=self.path, remedy=_BUSY)
        uid = uuid.uuid4().hex
        pairs = [(name_, value) for name_, values in query.items() for value in values]
        self._write(ViewEntry(uid, uid, clean_line(name), view_address(page, pairs), *_now(author)))
        return self.view(uid)

    def rename(self, uid: str, name: str, *, author: str) -> None:
        """Call a view something else; ValueError for a name that cannot be kept."""
        if not clean_line(name):
            raise ValueError("a view needs a name")
        self._write(ViewEntry(uuid.uuid4().hex, uid, clean_line(name), self._address(uid), *_now(author)))

    def remove(self, uid: str, *, author: str) -> None:
        """Take a view out of the list."""
        self._write(ViewEntry(uuid.uuid4().hex, uid, "", self._address(uid), *_now(author)))

    def views(self) -> list[SavedView]:
        """The views as they are now, the latest saved first."""
        return gather_views(self.entries())

    def view(self, uid: str) -> SavedView:
        """One view; ArtifactError where it is not there or was removed."""
        for view in self.views():
            if view.uid == uid:
                return view
        raise ArtifactError("holds no such view", where=self.path, remedy="choose one of the list on Notes")

    def entries(self) -> list[ViewEntry]:
        """Everything, oldest first; shared, so not to be changed."""
        stamp = notes_file.stamps(self.path)
        with self._lock:
            if self._known[0] != stamp:
                self._known = (stamp, self._read())
            return self._known[1]

    def merge(self, entries: Iterable[ViewEntry]) -> int:
        """Add entries of a backup to those that are here, and return how many are new."""
        return self._insert(list(entries))

    def _address(self, uid: str) -> str:
        view = self.view(uid)
        return view_address(view.page, view.query)

    def _write(self, entry: ViewEntry) -> None:
        self._insert([entry])

    def _insert(self, entries: list[ViewEntry]) -> int:
        def insert(database: sqlite3.Connection) -> int:
            database.execute("BEGIN IMMEDIATE")
            notes_file.prepare(database, self.path, version=notes_file.VIEWS_VERSION)
            before = database.total_changes
            database.executemany(
                f"INSERT OR IGNORE INTO views ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", map(astuple, entries)
            )
            n_new = database.total_changes - before
            database.execute("COMMIT")
            return n_new

        with notes_file.told(self.path):
            n_new = self._with_database(insert, mode="rwc") if entries else 0
        with self._lock:
            self._known = (None, [])
        return n_new

    def _read(self) -> list[ViewEntry]:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return []
        with notes_file.told(self.path):
            lines = self._with_database(self._fetch, mode="ro")
        try:
            return sorted((ViewEntry(*line) for line in lines), key=_place)
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"holds a view that cannot be read ({error})", where=self.path, remedy=notes_file.ASIDE
            ) from error

    def _fetch(self, database: sqlite3.Connection) -> list[tuple]:
        if notes_file.version_of(database, self.path) < notes_file.VIEWS_VERSION:
            return []
        return database.execute(f"SELECT {_COLUMNS} FROM views").fetchall()

    def _with_database(self, use: Callable[[sqlite3.Connection], T], *, mode: str) -> T:
        with contextlib.closing(notes_file.connect(self.path, mode)) as database:
            return use(database)


def gather_views(entries: Iterable[ViewEntry]) -> list[SavedView]:
    """What entries add up to: of each view its newest name, without those that were taken away; the latest first."""
    found: dict[str, SavedView] = {}
    for entry in sorted(entries, key=_place):
        page, query = read_address(entry.address)
        first = found.get(entry.saved)
        author, saved_at = (first.author, first.saved_at) if first else (entry.author, entry.written_at)
        found[entry.saved] = SavedView(entry.saved, entry.name, page, tuple(query), author, saved_at)
    shown = [view for view in found.values() if view.name]
    return sorted(shown, key=lambda view: (view.saved_at, view.uid), reverse=True)


def _place(entry: ViewEntry) -> tuple[str, str]:
    return entry.written_at, entry.uid


def _now(author: str) -> tuple[str, str]:
    return clean_author(author), datetime.now(UTC).isoformat(timespec="microseconds")
