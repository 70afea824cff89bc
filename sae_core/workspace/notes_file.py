"""The file that people's words lie in, notes.sqlite: opened for one use at a time, checked, and brought up to date.

Version 1 holds the table of notes; version 2 the saved views, too. A file is of version 2 once somebody saves a view,
so that an earlier VoxScope still reads those in which nobody did.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sae_core.files.errors import ArtifactError

NOTES_FILE = "notes.sqlite"
NOTES_VERSION, VIEWS_VERSION = 1, 2
BUSY_TIMEOUT_S = 15.0
ASIDE = (
    "move it away (nothing in it is changed), then bring an export back: python -m sae_core notes import FILE"
)
_TABLES = {NOTES_VERSION: {"entries"}, VIEWS_VERSION: {"entries", "views"}}
_SCHEMAS = {
    "entries": """
CREATE TABLE IF NOT EXISTS entries (
    uid TEXT PRIMARY KEY NOT NULL, sae TEXT NOT NULL, fingerprint TEXT NOT NULL, latent INTEGER NOT NULL,
    clip TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, author TEXT NOT NULL, written_at TEXT NOT NULL
)""",
    "views": """
CREATE TABLE IF NOT EXISTS views (
    uid TEXT PRIMARY KEY NOT NULL, saved TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL,
    author TEXT NOT NULL, written_at TEXT NOT NULL
)""",
}
_NO_ROOM = ("full", "readonly", "unable to open", "disk I/O")


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def stamps(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Changes when somebody writes to a notes file: of itself and of what is written ahead."""
    return _stamp(path), _stamp(path.with_name(f"{path.name}-wal"))


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """The file, opened to read (`ro`) or to write (`rwc`); the caller closes it."""
    address = path.resolve().as_uri()
    database = sqlite3.connect(
        f"{address}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    try:
        if mode == "ro":
            database.execute("PRAGMA schema_version").fetchone()
        else:
            _use_log(database)
    except sqlite3.Error as error:
        database.close()
        is_left_whole = mode == "ro" and not path.with_name(f"{path.name}-wal").exists()
        if not is_left_whole or not any(sign in str(error) for sign in ("unable to open", "readonly")):
            raise
        # a folder that may only be read cannot hold the helper files of WAL; nobody can be writing there either
        return sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return database


def _use_log(database: sqlite3.Connection) -> None:
    """Write ahead, so that readers never wait; a disk that cannot keeps its rollback journal, which is as safe."""
    database.execute("PRAGMA synchronous = FULL")
    with contextlib.suppress(sqlite3.OperationalError):  # somebody else is writing just now: as it is will do
        database.execute("PRAGMA journal_mode = WAL").fetchone()


def version_of(database: sqlite3.Connection, path: Path) -> int:
    """Its version, 0 while it holds nothing; ArtifactError where it is another's or newer than this VoxScope."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > VIEWS_VERSION:
        raise ArtifactError(
            f"was written by a newer VoxScope (version {version})", where=path, remedy="update VoxScope"
        )
    if (version == 0 and tables) or version < 0 or not _TABLES.get(version, set()) <= tables:
        raise ArtifactError("is no notes file of VoxScope", where=path, remedy=ASIDE)
    return version


def prepare(database: sqlite3.Connection, path: Path, *, version: int = NOTES_VERSION) -> None:
    """Make the tables of a version that are not there yet; what is there stays. Within a transaction of the caller."""
    known = version_of(database, path)
    if known >= version:
        return
    for name in sorted(_TABLES[version] - _TABLES.get(known, set())):
        database.execute(_SCHEMAS[name])
    database.execute(f"PRAGMA user_version = {version}")


def set_aside(path: Path, mark: str) -> Path | None:
    """Empty a notes file, keeping a copy of it as `notes.sqlite.<mark>` beside it, and return that; None where there is
    no file. Whoever reads or writes at the same time sees the file before or after."""
    if not path.exists():
        return None
    copy = path.with_name(f"{path.name}.{mark}")
    with told(path), contextlib.closing(connect(path, "rwc")) as database:
        version = version_of(database, path)
        database.execute("VACUUM INTO ?", (str(copy),))
        database.execute("BEGIN IMMEDIATE")
        for table in _TABLES.get(version, set()):
            database.execute(f"DELETE FROM {table}")
        database.execute("COMMIT")
    return copy


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite says into words that help."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        said = str(error)
        if "locked" in said or "busy" in said:
            what, remedy = "is busy", "try again in a moment; what you wrote is not kept yet"
        elif any(sign in said for sign in _NO_ROOM):
            what, remedy = "cannot be used", "free some space, or let this folder be written, then try again"
        else:
            what, remedy = "is damaged or no notes file", ASIDE
        raise ArtifactError(f"{what} ({said})", where=path, remedy=remedy) from error
