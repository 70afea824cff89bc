"""SAEs over the same clips side by side, whatever encoders they read: which latents are in all of them, and which
encoder knows which value."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool

from sae_core.files.errors import ArtifactError
from sae_core.measures.linear_probe import read_probes
from sae_core.measures.matching import LatentMatches, match_latents
from sae_core.sae.config import SaeConfig, read_config, variant_name
from sae_core.workspace.workspace import SaeView, Workspace

Clips = Literal["all", "unseen speakers"]
FALSE_MATCH_RATE = 0.01
MAX_KEPT = 32
MAX_COUNTERPARTS = 3
"""Of SAEs on the same embeddings, so many are compared with at first."""


def counterparts(workspace: Workspace, name: str) -> list[str]:
    """The SAEs to compare one with at first, by name: of each other encoder the one most like it in variant, L, k and
    seed. Where there is no other encoder, those that differ in the seed alone, or else the few most like it.

    Worked out once and kept while the workspace is open.
    """
    return list(workspace.kept("counterparts", lambda: _counterparts(workspace, name), of=name))


def _counterparts(workspace: Workspace, name: str) -> list[str]:
    configs = {each: config for each in workspace.sae_names() if (config := _config_of(workspace, each))}
    mine, embeddings = configs.pop(name, None), workspace.embeddings_of(name)
    if mine is None:
        return []
    ranked = sorted(configs, key=lambda each: _unlikeness(configs[each], mine))
    first: dict[str, str] = {}
    for each in ranked:
        first.setdefault(workspace.embeddings_of(each), each)
    first.pop(embeddings, None)
    if first:
        return list(first.values())
    seeds = [each for each in ranked if not any(_unlikeness(configs[each], mine)[:-1])]
    return (seeds or ranked)[:MAX_COUNTERPARTS]


def _config_of(workspace: Workspace, name: str) -> SaeConfig | None:
    try:
        return read_config(workspace.path / "saes" / name, remedy="")
    except ArtifactError:
        return None


def _unlikeness(one: SaeConfig, other: SaeConfig) -> tuple[float, ...]:
    """By variant first, then by the ratios of L and k, last by seed; 0 throughout for the same settings."""
    is_other = variant_name(one.variant, one.prefixes) != variant_name(other.variant, other.prefixes)
    ratios = (np.log2(one.n_latents / other.n_latents), np.log2(one.k / other.k))
    return float(is_other), *(abs(float(ratio)) for ratio in ratios), float(one.seed != other.seed)


def open_saes(workspace: Workspace, names: Sequence[str]) -> list[SaeView]:
    """Those of these SAEs that can be opened: what is stale or not indexed is left out."""
    found = []
    for name in names:
        try:
            found.append(workspace.sae(name))
        except ArtifactError:
            continue
    return found


def clips_to_match(one: SaeView, other: SaeView, clips: Clips) -> Bool[np.ndarray, " n"]:
    """The clips that both SAEs have codes of: all, or those of speakers whom no SAE was trained on."""
    is_valid = np.asarray(one.embeddings.is_valid & other.embeddings.is_valid)
    if clips == "all":
        return is_valid
    return np.asarray(is_valid & (one.workspace.corpus.table["split"] != "train").to_numpy())


def match_saes(one: SaeView, other: SaeView, *, clips: Clips = "unseen speakers") -> LatentMatches:
    """Return the latents of two SAEs of one workspace matched by correlation, with a null from shuffled speakers.

    Worked out once for both directions and kept while the workspace is open. Raises ValueError for SAEs of two
    workspaces.
    """
    if one.workspace is not other.workspace:
        raise ValueError(f"{one.name} and {other.name} are not in one workspace")
    corpus, is_turned = one.workspace.corpus, one.fingerprint > other.fingerprint

    def match() -> LatentMatches:
        if is_turned:
            return match_saes(other, one, clips=clips).turned()
        is_counted = clips_to_match(one, other, clips)
        return match_latents(one.index, other.codes, is_counted, speaker_groups=corpus.speaker_groups)

    of = (one.fingerprint, other.fingerprint, clips)
    return one.workspace.kept("matches", match, of=of, at_most=MAX_KEPT)


def matched_fractions(
    views: Sequence[SaeView], *, clips: Clips = "unseen speakers", false_match_rate: float = FALSE_MATCH_RATE
) -> pd.DataFrame:
    """One row for each ordered pair of SAEs: sae, other, threshold (the correlation that only `false_match_rate` of the
    latents reach by chance), fraction of the first one's active latents whose best match reaches it, and
    one_to_one, the fraction whose partner does."""
    lines = []
    for one in views:
        for other in views:
            if one is not other:
                found = match_saes(one, other, clips=clips)
                threshold = found.threshold_at(false_match_rate)
                line = found.fractions((threshold,)).iloc[0]
                fractions = (float(line["best_of_one"]), float(line["partners_of_one"]))
                lines.append((one.name, other.name, threshold, *fractions))
    return pd.DataFrame(lines, columns=["sae", "other", "threshold", "fraction", "one_to_one"])


def latents_elsewhere(
    view: SaeView,
    others: Sequence[SaeView],
    *,
    clips: Clips = "unseen speakers",
    false_match_rate: float = FALSE_MATCH_RATE,
) -> pd.DataFrame:
    """One row for each active latent of an SAE: whether the other SAEs have it, too.

    Columns: latent, name; for each other SAE `<sae>` (the best match there, -1 where none is beyond chance) and
    `<sae>_correlation`; n_found, in how many it is; is_universal, whether in all; lowest, the lowest of its
    correlations. The most universal first, by `lowest` within.
    """
    table = pd.DataFrame({"latent": np.arange(view.n_latents)})
    n_found, lowest = np.zeros(view.n_latents, np.int64), np.ones(view.n_latents)
    is_active = np.ones(view.n_latents, dtype=bool)
    for other in others:
        found = match_saes(view, other, clips=clips)
        correlation = found.one["correlation"].to_numpy()
        is_found = (correlation >= found.threshold_at(false_match_rate)) & (correlation > 0)
        table[other.name] = np.where(is_found, found.one["best"], -1)
        table[f"{other.name}_correlation"] = correlation
        n_found, lowest = n_found + is_found, np.minimum(lowest, correlation)
        is_active &= (found.one["n_active"] > 0).to_numpy()
    table["n_found"], table["is_universal"], table["lowest"] = n_found, n_found == len(others), lowest
    table = table[is_active].sort_values(["n_found", "lowest"], ascending=False, ignore_index=True)
    table.insert(1, "name", [view.name_of(int(latent)) for latent in table["latent"]])
    return table


def values_by_sae(workspace: Workspace, names: Sequence[str] | None = None) -> pd.DataFrame:
    """One row for each attribute value and SAE: which encoder knows what.

    Columns: attribute, value, evidence, sae, embedder, latent (the predominant one), f1, f1_low, f1_high,
    is_confirmed, and probe_f1, probe_f1_low, probe_f1_high of the linear probe on the embedding (missing where none is
    kept). SAEs that are stale or not indexed are left out.
    """
    parts = []
    for view in open_saes(workspace, workspace.sae_names() if names is None else names):
        table = view.predominant_latents()
        columns = [
            *("attribute", "value", "evidence", "latent", "f1", "f1_low", "f1_high", "is_confirmed"),
        ]
        table = table[columns].assign(sae=view.name, embedder=view.embeddings.name)
        parts.append(_with_probes(workspace, view, table))
    order = ["attribute", "value", "evidence", "sae", "embedder", "latent", "f1", "f1_low", "f1_high"]
    order += ["is_confirmed", *_PROBED]
    if not parts:
        return pd.DataFrame(columns=order)
    return pd.concat(parts, ignore_index=True)[order].sort_values(
        ["attribute", "value"], kind="stable", ignore_index=True
    )


_PROBED = ("probe_f1", "probe_f1_low", "probe_f1_high")


def _with_probes(workspace: Workspace, view: SaeView, table: pd.DataFrame) -> pd.DataFrame:
    folder = workspace.path / "embeddings" / view.embeddings.name
    probes = read_probes(workspace.corpus, view.embeddings, folder)
    if probes is None:
        return table.assign(**dict.fromkeys(_PROBED, np.nan))
    renamed = probes.rename(columns={name.removeprefix("probe_"): name for name in _PROBED})
    return table.merge(renamed[["attribute", "value", *_PROBED]], on=["attribute", "value"], how="left")
