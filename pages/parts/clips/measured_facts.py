"""The acoustic measures of one clip, in words."""

import pandas as pd

from sae_core.analysis.hints import ACOUSTIC_MEASURES
from sae_core.analysis.latent_acoustics import acoustics_of
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import Workspace


def measured_facts(workspace: Workspace, row: int) -> dict[str, str]:
    """Pitch, bandwidth, … of a clip with their units, a dash for what it does not have; nothing where clips are not
    measured."""
    try:
        measures = acoustics_of(workspace).table.iloc[row]
    except VoxScopeError:
        return {}
    return {
        words.words: "–" if pd.isna(measures[name]) else words.say(float(measures[name]))
        for name, words in ACOUSTIC_MEASURES.items()
    }
