"""Maps without UMAP, for tests of what is done with maps: each point lies at two chosen numbers of its row."""

import os
import shutil
from pathlib import Path

import numpy as np


def lay_out_plainly(points, is_placed, settings):
    """Stands in for `lay_out`: two random directions of the data, scaled into −1…1."""
    from sae_core.measures.maps import PointMap, settings_of
    from sae_core.sae.codes import SparseCodes

    data = points.dense() if isinstance(points, SparseCodes) else np.asarray(points)
    xy = (data @ np.random.default_rng(settings.seed).normal(size=(data.shape[1], 2))).astype(np.float32)
    xy[~is_placed] = 0
    return PointMap(xy / np.abs(xy).max(), np.asarray(is_placed), settings_of(settings))


def copy_with_maps(workspace: Path, folder: Path) -> Path:
    """A copy of a workspace with plain maps of its default SAE; its files are shared: write new ones, change none."""
    from sae_core.build import workspace_maps

    copy = Path(shutil.copytree(workspace, folder / "mapped", copy_function=os.link))
    usual, workspace_maps.lay_out = workspace_maps.lay_out, lay_out_plainly
    try:
        workspace_maps.map_workspace(copy)
    finally:
        workspace_maps.lay_out = usual
    return copy
