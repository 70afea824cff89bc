"""The data check of a workspace, made once and kept until its clips, its vectors or its notes change."""

import pandas as pd
import streamlit as st

from sae_core.analysis.data_check import check_workspace
from sae_core.workspace.workspace import SaeView


@st.cache_resource(max_entries=4, show_spinner="Comparing all clips with each other …")
def _checked(fingerprint: str, notes: object, _view: SaeView) -> pd.DataFrame:  # noqa: ARG001
    return check_workspace(_view.workspace, _view.embeddings)


def checked(view: SaeView) -> pd.DataFrame:
    """The findings of `check_workspace` with the vectors that the chosen SAE reads."""
    return _checked(view.fingerprint, view.workspace.notes.version(), view)
