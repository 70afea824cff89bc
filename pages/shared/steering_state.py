"""What is steered, as it stands in the address: `topk-64-k8:12,40x0.5,7=3` ablates #12, halves #40, sets #7 to 3."""

import re
from collections.abc import Sequence

import streamlit as st

from pages.shared import links
from sae_core.analysis.steering_experiment import MAX_STEERED
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

STEER = "steer"
_CHANGE = re.compile(r"(\d{1,7})(?:([x=])(\d{1,4}(?:\.\d{1,6})?))?")
_SIGN_OF = {"scale": "x", "set": "="}
_MODE_OF = {"x": "scale", "=": "set"}


def steered_changes(view: SaeView) -> list[Change] | None:
    """What the address, or else the session, steers in this SAE; None where nothing was chosen for it yet."""
    text = links.chosen(STEER)
    if text is None:
        return None
    sae, _, listed = text.rpartition(":")
    return parse_changes(listed, n_latents=view.n_latents) if sae in ("", view.name) else None


def parse_changes(text: str, *, n_latents: int) -> list[Change]:
    """The changes that `text` lists; parts that make no sense for this SAE are left out."""
    changes: dict[int, Change] = {}
    for part in text.split(","):
        found = _CHANGE.fullmatch(part.strip())
        if found is None or int(found[1]) >= n_latents or len(changes) == MAX_STEERED:
            continue
        latent, mode = int(found[1]), _MODE_OF.get(found[2] or "", "ablate")
        changes[latent] = Change(latent, mode, float(found[3] or 0))  # type: ignore[arg-type]
    return list(changes.values())


def keep_changes(view: SaeView, changes: Sequence[Change]) -> None:
    """Remember what is steered and show it in the address."""
    links.choose(STEER, as_address(view, changes))


def as_address(view: SaeView, changes: Sequence[Change]) -> str:
    """The changes as they stand in the address."""
    return f"{view.name}:{','.join(_as_text(change) for change in changes)}"


def _as_text(change: Change) -> str:
    sign = _SIGN_OF.get(change.mode)
    return f"{change.latent}{sign}{change.amount:g}" if sign else str(change.latent)


def steer_link(view: SaeView, latent: int) -> None:
    """A link to the page Steering with this latent, and nothing else, switched off."""
    st.page_link(
        "pages/steering.py",
        label="Steer this",
        icon=":material/tune:",
        query_params=links.query(view, {STEER: f"{view.name}:{latent}"}),
    )
