"""Who is asking: the person that the server's sign-in found, and what they may do in the workspace on screen.

The server takes every header of `PERSON_HEADER`'s name out of what browsers send and puts its own there, so what stands
in it comes from the sign-in. Without sign-in there is none: whoever reaches a server of one machine is its owner.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field

import streamlit as st
from itsdangerous import BadSignature, URLSafeTimedSerializer

from sae_core.files.errors import ArtifactError
from sae_core.workspace.people import EVERYWHERE, OWNER, Person

PERSON_HEADER = "x-voxscope-person"
LINK = "invitation"
"""The parameter of an address that lets somebody look without signing in."""
MAX_LINK_HOURS = 24 * 31
_MAY_NOT = {
    "annotate": "you may look and listen here, not write",
    "build": "you may not build or change workspaces here",
    "read": "you may not open this workspace",
}


def to_header(person: Person) -> str:
    """A person as one word of ASCII."""
    raw = json.dumps({"name": person.name, "roles": dict(person.roles)})
    return base64.urlsafe_b64encode(raw.encode()).decode("ascii")


def current_person() -> Person:
    """Whoever looks at this page."""
    if not (held := _header()):
        return OWNER
    raw = json.loads(base64.urlsafe_b64decode(held))
    return Person(str(raw["name"]), dict(raw["roles"]))


def _header() -> str | None:
    return st.context.headers.get(PERSON_HEADER)


def may(role: str, workspace: str) -> bool:
    """Whether whoever looks has this role in a workspace, or one that may more."""
    return current_person().may(role, workspace)


def need(role: str, workspace: str) -> None:
    """ArtifactError where whoever looks may not do what takes this role in a workspace."""
    if not may(role, workspace):
        where = "all workspaces" if workspace == EVERYWHERE else workspace
        raise ArtifactError(_MAY_NOT[role], remedy=f"ask the server's owner for the role “{role}” in {where}")


@dataclass(frozen=True)
class Invitations:
    """Links that let people look at one workspace for some time; signed, so that nobody can make or lengthen one."""

    _signer: URLSafeTimedSerializer = field(
        default_factory=lambda: URLSafeTimedSerializer(secrets.token_urlsafe(32), salt="invitation")
    )

    def token(self, workspace: str, *, hours: float) -> str:
        """The word that opens a workspace to read for so many hours; ValueError for none or too many."""
        if not 0 < hours <= MAX_LINK_HOURS:
            raise ValueError(f"a link lasts up to {MAX_LINK_HOURS} hours, not {hours}")
        return str(self._signer.dumps({"workspace": workspace, "s": round(hours * 3600)}))

    def guest(self, token: str) -> tuple[Person, float] | None:
        """Whom a token lets in and for how many seconds more; None for one that is forged, damaged or over."""
        try:
            found, made = self._signer.loads(token, max_age=MAX_LINK_HOURS * 3600, return_timestamp=True)
            age = time.time() - made.timestamp()
            left = float(found["s"]) - age
            return (Person("guest", {str(found["workspace"]): "read"}), left) if left > 0 else None
        except (BadSignature, KeyError, TypeError, ValueError):
            return None


INVITATIONS = Invitations()
"""Those of this server; they end with it."""
