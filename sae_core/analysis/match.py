"""Why two clips match: their cosine similarity decomposed exactly into latents, bias and reconstruction error.

An embedding is the sum of its parts, with D_i = scale · W_dec[i]:

    e = bias + Σ_i v_i D_i + error        bias = mean + scale · b_dec, error = e − SAE(e)

and the cosine of two clips, whose norms are those of the whole embeddings, is bilinear in these parts:

    cos(a, b) = Σ_p Σ_q ⟨a_p, b_q⟩ / (|a| |b|)

A part is credited with its own term and with half of each term between it and another part:

    c_p = ½ (⟨a_p, b⟩ + ⟨a, b_p⟩) / (|a| |b|)        Σ_p c_p = cos(a, b)

This is the Shapley value of a part in the game whose players are the parts and whose value is the score made of the
parts that both clips keep. It does not depend on the order of the clips. All of it is float64, so the parts sum to the
score far below 1e-6.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int64

from sae_core.analysis.trial_sets import TrialSet
from sae_core.files.errors import CorpusError
from sae_core.sae.codes import SparseCodes
from sae_core.workspace.workspace import SaeView

if TYPE_CHECKING:
    from torch import Tensor

    from sae_core.sae.model import SparseAutoencoder

BOTH, FIRST, SECOND, BIAS, ERROR = "both", "first", "second", "bias", "error"
MATCH_PARTS = (BOTH, FIRST, SECOND, BIAS, ERROR)
MAX_TO_FLIP = 8
FEW_TO_FLIP = 3
N_TRIED = 24
LEAST_NORM = 1e-12


@dataclass(frozen=True)
class MatchExplanation:
    """Two clips as sums of parts, and what follows for their score.

    vectors: f64[2, d], the embeddings a and b. latents: i64[m], those active on either clip, ascending.
    activations: f64[2, m]. steps: f64[m, d], the D_i. bias: f64[d].
    """

    vectors: Float64[np.ndarray, "2 d"]
    latents: Int64[np.ndarray, " m"]
    activations: Float64[np.ndarray, "2 m"]
    steps: Float64[np.ndarray, "m d"]
    bias: Float64[np.ndarray, " d"]

    @classmethod
    def of(
        cls, model: "SparseAutoencoder", vectors: Float32[np.ndarray, "2 d"], codes: SparseCodes
    ) -> "MatchExplanation":
        """Two embeddings and their codes; a latent counts as active where its activation is above 0."""
        active = [codes.active(clip) for clip in range(2)]
        latents = np.unique(np.concatenate([found for found, _ in active])).astype(np.int64)
        activations = np.zeros((2, len(latents)))
        for clip, (found, values) in enumerate(active):
            activations[clip, np.searchsorted(latents, found)] = values
        scale, mean, b_dec = (_wide(part) for part in (model.scale, model.mean, model.b_dec))
        steps = _wide(model.W_dec[latents]) * scale
        return cls(vectors.astype(np.float64), latents, activations, steps, mean + scale * b_dec)

    @cached_property
    def score(self) -> float:
        """cos(a, b)."""
        return _cosine(*self.vectors)

    @cached_property
    def rebuilt(self) -> Float64[np.ndarray, "2 d"]:
        """Both clips as the SAE rebuilds them."""
        return self.bias + self.activations @ self.steps

    @property
    def rebuilt_score(self) -> float:
        """The cosine of the two reconstructions: the score without what the SAE leaves unexplained."""
        return _cosine(*self.rebuilt)

    @cached_property
    def latent_table(self) -> pd.DataFrame:
        """One row per latent active on either clip; those of both first, then by the size of their contribution.

        Columns: latent; active_on (`both`, `first` or `second`); activation_first, activation_second; contribution c_i;
        itself (its term with itself, v_i(a) v_i(b) |D_i|² / |a||b|; the rest of c_i comes from its products with other
        parts); without (the score once it is ablated in both clips and all else, the error too, is kept); slope (change
        of the score, to first order, per unit by which its activations are multiplied in both clips).
        """
        contribution, own, own_norms = self._terms
        is_on = self.activations > 0
        active_on = np.where(is_on.all(axis=0), BOTH, np.where(is_on[0], FIRST, SECOND))
        table = pd.DataFrame(
            {
                "latent": self.latents,
                "active_on": active_on,
                "activation_first": self.activations[0],
                "activation_second": self.activations[1],
                "contribution": contribution,
                "itself": own,
                "without": [self.score_without([int(latent)]) for latent in self.latents],
                "slope": 2 * contribution - self.score * own_norms.sum(axis=0),
            }
        )
        order = np.lexsort((-np.abs(contribution), active_on != BOTH))
        return table.iloc[order].reset_index(drop=True)

    @cached_property
    def parts(self) -> pd.Series:
        """The contribution of each of `MATCH_PARTS` to the score; they sum to it."""
        table = self.latent_table
        by_clip = table.groupby("active_on")["contribution"].sum()
        vectors = {BIAS: (self.bias, self.bias), ERROR: tuple(self.vectors - self.rebuilt)}
        found = {part: self._credit(*vectors[part]) for part in vectors}
        return pd.Series({part: found.get(part, by_clip.get(part, 0.0)) for part in MATCH_PARTS}, dtype=float)

    def score_without(self, latents: Collection[int]) -> float:
        """The score once these latents are ablated in both clips; see `score_scaled`."""
        return self.score_scaled(dict.fromkeys(latents, 0.0))

    def score_scaled(self, factors: Mapping[int, float]) -> float:
        """The score once activations of some latents are multiplied in both clips, bias and error kept as they are.

        Closed form over the few latents: with δ = (factor − 1) v, ⟨a', b'⟩ = ⟨a, b⟩ + δ_a·P_b + P_a·δ_b + δ_aᵀ G δ_b,
        and norms likewise. Latents that are silent on both clips change nothing.
        """
        columns = [column for column, latent in enumerate(self.latents) if int(latent) in factors]
        change = np.array([factors[int(self.latents[column])] - 1 for column in columns])
        delta = self.activations[:, columns] * change
        projections, gram = self._projections[:, columns], self._gram[np.ix_(columns, columns)]
        crossed = delta @ projections.T  # [2, 2]: δ of one clip along the other, or along itself
        products = self._products + crossed + crossed.T + delta @ gram @ delta.T
        norms = np.sqrt(np.maximum(np.diag(products), 0))
        return float(products[0, 1] / norms.prod()) if norms.min() > LEAST_NORM else 0.0

    def flips_alone(self, threshold: float) -> list[int]:
        """Latents each of which, ablated alone, moves the score across `threshold`, the furthest first."""
        was = is_accepted(self.score, threshold)
        table = self.latent_table
        turns = np.array([is_accepted(score, threshold) != was for score in table["without"]], dtype=bool)
        flipped = table[turns]
        order = flipped["without"].sort_values(ascending=was, kind="stable").index
        return [int(latent) for latent in flipped.loc[order, "latent"]]

    def flips_together(self, threshold: float) -> list[int]:
        """A few latents whose joint ablation flips the decision, or none where `MAX_TO_FLIP` of them do not.

        Greedy: each next latent is the one that moves the score furthest, given those before it. So the set is small,
        but not proved to be the smallest.
        """
        was = is_accepted(self.score, threshold)
        chosen: list[int] = []
        left = [int(latent) for latent in self.latents]
        while left and len(chosen) < MAX_TO_FLIP:
            scores = {latent: self.score_without([*chosen, latent]) for latent in left}
            best = min(left, key=lambda latent: scores[latent] if was else -scores[latent])
            chosen.append(best)
            left.remove(best)
            if is_accepted(scores[best], threshold) != was:
                return chosen
        return []

    @cached_property
    def _products(self) -> Float64[np.ndarray, "2 2"]:
        return self.vectors @ self.vectors.T

    @cached_property
    def _projections(self) -> Float64[np.ndarray, "2 m"]:
        return self.vectors @ self.steps.T

    @cached_property
    def _gram(self) -> Float64[np.ndarray, "m m"]:
        return self.steps @ self.steps.T

    @cached_property
    def _terms(
        self,
    ) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"], Float64[np.ndarray, "2 m"]]:
        """Of each latent: its contribution, its term with itself, and its fractions of the two squared norms."""
        norms = float(np.linalg.norm(self.vectors, axis=1).prod())
        crossed = self.activations * self._projections[::-1]  # ⟨a_i, b⟩ and ⟨b_i, a⟩
        own = self.activations.prod(axis=0) * np.diag(self._gram)
        own_norms = self.activations * self._projections / np.diag(self._products)[:, None]
        return crossed.sum(axis=0) / (2 * norms), own / norms, own_norms

    def _credit(self, part_a: np.ndarray, part_b: np.ndarray) -> float:
        """c_p of one part, given as it is in a and in b."""
        norms = float(np.linalg.norm(self.vectors, axis=1).prod())
        return float(part_a @ self.vectors[1] + self.vectors[0] @ part_b) / (2 * norms)


def explain_match(view: SaeView, row_a: int, row_b: int) -> MatchExplanation:
    """Return the decomposed score of two clips; they may be the same. CorpusError names a clip without an embedding."""
    embeddings, rows = view.embeddings, [row_a, row_b]
    for row in rows:
        if not embeddings.is_valid[row]:
            raise CorpusError(
                f"says that clip {view.workspace.corpus.table['clip_id'].iloc[row]} has no embedding",
                where=view.workspace.path / "embeddings" / embeddings.name / "failures.parquet",
                remedy="choose another clip",
            )
    codes = SparseCodes(
        np.asarray(view.codes.latents[rows]), np.asarray(view.codes.activations[rows]), view.n_latents
    )
    return MatchExplanation.of(view.model(), np.asarray(embeddings.vectors[rows]), codes)


def opening_pair(view: SaeView, trial_set: TrialSet) -> tuple[int, int]:
    """Return the two clips of a trial set that teach most: a clearly wrong decision that few latents would reverse.

    Of the false acceptances at equal errors, or else of the false rejections, `N_TRIED` are looked at, evenly spaced
    from the clearest to the closest one. It is the first of them that at most `FEW_TO_FLIP` latents flip (see
    `flips_together`), or else the one that fewest flip. Without a wrong decision it is the hardest impostor trial.
    """
    scores, is_target = trial_set.scores, trial_set.trials.is_target
    threshold = trial_set.threshold("equal errors")
    is_high = scores >= np.float32(threshold)
    pairs, falling = trial_set.clip_trials, np.argsort(-scores, kind="stable")
    wrong = falling[(is_high & ~is_target)[falling]]
    if not len(wrong):
        wrong = falling[::-1][(~is_high & is_target)[falling[::-1]]]
    if not len(wrong):
        hardest = falling[~is_target[falling]][0]
        return int(pairs.enrol_rows[hardest]), int(pairs.test_rows[hardest])
    spaced = wrong[np.linspace(0, len(wrong) - 1, min(N_TRIED, len(wrong))).astype(int)]
    tried = [(int(pairs.enrol_rows[trial]), int(pairs.test_rows[trial])) for trial in spaced]
    n_flips = [len(explain_match(view, *rows).flips_together(threshold)) or MAX_TO_FLIP + 1 for rows in tried]
    return tried[int(np.argmin(np.maximum(n_flips, FEW_TO_FLIP)))]


def hardest_partners(
    view: SaeView, row: int, *, is_offered: Bool[np.ndarray, " n"] | None = None
) -> dict[str, int]:
    """Return the hardest trials of one clip: `same`, the clip of its speaker least like it, and `other`, the clip of
    another speaker most like it.

    Only embedded clips take part, and of them those `is_offered`; a speaker with one clip has no `same`.
    """
    embeddings, speakers = view.embeddings, view.workspace.corpus.speaker_groups
    cosine = np.asarray(embeddings.vectors @ np.asarray(embeddings.vectors[row]))
    is_usable = embeddings.is_valid if is_offered is None else embeddings.is_valid & is_offered
    is_other = speakers != speakers[row]
    same = is_usable & ~is_other
    same[row] = False
    found = {}
    if same.any():
        found["same"] = int(np.where(same, cosine, np.inf).argmin())
    if (is_usable & is_other).any():
        found["other"] = int(np.where(is_usable & is_other, cosine, -np.inf).argmax())
    return found


def is_accepted(score: float, threshold: float) -> bool:
    """Whether a score is accepted as one speaker: at or above the threshold, in the precision of trial scores."""
    return bool(np.float32(score) >= np.float32(threshold))


def _wide(part: "Tensor") -> np.ndarray:
    return np.asarray(part.detach().cpu().double().numpy())


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms > LEAST_NORM else 0.0
