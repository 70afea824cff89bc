"""The model card of the SAE, as text to read and a file to take away."""

import streamlit as st

from sae_core.analysis.model_card import model_card
from sae_core.workspace.workspace import SaeView


def card_panel(view: SaeView) -> None:
    """Draw the card, folded up, with its download."""
    with st.expander("Model card", icon=":material/description:", key="model_card"):
        text = model_card(view)
        st.download_button(
            "Markdown",
            data=text,
            file_name=f"{view.name}-card.md",
            mime="text/markdown",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key="model_card_file",
        )
        st.code(text, language=None, wrap_lines=True)
