"""What a latent, a clip and a corpus are, in numbers that a page can draw."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int

from sae_core.corpus.clips import Corpus
from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex


@dataclass(frozen=True)
class MethodExample:
    """One real clip on its way through the SAE: e → v → ε.

    row: the clip. embedding, reconstruction: f32[d]. latents, activations: the active ones, strongest first.
    cosine: between embedding and reconstruction.
    """

    row: int
    embedding: Float32[np.ndarray, " d"]
    latents: np.ndarray
    activations: np.ndarray
    reconstruction: Float32[np.ndarray, " d"]
    cosine: float


@dataclass(frozen=True)
class CorpusSummary:
    """Counts over the clips of a corpus.

    table: n_clips, n_speakers and hours by language × gender × kind (those of them the corpus has).
    splits: n_clips and n_speakers by split.
    """

    n_clips: int
    n_speakers: int
    hours: float
    table: pd.DataFrame
    splits: pd.DataFrame


SUMMARY_ATTRIBUTES = ("language", "gender", "kind")


def summarise_corpus(corpus: Corpus) -> CorpusSummary:
    """Return how many clips, hours and speakers there are, in all and by language × gender × kind."""
    frame = pd.DataFrame(
        {
            "split": corpus.table["split"].astype("category"),
            "speaker": corpus.speaker_groups,
            "hours": corpus.table["duration_s"].to_numpy() / 3600,
        }
    )
    names = [name for name in SUMMARY_ATTRIBUTES if name in corpus.attributes]
    for name in names:
        codes, values = corpus.coded(name)
        frame[name] = pd.Categorical.from_codes(np.where(codes < 0, len(values), codes), [*values, "–"])
    return CorpusSummary(
        n_clips=len(corpus),
        n_speakers=int(frame["speaker"].nunique()),
        hours=float(frame["hours"].sum()),
        table=_count_by(frame, names) if names else pd.DataFrame(),
        splits=_count_by(frame, ["split"]),
    )


def _count_by(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    grouped = frame.groupby(names, sort=True, observed=True)
    counts = grouped.agg(
        n_clips=("speaker", "size"), n_speakers=("speaker", "nunique"), hours=("hours", "sum")
    )
    table = counts.reset_index()
    table[names] = table[names].astype("object")
    return table.sort_values([*names]).sort_values(
        "n_clips", ascending=False, ignore_index=True, kind="stable"
    )


@dataclass(frozen=True)
class BaseCounts:
    """How many of all embedded clips carry each attribute value: counted once, whatever is then held against them."""

    corpus: Corpus
    is_valid: Bool[np.ndarray, " n"]
    _found: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    def of(self, *attributes: str) -> np.ndarray:
        """Clips by value number, an axis an attribute; clips of which one of them is unknown are left out."""
        if attributes not in self._found:
            self._found[attributes] = self.among(np.flatnonzero(self.is_valid), *attributes)
        return self._found[attributes]

    def among(self, rows: Int[np.ndarray, " m"], *attributes: str) -> np.ndarray:
        """The same among some clips only."""
        coded = [self.corpus.coded(name) for name in attributes]
        shape = tuple(len(values) for _, values in coded)
        codes = np.stack([codes[rows] for codes, _ in coded])
        cells = np.ravel_multi_index(tuple(codes[:, (codes >= 0).all(axis=0)]), shape) if all(shape) else []
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)


def value_shares(counts: BaseCounts, rows: Int[np.ndarray, " m"]) -> pd.DataFrame:
    """Share of each attribute value among `rows` against its base rate among all embedded clips.

    Shares are of the clips whose attribute is known. Columns: attribute, value, n, share, base_rate, lift; highest lift
    first within an attribute.
    """
    parts = []
    for attribute in counts.corpus.attributes:
        values = counts.corpus.coded(attribute)[1]
        here, everywhere = counts.among(rows, attribute), counts.of(attribute)
        share, base = here / max(here.sum(), 1), everywhere / max(everywhere.sum(), 1)
        lift = np.divide(share, base, out=np.zeros(len(values)), where=base > 0)
        parts.append(
            pd.DataFrame(
                {
                    "attribute": attribute,
                    "value": values,
                    "n": here,
                    "share": share,
                    "base_rate": base,
                    "lift": lift,
                }
            ).sort_values("lift", ascending=False)
        )
    columns = ["attribute", "value", "n", "share", "base_rate", "lift"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def cross_counts(
    counts: BaseCounts, rows: Int[np.ndarray, " m"], attributes: tuple[str, str]
) -> pd.DataFrame:
    """Clips of `rows` and all embedded clips by two attributes: both columns, n, n_all, firing_rate = n / n_all."""
    first, second = (counts.corpus.coded(name)[1] for name in attributes)
    table = pd.DataFrame(
        {
            attributes[0]: np.repeat(np.array(first, dtype=object), len(second)),
            attributes[1]: np.tile(np.array(second, dtype=object), len(first)),
            "n": counts.among(rows, *attributes).ravel(),
            "n_all": counts.of(*attributes).ravel(),
        }
    )
    table["firing_rate"] = table["n"] / table["n_all"].clip(lower=1)
    return table[table["n_all"] > 0].reset_index(drop=True)


def activation_histogram(activations: Float32[np.ndarray, " m"], *, n_bins: int = 32) -> pd.DataFrame:
    """Counts of activations in equal bins from 0 to the maximum: low, high, n."""
    top = float(activations[0]) if len(activations) else 1.0
    counts, edges = np.histogram(activations, bins=n_bins, range=(0.0, top))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n": counts})


def nearest_by_direction(directions: Float32[np.ndarray, "L d"], latent: int, n: int) -> pd.DataFrame:
    """The n latents whose decoder directions have the highest cosine with this one's: latent, cosine."""
    cosine = directions @ directions[latent]
    cosine[latent] = -np.inf
    best = np.argsort(-cosine, kind="stable")[: min(n, len(cosine) - 1)]
    return pd.DataFrame({"latent": best, "cosine": cosine[best]})


def nearest_by_coactivation(codes: SparseCodes, index: FeatureIndex, latent: int, n: int) -> pd.DataFrame:
    """The n latents most often active on the same clips: latent, jaccard = |A∩B| / |A∪B|, n_together."""
    rows = np.sort(index.postings(latent)[0])
    together_latents = np.asarray(codes.latents[rows])[np.asarray(codes.activations[rows]) > 0]
    together = np.bincount(together_latents, minlength=codes.n_latents)
    jaccard = together / np.maximum(index.n_active() + len(rows) - together, 1)
    jaccard[latent] = -1
    best = np.argsort(-jaccard, kind="stable")[:n]
    best = best[jaccard[best] > 0]
    return pd.DataFrame({"latent": best, "jaccard": jaccard[best], "n_together": together[best]})


def nearest_clips(
    vectors: Float32[np.ndarray, "n d"], is_valid: Bool[np.ndarray, " n"], row: int, n: int
) -> pd.DataFrame:
    """The n embedded clips most similar to one, itself left out: row, cosine; empty when it has no vector."""
    if not is_valid[row]:
        return pd.DataFrame({"row": np.empty(0, np.int64), "cosine": np.empty(0, np.float32)})
    return clips_near(vectors, is_valid, vectors[row], n, but=row)


def clips_near(
    vectors: Float32[np.ndarray, "n d"],
    is_valid: Bool[np.ndarray, " n"],
    wanted: Float32[np.ndarray, " d"],
    n: int,
    *,
    but: int,
) -> pd.DataFrame:
    """The n embedded clips most similar to a vector, one clip left out: row, cosine."""
    cosine = np.where(is_valid, vectors @ wanted, -np.inf)
    cosine[but] = -np.inf
    best = highest(cosine, min(n, int(np.isfinite(cosine).sum())))
    return pd.DataFrame({"row": best, "cosine": cosine[best]})


def highest(values: Float32[np.ndarray, " m"], n: int) -> Int[np.ndarray, " n"]:
    """Places of the n highest values, falling, without sorting the others."""
    best = np.argpartition(-values, n - 1)[:n] if 0 < n < len(values) else np.arange(len(values))[:n]
    return best[np.argsort(-values[best], kind="stable")]


def striking_latents(latents: pd.DataFrame, n: int = 5) -> list[int]:
    """The latents worth hearing first: those that are named, then others by their MCC on held-out speakers, one per
    attribute value, without a warning where possible; then the most active ones."""
    known = latents[latents["best_mcc"].notna() & (latents["n_active"] > 0)]
    ranked = known.assign(has_warning=known["warning"].notna()).sort_values(
        ["is_named", "has_warning", "best_mcc"], ascending=[False, True, False], kind="stable"
    )
    chosen = ranked.drop_duplicates(["best_attribute", "best_value"])["latent"].head(n).tolist()
    rest = latents[latents["n_active"] > 0].sort_values("n_active", ascending=False, kind="stable")["latent"]
    return [int(latent) for latent in dict.fromkeys([*chosen, *rest])][:n]
