"""Erasure: latents of an attribute value removed one by one; what a probe still tells of it, and what it costs."""

import streamlit as st

from pages.parts.erasure.choice import choose_curve, choose_point, curve_of
from pages.parts.erasure.figures import draw_figures, draw_finding
from pages.parts.erasure.point import draw_point
from pages.shared import trial_choice
from pages.shared.session import open_page, try_next
from pages.shared.value_choice import choose_value


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Erasure",
        "How much of an attribute is left when its latents are removed one by one, and what verification pays.",
        why="A latent can stand for a language without being the only place where it is written. A linear probe, "
        "fitted anew after each step, shows what is left on unseen speakers; LEACE (arXiv 2306.03819) shows what a "
        "transform made for that leaves.",
    )
    values = trial_choice.erasable(view)
    if not values:
        st.info(
            "No attribute value has enough speakers in every split to measure what is left of it. Import labels of "
            "more speakers.",
            icon=":material/label_off:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="erasure_choices"):
        value = choose_value(view, among=values)
        among = trial_choice.choose_among(view)
        asked = choose_curve()
    if value is None:
        return
    trial_set = trial_choice.drawn_trials(view, among)
    curve = curve_of(view, value, trial_set, asked.n_steps)
    draw_finding(curve, asked.order, trial_set)
    draw_figures(curve, asked.order)
    n_latents = choose_point(view, curve, asked.order)
    draw_point(view, trial_set, curve, (asked.order, n_latents))
    try_next(
        view,
        {
            "pages/verification.py": ("Error rates of verification", ":material/verified_user:"),
            "pages/sweep.py": ("Which SAE detects it best", ":material/grid_view:"),
        },
    )


main()
