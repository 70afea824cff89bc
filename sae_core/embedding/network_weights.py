"""The door for weights of a network: the names and shapes it needs, finite, in float16 or float32."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sae_core.files.errors import ArtifactError


def check_weights(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    wanted: Mapping[str, tuple[int, ...]],
    *,
    network: str,
    remedy: str,
) -> None:
    """Raise ArtifactError, naming `path`, unless the tensors are those of the network, each finite and of its shape."""
    if wanted.keys() != tensors.keys():
        differing = ", ".join(sorted(wanted.keys() ^ tensors.keys())[:4])
        raise ArtifactError(
            f"is not a {network} network: missing or unknown tensors {differing}", where=path, remedy=remedy
        )
    for name, shape in wanted.items():
        array = tensors[name]
        if array.shape != shape or array.dtype not in (np.float16, np.float32):
            raise ArtifactError(
                f"{name} is {array.dtype} of shape {array.shape}, not float16 or float32 of {shape}",
                where=path,
                remedy=remedy,
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{name} holds NaN or infinity", where=path, remedy=remedy)
