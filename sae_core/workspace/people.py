"""Who may do what on a server that several people share: names, hashed passwords and roles, in one small file."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sae_core.files.artifacts import read_json, writing
from sae_core.files.errors import ArtifactError, MissingDependencyError

ROLES = ("read", "annotate", "build")
"""What each may: look and listen; also write labels, stars and comments; also build and change workspaces."""
EVERYWHERE = "*"
"""Stands for every workspace that is not named."""
PEOPLE_FILE = "people.json"
FORMAT_VERSION = 1
MAX_PEOPLE = 10_000
MIN_PASSWORD, MAX_PASSWORD = 10, 200
_NAME = re.compile(r"[^\W_][\w .@+-]{0,62}[\w+-]|[^\W_]")
_REMEDY = "add people with: python -m sae_core people add NAME"


@dataclass(frozen=True)
class Person:
    """Somebody who signed in. roles: workspace or `EVERYWHERE` → one of `ROLES`."""

    name: str
    roles: Mapping[str, str] = field(default_factory=dict)

    def role_in(self, workspace: str) -> str | None:
        """The role in a workspace; None where this person may not even look."""
        return self.roles.get(workspace, self.roles.get(EVERYWHERE))

    def may(self, role: str, workspace: str) -> bool:
        """Whether the role in a workspace is this one or one that may more."""
        held = self.role_in(workspace)
        return held is not None and ROLES.index(held) >= ROLES.index(role)


OWNER = Person("", MappingProxyType({EVERYWHERE: "build"}))
"""Whoever uses a server that listens to one machine alone: nobody signs in, everything may be done."""


class People:
    """The people of a server and their passwords, which are kept as Argon2id hashes (RFC 9106)."""

    def __init__(self, known: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        self._known = dict(known)

    @classmethod
    def load(cls, path: Path) -> "People":
        """The people in a file; ArtifactError when it is missing, damaged or names roles that there are not."""
        raw = read_json(path, keys={"format_version": int, "people": dict}, remedy=_REMEDY)
        if raw["format_version"] != FORMAT_VERSION or len(raw["people"]) > MAX_PEOPLE:
            raise ArtifactError("is no list of people of this version", where=path, remedy=_REMEDY)
        return cls({name: _entry(name, entry, where=path) for name, entry in raw["people"].items()})

    def save(self, path: Path) -> None:
        """Write the file whole or not at all, readable by its owner alone."""
        import json

        people = {
            name: {"password": hashed, "roles": dict(roles)} for name, (hashed, roles) in self._known.items()
        }
        content = json.dumps(
            {"format_version": FORMAT_VERSION, "people": people}, indent=2, ensure_ascii=False
        )
        with writing(path, mode=0o600) as temporary:
            temporary.write_text(content + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self._known)

    def listed(self) -> dict[str, dict[str, str]]:
        """Names → roles, by name."""
        return {name: dict(roles) for name, (_, roles) in sorted(self._known.items())}

    def with_person(self, name: str, password: str | None, roles: Mapping[str, str]) -> "People":
        """These people and one more, or one with another password or other roles.

        password: None keeps the one there is. Raises ValueError for a name, password or role that will not do.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a name: use letters, digits, spaces and . _ @ + - inside")
        if bad := sorted(set(roles.values()) - set(ROLES)):
            raise ValueError(f"role must be one of {', '.join(ROLES)}, not {bad[0]!r}")
        if password is None and name not in self._known:
            raise ValueError(f"{name} is new and needs a password")
        if password is not None and not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
        hashed = self._known[name][0] if password is None else _hasher().hash(password)
        before = {} if name not in self._known else self._known[name][1]
        return People({**self._known, name: (hashed, {**before, **roles})})

    def without(self, name: str) -> "People":
        """These people but one; ValueError where there is none of that name."""
        if name not in self._known:
            raise ValueError(
                f"there is nobody called {name!r}: {', '.join(sorted(self._known)) or 'the list is empty'}"
            )
        return People({other: entry for other, entry in self._known.items() if other != name})

    def person(self, name: str, password: str) -> Person | None:
        """Who has this name and password; None where nobody has. It takes as long for names that there are not."""
        from argon2.exceptions import InvalidHashError, VerificationError

        hashed, roles = self._known.get(name, (_nobodys_hash(), {}))
        try:
            _hasher().verify(hashed, password[: MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return None
        return Person(name, dict(roles)) if name in self._known else None

    def known(self, name: str) -> Person | None:
        """Somebody by name, as the file has them now; None where there is nobody."""
        return Person(name, dict(self._known[name][1])) if name in self._known else None


def _entry(name: str, entry: Any, *, where: Path) -> tuple[str, dict[str, str]]:
    is_whole = isinstance(entry, dict) and isinstance(entry.get("password"), str)
    roles = entry.get("roles") if is_whole else None
    if not isinstance(roles, dict) or not all(role in ROLES for role in roles.values()):
        raise ArtifactError(f"says of {name!r} no password and roles", where=where, remedy=_REMEDY)
    return entry["password"], {str(workspace): str(role) for workspace, role in roles.items()}


_kept: dict[str, Any] = {}


def _hasher() -> Any:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise MissingDependencyError(
            "argon2-cffi is not installed", remedy='run: pip install "voxscope[share]"'
        ) from error
    if "hasher" not in _kept:
        _kept["hasher"] = PasswordHasher()
    return _kept["hasher"]


def _nobodys_hash() -> str:
    """A hash that no password has, so that a wrong name takes as long as a wrong password."""
    if "nobody" not in _kept:
        _kept["nobody"] = _hasher().hash(secrets.token_urlsafe(24))
    return str(_kept["nobody"])
