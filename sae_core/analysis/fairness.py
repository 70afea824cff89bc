"""Error rates of a workspace's trials by attributes, their intersections and measures; latents that a gap rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32

from sae_core.analysis.hints import ACOUSTIC_MEASURES
from sae_core.analysis.latent_acoustics import acoustics_of
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.clips import Corpus
from sae_core.files.errors import CorpusError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.fairness import (
    FEW_SPEAKERS,
    far_at_equal_errors,
    frr_gap,
    gap_changes,
    group_errors,
    speaker_errors,
)
from sae_core.measures.steering import MAX_LATENTS, Change, Steering
from sae_core.workspace.workspace import SaeView, Workspace

N_WITH_INTERVAL = 12
N_BANDS = 3
MAX_GROUPS = 200


def attribute_groups(corpus: Corpus, attributes: Sequence[str]) -> dict[str, Bool[np.ndarray, " n"]]:
    """Groups of clips by the values of one attribute, or by the intersections of several: "female, es" → its clips.

    At most `MAX_GROUPS`, the largest; those without a clip are left out. Raises CorpusError for an unknown attribute.
    """
    unknown = [name for name in attributes if name not in corpus.attributes]
    if unknown or not attributes:
        raise CorpusError(
            f"has no attribute {unknown[0]!r}" if unknown else "is to be grouped by no attribute",
            where=corpus.audio_root,
            remedy=f"choose among: {', '.join(corpus.attributes) or 'none, import labels first'}",
        )
    values = [[(name, value) for value in corpus.values_of(name)] for name in attributes]
    masks = {pair: corpus.has_value(*pair) for pairs in values for pair in pairs}
    found = {
        ", ".join(value for _, value in pairs): np.logical_and.reduce([masks[pair] for pair in pairs])
        for pairs in product(*values)
    }
    held = sorted((name for name in found if found[name].any()), key=lambda name: -int(found[name].sum()))
    return {name: found[name] for name in held[:MAX_GROUPS]}


def crossed_groups(workspace: Workspace, by: Sequence[str]) -> dict[tuple[str, ...], Bool[np.ndarray, " n"]]:
    """Groups of clips by one or several attributes or acoustic measures, crossed: one part of the key for each of `by`,
    the value of an attribute or the band of a measure (see `bands`). At most `MAX_GROUPS`, the largest.

    Raises CorpusError for what is neither, ArtifactError where the sound was not measured.
    """
    corpus, each = workspace.corpus, list[dict[str, np.ndarray]]()
    for name in by:
        if name in corpus.attributes or name not in ACOUSTIC_MEASURES:
            each.append(attribute_groups(corpus, [name]))
        else:
            about = ACOUSTIC_MEASURES[name]
            each.append(bands(acoustics_of(workspace).table[name] * about.factor, unit=about.unit))
    found = {
        keys: np.logical_and.reduce([part[key] for part, key in zip(each, keys, strict=True)])
        for keys in product(*each)
    }
    held = sorted((keys for keys in found if found[keys].any()), key=lambda keys: -int(found[keys].sum()))
    return {keys: found[keys] for keys in held[:MAX_GROUPS]}


def bands(values: pd.Series, *, unit: str = "", n: int = N_BANDS) -> dict[str, Bool[np.ndarray, " n"]]:
    """Groups of clips by a measure, such as signal-to-noise ratio or length: bands of equally many clips; clips that
    lack it are in none."""
    numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n + 1))) if len(known) else np.empty(0)
    found = {}
    for low, high in pairwise(edges):
        is_last = high == edges[-1]
        with np.errstate(invalid="ignore"):
            mask = (numbers >= low) & ((numbers <= high) if is_last else (numbers < high))
        found[f"{low:.3g} to {high:.3g} {unit}".strip()] = mask
    return found


def errors_by_group(
    trial_set: TrialSet, groups: dict[str, Bool[np.ndarray, " clips"]], *, operating_point: str
) -> pd.DataFrame:
    """Error rates of the embedding as it is within groups of clips of the corpus (see `group_errors`).

    The common threshold is that of all trials at one of `OPERATING_POINTS`.
    """
    return group_errors(
        trial_set.scores,
        trial_set.trials,
        {name: mask[trial_set.rows] for name, mask in groups.items()},
        trial_set.speaker_groups,
        threshold=trial_set.threshold(operating_point),
    )


def errors_by_speaker(trial_set: TrialSet, *, operating_point: str) -> pd.DataFrame:
    """Goats, lambs and wolves among the speakers of the trials (see `speaker_errors`), with speaker_id."""
    table = speaker_errors(
        trial_set.scores,
        trial_set.trials,
        trial_set.speaker_groups,
        threshold=trial_set.threshold(operating_point),
    )
    groups, ids = trial_set.speaker_groups, trial_set.corpus.table["speaker_id"].to_numpy()[trial_set.rows]
    first = dict(zip(groups[::-1].tolist(), ids[::-1].tolist(), strict=True))
    table.insert(1, "speaker_id", [first[number] for number in table["speaker"]])
    return table


@dataclass(frozen=True)
class Gap:
    """What a gap in false rejections between two groups rests on.

    frr_gap: worse − better, where as many non-targets are accepted as at equal errors of all trials. latents: f64[L],
    the gap once each latent is off (NaN where it is silent on the trials). table: see `gap_changes`, for those that
    change it most.
    """

    worse: str
    better: str
    frr_gap: float
    latents: Float32[np.ndarray, " L"]
    table: pd.DataFrame

    def remedy(self) -> list[Change]:
        """The one latent without which the worse group gains most while the rest loses nothing; empty if none does."""
        helps = self.table[self.table["helps"].astype(bool)]
        if not len(helps):
            return []
        gains = helps["worse"] - helps["worse_before"]
        return [Change(int(helps["latent"].iloc[int(np.argmin(gains))]), "ablate")]


def explain_gap(
    view: SaeView,
    trial_set: TrialSet,
    groups: dict[str, Bool[np.ndarray, " clips"]],
    *,
    worse: str,
    better: str,
    progress: Progress = ignore,
) -> Gap:
    """Return which latents the gap between two of the groups rests on: each is taken out of all clips alone.

    Raises CorpusError where either group has fewer than `FEW_SPEAKERS` speakers with target trials.
    """
    trials, speakers = trial_set.trials, trial_set.speaker_groups
    pair = (groups[worse][trial_set.rows], groups[better][trial_set.rows])
    for name, member in zip((worse, better), pair, strict=True):
        inside = member[trials.enrol_rows] & member[trials.test_rows] & trials.is_target
        n = len(np.unique(speakers[trials.enrol_rows[inside]]))
        if n < FEW_SPEAKERS:
            raise CorpusError(
                f"has {n} speakers of {name} with target trials, too few to compare",
                where=view.workspace.path,
                remedy=f"choose groups of at least {FEW_SPEAKERS} speakers",
            )
    far = far_at_equal_errors(trial_set.scores, trials)
    codes = view.codes.take(trial_set.rows)
    active = np.unique(codes.latents[codes.activations > 0])
    gaps = np.full(view.n_latents, np.nan, np.float32)
    for start in range(0, len(active), MAX_LATENTS):
        some = tuple(map(int, active[start : start + MAX_LATENTS]))
        for latent, scores in _without_each(view, trial_set, some).items():
            gaps[latent] = frr_gap(scores, trials, pair, far=far)
        progress(min(start + MAX_LATENTS, len(active)), len(active), "latents")
    before = frr_gap(trial_set.scores, trials, pair, far=far)
    change = np.abs(np.nan_to_num(gaps - before))
    strongest = np.argsort(-change, kind="stable")[:N_WITH_INTERVAL]
    scorings = _without_each(view, trial_set, tuple(map(int, strongest[change[strongest] > 0])))
    table = gap_changes(scorings, (trial_set.scores, trials), speakers, pair)
    return Gap(worse, better, before, gaps, table)


def _without_each(
    view: SaeView, trial_set: TrialSet, latents: tuple[int, ...]
) -> dict[int, Float32[np.ndarray, " p"]]:
    """The scores of the trials when each of some latents alone is off."""
    steering = Steering.prepare(
        trial_set.vectors, view.decoder().steps, view.codes.take(trial_set.rows), latents
    )
    found = {}
    for latent in latents:
        alone = steering.only(latent)
        delta = alone.deltas([Change(latent, "ablate")])
        found[latent] = alone.similarities(trial_set.scores, trial_set.trials, delta)
    return found
