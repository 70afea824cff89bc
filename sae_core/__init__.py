"""VoxScope's core: from a folder of voices to embeddings, sparse autoencoders and indexes that can be explored.

What pages and other programs use is named here and loaded when first touched, so that `import sae_core` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sae_core.attributes import NEW_VOICES, SAME_VOICES
    from sae_core.errors import (
        ArtifactError,
        AudioError,
        CorpusError,
        MissingDependencyError,
        StaleArtifactError,
        VoxScopeError,
    )
    from sae_core.listening import ClipGroup, ListeningExamples
    from sae_core.profiles import CorpusSummary
    from sae_core.workspace import MethodExample, SaeView, Stage, Workspace, open_workspace, workspace_stamp

_HOMES = {
    "NEW_VOICES": "attributes",
    "SAME_VOICES": "attributes",
    "ArtifactError": "errors",
    "AudioError": "errors",
    "ClipGroup": "listening",
    "CorpusError": "errors",
    "CorpusSummary": "profiles",
    "ListeningExamples": "listening",
    "MethodExample": "workspace",
    "MissingDependencyError": "errors",
    "SaeView": "workspace",
    "Stage": "workspace",
    "StaleArtifactError": "errors",
    "VoxScopeError": "errors",
    "Workspace": "workspace",
    "open_workspace": "workspace",
    "workspace_stamp": "workspace",
}

__all__ = [
    "NEW_VOICES",
    "SAME_VOICES",
    "ArtifactError",
    "AudioError",
    "ClipGroup",
    "CorpusError",
    "CorpusSummary",
    "ListeningExamples",
    "MethodExample",
    "MissingDependencyError",
    "SaeView",
    "Stage",
    "StaleArtifactError",
    "VoxScopeError",
    "Workspace",
    "open_workspace",
    "workspace_stamp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sae_core' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
