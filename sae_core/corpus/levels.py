"""What the folders above recordings say: which level of them is the speaker, which a value, which a split.

A level whose same names recur below several folders is no speaker, as `session1` is not; a level whose names open the
names of its recordings, or stand in a table of speakers, is the likelier one. What was taken is said.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sae_core.corpus.columns import shown
from sae_core.corpus.names import folded, without_suffix
from sae_core.corpus.values import is_class_word, is_unknown, split_word

_SESSION = re.compile(
    r"(session|sess|ses|chapter|chap|book|video|vid|clip|day|date|rec|recording|part|disc|disk|cd|dvd|take|batch|track"
    r"|tape|episode|ep|call|meeting|visit|task|mic|channel|chunk|segment|seg|block|trial|run|round|item|set|vol|week)"
    r"[\W_]*\d*[a-z]?",
    re.IGNORECASE,
)
_DATE = re.compile(r"(19|20)\d\d[-_.]?\d\d[-_.]?\d\d([-_T ].*)?|\d\d[-_.]\d\d[-_.](19|20)\d\d")
_HASH = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{11}|[0-9a-f]{16,}")
_NUMBERED = re.compile(r"[^\W\d]{0,8}[-_ ]?\d{1,8}[a-z]?|[^\W\d]{1,3}\d+[^\W\d]*\d*", re.IGNORECASE)
ENOUGH = 0.8


@dataclass(frozen=True)
class Level:
    """One level of folders below a root, the uppermost being 1.

    names: of its folders. recurring: fraction of them that stand below several parents. opening: fraction of
    recordings whose names begin with theirs. listed: fraction that a table lists as speakers. is_single: each folder
    holds one recording.
    """

    number: int
    names: tuple[str, ...]
    recurring: float
    opening: float
    listed: float
    is_single: bool = False

    @property
    def says_nothing(self) -> bool:
        """Whether it holds everything in one folder, or folders such as wav/ and clips/."""
        return len(self.names) < 2

    @property
    def is_classes(self) -> bool:
        """Whether all its folders are called as languages, genders, splits or other classes are."""
        return all(is_class_word(name) for name in self.names)

    @property
    def is_splits(self) -> bool:
        """Whether all its folders are called as splits are."""
        return len(self.names) > 1 and all(split_word(name) is not None for name in self.names)

    @property
    def is_sessions(self) -> bool:
        """Whether most of its folders are called as sessions, dates or videos are."""
        n = sum(any(kind.fullmatch(name) for kind in (_SESSION, _DATE, _HASH)) for name in self.names)
        return n > 0.5 * len(self.names)

    @property
    def is_count(self) -> bool:
        """Whether its folders are bare numbers that each hold one recording: takes, hours or days, nobody's names."""
        return self.is_single and all(name.isdigit() for name in self.names)

    @property
    def is_numbered(self) -> bool:
        """Whether most of its folders are called as people are counted: s01, id10270, 1001, F03."""
        n = sum(_NUMBERED.fullmatch(name) is not None for name in self.names)
        return n >= ENOUGH * len(self.names)

    def example(self) -> str:
        """Its names in words."""
        return shown(self.names, 3)


@dataclass(frozen=True)
class FolderReading:
    """What folders say of each recording, null where nothing. speaker_level, folder_level, subset_level: 1 for the
    uppermost folders, None where no level says so. source: where speakers are from, in words. notices: what was
    decided."""

    speakers: list[str | None]
    folders: list[str | None]
    subsets: list[str | None]
    speaker_level: int | None
    source: str
    notices: tuple[str, ...] = ()


def read_levels(
    names: Sequence[str], *, listed: Collection[str] = (), asked: int | None = None, is_asked: bool = False
) -> FolderReading:
    """What the folders of some recordings say of them.

    listed: speakers that a table of speakers names. asked: the level that people say is the speaker; with `is_asked`
    and None they say that none is.
    """
    parents = [name.split("/")[:-1] for name in names]
    depth = Counter(len(parts) for parts in parents).most_common(1)[0][0] if parents else 0
    levels = [_level(number, names, parents, listed) for number in range(1, depth + 1)]
    found, why = (
        (levels[asked - 1] if asked and asked <= depth else None, "") if is_asked else _speaker(levels)
    )
    joins = found is not None and not is_asked and _is_counted_anew(levels, found)
    speakers = [_speaker_of(parts, found, depth, joins) for parts in parents]
    subset = next((level for level in levels if level.is_splits and level is not found), None)
    value = next((level for level in levels if level not in (found, subset) and not level.says_nothing), None)
    uppermost = value.number if value is not None else (1 if found is None else None)
    return FolderReading(
        speakers,
        _at(parents, None if subset is not None and subset.number == uppermost else uppermost),
        _at(parents, None if subset is None else subset.number),
        None if found is None else found.number,
        "" if found is None else f"level {found.number} of the folders ({found.example()})",
        _notices(levels, found, why, joins),
    )


def _at(parents: list[list[str]], number: int | None) -> list[str | None]:
    """The folder of each recording at one level, None where there is none."""
    return [parts[number - 1] if number is not None and len(parts) >= number else None for parts in parents]


def _level(number: int, names: Sequence[str], parents: list[list[str]], listed: Collection[str]) -> Level:
    above: dict[str, set[tuple[str, ...]]] = {}
    n_opening = n_counted = 0
    for name, parts in zip(names, parents, strict=True):
        if len(parts) < number:
            continue
        own = parts[number - 1]
        above.setdefault(own, set()).add(tuple(parts[: number - 1]))
        n_counted += 1
        n_opening += _opens(own, name.rpartition("/")[2])
    n_recurring = sum(len(places) > 1 for places in above.values())
    known = {folded(name) for name in listed}
    n_listed = sum(folded(name) in known for name in above) if known else 0
    n = max(1, len(above))
    is_single = sum(map(len, above.values())) == n_counted
    return Level(
        number, tuple(sorted(above)), n_recurring / n, n_opening / max(1, n_counted), n_listed / n, is_single
    )


def level_examples(names: Sequence[str]) -> dict[int, str]:
    """The levels of folders that could say something of recordings, the uppermost being 1, with some of their names."""
    parents = [name.split("/")[:-1] for name in names]
    depth = Counter(len(parts) for parts in parents).most_common(1)[0][0] if parents else 0
    found = {}
    for number in range(1, depth + 1):
        folders = sorted({parts[number - 1] for parts in parents if len(parts) >= number})
        if len(folders) > 1:
            found[number] = shown(folders, 3)
    return found


def _opens(folder: str, name: str) -> bool:
    """Whether the name of a recording begins with its folder's, as a word of its own."""
    stem, start = folded(without_suffix(name)), folded(folder)
    return stem.startswith(start) and (len(stem) == len(start) or not stem[len(start)].isalnum())


def _speaker(levels: list[Level]) -> tuple[Level | None, str]:
    """The level that is the speaker, and why in words."""
    told = [level for level in levels if level.listed >= 0.5 and len(level.names) > 0]
    if told:
        return max(told, key=lambda level: level.listed), "a table of speakers lists its names"
    possible = [
        level
        for level in levels
        if not (level.says_nothing or level.is_classes or level.is_sessions or level.is_count)
    ]
    apart = [level for level in possible if level.recurring < 0.5]
    opening = [level for level in apart if level.opening >= ENOUGH]
    if opening:
        return opening[0], "the names of recordings begin with its names"
    if len(levels) == 1:
        return (apart[0], "its names are numbered") if apart and apart[0].is_numbered else (None, "")
    if apart:
        return apart[-1], ""
    return (possible[-1], "") if possible else (None, "")


def _is_counted_anew(levels: list[Level], found: Level) -> bool:
    """Whether speakers are counted anew in each folder above (es/spk1, uk/spk1), rather than come again in it."""
    above = levels[found.number - 2] if found.number > 1 else None
    return above is not None and found.recurring >= 0.5 and found.is_numbered and not above.is_splits


def _speaker_of(parts: list[str], found: Level | None, depth: int, joins: bool) -> str | None:
    if found is None or len(parts) < found.number:
        return None
    if joins:
        return "/".join(parts[found.number - 2 : found.number])
    own = parts[-1] if found.number == depth and depth > 1 else parts[found.number - 1]
    return None if is_unknown(own) else own


def _notices(levels: list[Level], found: Level | None, why: str, joins: bool) -> tuple[str, ...]:
    notices = []
    for level in levels:
        if level is not found and level.recurring >= 0.5 and not level.says_nothing and not level.is_splits:
            below = f"the same names recur below several folders ({level.example()})"
            notices.append(f"level {level.number} of the folders is not taken for speakers: {below}")
    if joins and found is not None:
        notices.append(
            f"speakers are counted anew in each folder of level {found.number - 1}, so that their names are joined; "
            "if they are the same people, say so in a table with a speaker column"
        )
    elif found is not None and why:
        notices.append(f"level {found.number} of the folders is taken for speakers: {why}")
    elif found is None and len(levels) == 1 and not levels[0].says_nothing and not levels[0].is_classes:
        notices.append(
            f"the folders ({levels[0].example()}) are taken for values, not for speakers, so that every recording "
            'counts as a speaker of its own; if they are speakers, import with --speakers "folder 1"'
        )
    elif found is not None and len(levels) > 1:
        notices += _rivals(levels, found)
    return tuple(notices)


def _rivals(levels: list[Level], found: Level) -> list[str]:
    """Other levels that could be the speaker as well."""
    others = [
        level
        for level in levels
        if level is not found
        and level.is_numbered
        and not (level.says_nothing or level.is_classes or level.is_sessions or level.is_count)
        and level.recurring < 0.5
    ]
    return [
        f"level {level.number} of the folders ({level.example()}) could be the speaker too: if so, import with "
        f'--speakers "folder {level.number}"'
        for level in others
    ]
