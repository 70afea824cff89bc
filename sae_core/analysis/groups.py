"""Groups of latents beside the single latent and the linear probe: is one latent enough for a value?"""

import numpy as np
import pandas as pd

from sae_core.files.errors import ArtifactError
from sae_core.measures.absorption import Absorption, ValueDirection, find_absorbed
from sae_core.measures.attributes import attribute_targets
from sae_core.measures.groups import latents_needed
from sae_core.measures.linear_probe import read_probes
from sae_core.workspace.workspace import SaeView

SINGLE, GROUP, PROBE = "single latent", "group", "linear probe"
_COMPARED = ["attribute", "value", "evidence", "kind", "n_latents", "f1", "f1_low", "f1_high"]


def groups_beside(view: SaeView) -> pd.DataFrame:
    """For each attribute value the single latent, the groups and the linear probe, on the reported clips.

    Columns: attribute, value, evidence, kind (`SINGLE`, `GROUP` or `PROBE`), n_latents (0 for the probe), f1, f1_low,
    f1_high; n_needed: latents of the smallest group within 0.02 of the best one's F1. Raises ArtifactError where no
    groups are kept.
    """
    groups = view.groups()
    if groups is None:
        raise ArtifactError(
            "holds no groups of latents",
            where=view.folder,
            remedy=f"run: python -m sae_core trust --workspace {view.workspace.path}",
        )
    single = view.predominant_latents().assign(kind=SINGLE, n_latents=1)
    parts = [single, groups.table.assign(kind=GROUP)]
    workspace = view.workspace
    probes = read_probes(
        workspace.corpus, view.embeddings, workspace.path / "embeddings" / view.embeddings.name
    )
    if probes is not None:
        parts.append(probes.assign(kind=PROBE, n_latents=0))
    table = pd.concat([part[_COMPARED] for part in parts], ignore_index=True)
    needed = {
        key: latents_needed(some.set_index("n_latents")["f1"])
        for key, some in groups.table.groupby(["attribute", "value"])
    }
    keys = list(zip(table["attribute"], table["value"], strict=True))
    table = table[[key in needed for key in keys]]
    table["n_needed"] = [needed[key] for key in keys if key in needed]
    return table.sort_values(["attribute", "value"], kind="stable", ignore_index=True)


def absorption_of(view: SaeView, attribute: str, value: str) -> Absorption:
    """Return which reported clips of a value its predominant latent misses because a narrower latent took them.

    Raises ValueError for a value that was not measured.
    """
    row = view.statistics.value_row(attribute, value)
    latent = view.statistics.predominant(attribute, value)
    targets = view.workspace.kept(
        "targets",
        lambda: attribute_targets(view.workspace.corpus, view.embeddings.is_valid),
        of=view.embeddings.name,
    )
    target = next(each for each in targets if (each.attribute, each.value) == (attribute, value))
    direction = ValueDirection.between(
        view.embeddings.vectors,
        target.is_positive,
        np.flatnonzero(target.is_selection),
        view.decoder().steps,
    )
    return find_absorbed(
        view.codes,
        np.flatnonzero(target.is_reported & target.is_positive),
        direction,
        latent=latent,
        threshold=float(view.statistics.measures["threshold"][latent, row]),
        n_active=view.index.n_active(),
    )
