"""Autoencoders of other libraries brought into a workspace, and ours taken out of it."""

import shutil
from pathlib import Path
from re import compile as compile_pattern
from typing import Any

import numpy as np
import pandas as pd

from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import ArtifactMeta, file_digest, write_json, write_table
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.files.progress import Progress, ignore
from sae_core.sae.config import RETRAIN, TRAINING_KINDS
from sae_core.sae.foreign import ForeignSae, read_foreign
from sae_core.sae.foreign_export import ForeignLayout, write_foreign
from sae_core.sae.model import SparseAutoencoder
from sae_core.sae.quality import gamma, max_decoder_cosine
from sae_core.sae.training import N_MEASURED, SAE_FILES, at_most, can_measure, measure_sae
from sae_core.workspace.workspace import Workspace

_NAME = compile_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_foreign(
    path: Path,
    place: Path,
    *,
    embedder: str | None = None,
    name: str | None = None,
    progress: Progress = ignore,
) -> Path:
    """Bring the SAE in `place`, a folder or file of another library, into the workspace, and return its new folder.

    embedder: the embeddings it reads; by default those of its dimension. name: what it is called, by default
    `<embeddings>-imported-<settings>`. The same SAE imported again is left as it is. Raises ArtifactError for files
    that cannot be used, a dimension that fits no embeddings, a name that another SAE has; ValueError for a name that
    cannot be one. Nothing is left behind then.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a name of an SAE: use at most 100 letters, digits, dots and dashes"
        )
    workspace = Workspace(path)
    progress(0, 3, "reading")
    foreign = read_foreign(place)
    embeddings = _embeddings_for(workspace, foreign, embedder)
    progress(1, 3, "encoding")
    valid = embeddings.vectors if embeddings.is_valid.all() else embeddings.vectors[embeddings.valid_rows]
    sae = foreign.fit(valid)
    folder = workspace.path / "saes" / (name or f"{embeddings.name}-imported-{sae.config.name}")
    if _is_there(folder, sae, embeddings):
        return folder
    progress(2, 3, "measuring")
    try:
        _write(workspace, embeddings, sae, foreign, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    progress(3, 3, "done")
    return folder


def export_foreign(path: Path, name: str, layout: ForeignLayout, out: Path) -> Path:
    """Write one SAE of a workspace into a new folder in the layout of another library, and return that folder.

    Raises as `write_foreign`; ArtifactError where there is no such SAE.
    """
    workspace = Workspace(path)
    if name not in workspace.sae_names():
        raise ArtifactError(
            f"has no SAE named {name!r}",
            where=workspace.path,
            remedy=f"choose one of: {', '.join(workspace.sae_names()) or 'none yet; run train'}",
        )
    folder = workspace.path / "saes" / name
    meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy=RETRAIN)
    meta.check_files(folder, remedy=RETRAIN)
    sae = SparseAutoencoder.load(folder)
    embeddings = str(meta.settings.get("embedder", ""))
    return write_foreign(
        sae, layout, out, notes={"exported_by": "VoxScope", "name": name, "embeddings": embeddings}
    )


def _embeddings_for(workspace: Workspace, foreign: ForeignSae, embedder: str | None) -> Embeddings:
    """The embeddings of the SAE's dimension; ArtifactError where there are none, or several to choose from."""
    found: dict[str, Embeddings] = {}
    for each in workspace.embedder_names():
        try:
            found[each] = workspace.embeddings(each)
        except VoxScopeError:
            if each == embedder:
                raise
    there = ", ".join(f"{each} ({one.dim})" for each, one in found.items()) or "none"
    remedy = (
        f"embed the clips with what it was trained on: python -m sae_core embed --workspace {workspace.path}"
    )
    if embedder is not None and embedder not in found:
        raise ArtifactError(
            f"there are no embeddings by {embedder!r} to read; there are: {there}",
            where=workspace.path,
            remedy=remedy,
        )
    fitting = [each for each, one in found.items() if one.dim == foreign.dim and embedder in (None, each)]
    if not fitting:
        asked = f"of {embedder}" if embedder else "in the workspace"
        raise ArtifactError(
            f"reads embeddings of {foreign.dim} numbers, which those {asked} are not; there are: {there}",
            where=foreign.where,
            remedy=remedy,
        )
    if len(fitting) > 1:
        raise ArtifactError(
            f"reads embeddings of {foreign.dim} numbers, as several have; there are: {there}",
            where=foreign.where,
            remedy="say which ones it was trained on: --embedder NAME",
        )
    return found[fitting[0]]


def _is_there(folder: Path, sae: SparseAutoencoder, embeddings: Embeddings) -> bool:
    """Whether this very SAE on these embeddings is in the folder; ArtifactError where something else is."""
    if not folder.exists():
        return False
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy=RETRAIN)
        is_same = meta.fingerprint == sae.fingerprint and "imported" in meta.settings
        if is_same and meta.parents.get("embeddings") == embeddings.fingerprint:
            meta.check_files(folder, remedy=RETRAIN, whole=True)
            return True
    except ArtifactError:
        pass
    raise ArtifactError(
        "another SAE has that name", where=folder, remedy="choose another: --name NAME, or delete this folder"
    )


def _write(
    workspace: Workspace, embeddings: Embeddings, sae: SparseAutoencoder, foreign: ForeignSae, folder: Path
) -> None:
    """All that a trained SAE's folder has, meta.json last; what training would tell is empty."""
    sae.save(folder)
    table = pd.DataFrame({name: pd.Series(dtype="float64") for name in TRAINING_KINDS})
    write_table(folder / "training.parquet", table.astype({"step": "int64", "n_seen": "int64"}))
    write_json(folder / "metrics.json", _metrics(workspace, embeddings, sae))
    parents = {"embeddings": embeddings.fingerprint, "splits": workspace.corpus.split_fingerprint}
    imported = {
        "layout": foreign.layout,
        "architecture": foreign.architecture,
        "file": foreign.where.name,
        "digest": file_digest(foreign.where),
    }
    settings = {"embedder": embeddings.name, "config": sae.config.to_json(), "imported": imported}
    ArtifactMeta("sae", SparseAutoencoder.load(folder).fingerprint, parents, settings).write(
        folder / "meta.json", files=SAE_FILES
    )


def _metrics(workspace: Workspace, embeddings: Embeddings, sae: SparseAutoencoder) -> dict[str, Any]:
    """How well it rebuilds the clips of this workspace; how it was trained is not known."""
    rows = {
        split: (found := workspace.corpus.rows_in(split))[embeddings.is_valid[found]]
        for split in ("train", "held-out")
    }
    splits = {split: embeddings.vectors[at_most(N_MEASURED, some)] for split, some in rows.items()}
    overlap = max_decoder_cosine(sae.decoder_directions())
    return {
        **{split: measure_sae(sae, part) if can_measure(part) else None for split, part in splits.items()},
        "gamma": gamma(splits["train"]) if can_measure(splits["train"]) else None,
        "max_decoder_cosine_mean": float(overlap.mean()),
        "max_decoder_cosine_p95": float(np.quantile(overlap, 0.95)),
        "n_held_out": len(rows["held-out"]),
    }
