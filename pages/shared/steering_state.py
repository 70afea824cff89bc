"""What is steered in an SAE: one state a run, kept in the address once a slider is released.

An address says `topk-64-k8:12,40x0.5,7=3`: ablate #12, scale #40 by 0.5, set #7 to 3. This module alone writes and
reads it; the sliders exchange JSON.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import streamlit as st

from pages.shared import links
from sae_core.analysis.steering_experiment import MAX_STEERED
from sae_core.measures.steering import Change, Mode
from sae_core.workspace.workspace import SaeView

STEER, ERASED = "steer", "erased"
"""In the address: what is steered, and the attribute value that it was meant to erase."""
AMOUNTS_BELOW = 10_000
DECIMALS = 3
"""Of what sliders send; an address may say six."""
_DRAG = "drag of a steering slider"
_CHANGE = re.compile(r"(\d{1,7})(?:([x=])(\d{1,4}(?:\.\d{1,6})?))?")
_SIGN_OF = {"scale": "x", "set": "="}
_MODE_OF: dict[str | None, Mode] = {"x": "scale", "=": "set", None: "ablate"}


@dataclass(frozen=True)
class _Drag:
    """Where the sliders of one SAE have got to, kept in the session until the page has followed their release.

    tick: how many messages the sliders had sent by then.
    """

    sae: str
    changes: tuple[Change, ...]
    tick: int
    is_released: bool = False


@dataclass
class SteeringState:
    """What one run of a page steers.

    settled: what the address says, or else the session; None where nothing was chosen for this SAE yet.
    """

    view: SaeView
    settled: tuple[Change, ...] | None

    @classmethod
    def of(cls, view: SaeView) -> Self:
        """The state as this run finds it."""
        text = links.chosen(STEER)
        sae, _, listed = (text or "").rpartition(":")
        is_here = text is not None and sae in ("", view.name)
        return cls(view, parse_changes(listed, n_latents=view.n_latents) if is_here else None)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is settled; nothing where nothing was chosen."""
        return self.settled or ()

    @property
    def latents(self) -> tuple[int, ...]:
        """The latents that are steered."""
        return tuple(change.latent for change in self.changes)

    @property
    def live(self) -> tuple[Change, ...]:
        """What the sliders say now: where a drag has got to, else what is settled."""
        drag = self._drag()
        return self.changes if drag is None else drag.changes

    @property
    def tick(self) -> int:
        """The number of the slider message that `live` answers; 0 where no drag is under way."""
        drag = self._drag()
        return 0 if drag is None else drag.tick

    def settle(self, changes: Sequence[Change]) -> None:
        """Steer this and nothing else, whatever a drag was about."""
        self.end_drag()
        self._keep(changes)

    @property
    def unknown(self) -> str | None:
        """What the address asks to steer that this SAE has not, as it stands there; None where it has all of it."""
        text = links.chosen(STEER)
        sae, _, listed = (text or "").rpartition(":")
        if text is None or (listed and sae in ("", self.view.name) and self.settled):
            return None
        is_elsewhere = sae in self.view.workspace.sae_names()
        return None if is_elsewhere or not listed else text

    def show(self) -> None:
        """Say in the address what is steered, also where a link to the page has not."""
        if self.settled is not None:
            self._keep(self.settled)

    def end_drag(self) -> None:
        """Forget any drag: what is settled counts."""
        st.session_state.pop(_DRAG, None)

    def follow(self, sent: dict[str, Any], *, is_released: bool) -> None:
        """Take over what the sliders say. It comes from a browser: whatever makes no sense is left out."""
        changes = read_changes(sent.get("changes"), n_latents=self.view.n_latents)
        sent_tick = sent.get("tick")
        tick = sent_tick if isinstance(sent_tick, int) else 0
        if is_released:
            self._keep(changes)
        # a step of the drag may be read after its release, when both arrive at once
        if tick >= self.tick:
            st.session_state[_DRAG] = _Drag(self.view.name, changes, tick, is_released)
        elif is_released and (drag := self._drag()) is not None:
            st.session_state[_DRAG] = replace(drag, is_released=True)

    def take_release(self) -> bool:
        """Whether the sliders were released since this was last asked."""
        drag = self._drag()
        if drag is None or not drag.is_released:
            return False
        st.session_state[_DRAG] = replace(drag, is_released=False)
        return True

    def query(self) -> dict[str, str]:
        """What an address says to open a page with this SAE and this steering."""
        return steering_query(self.view, self.changes)

    def _drag(self) -> _Drag | None:
        drag = st.session_state.get(_DRAG)
        return drag if isinstance(drag, _Drag) and drag.sae == self.view.name else None

    def _keep(self, changes: Sequence[Change]) -> None:
        self.settled = tuple(changes)
        links.choose(STEER, as_address(self.view, changes))


def parse_changes(text: str, *, n_latents: int) -> tuple[Change, ...]:
    """The changes that an address lists; parts that make no sense for this SAE are left out."""
    found = (_CHANGE.fullmatch(part.strip()) for part in text.split(","))
    return _usable(
        (Change(int(part[1]), _MODE_OF[part[2]], float(part[3] or 0)) for part in found if part), n_latents
    )


def read_changes(sent: object, *, n_latents: int) -> tuple[Change, ...]:
    """The changes in a list of objects with latent, mode and amount; those that make no sense are left out."""
    rows = [row for row in sent if isinstance(row, dict)] if isinstance(sent, list) else []
    changes = (
        Change(row["latent"], row["mode"], float(round(row["amount"], DECIMALS)))
        for row in rows
        if _is_change(row)
    )
    return _usable(changes, n_latents)


def _is_change(row: dict[str, Any]) -> bool:
    latent, mode, amount = row.get("latent"), row.get("mode"), row.get("amount")
    if type(latent) is not int or mode not in get_args(Mode) or not isinstance(amount, int | float):
        return False
    return math.isfinite(amount) and 0 <= round(amount, DECIMALS) < AMOUNTS_BELOW


def _usable(changes: Iterable[Change], n_latents: int) -> tuple[Change, ...]:
    """Each latent once, its last change, at most as many as can be steered at once."""
    by_latent: dict[int, Change] = {}
    for change in changes:
        is_new = change.latent not in by_latent
        if 0 <= change.latent < n_latents and not (is_new and len(by_latent) == MAX_STEERED):
            by_latent[change.latent] = change
    return tuple(by_latent.values())


def as_address(view: SaeView, changes: Sequence[Change]) -> str:
    """The changes as they stand in the address."""
    return f"{view.name}:{','.join(_as_text(change) for change in changes)}"


def _as_text(change: Change) -> str:
    if change.mode == "ablate":
        return str(change.latent)
    amount = f"{change.amount:.6f}".rstrip("0").rstrip(".")
    return f"{change.latent}{_SIGN_OF[change.mode]}{amount}"


def steering_query(view: SaeView, changes: Sequence[Change]) -> dict[str, str]:
    """What an address says to open a page with this SAE and these changes."""
    return links.query(view, {STEER: as_address(view, changes)})


def steer_link(view: SaeView, latent: int) -> None:
    """A link to the page Steering with this latent, and nothing else, switched off."""
    st.page_link(
        "pages/steering.py",
        label="Steer this",
        icon=":material/tune:",
        query_params=steering_query(view, [Change(latent, "ablate")]),
    )


def group_link(view: SaeView, latents: Sequence[int]) -> None:
    """A link to the page Steering with these latents, as many as it takes, and nothing else, switched off."""
    taken = list(latents)[:MAX_STEERED]
    left = "" if len(taken) == len(latents) else f" Steering takes {MAX_STEERED} at once: those chosen first."
    st.page_link(
        "pages/steering.py",
        label="Steer this group",
        icon=":material/tune:",
        query_params=steering_query(view, [Change(latent, "ablate") for latent in taken]),
        help=f"Switch off the latents that speak for the value.{left}",
        disabled=not taken,
    )
