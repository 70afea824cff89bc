"""The data check of a workspace, kept until its clips or its vectors change; decisions are read each time."""

import pandas as pd

from pages.shared.caching import cached
from sae_core.analysis.data_check import find_suspicions, with_decisions
from sae_core.workspace.workspace import SaeView


@cached(keep=4, spinner="Comparing all clips with each other …")
def _suspicions(view: SaeView) -> pd.DataFrame:
    return find_suspicions(view.workspace, view.embeddings)


def checked(view: SaeView) -> pd.DataFrame:
    """The findings of `check_workspace` with the vectors that the chosen SAE reads."""
    return with_decisions(_suspicions(view), view.workspace)
