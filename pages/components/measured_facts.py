"""The acoustic measures of one clip, in words."""

import pandas as pd

from sae_core import ACOUSTIC_MEASURES, VoxScopeError, Workspace, acoustics_of


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
