"""What an SAE has been shown to hear, and what it has not: the same three lists for every workspace."""

import pandas as pd
import streamlit as st

from pages.shared.wording import EVIDENCE, plain, value_words
from sae_core.analysis.model_card import DEMO_LIMITS
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

MAX_LISTED = 14


def reach_panel(view: SaeView) -> None:
    """Draw which attribute values hold on unseen speakers, which were tested in vain, and which cannot be tested."""
    shown, missed, untested = reach(view)
    st.header("Which attributes generalise?", anchor=False)
    if not (shown or missed or untested):
        st.caption(
            "No attribute value has enough labelled clips to be tested. Import the recordings with labels."
        )
        return
    first, second, third = st.columns(3, gap="medium")
    first.markdown(f":green[:material/check_circle:] **Confirmed on held-out speakers**  \n{_listed(shown)}")
    second.markdown(f":gray[:material/search_off:] **Tested, not confirmed**  \n{_listed(missed)}")
    third.markdown(
        f":orange[:material/group:] **Not testable (too few speakers)**  \n{_listed(untested)}",
        help=EVIDENCE[SEEN_SPEAKERS],
    )
    if view.workspace.is_demo:
        st.caption(DEMO_LIMITS)


def reach(view: SaeView) -> tuple[list[str], list[str], list[str]]:
    """Attribute values whose best latent holds on unseen speakers (with F1), does not, or cannot be tested."""
    best = view.predominant_latents().sort_values("f1", ascending=False, kind="stable")
    is_tested = best["evidence"] == UNSEEN_SPEAKERS
    shown = [f"{words} {f1:.2f}" for words, f1 in _worded(best[best["is_confirmed"]])]
    missed = [words for words, _ in _worded(best[is_tested & ~best["is_confirmed"]])]
    return shown, missed, [words for words, _ in _worded(best[~is_tested])]


def _worded(values: pd.DataFrame) -> list[tuple[str, float]]:
    columns = values[["attribute", "value", "f1"]].itertuples(index=False)
    return [
        (plain(f"{attribute} = {value_words(str(attribute), str(value))}"), f1)
        for attribute, value, f1 in columns
    ]


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - MAX_LISTED} more" if len(words) > MAX_LISTED else ""
    return f":small[{', '.join(words[:MAX_LISTED]) or 'none'}{more}]"
