"""What an SAE has been shown to hear, and what it has not: the same three lists for every workspace."""

import pandas as pd
import streamlit as st

from pages.components.wording import EVIDENCE, value_words
from sae_core import NEW_VOICES, SAME_VOICES, SaeView

DEMO_LIMITS = (
    "This demo is made of real voices and hold music that may be passed on: enough to explore and to check the method, "
    "too few people to publish claims. Its languages come from few voices and sources each, so language, person and "
    "recording are partly the same thing here. For claims, open recordings of your own."
)
MAX_LISTED = 14
HIDDEN = {"source"}


def reach_panel(view: SaeView) -> None:
    """Draw which attribute values hold on new voices, which were looked for in vain, and which nobody can tell yet."""
    shown, missed, untested = reach(view)
    st.subheader("What this can and cannot show", anchor=False)
    first, second, third = st.columns(3, gap="medium")
    first.markdown(
        f":green[:material/check_circle:] **Holds on new voices**  \n{_listed(shown, 'nothing yet')}"
    )
    second.markdown(f":gray[:material/search_off:] **Looked for, not found**  \n{_listed(missed, 'nothing')}")
    third.markdown(
        f":orange[:material/group:] **Only on the same voices**  \n{_listed(untested, 'nothing')}",
        help=EVIDENCE[SAME_VOICES],
    )
    if view.workspace.is_demo:
        st.caption(DEMO_LIMITS)


def reach(view: SaeView) -> tuple[list[str], list[str], list[str]]:
    """Attribute values that a latent may be named by (with its F1), that none may, and that new voices cannot test."""
    values = view.statistics.values
    values = values[~values["attribute"].isin(HIDDEN)]
    named = view.latents[view.latents["is_named"]].sort_values("best_f1", ascending=False)
    best = named.drop_duplicates(["best_attribute", "best_value"])
    found = set(zip(best["best_attribute"], best["best_value"], strict=True))
    shown = [
        f"{value_words(a, v)} {f1:.2f}"
        for a, v, f1 in best[["best_attribute", "best_value", "best_f1"]].itertuples(index=False)
    ]
    tested = values[values["evidence"] == NEW_VOICES]
    missed = [pair for pair in _pairs(tested) if pair not in found]
    untested = _pairs(values[values["evidence"] == SAME_VOICES])
    return shown, [value_words(*pair) for pair in missed], [value_words(*pair) for pair in untested]


def _pairs(values: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(values["attribute"].astype(str), values["value"].astype(str), strict=True))


def _listed(words: list[str], nothing: str) -> str:
    more = f" and {len(words) - MAX_LISTED} more" if len(words) > MAX_LISTED else ""
    return f":small[{', '.join(words[:MAX_LISTED]) or nothing}{more}]"
