"""The data check of a workspace, made once and kept until its clips, its vectors or its notes change."""

import pandas as pd

from pages.shared.caching import cached
from sae_core.analysis.data_check import check_workspace
from sae_core.workspace.workspace import SaeView


@cached(keep=4, spinner="Comparing all clips with each other …", shows_notes=True)
def checked(view: SaeView) -> pd.DataFrame:
    """The findings of `check_workspace` with the vectors that the chosen SAE reads."""
    return check_workspace(view.workspace, view.embeddings)
