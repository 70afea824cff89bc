"""The steering desk: a slider for each steered latent and, beside them, similarities that move while one is dragged.

Each step of a drag reaches Python as a state of this component and comes back as counts by bins; a release is
another event, because only then the slow numbers follow.
"""

from typing import Any

from pages.figures.mount import mount
from pages.shared import links, wording
from pages.shared.steering_state import SteeringState
from pages.shared.wording import counted
from sae_core.analysis.steering_experiment import Histograms
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

DESK = "steering_desk"
_draw = mount(__file__, host="desk")


def steering_desk(steering: SteeringState, histograms: Histograms, *, threshold: float | None) -> int | None:
    """Draw sliders and similarities; return the latent whose name was just clicked, if any.

    The sliders send what they steer as a list of objects with latent, mode and amount, and the number of the message.
    """
    view = steering.view
    data = {
        "rows": [_as_row(view, change) for change in steering.live],
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
        "tick": steering.tick,
    }
    opened = _draw(
        data,
        key=DESK,
        on={
            "moved": lambda sent: SteeringState.of(view).follow(sent, is_released=False),
            "settled": lambda sent: SteeringState.of(view).follow(sent, is_released=True),
        },
    )
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
