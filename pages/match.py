"""Match: the score of two clips, taken apart into the latents that make it."""

import streamlit as st

from pages.parts.match.choice import SIDES, choose_pair, choose_threshold
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
        "Why do these two clips match, or not? Their score, taken apart.",
        why="A score convinces nobody. Which latents make it, and whether it would hold without them, can be heard.",
    )
    rows = choose_pair(view)
    if tell_unembedded(view, rows):
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
            "pages/verification.py": ("See how often such scores err", ":material/verified_user:"),
            "pages/steering.py": ("Switch a latent off in every clip", ":material/tune:"),
        },
    )


def tell_unembedded(view: SaeView, rows: tuple[int, int]) -> bool:
    """Say which of the clips cannot be compared, and why; whether there is one."""
    embeddings = view.embeddings
    silent = [(side, row) for side, row in zip(SIDES, rows, strict=True) if not embeddings.is_valid[row]]
    for side, row in silent:
        failures = embeddings.failures
        reason = "; ".join(failures.loc[failures["row"] == row, "reason"].astype(str))
        st.info(
            f"{SIDES[side]}, `{links.clip_id(view, row)}`: it has no embedding ({reason}), so it has no score. "
            "Choose another.",
            icon=":material/block:",
        )
    return bool(silent)


main()
