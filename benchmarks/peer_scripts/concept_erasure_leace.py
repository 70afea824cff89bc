"""EleutherAI's LEACE: the eraser of one value, and embeddings after it, without its shrinkage of the covariance."""

import time

import numpy as np
import torch
from concept_erasure import LeaceFitter


def erase(vectors: str, values: str, out: str) -> float:
    """Fit on embeddings and values in files, write the erased embeddings, and return the seconds that both took."""
    inputs, labels = (torch.from_numpy(np.load(path)).double() for path in (vectors, values))
    started = time.perf_counter()
    fitter = LeaceFitter(inputs.shape[1], labels.shape[1], dtype=torch.float64, shrinkage=False)
    fitter.update(inputs, labels)
    found = fitter.eraser(inputs)
    seconds = time.perf_counter() - started
    np.save(out, found.numpy())
    return seconds
