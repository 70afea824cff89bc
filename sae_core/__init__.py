"""VoxScope's core: from a folder of voices to embeddings, sparse autoencoders and indexes that can be explored.

What pages and other programs use is named here and loaded when first touched, so that `import sae_core` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sae_core.atlas import MAP_KINDS, MapKind, map_fingerprint, open_map, stored_maps
    from sae_core.attributes import NEW_VOICES, SAME_VOICES
    from sae_core.comparison import (
        IndexChoice,
        Splitting,
        follow_clips,
        order_by_activation,
        order_by_size,
        predominant_index,
        smallest_and_largest,
        split_index,
        steer_index,
    )
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
    from sae_core.explanation import MATCH_PARTS, MatchExplanation, explain_match, is_accepted
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
    from sae_core.movement import (
        ELSEWHERE,
        ENTER,
        IN_INDEX,
        LEAVE,
        MOVES,
        NO_LATENT,
        STAY,
        Movement,
        tabulate_moves,
    )
    from sae_core.profiles import CorpusSummary
    from sae_core.representations import Comparison, compare_forms, rank_latents
    from sae_core.selections import clips_table, in_turns, latents_apart, rows_inside, values_apart
    from sae_core.steering import Change
    from sae_core.sweep import SWEEP_MEASURES, best_of_each, combine_seeds, probe_ceiling, tabulate_saes
    from sae_core.trial_sets import OPERATING_POINTS, TrialSet, draw_trials, read_trial_list, usual_among
    from sae_core.verification import VerificationResult
    from sae_core.workspace import MethodExample, SaeView, Stage, Workspace, open_workspace, workspace_stamp

_HOMES = {
    "ELSEWHERE": "movement",
    "ENTER": "movement",
    "IN_INDEX": "movement",
    "LEAVE": "movement",
    "MAP_KINDS": "atlas",
    "MATCH_PARTS": "explanation",
    "MAX_STEERED": "experiments",
    "MOVES": "movement",
    "NEW_VOICES": "attributes",
    "NO_LATENT": "movement",
    "OPERATING_POINTS": "trial_sets",
    "SAME_VOICES": "attributes",
    "STAY": "movement",
    "SWEEP_MEASURES": "sweep",
    "ArtifactError": "errors",
    "AudioError": "errors",
    "Change": "steering",
    "ClipGroup": "listening",
    "Comparison": "representations",
    "CorpusError": "errors",
    "CorpusSummary": "profiles",
    "Grouping": "groupings",
    "Histograms": "experiments",
    "IndexChoice": "comparison",
    "ListeningExamples": "listening",
    "MapKind": "atlas",
    "MatchExplanation": "explanation",
    "MethodExample": "workspace",
    "MissingDependencyError": "errors",
    "Movement": "movement",
    "PointGroup": "groupings",
    "PointMap": "maps",
    "SaeView": "workspace",
    "Splitting": "comparison",
    "Stage": "workspace",
    "StaleArtifactError": "errors",
    "SteeringExperiment": "experiments",
    "SteeringOutcome": "experiments",
    "SteeringPreset": "experiments",
    "TrialSet": "trial_sets",
    "VerificationResult": "verification",
    "VoxScopeError": "errors",
    "Workspace": "workspace",
    "best_of_each": "sweep",
    "clips_table": "selections",
    "combine_seeds": "sweep",
    "compare_forms": "representations",
    "draw_trials": "trial_sets",
    "explain_match": "explanation",
    "follow_clips": "comparison",
    "group_by_activation": "groupings",
    "group_by_attribute": "groupings",
    "group_by_prefix": "groupings",
    "group_by_told_value": "groupings",
    "group_by_voice": "groupings",
    "in_turns": "selections",
    "is_accepted": "explanation",
    "latents_apart": "selections",
    "map_fingerprint": "atlas",
    "open_map": "atlas",
    "open_workspace": "workspace",
    "order_by_activation": "comparison",
    "order_by_size": "comparison",
    "predominant_index": "comparison",
    "probe_ceiling": "sweep",
    "rank_latents": "representations",
    "read_trial_list": "trial_sets",
    "rows_inside": "selections",
    "sizes_by_firing": "groupings",
    "smallest_and_largest": "comparison",
    "split_index": "comparison",
    "steer_index": "comparison",
    "steering_presets": "experiments",
    "stored_maps": "atlas",
    "tabulate_moves": "movement",
    "tabulate_saes": "sweep",
    "usual_among": "trial_sets",
    "values_apart": "selections",
    "workspace_stamp": "workspace",
}

__all__ = [
    "ELSEWHERE",
    "ENTER",
    "IN_INDEX",
    "LEAVE",
    "MAP_KINDS",
    "MATCH_PARTS",
    "MAX_STEERED",
    "MOVES",
    "NEW_VOICES",
    "NO_LATENT",
    "OPERATING_POINTS",
    "SAME_VOICES",
    "STAY",
    "SWEEP_MEASURES",
    "ArtifactError",
    "AudioError",
    "Change",
    "ClipGroup",
    "Comparison",
    "CorpusError",
    "CorpusSummary",
    "Grouping",
    "Histograms",
    "IndexChoice",
    "ListeningExamples",
    "MapKind",
    "MatchExplanation",
    "MethodExample",
    "MissingDependencyError",
    "Movement",
    "PointGroup",
    "PointMap",
    "SaeView",
    "Splitting",
    "Stage",
    "StaleArtifactError",
    "SteeringExperiment",
    "SteeringOutcome",
    "SteeringPreset",
    "TrialSet",
    "VerificationResult",
    "VoxScopeError",
    "Workspace",
    "best_of_each",
    "clips_table",
    "combine_seeds",
    "compare_forms",
    "draw_trials",
    "explain_match",
    "follow_clips",
    "group_by_activation",
    "group_by_attribute",
    "group_by_prefix",
    "group_by_told_value",
    "group_by_voice",
    "in_turns",
    "is_accepted",
    "latents_apart",
    "map_fingerprint",
    "open_map",
    "open_workspace",
    "order_by_activation",
    "order_by_size",
    "predominant_index",
    "probe_ceiling",
    "rank_latents",
    "read_trial_list",
    "rows_inside",
    "sizes_by_firing",
    "smallest_and_largest",
    "split_index",
    "steer_index",
    "steering_presets",
    "stored_maps",
    "tabulate_moves",
    "tabulate_saes",
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
