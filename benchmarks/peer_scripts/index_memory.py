"""Ours, in a fresh process: how far building an index into files raises resident memory."""

import re
import tempfile
from pathlib import Path

from sae_core.sae.codes import SparseCodes
from sae_core.sae.feature_index import FeatureIndex


def build(folder: str, n_clips: int, memory_mb: int) -> float:
    """Megabytes that resident memory grew by at its highest (Linux), of the first clips of the codes in `folder`."""
    codes = SparseCodes.load(Path(folder), n_latents=8192, remedy="run the benchmark again")
    some = SparseCodes(codes.latents[:n_clips], codes.activations[:n_clips], codes.n_latents)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        before = _resident_mb("VmRSS")
        FeatureIndex.write(some, Path(out), memory_mb=memory_mb)
        return _resident_mb("VmHWM") - before


def _resident_mb(which: str) -> float:
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert found is not None
    return int(found[1]) / 1024
