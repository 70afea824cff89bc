"""Which SAEs are compared, over which clips, and what the page shows of them: choices that stand in the address."""

from dataclasses import dataclass

import streamlit as st

from pages.shared import links
from pages.shared.choices import nearest, tell_unknown
from pages.shared.wording import distinct_words, sae_words
from sae_core.analysis.universality import Clips, counterparts, open_saes
from sae_core.workspace.workspace import SaeView, Workspace

LOOKS = (links.ACROSS_SAES, links.VALUES_BY_SAE, links.GROUPS)
WITH, MAX_OTHERS = "with", 4
CLIP_WORDS: dict[Clips, str] = {"unseen speakers": "Unseen speakers", "all": "All clips"}
CLIP_HELP = (
    "On which clips activations are compared. *Unseen speakers*: those on whom no SAE was trained, right for saying "
    "how much two SAEs share. *All clips* include the training speakers, whom both may have learnt by heart."
)
WITH_HELP = (
    "At first of each other encoder the SAE most like this one; where there is only one encoder, SAEs of other seeds "
    "or settings. Two versions of one encoder can be compared, too: embed with the second under another name."
)


@dataclass(frozen=True)
class Compared:
    """The SAE that the page is about, those beside it, and the clips over which activations are compared."""

    view: SaeView
    others: tuple[SaeView, ...]
    clips: Clips

    @property
    def views(self) -> tuple[SaeView, ...]:
        """All of them, the page's first."""
        return self.view, *self.others

    @property
    def words(self) -> dict[str, str]:
        """What each is called beside the others, by name."""
        return distinct_words(self.views)


def choose_look() -> str:
    """What the page shows."""
    chosen = st.segmented_control(
        "Show", LOOKS, default=links.ACROSS_SAES, required=True, key=links.LOOK, bind="query-params",
        persist_state="session",
        help="*Latents across SAEs*: which latents the others have, too. *Values by SAE*: which encoder detects which "
        "attribute value. *Groups of latents*: whether one latent is enough for a value.",
    )  # fmt: skip
    return str(chosen or links.ACROSS_SAES)


def choose_others(workspace: Workspace, view: SaeView) -> tuple[SaeView, ...]:
    """The SAEs beside the page's own: what the address asks for, else `counterparts`."""
    names = [name for name in workspace.sae_names() if name != view.name]
    options = {name: sae_words(workspace, name) for name in names}
    wanted = [name for name in (links.chosen(WITH) or "").split(",") if name]
    asked = [] if view.name in wanted else [name for name in wanted if name in options]
    key = f"{WITH}_choice"
    st.session_state[key] = (asked or counterparts(workspace, view.name))[:MAX_OTHERS]

    def take() -> None:
        links.choose(WITH, ",".join(st.session_state[key]))

    chosen = st.multiselect(
        "Compare with", list(options), format_func=options.__getitem__, key=key, on_change=take,
        max_selections=MAX_OTHERS, placeholder="SAEs …", width=520, help=WITH_HELP,
    )  # fmt: skip
    unknown = [name for name in wanted if name not in options and name != view.name]
    if unknown:
        shown = ", ".join(options[name] for name in chosen) or "none"
        tell_unknown(WITH, unknown[0], noun="the SAE", shown=shown, near=nearest(unknown[0], options))
    else:
        links.choose(WITH, ",".join(chosen))
    return tuple(open_saes(workspace, chosen))


def choose_clips() -> Clips:
    """Unseen speakers, or all clips."""
    chosen = st.segmented_control(
        "Clips", list(CLIP_WORDS), default="unseen speakers", required=True, format_func=CLIP_WORDS.__getitem__,
        key="match_clips", bind="query-params", persist_state="session", help=CLIP_HELP,
    )  # fmt: skip
    return "all" if chosen == "all" else "unseen speakers"
