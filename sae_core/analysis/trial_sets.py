"""Verification trials of a workspace: drawn among unseen speakers, or read from a list.

Speakers that the SAE was trained on take no part in drawn trials, so that results are about unseen speakers.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int

from sae_core.corpus.clips import Corpus
from sae_core.corpus.inspection import copy_groups
from sae_core.corpus.texts import Text
from sae_core.corpus.trial_lists import TrialList, kept_trial_lists, read_kept_trials
from sae_core.corpus.values import AttributeValue
from sae_core.files.artifacts import fingerprint
from sae_core.files.errors import CorpusError
from sae_core.measures.intervals import PairDraws
from sae_core.measures.verification import (
    MAX_LISTED_TRIALS,
    Trials,
    VerificationResult,
    cosine_scores,
    draw_pairs,
    group_trials,
    parse_trials,
    sample_trials,
    threshold_at,
    verify,
)
from sae_core.workspace.workspace import SaeView

N_TRIALS = 20_000
UNSEEN_SPLITS = ("selection", "held-out")
USUAL_AMONG = ("kind", "speech")
FEW_SPEAKERS = 5
"""Fewer speakers with target trials than this give no interval: resampling so few hides how much they might differ."""
OPERATING_POINTS = {"equal errors": None, "1 impostor in 100": 0.01, "1 impostor in 1,000": 0.001}


@dataclass(frozen=True)
class TrialSet:
    """Trials and what they are made of.

    corpus: all clips. pool_rows: i64[m], the clips they were drawn from. rows: i64[n], the clips that take part,
    ascending. trials: pairs of positions in `rows`. vectors: f32[n, d], their embeddings. scores: f32[p], the cosine of
    each pair. groups: trial group → bool[p]. is_listed: whether they come from a list. n_training: trials with a clip
    of a speaker that the SAE was trained on. copy_groups: of all clips, equal where two are exact copies.
    published_list: the list that came with the corpus, where they are from one. n_not_drawn: how many of its trials
    were left out by chance, since it is too long to score all of them.
    left_out: which lines of somebody's own list were left out, in words.
    """

    corpus: Corpus
    pool_rows: Int[np.ndarray, " m"]
    rows: Int[np.ndarray, " n"]
    trials: Trials
    vectors: Float32[np.ndarray, "n d"]
    scores: Float32[np.ndarray, " p"]
    groups: dict[str, Bool[np.ndarray, " p"]]
    is_listed: bool
    n_training: int
    copy_groups: Int[np.ndarray, " clips"]
    published_list: TrialList | None = None
    n_not_drawn: int = 0
    left_out: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the clips that take part or with how they are paired: what caches of one SAE's trials key on."""
        pairs = self.trials
        return fingerprint(self.rows, pairs.enrol_rows, pairs.test_rows, pairs.is_target, self.pool_rows)

    @cached_property
    def speaker_groups(self) -> Int[np.ndarray, " n"]:
        """The speaker of each clip that takes part, by number."""
        return self.corpus.speaker_groups[self.rows]

    @cached_property
    def clip_trials(self) -> Trials:
        """The same trials as pairs of clip rows."""
        return Trials(
            self.rows[self.trials.enrol_rows], self.rows[self.trials.test_rows], self.trials.is_target
        )

    @cached_property
    def n_speakers(self) -> int:
        """How many speakers take part."""
        return len(np.unique(self.speaker_groups))

    @cached_property
    def verified(self) -> VerificationResult:
        """How well the embeddings as they are verify speakers."""
        return verify(self.scores, self.trials, self.speaker_groups, drawn=self.draws)

    @cached_property
    def draws(self) -> PairDraws:
        """Bootstrap draws of speakers, for intervals."""
        return draw_pairs(self.trials, self.speaker_groups)

    @property
    def has_intervals(self) -> bool:
        """Whether enough speakers have target trials for intervals over speakers to mean anything."""
        return self.verified.n_speakers >= FEW_SPEAKERS

    def threshold(self, operating_point: str) -> float:
        """The score at which the embeddings as they are reach one of `OPERATING_POINTS`."""
        rate = OPERATING_POINTS[operating_point]
        if rate is None:
            return self.verified.threshold
        return threshold_at(self.scores, self.trials.is_target, far=rate)


def draw_trials(
    view: SaeView, *, among: AttributeValue | None = None, n_trials: int = N_TRIALS, seed: int = 0
) -> TrialSet:
    """Draw trials among unseen speakers: all of them, or those whose clips carry one attribute value.

    Raises CorpusError where too few speakers carry it.
    """
    pool = unseen_rows(view, among)
    trials = sample_trials(view.workspace.corpus, pool, n_trials=n_trials, seed=seed)
    trials = drop_copies(trials, copies_in(view))
    if not trials.is_target.any():
        raise CorpusError(
            "holds no two clips of one unseen speaker that are not copies of each other",
            where=view.workspace.path,
            remedy="import more clips of each speaker",
        )
    return _trial_set(view, trials, pool, is_listed=False)


def drop_copies(trials: Trials, copy_groups: Int[np.ndarray, " clips"]) -> Trials:
    """The trials that do not compare a clip with an exact copy of it, which says nothing of speakers."""
    groups = copy_groups[trials.enrol_rows]
    return trials.select((groups < 0) | (groups != copy_groups[trials.test_rows]))


def copies_in(view: SaeView) -> Int[np.ndarray, " n"]:
    """See `copy_groups`; read once a workspace."""
    workspace = view.workspace
    return workspace.kept("copies", lambda: copy_groups(workspace.path, workspace.corpus))


def read_trial_list(view: SaeView, text: Text | str, *, name: str) -> TrialSet:
    """Return the trials of a list, in any order people write them; CorpusError where it is none.

    Trials of clips without an embedding are left out: they have no score.
    """
    trials, left_out = parse_trials(text, view.workspace.corpus, where=name)
    return replace(_listed_set(view, trials, where=name), left_out=left_out)


def open_trial_list(view: SaeView, name: str) -> TrialSet:
    """Return the trials of a list that came with the corpus and is kept in the workspace.

    From one with more than `MAX_LISTED_TRIALS` that many are drawn, always the same. CorpusError when
    there is none of that name, or it lacks targets or non-targets among embedded clips.
    """
    folder, clip_ids = view.workspace.path, view.workspace.corpus.table["clip_id"]
    kept = read_kept_trials(folder, name)
    enrol, test = (pd.Index(clip_ids).get_indexer(kept[side]) for side in ("enrol", "test"))
    trials = Trials(enrol, test, kept["is_target"].to_numpy(dtype=bool))
    is_scored = (enrol >= 0) & (test >= 0)
    known = np.flatnonzero(is_scored)
    if len(known) > MAX_LISTED_TRIALS:
        is_scored[np.random.default_rng(0).permutation(known)[MAX_LISTED_TRIALS:]] = False
    scored = _listed_set(view, trials.select(is_scored), where=name)
    published_list = next(found for found in kept_trial_lists(folder) if found.name == name)
    n_not_drawn = max(0, len(known) - MAX_LISTED_TRIALS)
    return replace(scored, published_list=published_list, n_not_drawn=n_not_drawn)


def _listed_set(view: SaeView, trials: Trials, *, where: str) -> TrialSet:
    is_usable = view.embeddings.is_valid[trials.enrol_rows] & view.embeddings.is_valid[trials.test_rows]
    trials = trials.select(is_usable)
    if trials.is_target.all() or not trials.is_target.any():
        raise CorpusError(
            "holds no targets (1) or no non-targets (0) among embedded clips",
            where=where,
            remedy="list trials of both kinds",
        )
    pool = np.unique(np.concatenate([trials.enrol_rows, trials.test_rows]))
    return _trial_set(view, trials, pool, is_listed=True)


def unseen_rows(view: SaeView, among: AttributeValue | None = None) -> Int[np.ndarray, " m"]:
    """Embedded clips of selection and held-out speakers, ascending; with `among`, those that carry the value."""
    corpus = view.workspace.corpus
    chosen = np.isin(corpus.table["split"].to_numpy(), UNSEEN_SPLITS) & view.embeddings.is_valid
    if among is not None:
        chosen &= corpus.has_value(*among)
    return np.flatnonzero(chosen)


def usual_among(corpus: Corpus) -> AttributeValue | None:
    """Human speech where clips are labelled so (music and synthesisers are no speakers to verify), else every clip."""
    attribute, value = USUAL_AMONG
    if attribute in corpus.attributes and value in corpus.values_of(attribute):
        return USUAL_AMONG
    return None


def _trial_set(view: SaeView, trials: Trials, pool: np.ndarray, *, is_listed: bool) -> TrialSet:
    corpus = view.workspace.corpus
    rows, positions = np.unique(np.concatenate([trials.enrol_rows, trials.test_rows]), return_inverse=True)
    local = Trials(positions[: len(trials)], positions[len(trials) :], trials.is_target)
    vectors = np.asarray(view.embeddings.vectors[rows])
    is_training = (corpus.table["split"] == "train").to_numpy()
    return TrialSet(
        corpus=corpus,
        pool_rows=pool,
        rows=rows,
        trials=local,
        vectors=vectors,
        scores=cosine_scores(vectors, local),
        groups=group_trials(corpus, trials),
        is_listed=is_listed,
        n_training=int((is_training[trials.enrol_rows] | is_training[trials.test_rows]).sum()),
        copy_groups=copies_in(view),
    )
