"""The steering desk: a slider for each steered latent and, beside them, similarities that move while one is dragged.

Each step of a drag reaches Python as a state of this component and comes back as counts by bins; a release is told
apart, because only then the slow numbers follow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import links, steering_state, wording
from pages.shared.wording import counted
from sae_core.analysis.steering_experiment import Histograms
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

DESK, LIVE, SETTLED = "steering_desk", "steering_live", "steering_settled"
_HERE = Path(__file__).parent
_mount_desk = st.components.v2.component(
    "voxscope_steering_desk",
    html='<div class="desk">\n</div>',
    css=(_HERE.parent / "frame.css").read_text("utf-8") + (_HERE / "steering_desk.css").read_text("utf-8"),
    js=(_HERE / "steering_desk.js").read_text("utf-8"),
)


def live_changes(view: SaeView) -> list[Change]:
    """What the sliders say now: where a drag has got to, else what was settled."""
    live = st.session_state.get(LIVE)
    if live is not None and live["sae"] == view.name:
        return list(live["changes"])
    return steering_state.steered_changes(view) or []


def settle() -> None:
    """Forget any drag: what the address says counts."""
    st.session_state.pop(LIVE, None)


def put_on_desk(view: SaeView, changes: Sequence[Change]) -> None:
    """Steer this and nothing else, whatever a drag was about."""
    settle()
    steering_state.keep_changes(view, changes)


def steering_desk(
    view: SaeView,
    histograms: Histograms,
    *,
    changes: Sequence[Change],
    threshold: float | None,
) -> int | None:
    """Draw sliders and similarities; return the latent whose name was just clicked, if any."""
    live = st.session_state.get(LIVE) or {}
    data = {
        "rows": [_as_row(view, change) for change in changes],
        "groups": [
            {
                "name": name,
                "n": group.n_pairs,
                "before": group.before.round(5).tolist(),
                "after": group.after.round(5).tolist(),
                "mean_before": group.mean_before,
                "mean_after": group.mean_after,
            }
            for name, group in histograms.groups.items()
        ],
        "low": histograms.low,
        "high": histograms.high,
        "threshold": threshold,
        "note": _note(histograms),
        "tick": live.get("tick", 0),
    }
    opened = _mount_desk(
        key=DESK,
        data=data,
        on_moved_change=lambda: _take("moved", view),
        on_settled_change=lambda: _take("settled", view),
        on_opened_change=_stay,
    ).get("opened")
    return None if opened is None else int(opened)


def _note(histograms: Histograms) -> str:
    if not histograms.n_left_out:
        return ""
    return f"{counted(histograms.n_left_out, 'pair')} of similarity near 0 left out: a quotient says little there."


def _as_row(view: SaeView, change: Change) -> dict[str, Any]:
    facts = view.latents.iloc[change.latent]
    return {
        "latent": change.latent,
        "label": wording.latent_name(view, change.latent),
        "href": links.latent_address(view, change.latent),
        "help": f"{wording.measured(view, change.latent)} Active on {wording.percent(facts['firing_rate'])} of clips.",
        "mode": change.mode,
        "amount": change.amount,
        "highest": max(float(facts["max_activation"]), 0.01),
    }


def _take(event: str, view: SaeView) -> None:
    """Take over what the sliders say. It comes from a browser, so it is read as an address is: whatever makes no sense
    is left out."""
    sent = (st.session_state.get(DESK) or {}).get(event) or {}
    text = str(sent.get("changes", ""))
    changes = steering_state.parse_changes(text, n_latents=view.n_latents)
    tick = sent.get("tick") if isinstance(sent.get("tick"), int) else 0
    if tick >= (st.session_state.get(LIVE) or {}).get("tick", 0):
        # a step of the drag may be read after its release, when both arrive at once
        st.session_state[LIVE] = {"sae": view.name, "changes": changes, "tick": tick}
    if event == "settled":
        steering_state.keep_changes(view, changes)
        st.session_state[SETTLED] = True


def _stay() -> None:
    """The page reads the click itself, once it runs."""
