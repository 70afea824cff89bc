"""VoxScope's core: from a folder of voices to embeddings, sparse autoencoders and indexes that can be explored.

What pages and other programs use is named here and loaded when first touched, so that `import sae_core` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sae_core.atlas import MAP_KINDS, MapKind, map_fingerprint, open_map, stored_maps
    from sae_core.attributes import NEW_VOICES, SAME_VOICES
    from sae_core.building import BUILD_STAGES, BuildPlan, expected_s, suggest_grid
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
    from sae_core.curves import training_curves
    from sae_core.decoders import AudioInfo
    from sae_core.errors import (
        ArtifactError,
        AudioError,
        CorpusError,
        MissingDependencyError,
        StaleArtifactError,
        VoxScopeError,
    )
    from sae_core.examination import (
        Examination,
        Examiner,
        FiringTimes,
        MapPosition,
        examine,
        examine_excerpt,
        how_unusual,
        nearest_clips,
        nearest_speakers,
        open_examiner,
        place_on_map,
        time_latents,
    )
    from sae_core.excerpts import (
        MAX_HEARD_S,
        MAX_RECORDING_BYTES,
        Excerpt,
        KeptExcerpt,
        clip_excerpt,
        forget_excerpt,
        inspect_recording,
        keep_excerpt,
        kept_excerpts,
        kept_vector,
        open_kept,
        read_excerpt,
    )
    from sae_core.experiments import (
        MAX_STEERED,
        Histograms,
        SteeringExperiment,
        SteeringOutcome,
        SteeringPreset,
        steering_presets,
    )
    from sae_core.explanation import (
        MATCH_PARTS,
        MatchExplanation,
        explain_match,
        is_accepted,
        telling_partners,
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
    from sae_core.hints import ACOUSTIC_MEASURES, AcousticMeasure, hint, say_limit
    from sae_core.job_records import JobStatus, StageStatus, log_tail, read_plan
    from sae_core.jobs import cancel_job, is_building, job_status, resume_job, start_job
    from sae_core.latent_acoustics import LatentAcoustics, acoustics_of, relate_to_sound
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
    from sae_core.note_entries import (
        MAX_AUTHOR_CHARS,
        MAX_NOTE_CHARS,
        MAX_NOTES_BYTES,
        NoteEntry,
        Subject,
        clean_author,
        notes_from_json,
        notes_to_json,
    )
    from sae_core.notes import SubjectNotes, trained_saes
    from sae_core.places import Places, is_name
    from sae_core.profiles import CorpusSummary, MethodExample
    from sae_core.representations import Comparison, compare_forms, rank_latents
    from sae_core.selections import clips_table, in_turns, latents_apart, rows_inside, values_apart
    from sae_core.steering import Change
    from sae_core.surveys import Survey, is_at_hand, survey_folder, survey_zip
    from sae_core.sweep import SWEEP_MEASURES, best_of_each, combine_seeds, probe_ceiling, tabulate_saes
    from sae_core.trial_lists import TrialList, kept_trial_lists
    from sae_core.trial_sets import (
        OPERATING_POINTS,
        TrialSet,
        draw_trials,
        open_trial_list,
        read_trial_list,
        usual_among,
    )
    from sae_core.uploads import USUAL_LIMITS, inspect_zip, unpack_zip
    from sae_core.verification import VerificationResult
    from sae_core.workspace import SaeView, Stage, Workspace, open_workspace, workspace_stamp

_NAMES = {
    "atlas": "MAP_KINDS MapKind map_fingerprint open_map stored_maps",
    "attributes": "NEW_VOICES SAME_VOICES",
    "building": "BUILD_STAGES BuildPlan expected_s suggest_grid",
    "comparison": (
        "IndexChoice Splitting follow_clips order_by_activation order_by_size predominant_index "
        "smallest_and_largest split_index steer_index"
    ),
    "curves": "training_curves",
    "decoders": "AudioInfo",
    "errors": (
        "ArtifactError AudioError CorpusError MissingDependencyError StaleArtifactError VoxScopeError"
    ),
    "examination": (
        "Examination Examiner FiringTimes MapPosition examine examine_excerpt how_unusual nearest_clips "
        "nearest_speakers open_examiner place_on_map time_latents"
    ),
    "excerpts": (
        "MAX_HEARD_S MAX_RECORDING_BYTES Excerpt KeptExcerpt clip_excerpt forget_excerpt "
        "inspect_recording keep_excerpt kept_excerpts kept_vector open_kept read_excerpt"
    ),
    "experiments": (
        "MAX_STEERED Histograms SteeringExperiment SteeringOutcome SteeringPreset steering_presets"
    ),
    "explanation": "MATCH_PARTS MatchExplanation explain_match is_accepted telling_partners",
    "groupings": (
        "Grouping PointGroup group_by_activation group_by_attribute group_by_prefix group_by_told_value "
        "group_by_voice sizes_by_firing"
    ),
    "hints": "ACOUSTIC_MEASURES AcousticMeasure hint say_limit",
    "job_records": "JobStatus StageStatus log_tail read_plan",
    "jobs": "cancel_job is_building job_status resume_job start_job",
    "latent_acoustics": "LatentAcoustics acoustics_of relate_to_sound",
    "listening": "ClipGroup ListeningExamples",
    "maps": "PointMap",
    "movement": "ELSEWHERE ENTER IN_INDEX LEAVE MOVES NO_LATENT STAY Movement tabulate_moves",
    "note_entries": (
        "MAX_AUTHOR_CHARS MAX_NOTES_BYTES MAX_NOTE_CHARS NoteEntry Subject clean_author notes_from_json "
        "notes_to_json"
    ),
    "notes": "SubjectNotes trained_saes",
    "places": "Places is_name",
    "profiles": "CorpusSummary MethodExample",
    "representations": "Comparison compare_forms rank_latents",
    "selections": "clips_table in_turns latents_apart rows_inside values_apart",
    "steering": "Change",
    "surveys": "Survey is_at_hand survey_folder survey_zip",
    "sweep": "SWEEP_MEASURES best_of_each combine_seeds probe_ceiling tabulate_saes",
    "trial_lists": "TrialList kept_trial_lists",
    "trial_sets": "OPERATING_POINTS TrialSet draw_trials open_trial_list read_trial_list usual_among",
    "uploads": "USUAL_LIMITS inspect_zip unpack_zip",
    "verification": "VerificationResult",
    "workspace": "SaeView Stage Workspace open_workspace workspace_stamp",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ACOUSTIC_MEASURES",
    "BUILD_STAGES",
    "ELSEWHERE",
    "ENTER",
    "IN_INDEX",
    "LEAVE",
    "MAP_KINDS",
    "MATCH_PARTS",
    "MAX_AUTHOR_CHARS",
    "MAX_HEARD_S",
    "MAX_NOTES_BYTES",
    "MAX_NOTE_CHARS",
    "MAX_RECORDING_BYTES",
    "MAX_STEERED",
    "MOVES",
    "NEW_VOICES",
    "NO_LATENT",
    "OPERATING_POINTS",
    "SAME_VOICES",
    "STAY",
    "SWEEP_MEASURES",
    "USUAL_LIMITS",
    "AcousticMeasure",
    "ArtifactError",
    "AudioError",
    "AudioInfo",
    "BuildPlan",
    "Change",
    "ClipGroup",
    "Comparison",
    "CorpusError",
    "CorpusSummary",
    "Examination",
    "Examiner",
    "Excerpt",
    "FiringTimes",
    "Grouping",
    "Histograms",
    "IndexChoice",
    "JobStatus",
    "KeptExcerpt",
    "LatentAcoustics",
    "ListeningExamples",
    "MapKind",
    "MapPosition",
    "MatchExplanation",
    "MethodExample",
    "MissingDependencyError",
    "Movement",
    "NoteEntry",
    "Places",
    "PointGroup",
    "PointMap",
    "SaeView",
    "Splitting",
    "Stage",
    "StageStatus",
    "StaleArtifactError",
    "SteeringExperiment",
    "SteeringOutcome",
    "SteeringPreset",
    "Subject",
    "SubjectNotes",
    "Survey",
    "TrialList",
    "TrialSet",
    "VerificationResult",
    "VoxScopeError",
    "Workspace",
    "acoustics_of",
    "best_of_each",
    "cancel_job",
    "clean_author",
    "clip_excerpt",
    "clips_table",
    "combine_seeds",
    "compare_forms",
    "draw_trials",
    "examine",
    "examine_excerpt",
    "expected_s",
    "explain_match",
    "follow_clips",
    "forget_excerpt",
    "group_by_activation",
    "group_by_attribute",
    "group_by_prefix",
    "group_by_told_value",
    "group_by_voice",
    "hint",
    "how_unusual",
    "in_turns",
    "inspect_recording",
    "inspect_zip",
    "is_accepted",
    "is_at_hand",
    "is_building",
    "is_name",
    "job_status",
    "keep_excerpt",
    "kept_excerpts",
    "kept_trial_lists",
    "kept_vector",
    "latents_apart",
    "log_tail",
    "map_fingerprint",
    "nearest_clips",
    "nearest_speakers",
    "notes_from_json",
    "notes_to_json",
    "open_examiner",
    "open_kept",
    "open_map",
    "open_trial_list",
    "open_workspace",
    "order_by_activation",
    "order_by_size",
    "place_on_map",
    "predominant_index",
    "probe_ceiling",
    "rank_latents",
    "read_excerpt",
    "read_plan",
    "read_trial_list",
    "relate_to_sound",
    "resume_job",
    "rows_inside",
    "say_limit",
    "sizes_by_firing",
    "smallest_and_largest",
    "split_index",
    "start_job",
    "steer_index",
    "steering_presets",
    "stored_maps",
    "suggest_grid",
    "survey_folder",
    "survey_zip",
    "tabulate_moves",
    "tabulate_saes",
    "telling_partners",
    "time_latents",
    "trained_saes",
    "training_curves",
    "unpack_zip",
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
