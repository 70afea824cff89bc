"""Which attribute value a page is about: one choice for all pages that ask, kept in the URL."""

from collections.abc import Collection

import streamlit as st

from pages.shared.choices import choose_one
from pages.shared.wording import EVIDENCE, column_words, value_words
from sae_core.analysis.first_value import first_value
from sae_core.corpus.values import AttributeValue
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

VALUE = "value"
BADGES = {True: ":green-badge[unseen speakers]", False: ":gray-badge[seen speakers]"}


def choose_value(view: SaeView, *, among: Collection[AttributeValue] | None = None) -> AttributeValue | None:
    """Let people choose one of the measured attribute values; at first one that is confirmed on held-out speakers, see
    `first_value`. None where nothing was measured. among: offer these values alone."""
    values = view.statistics.values
    pairs = list(zip(values["attribute"].astype(str), values["value"].astype(str), strict=True))
    evidence = dict(zip(pairs, values["evidence"], strict=True))
    pairs = [pair for pair in pairs if among is None or pair in among]
    if not pairs:
        st.info(
            "No attribute value has enough clips to be measured. Import with labels.",
            icon=":material/label_off:",
        )
        return None
    pairs.sort(key=lambda pair: evidence[pair] != UNSEEN_SPEAKERS)
    choices = {f"{attribute}={value}": (attribute, value) for attribute, value in pairs}
    first = first_value(view)
    usual = "=".join(first if first in pairs else pairs[0])
    options = {choice: _words(pair, evidence[pair]) for choice, pair in choices.items()}
    chosen = choose_one(
        VALUE, options, usual=usual, noun="the attribute value", label="Attribute value", width=270,
        help="\n\n".join(EVIDENCE.values()),
    )  # fmt: skip
    return choices[chosen]


def _words(pair: tuple[str, str], evidence: str) -> str:
    words = f"{column_words(pair[0])}: {value_words(*pair)}"
    return words if evidence == UNSEEN_SPEAKERS else f"{words} (seen speakers)"


def evidence_badge(evidence: str) -> str:
    """A coloured word for the kind of evidence."""
    return BADGES[evidence == UNSEEN_SPEAKERS]
