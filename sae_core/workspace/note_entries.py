"""What people write about a latent or a clip: single entries, checked, and as JSON for export and import.

An entry is never changed. A label, a star, the tags and the comments of a subject are what its entries add up to, the
newest last, so that nobody's words are lost when two people write at once.
"""

import json
import re
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version

LABEL, STAR, UNSTAR, TAG, UNTAG, COMMENT = "label", "star", "unstar", "tag", "untag", "comment"
DECISION = "decision"
"""What is to become of a clip at the next import, see `analysis.data_check`."""
MAX_NOTE_CHARS = {LABEL: 80, STAR: 0, UNSTAR: 0, TAG: 40, UNTAG: 40, COMMENT: 4000, DECISION: 1000}
MAX_AUTHOR_CHARS = 60
MAX_NAME_CHARS = 1000
MAX_ENTRIES = 100_000
MAX_NOTES_BYTES = 32 * 1024 * 1024
MAX_LATENT = 2**31 - 1
EXPORT_KIND = "voxscope-notes"
CLOCK_TOLERANCE = timedelta(days=1)

_ID = re.compile(r"[0-9a-f]{32}")
_TURNING = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff"}
_EXPORT = "export the notes again: python -m sae_core notes export"


@dataclass(frozen=True)
class Subject:
    """What is written about: a latent of an SAE, or a clip.

    sae, fingerprint: name of the SAE, and the fingerprint of its weights. A number means another latent once an SAE of
    that name is trained again, and the same one where the same weights have another name: only the weights tell
    subjects apart. latent: its number. clip: id of a clip, with the other fields left as they are.
    """

    sae: str = field(default="", compare=False)
    fingerprint: str = ""
    latent: int = -1
    clip: str = ""

    def __post_init__(self) -> None:
        is_latent = bool(self.sae and self.fingerprint) and 0 <= self.latent <= MAX_LATENT and not self.clip
        is_clip = bool(self.clip) and not self.sae and not self.fingerprint and self.latent == -1
        if not is_latent and not is_clip:
            raise ValueError("a subject is a latent of an SAE with its fingerprint, or a clip")
        if any(_clean(name, is_long=False) != name for name in (self.sae, self.fingerprint, self.clip)):
            raise ValueError("a name holds signs that cannot be shown")
        if max(len(self.sae), len(self.fingerprint), len(self.clip)) > MAX_NAME_CHARS:
            raise ValueError(f"a name is longer than {MAX_NAME_CHARS} signs")


@dataclass(frozen=True)
class NoteEntry:
    """One thing that one person wrote.

    uid: 32 hexadecimal digits that tell it from all others, everywhere. kind: one of `MAX_NOTE_CHARS`; an empty label
    takes the label away. written_at: in UTC, like 2026-01-31T09:30:00.000000+00:00.
    """

    uid: str
    subject: Subject
    kind: str
    text: str
    author: str
    written_at: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.uid):
            raise ValueError("uid is not 32 hexadecimal digits")
        if self.kind not in MAX_NOTE_CHARS:
            raise ValueError(f"kind must be one of {', '.join(MAX_NOTE_CHARS)}, not {self.kind[:40]!r}")
        if self.text != clean_text(self.text, self.kind) or self.author != clean_author(self.author):
            raise ValueError("text or author holds signs that cannot be shown")
        if self.written_at != utc(self.written_at):
            raise ValueError("written_at is not a time in UTC")

    @classmethod
    def now(cls, subject: Subject, kind: str, text: str, *, author: str) -> "NoteEntry":
        """What somebody writes at this moment; ValueError says what is wrong with it."""
        written_at = datetime.now(UTC).isoformat(timespec="microseconds")
        return cls(uuid.uuid4().hex, subject, kind, clean_text(text, kind), clean_author(author), written_at)


def clean_text(text: str, kind: str) -> str:
    """Text as it is kept: without signs that control a screen, on one line except in comments; else ValueError."""
    if kind not in MAX_NOTE_CHARS:
        raise ValueError(f"kind must be one of {', '.join(MAX_NOTE_CHARS)}, not {kind[:40]!r}")
    cleaned = _clean(text, is_long=kind == COMMENT)
    if len(cleaned) > MAX_NOTE_CHARS[kind]:
        raise ValueError(f"a {kind} has at most {MAX_NOTE_CHARS[kind]} signs, this has {len(cleaned):,}")
    if not cleaned and kind in (TAG, UNTAG, COMMENT, DECISION):
        raise ValueError(f"a {kind} needs words")
    return cleaned


def clean_author(author: str) -> str:
    """An author's name as it is kept; ValueError where it is empty or too long."""
    cleaned = _clean(author, is_long=False)
    if not 1 <= len(cleaned) <= MAX_AUTHOR_CHARS:
        raise ValueError(f"an author's name has 1 to {MAX_AUTHOR_CHARS} signs")
    return cleaned


def clean_line(text: str) -> str:
    """Text as it is kept on one line, without signs that control a screen."""
    return _clean(text, is_long=False)


def _clean(text: str, *, is_long: bool) -> str:
    whole = text.encode("utf-8", "replace").decode("utf-8")
    lines = [
        "".join(map(_shown, line)).strip() for line in re.split(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", whole)
    ]
    cleaned = "\n".join(lines).strip("\n") if is_long else " ".join(" ".join(lines).split())
    return unicodedata.normalize("NFC", cleaned)


def _shown(sign: str) -> str:
    """A sign as it is kept: tabs as spaces; nothing for control signs and those that turn the reading direction."""
    if sign == "\t":
        return " "
    return "" if unicodedata.category(sign) == "Cc" or sign in _TURNING else sign


def utc(written_at: str) -> str:
    """The same time, as entries write it; ValueError for what is no time."""
    time = datetime.fromisoformat(written_at)
    if time.tzinfo is None:
        raise ValueError("written_at has no time zone")
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def in_order(entries: Iterable[NoteEntry]) -> list[NoteEntry]:
    """Entries by time; those of one microsecond by uid, so that everyone sees the same order."""
    return sorted(entries, key=lambda entry: (entry.written_at, entry.uid))


def notes_to_json(entries: Sequence[NoteEntry], *, workspace: str) -> str:
    """All entries as JSON, for `notes_from_json`."""
    lines = [
        {**asdict(entry), "subject": {k: v for k, v in asdict(entry.subject).items() if v not in ("", -1)}}
        for entry in in_order(entries)
    ]
    whole = {"format_version": FORMAT_VERSION, "kind": EXPORT_KIND, "workspace": workspace, "entries": lines}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def notes_from_json(content: bytes, *, where: str | Path) -> list[NoteEntry]:
    """Return the entries of an export; ArtifactError naming `where` and the first entry that cannot be used.

    At most `MAX_NOTES_BYTES` and `MAX_ENTRIES`; unknown keys are refused, so that nothing is passed over in silence.
    """
    if len(content) > MAX_NOTES_BYTES:
        raise ArtifactError(
            f"is larger than {MAX_NOTES_BYTES // 2**20} MiB",
            where=where,
            remedy="split it into several files",
        )
    try:
        whole = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"is not valid JSON ({error})", where=where, remedy=_EXPORT) from error
    if not isinstance(whole, dict) or whole.get("kind") != EXPORT_KIND:
        raise ArtifactError("holds no notes of VoxScope", where=where, remedy=_EXPORT)
    check_version(whole.get("format_version"), where=where)
    lines = whole.get("entries")
    if not isinstance(lines, list) or len(lines) > MAX_ENTRIES:
        raise ArtifactError(f"holds no list of at most {MAX_ENTRIES:,} entries", where=where, remedy=_EXPORT)
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_entry(line))
        except (TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(
                f"entry {number} cannot be used ({error})", where=where, remedy="correct or remove it"
            ) from error
    return entries


def _entry(line: Any) -> NoteEntry:
    if not isinstance(line, dict) or not isinstance(line.get("subject"), dict):
        raise TypeError("an entry is an object with a subject")
    fields, subject = {**line}, {**line["subject"]}
    del fields["subject"]
    latent = subject.pop("latent", -1)
    if type(latent) is not int:
        raise TypeError("latent is no whole number")
    for name, value in (*fields.items(), *subject.items()):
        if not isinstance(value, str):
            raise TypeError(f"{name[:40]} is no text")
    entry = NoteEntry(subject=Subject(latent=latent, **subject), **fields)
    if datetime.fromisoformat(entry.written_at) > datetime.now(UTC) + CLOCK_TOLERANCE:
        raise ValueError("written_at lies in the future, where it would stay the newest")
    return entry
