"""Who is signed in, for how long, and how often somebody may try a password."""

import hashlib
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from sae_core.workspace.people import Person

MAX_VISITS = 10_000
LASTS_S = 12 * 3600
"""A visit ends so long after it was last seen."""
MAX_FAILURES, FAILURES_S = 8, 300
"""Failed tries from one address or for one name within so many seconds; then none is looked at for as long."""
MAX_WATCHED = 20_000


@dataclass
class Visit:
    """Somebody who is signed in. ends_at: seconds of the clock; may_lengthen: whether being seen puts that off."""

    person: Person
    ends_at: float
    may_lengthen: bool


class Visits:
    """Visits by the word in their cookie, of which only the digest is kept: a copy of the server's memory signs nobody
    in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def begin(self, person: Person, *, lasts_s: float | None = None) -> str:
        """The word of a new visit. lasts_s: it ends then, seen or not; by default `LASTS_S` after it was last seen."""
        word = secrets.token_urlsafe(32)
        ends_at = self._clock() + (LASTS_S if lasts_s is None else lasts_s)
        self._visits[_digest(word)] = Visit(person, ends_at, lasts_s is None)
        while len(self._visits) > MAX_VISITS:
            self._visits.popitem(last=False)
        return word

    def of(self, word: str) -> Person | None:
        """Whose visit it is; None where there is none or it has ended."""
        visit = self._visits.get(key := _digest(word))
        if visit is None:
            return None
        now = self._clock()
        if visit.ends_at <= now:
            del self._visits[key]
            return None
        if visit.may_lengthen:
            visit.ends_at = now + LASTS_S
            self._visits.move_to_end(key)
        return visit.person

    def end(self, word: str) -> None:
        """Sign out."""
        self._visits.pop(_digest(word), None)


class Tries:
    """Failed tries to sign in, by address and by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def are_too_many(self, *keys: str) -> bool:
        """Whether one of these has failed too often lately."""
        since = self._clock() - FAILURES_S
        return any(sum(at > since for at in self._failures.get(key, ())) >= MAX_FAILURES for key in keys)

    def failed(self, *keys: str) -> None:
        """Take note of a failure."""
        for key in keys:
            self._failures.setdefault(key, deque(maxlen=MAX_FAILURES)).append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > MAX_WATCHED:
            self._failures.popitem(last=False)


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()
