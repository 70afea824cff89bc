"""VoxScope's core: from a folder of voices to embeddings, sparse autoencoders and indexes that can be explored.

What pages and other programs use is named here and loaded when first touched, so that `import sae_core` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sae_core.atlas import MAP_KINDS, MapKind, map_fingerprint, open_map, stored_maps
    from sae_core.attributes import NEW_VOICES, SAME_VOICES
    from sae_core.errors import (
        ArtifactError,
        AudioError,
        CorpusError,
        MissingDependencyError,
        StaleArtifactError,
        VoxScopeError,
    )
    from sae_core.experiments import (
        MAX_STEERED,
        Histograms,
        SteeringExperiment,
        SteeringOutcome,
        SteeringPreset,
        steering_presets,
    )
    from sae_core.groupings import (
        Grouping,
        PointGroup,
        group_by_activation,
        group_by_attribute,
        group_by_prefix,
        group_by_told_value,
        group_by_voice,
        sizes_by_firing,
    )
    from sae_core.listening import ClipGroup, ListeningExamples
    from sae_core.maps import PointMap
    from sae_core.profiles import CorpusSummary
    from sae_core.representations import Comparison, compare_forms, rank_latents
    from sae_core.selections import clips_table, in_turns, latents_apart, points_inside, values_apart
    from sae_core.steering import Change
    from sae_core.trial_sets import OPERATING_POINTS, TrialSet, draw_trials, read_trial_list, usual_among
    from sae_core.verification import VerificationResult
    from sae_core.workspace import MethodExample, SaeView, Stage, Workspace, open_workspace, workspace_stamp

_HOMES = {
    "MAP_KINDS": "atlas",
    "MAX_STEERED": "experiments",
    "NEW_VOICES": "attributes",
    "OPERATING_POINTS": "trial_sets",
    "SAME_VOICES": "attributes",
    "ArtifactError": "errors",
    "AudioError": "errors",
    "Change": "steering",
    "ClipGroup": "listening",
    "Comparison": "representations",
    "CorpusError": "errors",
    "CorpusSummary": "profiles",
    "Grouping": "groupings",
    "Histograms": "experiments",
    "ListeningExamples": "listening",
    "MapKind": "atlas",
    "MethodExample": "workspace",
    "MissingDependencyError": "errors",
    "PointGroup": "groupings",
    "PointMap": "maps",
    "SaeView": "workspace",
    "Stage": "workspace",
    "StaleArtifactError": "errors",
    "SteeringExperiment": "experiments",
    "SteeringOutcome": "experiments",
    "SteeringPreset": "experiments",
    "TrialSet": "trial_sets",
    "VerificationResult": "verification",
    "VoxScopeError": "errors",
    "Workspace": "workspace",
    "clips_table": "selections",
    "compare_forms": "representations",
    "draw_trials": "trial_sets",
    "group_by_activation": "groupings",
    "group_by_attribute": "groupings",
    "group_by_prefix": "groupings",
    "group_by_told_value": "groupings",
    "group_by_voice": "groupings",
    "in_turns": "selections",
    "latents_apart": "selections",
    "map_fingerprint": "atlas",
    "open_map": "atlas",
    "open_workspace": "workspace",
    "points_inside": "selections",
    "rank_latents": "representations",
    "read_trial_list": "trial_sets",
    "sizes_by_firing": "groupings",
    "steering_presets": "experiments",
    "stored_maps": "atlas",
    "usual_among": "trial_sets",
    "values_apart": "selections",
    "workspace_stamp": "workspace",
}

__all__ = [
    "MAP_KINDS",
    "MAX_STEERED",
    "NEW_VOICES",
    "OPERATING_POINTS",
    "SAME_VOICES",
    "ArtifactError",
    "AudioError",
    "Change",
    "ClipGroup",
    "Comparison",
    "CorpusError",
    "CorpusSummary",
    "Grouping",
    "Histograms",
    "ListeningExamples",
    "MapKind",
    "MethodExample",
    "MissingDependencyError",
    "PointGroup",
    "PointMap",
    "SaeView",
    "Stage",
    "StaleArtifactError",
    "SteeringExperiment",
    "SteeringOutcome",
    "SteeringPreset",
    "TrialSet",
    "VerificationResult",
    "VoxScopeError",
    "Workspace",
    "clips_table",
    "compare_forms",
    "draw_trials",
    "group_by_activation",
    "group_by_attribute",
    "group_by_prefix",
    "group_by_told_value",
    "group_by_voice",
    "in_turns",
    "latents_apart",
    "map_fingerprint",
    "open_map",
    "open_workspace",
    "points_inside",
    "rank_latents",
    "read_trial_list",
    "sizes_by_firing",
    "steering_presets",
    "stored_maps",
    "usual_among",
    "values_apart",
    "workspace_stamp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sae_core' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
