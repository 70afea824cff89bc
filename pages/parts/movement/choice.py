"""What a movement is followed through: the SAEs, or the thresholds of one latent, and which clips count."""

from dataclasses import dataclass

import streamlit as st

from pages.parts.movement.steering import steered_station
from pages.shared import links
from pages.shared.choices import choose_one
from pages.shared.renamed import read_renamed
from pages.shared.wording import latent_words
from sae_core.analysis.movement import ActiveSet, best_active_set, order_by_size, smallest_and_largest
from sae_core.workspace.workspace import SaeView, Workspace

SAES, THRESHOLDS, STEERING = "SAEs", "Thresholds", "Steering"
ALL_CLIPS = "all"
PICK, SHOWN = "clips_of", "movement_n_shown"
N_AT_ONCE = 12
CLIP_WORDS = {ALL_CLIPS: "All clips", "held-out": "Held-out speakers only"}
CLIP_HELP = (
    "*All clips* include those the SAE was trained on: good for following and hearing clips. *Held-out speakers only* "
    "is right for saying how much moves."
)


@dataclass(frozen=True)
class MovementChoice:
    """The active sets to follow clips through, first to last, and the split that counts (None for all)."""

    stations: tuple[ActiveSet, ...]
    split: str | None

    @property
    def is_one_latent(self) -> bool:
        """Whether all stations are thresholds of one latent."""
        return len({(station.view.name, station.latent) for station in self.stations}) == 1


def pick(what: str) -> None:
    """Remember which flow or group was picked, and show its first clips."""
    links.choose(PICK, what)
    st.session_state[SHOWN] = N_AT_ONCE


def choose_movement(workspace: Workspace, view: SaeView, value: tuple[str, str]) -> MovementChoice | None:
    """Let people choose what to follow one attribute value through; None where there is nothing to compare yet."""
    between = st.segmented_control(
        "Compare across", [SAES, THRESHOLDS, STEERING], default=SAES, required=True, key="between", bind="query-params",
        persist_state="session",
        help="SAEs: the best latent in two or more SAEs. Thresholds: one latent above a low and a high threshold. "
        "Steering: one latent before and after clips are steered.",
    )  # fmt: skip
    if between == STEERING:
        stations = [best_active_set(view, *value)] * 2
    else:
        stations = _thresholds(view, value) if between == THRESHOLDS else _saes(workspace, view, value)
    read_renamed("clips_counted", {"New voices only": "held-out", "Unseen speakers only": "held-out"})
    clips = st.segmented_control(
        "Clips", list(CLIP_WORDS), default=ALL_CLIPS, required=True, format_func=CLIP_WORDS.__getitem__,
        key="clips_counted", bind="query-params", persist_state="session", help=CLIP_HELP,
    )  # fmt: skip
    if len(stations) < 2:
        return None
    if between == STEERING:
        stations[1] = steered_station(stations[1])
    return MovementChoice(tuple(stations), None if clips == ALL_CLIPS else str(clips))


def _saes(workspace: Workspace, view: SaeView, value: tuple[str, str]) -> list[ActiveSet]:
    embedder = view.embeddings.name
    names = [name for name in order_by_size(workspace) if workspace.sae(name).embeddings.name == embedder]
    ends = smallest_and_largest(workspace, view.name)
    chosen = [
        _choose_sae(label, names, key=key, usual=usual)
        for label, key, usual in (("From", "from", ends[0]), ("To", "to", ends[1]))
    ]
    between = st.multiselect(
        "Via", [name for name in names if name not in chosen], key="via", bind="query-params",
        persist_state="session", placeholder="none", max_selections=3, width=190,
        help="SAEs between the first and the last, small ones first.",
    )  # fmt: skip
    route = [chosen[0], *sorted(between, key=names.index), chosen[1]]
    return [best_active_set(workspace.sae(name), *value) for name in route]


def _choose_sae(label: str, names: list[str], *, key: str, usual: str) -> str:
    return choose_one(
        key, {name: name for name in names}, usual=usual, noun="the SAE", label=label, width=245
    )


def _thresholds(view: SaeView, value: tuple[str, str]) -> list[ActiveSet]:
    usual = best_active_set(view, *value)
    highest = float(view.latents["max_activation"].iloc[usual.latent])
    if not highest > 0:
        st.caption(
            f"{latent_words(view, usual.latent)} is never active, so it has no thresholds to choose from."
        )
        return []
    low, high = st.slider(
        f"Thresholds of {latent_words(view, usual.latent)}", 0.0, round(highest, 2),
        (0.0, round(min(max(usual.threshold, 0.1 * highest), highest), 2)), 0.01,
        key=f"thresholds_{view.name}_{usual.latent}", width=300,
        help="The two thresholds to compare. At first: active at all, and the threshold tuned for the value.",
    )  # fmt: skip
    return [ActiveSet(view, usual.latent, level, *value) for level in (low, high)]
