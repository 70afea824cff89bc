"""Match: one verification score, decomposed into latents."""

import streamlit as st

from pages.parts.match.choice import SIDES, choose_pair, choose_threshold, first_trials
from pages.parts.match.latents import draw_latents, draw_without
from pages.parts.match.score_parts import draw_parts, draw_verdict
from pages.shared import links
from pages.shared.session import open_page, try_next
from sae_core.analysis.match import explain_match
from sae_core.workspace.workspace import SaeView


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Match",
        "Why do two clips match, or not? Their verification score, decomposed exactly into latents.",
        why="A score alone explains nothing. Here you see and hear which latents it comes from, and whether the "
        "decision "
        "would stand without them.",
    )
    trial_set = first_trials(view)
    rows = choose_pair(view, trial_set)
    if warn_unembedded(view, rows):
        return
    match = explain_match(view, *rows)
    point = choose_threshold(view)
    draw_verdict(view, match, rows, point)
    draw_parts(view, match, point)
    draw_without(view, match, point)
    draw_latents(view, match, rows, point)
    try_next(
        view,
        {
            "pages/verification.py": ("See the error rates of such scores", ":material/verified_user:"),
            "pages/steering.py": ("Ablate a latent in every clip", ":material/tune:"),
        },
    )


def warn_unembedded(view: SaeView, rows: tuple[int, int]) -> bool:
    """Say which of the clips cannot be compared, and why; return whether there is one."""
    embeddings = view.embeddings
    missing = [(side, row) for side, row in zip(SIDES, rows, strict=True) if not embeddings.is_valid[row]]
    for side, row in missing:
        failures = embeddings.failures
        reason = "; ".join(failures.loc[failures["row"] == row, "reason"].astype(str))
        st.info(
            f"{SIDES[side]}, `{links.clip_id(view, row)}`: no embedding ({reason}), so no score. "
            "Choose another.",
            icon=":material/block:",
        )
    return bool(missing)


main()
