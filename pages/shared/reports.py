"""Reports to take away: one file with sounds, made only when somebody asks for it."""

import threading

import streamlit as st

from pages.shared.caching import cached
from pages.shared.person import may
from sae_core.report.document import ReportSettings, make_report
from sae_core.report.sounds import MAX_SOUND_BYTES
from sae_core.workspace.workspace import SaeView

HELP = (
    "One HTML file with figures, tables and the clips' sounds inside, at most "
    f"{MAX_SOUND_BYTES / 1e6:.0f} MB of them: it opens in any browser without server or network, and prints. "
)
TAKES_LONG = "Making it takes up to a minute."
_AT_ONCE = threading.Lock()
"""Reports are made one after another, so that several visitors who ask do not stop the server for all others."""


def report_button(view: SaeView, *, latent: int | None = None, key: str) -> None:
    """A button that saves the report on the workspace, or on one latent, for whoever may write here: the file keeps
    sounds for good, which somebody who may only look for a while is not given."""
    if not may("annotate", view.workspace.path.name):
        return
    st.download_button(
        "Make a report" if latent is None else "Report on this latent",
        data=lambda: report_bytes(view, latent),
        file_name=f"voxscope-{view.name}{'' if latent is None else f'-latent-{latent}'}.html",
        mime="text/html",
        icon=":material/description:",
        type="secondary" if latent is None else "tertiary",
        on_click="ignore",
        help=HELP + (TAKES_LONG if latent is None else ""),
        key=key,
    )


def report_bytes(view: SaeView, latent: int | None) -> bytes:
    """The report, made once until something in it changes."""
    with _AT_ONCE:
        return _report(view, latent)


@cached(keep=4, shows_notes=True)
def _report(view: SaeView, latent: int | None) -> bytes:
    return make_report(view, ReportSettings(latent=latent)).html.encode("utf-8")
