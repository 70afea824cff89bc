"""Which attribute values an SAE detects, and which latents are named for them: one rule for everything that is shown.

Choices are made on the clips of selection speakers, judgements on those of held-out speakers:

- The *best latent* of a value has the highest F1 for it on selection, at the threshold chosen there: the predominant
  latent of arXiv 2502.00127.
- A latent *passes* for a value when, on held-out speakers, its precision is above the base rate even at the lower bound
  of its 95 % interval, and Matthews' correlation is at least `MIN_MCC_TO_CONFIRM`.
- A value is *confirmed on held-out speakers* when it was measured on unseen speakers and its best latent passes for it.
- A latent is *named* for a confirmed value when it is the best latent of that value, or when it passes for it and no
  other value gives it a higher correlation on selection. One that could be named for several values is named for the
  one with the highest correlation on selection.

Hence no latent is named for a value that is not confirmed. Among hundreds of latents some pass for a value by chance:
the one that selection speakers chose decides whether there is any.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Int64

from sae_core.measures.attributes import (
    INTERVAL_COLUMNS,
    SOURCE_ATTRIBUTE,
    UNSEEN_SPEAKERS,
    AttributeStatistics,
    best_values,
)
from sae_core.measures.threshold_measures import MEASURES

MIN_MCC_TO_CONFIRM = 0.3
BEST = "best_"
"""Prefix of the columns of the latents table about one value measured on unseen speakers."""


def passes(
    statistics: AttributeStatistics, latents: Int[np.ndarray, " m"], value_rows: Int[np.ndarray, " m"]
) -> Bool[np.ndarray, " m"]:
    """Whether each latent passes for the value beside it (a row of `AttributeStatistics.values`): False where that was
    measured on seen speakers, or where no interval was made."""
    pairs = pd.DataFrame({"latent": latents, "value_row": value_rows})
    lower = pairs.merge(statistics.intervals, on=["latent", "value_row"], how="left")["precision_low"]
    precision, lift, mcc = (
        statistics.measures[name][latents, value_rows] for name in ("precision", "lift", "mcc")
    )
    base_rate = np.divide(precision, lift, out=np.full_like(precision, np.inf), where=lift > 0)
    is_unseen = statistics.values["evidence"].to_numpy()[value_rows] == UNSEEN_SPEAKERS
    return np.asarray(
        is_unseen & (lower.to_numpy(dtype=float) > base_rate) & (mcc >= MIN_MCC_TO_CONFIRM), dtype=bool
    )


def best_latents(statistics: AttributeStatistics) -> Int64[np.ndarray, " V"]:
    """The best latent of each value."""
    f1 = statistics.measures["selection_f1"]
    return np.argmax(f1, axis=0) if f1.size else np.zeros(f1.shape[1], dtype=np.int64)


def confirmed_values(statistics: AttributeStatistics) -> Bool[np.ndarray, " V"]:
    """Whether each value is confirmed on held-out speakers."""
    best = best_latents(statistics)
    return passes(statistics, best, np.arange(len(best)))


def named_values(statistics: AttributeStatistics) -> Int64[np.ndarray, " L"]:
    """The value (a row of `AttributeStatistics.values`) that each latent is named for, -1 for none. A source is no
    meaning, and gives no name."""
    is_meaning = (statistics.values["attribute"] != SOURCE_ATTRIBUTE).to_numpy()
    confirmed = confirmed_values(statistics) & is_meaning
    own = best_values(statistics.measures, statistics.values, UNSEEN_SPEAKERS)
    latents = np.flatnonzero(own >= 0)
    latents = latents[confirmed[own[latents]]]
    latents = latents[passes(statistics, latents, own[latents])]
    named = np.full(len(own), -1, dtype=np.int64)
    named[latents] = own[latents]
    correlation, best = statistics.measures["selection_mcc"], best_latents(statistics)
    for value_row in np.flatnonzero(confirmed):
        latent, rival = best[value_row], named[best[value_row]]
        if rival < 0 or correlation[latent, value_row] > correlation[latent, rival]:
            named[latent] = value_row
    return named


def name_latents(latents: pd.DataFrame, statistics: AttributeStatistics) -> pd.DataFrame:
    """The latents table with its columns on unseen speakers filled in: `is_named`, and under the prefix `best_` the
    value that the latent is named for, else the one with the highest correlation on selection, with its measures."""
    named = named_values(statistics)
    own = best_values(statistics.measures, statistics.values, UNSEEN_SPEAKERS)
    about = describe_values(statistics, np.where(named >= 0, named, own), BEST)
    kept = latents.drop(columns=[name for name in ("is_named", *about) if name in latents.columns])
    return pd.concat([kept, about, pd.Series(named >= 0, name="is_named")], axis=1)


def describe_values(
    statistics: AttributeStatistics, value_rows: Int[np.ndarray, " L"], prefix: str
) -> pd.DataFrame:
    """One row a latent: attribute, value, every name in `MEASURES` and the 95 % bounds of one value for each latent,
    under a prefix; empty where the row is -1."""
    chosen = pd.DataFrame({"latent": np.arange(len(value_rows)), "value_row": value_rows})
    for name in ("attribute", "value"):
        known = statistics.values[name].to_numpy(dtype=object)
        chosen[name] = [known[row] if row >= 0 else None for row in value_rows]
    found = np.flatnonzero(value_rows >= 0)
    for name in MEASURES:
        chosen[name] = np.float32(np.nan)
        chosen.loc[found, name] = statistics.measures[name][found, value_rows[found]]
    chosen = chosen.merge(statistics.intervals, on=["latent", "value_row"], how="left")
    return chosen[["attribute", "value", *MEASURES, *INTERVAL_COLUMNS]].add_prefix(prefix)


def predominant_latents(statistics: AttributeStatistics) -> pd.DataFrame:
    """One row a value, sources left out: attribute, value, evidence, its best latent with measures and bounds, and
    is_confirmed: whether the value is confirmed on held-out speakers."""
    confirmed, best = confirmed_values(statistics), best_latents(statistics)
    rows = np.flatnonzero(statistics.values["attribute"] != SOURCE_ATTRIBUTE)
    lines = [
        {
            "latent": int(best[row]),
            **statistics.of(int(best[row]), int(row)),
            "is_confirmed": bool(confirmed[row]),
        }
        for row in rows
    ]
    columns = ["latent", *statistics.values.columns, *MEASURES, *INTERVAL_COLUMNS, "is_confirmed"]
    return pd.DataFrame(lines, columns=columns).astype({"is_confirmed": bool})
