"""Notes: labels, stars, tags and comments of several people about latents and clips, in notes.sqlite of a workspace.

Everything is appended and nothing is changed: two people who write at once both keep their words. What a subject is
called is its newest label; earlier ones stay. Who reads sees the file as it is now, kept in memory until it changes.
"""

import contextlib
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TypeVar

from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import ArtifactError
from sae_core.workspace import notes_file
from sae_core.workspace.note_entries import (
    COMMENT,
    LABEL,
    STAR,
    TAG,
    UNSTAR,
    UNTAG,
    NoteEntry,
    Subject,
    in_order,
)

# how long a look at the file's date may serve again: names of thousands of latents are asked for at once
FRESH_S = 0.05
_COLUMNS = "uid, sae, fingerprint, latent, clip, kind, text, author, written_at"
T = TypeVar("T")


@dataclass(frozen=True)
class SubjectNotes:
    """What is written about one subject, oldest first.

    labels: all that were given, an empty one where it was taken away. entries: everything.
    """

    labels: list[NoteEntry] = field(default_factory=list)
    is_starred: bool = False
    tags: list[str] = field(default_factory=list)
    comments: list[NoteEntry] = field(default_factory=list)
    entries: list[NoteEntry] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The newest label, or nothing."""
        return self.labels[-1].text if self.labels else ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to show: no star, no words."""
        return not (self.label or self.is_starred or self.tags or self.comments)

    @property
    def words(self) -> str:
        """All that a search should find: label, tags, comments."""
        return " ".join([self.label, *self.tags, *(comment.text for comment in self.comments)])


@dataclass(frozen=True)
class MergeReport:
    """What an import brought: entries that are new here, and those that were known."""

    n_new: int
    n_known: int


class Notes:
    """The notes of one workspace folder. Safe for threads and for several processes at once.

    Every call may raise ArtifactError: the file is damaged, foreign, of a newer VoxScope, busy, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / notes_file.NOTES_FILE
        self._lock = threading.Lock()
        self._known: tuple[object, dict[Subject, SubjectNotes] | ArtifactError] = (None, {})
        self._labels: tuple[object, dict[str, dict[int | str, str]]] = (None, {})
        self._looked_at, self._stamp = 0.0, object()

    def write(self, subject: Subject, kind: str, *, author: str, text: str = "") -> NoteEntry:
        """Append what somebody writes now and return it; ValueError for words that cannot be kept."""
        entry = NoteEntry.now(subject, kind, text, author=author)
        self._insert([entry])
        return entry

    def merge(self, entries: Iterable[NoteEntry]) -> MergeReport:
        """Add entries of an export to those that are here; nothing that is here is changed."""
        entries = list(entries)
        n_new = self._insert(entries)
        return MergeReport(n_new, len(entries) - n_new)

    def subjects(self) -> dict[Subject, SubjectNotes]:
        """All that has been written, by subject; shared, so not to be changed."""
        stamp = self.version()
        with self._lock:
            if self._known[0] != stamp:
                try:
                    self._known = (stamp, gather_notes(self._read_entries()))
                except ArtifactError as error:
                    self._known = (
                        stamp,
                        error,
                    )  # a broken file is not read again for each of a thousand names
            found = self._known[1]
        if isinstance(found, ArtifactError):
            raise ArtifactError(found.what, where=found.where, remedy=found.remedy) from found
        return found

    def of(self, subject: Subject) -> SubjectNotes:
        """What is written about one subject."""
        return self.subjects().get(subject, SubjectNotes())

    def of_latents(self, fingerprint: str) -> dict[int, SubjectNotes]:
        """What is written about latents of one SAE, known by the fingerprint of its weights."""
        found = self.subjects().items()
        return {subject.latent: notes for subject, notes in found if subject.fingerprint == fingerprint}

    def of_clips(self) -> dict[str, SubjectNotes]:
        """What is written about clips, by clip_id."""
        return {subject.clip: notes for subject, notes in self.subjects().items() if subject.clip}

    def of_earlier(self, sae: str, fingerprint: str, latent: int) -> list[tuple[Subject, SubjectNotes]]:
        """What was written about this number of an SAE of this name before it was trained again."""
        return [
            (subject, notes)
            for subject, notes in self.subjects().items()
            if (subject.sae, subject.latent) == (sae, latent)
            and subject.fingerprint != fingerprint
            and not notes.is_empty
        ]

    def latent_labels(self, fingerprint: str) -> dict[int, str]:
        """The newest labels of latents of one SAE; none where the notes cannot be read at all."""
        return self._newest_labels().get(fingerprint, {})  # type: ignore[return-value]

    def clip_labels(self) -> dict[str, str]:
        """The newest labels of clips, by clip_id; none where the notes cannot be read at all."""
        return self._newest_labels().get("", {})  # type: ignore[return-value]

    def _newest_labels(self) -> dict[str, dict[int | str, str]]:
        """By fingerprint of an SAE and number of a latent; clips under no fingerprint, by clip_id."""
        stamp = self.version()
        labels = self._labels
        if labels[0] != stamp:
            by_sae: dict[str, dict[int | str, str]] = defaultdict(dict)
            with contextlib.suppress(ArtifactError):
                for subject, notes in self.subjects().items():
                    if notes.label:
                        by_sae[subject.fingerprint][subject.clip or subject.latent] = notes.label
            self._labels = labels = (stamp, dict(by_sae))
        return labels[1]

    def entries(self) -> list[NoteEntry]:
        """Everything, oldest first."""
        return in_order(entry for notes in self.subjects().values() for entry in notes.entries)

    def version(self) -> object:
        """Equal as long as nobody has written."""
        with self._lock:
            if time.monotonic() - self._looked_at > FRESH_S:
                self._stamp = notes_file.stamps(self.path)
                self._looked_at = time.monotonic()
            return self._stamp

    def _insert(self, entries: list[NoteEntry]) -> int:
        def insert(database: sqlite3.Connection) -> int:
            database.execute("BEGIN IMMEDIATE")
            notes_file.prepare(database, self.path)
            before = database.total_changes
            database.executemany(
                f"INSERT OR IGNORE INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(uid, *subject, *rest) for uid, subject, *rest in map(astuple, entries)],
            )
            n_new = database.total_changes - before
            database.execute("COMMIT")
            return n_new

        with notes_file.told(self.path):
            n_new = self._with_database(insert, mode="rwc")
        with self._lock:
            self._looked_at, self._known, self._labels = 0.0, (None, {}), (None, {})
        return n_new

    def _read_entries(self) -> list[NoteEntry]:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return []
        with notes_file.told(self.path):
            lines = self._with_database(self._fetch, mode="ro")
        try:
            return [
                NoteEntry(uid, Subject(sae, fingerprint, latent, clip), *rest)
                for uid, sae, fingerprint, latent, clip, *rest in lines
            ]
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"holds an entry that cannot be read ({error})", where=self.path, remedy=notes_file.ASIDE
            ) from error

    def _fetch(self, database: sqlite3.Connection) -> list[tuple]:
        if not notes_file.version_of(database, self.path):
            return []
        return database.execute(f"SELECT {_COLUMNS} FROM entries").fetchall()

    def _with_database(self, use: Callable[[sqlite3.Connection], T], *, mode: str) -> T:
        with contextlib.closing(notes_file.connect(self.path, mode)) as database:
            return use(database)


def trained_saes(folder: Path) -> dict[str, str]:
    """The SAEs of a workspace folder that are finished: fingerprint of the weights → name."""
    found = {}
    for file in sorted(folder.glob("saes/*/meta.json")):
        with contextlib.suppress(ArtifactError):  # a damaged one is told where it is opened
            found[ArtifactMeta.read(file, kind="sae", remedy="").fingerprint] = file.parent.name
    return found


def gather_notes(entries: Iterable[NoteEntry]) -> dict[Subject, SubjectNotes]:
    """What entries add up to: of stars and of each tag the newest word counts, of labels the last; comments stay."""
    by_subject: dict[Subject, list[NoteEntry]] = defaultdict(list)
    for entry in in_order(entries):
        by_subject[entry.subject].append(entry)
    found = {}
    for subject, written in by_subject.items():
        stars = [entry.kind for entry in written if entry.kind in (STAR, UNSTAR)]
        last = {entry.text: entry.kind for entry in written if entry.kind in (TAG, UNTAG)}
        found[subject] = SubjectNotes(
            labels=[entry for entry in written if entry.kind == LABEL],
            is_starred=stars[-1:] == [STAR],
            tags=sorted(tag for tag, kind in last.items() if kind == TAG),
            comments=[entry for entry in written if entry.kind == COMMENT],
            entries=written,
        )
    return found
