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
    from sae_core.selections import clips_table, in_turns, latents_apart, points_inside, values_apart
    from sae_core.workspace import (
        MethodExample,
        SaeView,
        Stage,
        Workspace,
        open_workspace,
        workspace_stamp,
    )

_HOMES = {
    "MAP_KINDS": "atlas",
    "NEW_VOICES": "attributes",
    "SAME_VOICES": "attributes",
    "ArtifactError": "errors",
    "AudioError": "errors",
    "ClipGroup": "listening",
    "CorpusError": "errors",
    "CorpusSummary": "profiles",
    "Grouping": "groupings",
    "ListeningExamples": "listening",
    "MapKind": "atlas",
    "MethodExample": "workspace",
    "MissingDependencyError": "errors",
    "PointGroup": "groupings",
    "PointMap": "maps",
    "SaeView": "workspace",
    "Stage": "workspace",
    "StaleArtifactError": "errors",
    "VoxScopeError": "errors",
    "Workspace": "workspace",
    "clips_table": "selections",
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
    "sizes_by_firing": "groupings",
    "stored_maps": "atlas",
    "values_apart": "selections",
    "workspace_stamp": "workspace",
}

__all__ = [
    "MAP_KINDS",
    "NEW_VOICES",
    "SAME_VOICES",
    "ArtifactError",
    "AudioError",
    "ClipGroup",
    "CorpusError",
    "CorpusSummary",
    "Grouping",
    "ListeningExamples",
    "MapKind",
    "MethodExample",
    "MissingDependencyError",
    "PointGroup",
    "PointMap",
    "SaeView",
    "Stage",
    "StaleArtifactError",
    "VoxScopeError",
    "Workspace",
    "clips_table",
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
    "sizes_by_firing",
    "stored_maps",
    "values_apart",
    "workspace_stamp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sae_core' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
