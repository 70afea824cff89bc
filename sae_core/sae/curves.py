"""How training goes: the reports of finished SAEs, and of those still at it as far as their last checkpoint."""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from sae_core.files.artifacts import read_table
from sae_core.files.errors import ArtifactError
from sae_core.sae.config import TRAINING_KINDS
from sae_core.sae.training import CHECKPOINT, TABLE_COLUMNS

CURVE_COLUMNS = ("sae", "is_finished", *TABLE_COLUMNS)


def training_curves(path: Path) -> pd.DataFrame:
    """Return one row a report of every SAE in a workspace folder, by name and step: `CURVE_COLUMNS`.

    Read while training writes, so that an SAE between its checkpoint and its end may be missing for a moment.
    """
    parts = []
    for folder in sorted((Path(path) / "saes").glob("*")):
        is_finished = (folder / "meta.json").exists()
        table = _finished(folder) if is_finished else _unfinished(folder)
        if table is not None and len(table):
            parts.append(table.assign(sae=folder.name, is_finished=is_finished)[list(CURVE_COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(CURVE_COLUMNS))


def _finished(folder: Path) -> pd.DataFrame | None:
    try:
        return read_table(folder / "training.parquet", columns=TRAINING_KINDS)
    except ArtifactError:
        return None


def _unfinished(folder: Path) -> pd.DataFrame | None:
    """The reports in a checkpoint; its weights, most of it, are not read."""
    try:
        with safe_open(str(folder / CHECKPOINT), framework="numpy") as tensors:
            rows = np.asarray(tensors.get_tensor("table"))
    except (OSError, SafetensorError):
        return None
    is_table = rows.ndim == 2 and rows.shape[1] == len(TABLE_COLUMNS)
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS)) if is_table else None
