"""NeMo's speaker model, used through its own two ways to embeddings of files."""

import contextlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch

logging.disable(logging.WARNING)
_state: dict[str, Any] = {}


def load(path: str, manifest: str) -> None:
    """Restore the model; `manifest` is where `in_batches` may write its list of files."""
    from nemo.collections.asr.models import EncDecSpeakerLabelModel
    from omegaconf import OmegaConf, open_dict

    model = EncDecSpeakerLabelModel.restore_from(path, map_location="cpu").eval()
    with open_dict(model._cfg):
        model._cfg.train_ds = OmegaConf.create({"labels": ["nobody"], "sample_rate": 16_000})
    _state.update(model=model, manifest=manifest)


def clip_by_clip(paths: list[str], out: str) -> None:
    """`get_embedding` of one file after the other."""
    with torch.no_grad():
        vectors = [_state["model"].get_embedding(path).squeeze().numpy() for path in paths]
    _keep(np.stack(vectors), out)


def in_batches(paths: list[str], out: str) -> None:
    """`batch_inference` of a list of files, in batches of 32 as it comes; the list needs their durations."""
    entries = [
        {"audio_filepath": path, "duration": librosa.get_duration(path=path), "label": "nobody"}
        for path in paths
    ]
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    Path(_state["manifest"]).write_text(lines, encoding="utf-8")
    with contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        vectors, *_ = _state["model"].batch_inference(_state["manifest"], batch_size=32, device="cpu")
    _keep(np.asarray(vectors), out)


def _keep(vectors: np.ndarray, out: str) -> None:
    np.save(out, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
