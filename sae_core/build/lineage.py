"""The table of what the latents of each SAE become in the next larger one, for other programs."""

from pathlib import Path

import pandas as pd

from sae_core.analysis.movement import order_by_size, refine_sae, trace_saes
from sae_core.files.artifacts import ArtifactMeta, fingerprint, write_table
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.sae.config import variant_name
from sae_core.workspace.workspace import SaeView, Workspace

LINEAGE_TABLE, LINEAGE_META = "lineage.parquet", "lineage.json"
LINEAGE_COLUMNS = ("before", "after", "predecessor", "successor", "cosine", "beyond_chance", "lift")


def store_lineage(path: Path, *, progress: Progress = ignore) -> int:
    """Write which latents of each SAE become which of the next larger one of its variant and k, and how Matryoshka SAEs
    refine themselves, into `lineage.parquet`; return how many pairs there are.

    Columns: `LINEAGE_COLUMNS`. The table is for other programs: pages trace what they show on demand, in
    hundredths of a second. A finished one of the same SAEs is kept.
    """
    views, pairs = _successions(Workspace(path))
    parents = {view.name: view.fingerprint for view in views}
    try:
        meta = ArtifactMeta.read(path / LINEAGE_META, kind="lineage", remedy="run build again")
        if meta.parents == parents:
            return int(meta.settings["n_related"])
    except ArtifactError:
        pass
    parts = []
    for number, (before, after) in enumerate(pairs):
        progress(number, len(pairs), f"{before.name} → {after.name}")
        edges = refine_sae(before) if before is after else trace_saes(before, after).edges
        parts.append(edges.assign(before=before.name, after=after.name)[list(LINEAGE_COLUMNS)])
    found = [part for part in parts if len(part)]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(LINEAGE_COLUMNS))
    write_table(path / LINEAGE_TABLE, table)
    mark = fingerprint(*table.to_csv(index=False).encode().splitlines())
    ArtifactMeta("lineage", mark, parents, {"n_related": len(table)}).write(
        path / LINEAGE_META, files=(LINEAGE_TABLE,)
    )
    return len(table)


def _successions(workspace: Workspace) -> tuple[list[SaeView], list[tuple[SaeView, SaeView]]]:
    """The indexed SAEs, small ones first, and the pairs to trace: each nested one with itself, and each with the next
    larger one of its variant, k, seed and embedder."""
    views = [workspace.sae(name) for name in order_by_size(workspace)]
    pairs = [(view, view) for view in views if view.config.get("prefixes")]
    latest: dict[tuple[object, ...], SaeView] = {}
    for view in views:
        variant = variant_name(view.config["variant"], view.config["prefixes"])
        family = (view.embeddings.name, variant, view.config["k"], view.config["seed"])
        if family in latest:
            pairs.append((latest[family], view))
        latest[family] = view
    return views, pairs
