"""VoxScope's core: from a folder of recordings to embeddings, sparse autoencoders and indexes that can be explored.

`__all__` lists what is for users, in notebooks and programs: functions of `sae_core.api`, what they take and return,
and the errors. Names are loaded when they are first asked for, so `import sae_core` costs nothing. The rooms below
(`sae_core.corpus`, `sae_core.sae`, …) are for VoxScope's own pages and may change from version to version.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sae_core.analysis.erasure import ErasureCurve, Leftover
    from sae_core.analysis.fairness import Gap
    from sae_core.analysis.match import MatchExplanation
    from sae_core.analysis.probe import Examination
    from sae_core.analysis.score_comparison import ScoreComparison
    from sae_core.analysis.steering_experiment import SteeringOutcome
    from sae_core.analysis.trial_sets import TrialSet
    from sae_core.analysis.verification_forms import Comparison
    from sae_core.api import (
        clips,
        clips_of,
        compare_scores,
        decode,
        draw_trials,
        embed,
        encode,
        erase_value,
        error_rates,
        explain_gap,
        explain_match,
        export_recipe,
        export_sae,
        follow_clips,
        import_corpus,
        import_sae,
        import_vectors,
        index,
        latents,
        lay_out_maps,
        listening_examples,
        load_recipe,
        map_points,
        measure_acoustics,
        measure_leftover,
        measure_steering,
        open_demo,
        open_sae,
        open_workspace,
        predominant_latents,
        probe,
        steer,
        sweep,
        trace_latents,
        train,
        verify,
        waveform,
    )
    from sae_core.build.sweep import SweepReport
    from sae_core.build.vectors import VectorReport
    from sae_core.corpus.acoustics import Acoustics
    from sae_core.corpus.importing import ImportReport
    from sae_core.embedding.embeddings import Embeddings
    from sae_core.files.errors import (
        ArtifactError,
        AudioError,
        CorpusError,
        DeviceMemoryError,
        MissingDependencyError,
        StaleArtifactError,
        VoxScopeError,
    )
    from sae_core.measures.lineage import Lineage
    from sae_core.measures.movement import Movement
    from sae_core.measures.recipes import Recipe
    from sae_core.measures.steering import Change
    from sae_core.measures.verification import VerificationResult
    from sae_core.sae.codes import SparseCodes
    from sae_core.sae.config import SaeConfig
    from sae_core.sae.model import SparseAutoencoder
    from sae_core.workspace.workspace import SaeView, Workspace

__version__ = "0.1.0"

__all__ = [
    "Acoustics",
    "ArtifactError",
    "AudioError",
    "Change",
    "Comparison",
    "CorpusError",
    "DeviceMemoryError",
    "Embeddings",
    "ErasureCurve",
    "Examination",
    "Gap",
    "ImportReport",
    "Leftover",
    "Lineage",
    "MatchExplanation",
    "MissingDependencyError",
    "Movement",
    "Recipe",
    "SaeConfig",
    "SaeView",
    "ScoreComparison",
    "SparseAutoencoder",
    "SparseCodes",
    "StaleArtifactError",
    "SteeringOutcome",
    "SweepReport",
    "TrialSet",
    "VectorReport",
    "VerificationResult",
    "VoxScopeError",
    "Workspace",
    "clips",
    "clips_of",
    "compare_scores",
    "decode",
    "draw_trials",
    "embed",
    "encode",
    "erase_value",
    "error_rates",
    "explain_gap",
    "explain_match",
    "export_recipe",
    "export_sae",
    "follow_clips",
    "import_corpus",
    "import_sae",
    "import_vectors",
    "index",
    "latents",
    "lay_out_maps",
    "listening_examples",
    "load_recipe",
    "map_points",
    "measure_acoustics",
    "measure_leftover",
    "measure_steering",
    "open_demo",
    "open_sae",
    "open_workspace",
    "predominant_latents",
    "probe",
    "steer",
    "sweep",
    "trace_latents",
    "train",
    "verify",
    "waveform",
]

_HOMES = {
    "Acoustics": "corpus.acoustics",
    "ArtifactError": "files.errors",
    "AudioError": "files.errors",
    "Change": "measures.steering",
    "Comparison": "analysis.verification_forms",
    "CorpusError": "files.errors",
    "DeviceMemoryError": "files.errors",
    "Embeddings": "embedding.embeddings",
    "ErasureCurve": "analysis.erasure",
    "Examination": "analysis.probe",
    "Gap": "analysis.fairness",
    "ImportReport": "corpus.importing",
    "Leftover": "analysis.erasure",
    "Lineage": "measures.lineage",
    "MatchExplanation": "analysis.match",
    "MissingDependencyError": "files.errors",
    "Movement": "measures.movement",
    "Recipe": "measures.recipes",
    "SaeConfig": "sae.config",
    "SaeView": "workspace.workspace",
    "ScoreComparison": "analysis.score_comparison",
    "SparseAutoencoder": "sae.model",
    "SparseCodes": "sae.codes",
    "StaleArtifactError": "files.errors",
    "SteeringOutcome": "analysis.steering_experiment",
    "SweepReport": "build.sweep",
    "TrialSet": "analysis.trial_sets",
    "VectorReport": "build.vectors",
    "VerificationResult": "measures.verification",
    "VoxScopeError": "files.errors",
    "Workspace": "workspace.workspace",
}
"""Name → the module that it is loaded from; functions are in `api`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'api')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
