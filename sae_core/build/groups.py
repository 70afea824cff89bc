"""For each attribute value the best few latents together, kept beside each SAE."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import SOURCE_ATTRIBUTE, attribute_targets
from sae_core.measures.groups import ValueGroups, find_groups
from sae_core.workspace.trust import GROUP_MEASURES, Groups
from sae_core.workspace.workspace import SaeView, Workspace

_ABOUT = ["attribute", "value", "evidence", "n_latents", "threshold", "n_splits"]


def store_groups(path: Path, names: Sequence[str] | None = None, *, progress: Progress = ignore) -> list[str]:
    """Find the groups of latents of every measured value, sources left out, and return the names of the SAEs that have
    them now.

    names: of the SAEs, by default all that are indexed. Finished work of the same index is kept. SAEs that are stale or
    not indexed are left out.
    """
    workspace, done = Workspace(path), []
    for name in workspace.sae_names() if names is None else names:
        try:
            view = workspace.sae(name)
        except ArtifactError:
            continue
        parents = {"index": view.fingerprint}
        if Groups.load(view.folder, parents, n_latents=view.n_latents) is None:
            groups_of(view, progress=progress).save(view.folder, parents)
        done.append(name)
    return done


def groups_of(view: SaeView, *, progress: Progress = ignore) -> Groups:
    """The groups of every value of one SAE."""
    corpus, lines, members = view.workspace.corpus, [], []
    targets = [
        target
        for target in attribute_targets(corpus, view.embeddings.is_valid)
        if target.attribute != SOURCE_ATTRIBUTE
    ]
    for number, target in enumerate(targets):
        progress(number, len(targets), f"groups of {view.name}: {target.attribute} = {target.value}")
        first = view.statistics.predominant(target.attribute, target.value)
        found = find_groups(view.codes, target, corpus.speaker_groups, first)
        named = {"attribute": target.attribute, "value": target.value}
        lines += _lines({**named, "evidence": target.evidence}, found)
        members += [
            {**named, "n_latents": size, "place": place, "latent": int(latent), "weight": float(weight)}
            for size, group in found.groups.items()
            for place, (latent, weight) in enumerate(zip(group.latents, group.weights, strict=True))
        ]
    table = pd.DataFrame(lines, columns=[*_ABOUT, *GROUP_MEASURES])
    latents = pd.DataFrame(members, columns=["attribute", "value", "n_latents", "place", "latent", "weight"])
    if not lines:
        table = table.astype(dict.fromkeys(_ABOUT[:3], "str") | {"n_latents": "int64", "n_splits": "int64"})
        latents = latents.astype(
            {"attribute": "str", "value": "str"} | dict.fromkeys(latents.columns[2:5], "int64")
        )
    floats = dict.fromkeys(("threshold", *GROUP_MEASURES), "float64")
    return Groups(table.astype(floats), latents.astype({"weight": "float64"}))


def _lines(about: dict[str, str], found: ValueGroups) -> list[dict[str, object]]:
    return [
        {
            **about,
            "n_latents": size,
            "threshold": group.threshold,
            "n_splits": found.n_splits,
            **found.measures[size],
        }
        for size, group in found.groups.items()
    ]
