"""Tables to take away."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from pages.shared.tables import csv_bytes


def csv_button(make: Callable[[], pd.DataFrame], *, name: str, key: str, label: str = "CSV") -> None:
    """A button that saves a table as CSV; the table is made only when it is asked for."""
    st.download_button(
        label,
        data=lambda: csv_bytes(make()),
        file_name=f"voxscope-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=key,
    )
