"""What is worked out once and then kept for every visitor: one decorator, and by what each thing is known in its keys.

Streamlit would look into large arrays and tables to tell them apart, and from half a million values on only at a sample
of them; workspaces, views and trials are therefore known by fingerprints. Keys name their classes by words, so that
nothing has to be imported that a page does not need.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from sae_core.workspace.workspace import SaeView, Workspace

P = ParamSpec("P")
R = TypeVar("R")
Keys = dict[str | type[Any], Callable[[Any], Any]]

WORKSPACE = "sae_core.workspace.workspace.Workspace"
VIEW = "sae_core.workspace.workspace.SaeView"


def _of_workspace(workspace: "Workspace") -> tuple[str, str]:
    return str(workspace.path), workspace.fingerprint


def _of_view(view: "SaeView") -> tuple[str, ...]:
    return *_of_workspace(view.workspace), view.name, view.fingerprint


KEYS: Keys = {
    WORKSPACE: _of_workspace,
    VIEW: _of_view,
    "sae_core.analysis.trial_sets.TrialSet": lambda trial_set: trial_set.fingerprint,
    "sae_core.analysis.steering_experiment.SteeringExperiment": lambda made: (
        made.view,
        made.trial_set,
        made.latents,
        made.steered,
        made.keeps_error,
    ),
    "sae_core.analysis.movement.ActiveSet": lambda chosen: (
        chosen.view,
        chosen.latent,
        chosen.threshold,
        chosen.attribute,
        chosen.value,
        chosen.steering,
    ),
    "pages.figures.point_map.stored_map.MapOf": lambda wanted: wanted.id,
}
_WITH_NOTES: Keys = {
    WORKSPACE: lambda workspace: (*_of_workspace(workspace), str(workspace.notes.version())),
    VIEW: lambda view: (*_of_view(view), str(view.workspace.notes.version())),
}


def cached(
    *,
    keep: int,
    spinner: str | bool = False,
    ttl_s: float | None = None,
    shows_notes: bool = False,
    by: Keys | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: what the function returned for these arguments is returned again, to every visitor, so nobody may
    change it.

    keep: so many results, the latest. spinner: what to show meanwhile. shows_notes: the result shows what people wrote
    (labels, stars, tags), and is made anew once somebody writes. by: class → what to know its objects by here, where
    the result depends on less or more of them than `KEYS` says.
    """
    keys = {**KEYS, **(_WITH_NOTES if shows_notes else {}), **(by or {})}
    return st.cache_resource(max_entries=keep, show_spinner=spinner, ttl=ttl_s, hash_funcs=keys)
