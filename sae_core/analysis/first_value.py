"""The attribute value that pages open on: one that is confirmed on held-out speakers, not merely a common one."""

import pandas as pd

from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView

OF_SPEAKERS = ("language", "gender")


def first_value(view: SaeView) -> tuple[str, str] | None:
    """Return the confirmed value with most held-out speakers, a language or gender before any other attribute, and the
    most common value of an attribute after its others: that most clips have it is nothing a latent has to find.

    Where none is confirmed, the one tested on unseen speakers with most of them; else any; None where nothing was
    measured.
    """
    table = view.predominant_latents()
    if len(table):
        corpus = view.workspace.corpus
        pairs = zip(table["attribute"], table["value"], strict=True)
        return _first_of(table.assign(n_clips=[int(corpus.has_value(*pair).sum()) for pair in pairs]))
    values = view.statistics.values  # sources alone
    return None if values.empty else (str(values["attribute"].iloc[0]), str(values["value"].iloc[0]))


def _first_of(table: pd.DataFrame) -> tuple[str, str]:
    most = table.groupby("attribute")["n_clips"].transform("max")
    ranked = table.assign(
        is_tested=table["evidence"] == UNSEEN_SPEAKERS,
        is_of_speakers=table["attribute"].isin(OF_SPEAKERS),
        is_rarer=table["n_clips"] < most,
    ).sort_values(
        [
            "is_confirmed",
            "is_tested",
            "is_of_speakers",
            "is_rarer",
            "n_reported_speakers",
            "n_reported_positive",
        ],
        ascending=False,
        kind="stable",
    )
    return str(ranked["attribute"].iloc[0]), str(ranked["value"].iloc[0])
