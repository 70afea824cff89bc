"""One comparison of names: what a path in a table means among recordings that are there, whoever wrote it where.

A path is only ever compared with names that are listed, never opened, so that no table can lead anywhere else.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

import pandas as pd

_SCHEME = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z\d+.-]+)://+")
_DRIVE = re.compile(r"[a-zA-Z]:(?=/)")
_TEMPLATE = re.compile(r"^(?:\{[^}/]*\}|\$\{?\w+\}?|~)/")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,6}$")
_RECORD = re.compile(r"""\{.*?["']path["']\s*:\s*["'](?P<path>[^"']+)["'].*\}""", re.DOTALL)
N_SHOWN = 3


def plain_path(text: str) -> str:
    """A path in one spelling: NFC, `/`, without scheme, drive, `./`, doubled or closing slashes; `..` stays.

    Of a record as tables of audio data sets hold them, {'path': …}, its path.
    """
    if text.startswith("{") and (record := _RECORD.fullmatch(text.strip())) is not None:
        text = record["path"]
    path = unicodedata.normalize("NFC", text).strip().replace("\\", "/")
    found = _SCHEME.match(path)
    if found is not None:
        path = unquote(path[found.end() :].split("?", maxsplit=1)[0])
    path = _TEMPLATE.sub("", _DRIVE.sub("", path))
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def folded(text: str) -> str:
    """A name as file systems and eyes compare it: without case, invisible marks, and kinds of blanks."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()


def without_suffix(name: str) -> str:
    """A name without its last suffix; a number after a point (`1.10`) is none."""
    return _SUFFIX.sub("", name)


@dataclass(frozen=True)
class NameIndex:
    """Names of recordings, with `/`, to look paths up in."""

    names: Sequence[str]

    def find(self, wanted: str) -> str | None:
        """The listed name that a path means; None where none does, or several do equally well.

        The same name first, then the same but for spelling, then the one with the longest common tail, then the same
        with another suffix or none. Where both have folders, the last ones must agree: `bob/1.wav` is not
        `alice/1.wav`.
        """
        if wanted in self._exact:
            return wanted
        path = plain_path(wanted)
        return self._plain.get(path) or self._only(self._rivals(path), path)

    def find_all(self, wanted: pd.Series) -> pd.Series:
        """`find` of every path of a column, null where there is none.

        Where no path is found so, folders are passed over: what was moved to other folders is known by its name.
        """
        is_exact = wanted.isin(self._exact)
        rest = wanted[~is_exact]
        texts = [text for text in rest.dropna().unique() if "\0" not in text]
        answers = {text: self.find(text) for text in texts}
        if not is_exact.any() and not any(answers.values()):
            answers = {text: self._by_last_part(text) for text in texts}
        return wanted.where(is_exact, rest.map(answers).astype("str").reindex(wanted.index)).astype("str")

    def rivals(self, wanted: str) -> list[str]:
        """The names that a path could mean equally well, where there are several."""
        found = self._rivals(plain_path(wanted))
        return found if len(found) > 1 else []

    def count(self, wanted: Iterable[str]) -> int:
        """How many of some paths mean a listed name."""
        return sum(self.find(text) is not None for text in wanted)

    def _rivals(self, path: str) -> list[str]:
        """The names that agree with a path the longest, those with its very suffix before others."""
        tails = (
            _best(path, folded(path.rpartition("/")[2]), self._tails),
            _best(path, folded(path.rpartition("/")[2]), self._stems),
            _best(path, folded(without_suffix(path.rpartition("/")[2])), self._stems),
        )
        return next((found for found in tails if found), [])

    def _only(self, rivals: list[str], path: str) -> str | None:
        is_alike = len(rivals) == 1 and (
            "/" not in path or "/" not in rivals[0] or _n_agreeing(path, rivals[0])
        )
        return rivals[0] if is_alike else None

    def _by_last_part(self, wanted: str) -> str | None:
        rivals = self._rivals(plain_path(wanted))
        return rivals[0] if len(rivals) == 1 else None

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _plain(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self.names:
            found.setdefault(plain_path(name), name)
        return found

    @cached_property
    def _tails(self) -> dict[str, list[str]]:
        """Last part of each name, folded → the names."""
        return _by_last(self.names, folded)

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        return _by_last(self.names, lambda part: folded(without_suffix(part)))


def _by_last(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name.rpartition("/")[2]), []).append(name)
    return found


def _best(path: str, last: str, by_last: dict[str, list[str]]) -> list[str]:
    """Of the names with this last part, those whose folders agree with those of a path the longest."""
    rivals = by_last.get(last, []) if last else []
    if len(rivals) < 2:
        return rivals
    agreed = [_n_agreeing(path, name) for name in rivals]
    longest = [name for name, n in zip(rivals, agreed, strict=True) if n == max(agreed)]
    same = [name for name in longest if plain_path(name).count("/") == path.count("/") == max(agreed)]
    return same if len(same) == 1 else longest


def _n_agreeing(path: str, name: str) -> int:
    """How many folders before the last part agree, from the last one up."""
    pairs = zip(path.split("/")[-2::-1], name.split("/")[-2::-1], strict=False)
    n = 0
    for wanted, has in pairs:
        if folded(wanted) != folded(has):
            break
        n += 1
    return n
