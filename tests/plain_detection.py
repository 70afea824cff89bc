"""Brute force beside `sae_core.measures.threshold_measures`: one latent, each run of equal activations, each value."""

from dataclasses import dataclass

import numpy as np

from sae_core.measures.threshold_measures import matthews


@dataclass(frozen=True)
class Masks:
    """Masks of clips, one column a value, so that one gather serves every value."""

    selection_positive: np.ndarray  # bool [n, V]
    selection: np.ndarray
    reported_positive: np.ndarray
    reported: np.ndarray
    n_selection_positive: np.ndarray  # [V]
    n_selection: np.ndarray
    n_reported_positive: np.ndarray
    n_reported: np.ndarray


def measure_latent(rows: np.ndarray, activations: np.ndarray, masks: Masks) -> dict[str, np.ndarray]:
    """Return the measures of one latent for every value, from cumulative sums at the ends of equal activations."""
    ends = np.flatnonzero(np.append(activations[1:] != activations[:-1], True))

    def sums(mask: np.ndarray) -> np.ndarray:  # [e, V]
        return np.cumsum(mask[rows], axis=0, dtype=np.int64)[ends]

    chosen_true, chosen = sums(masks.selection_positive), sums(masks.selection)
    f1 = 2 * chosen_true / np.maximum(chosen + masks.n_selection_positive, 1)  # [e, V]
    best = np.where(f1.max(axis=0) > 0, np.argmax(f1, axis=0), len(ends) - 1)
    levels = np.append(activations[ends], 0.0)
    between = ((levels[:-1] + levels[1:]) / 2).astype(np.float32)
    between = np.where(between < levels[:-1], between, levels[1:])  # halfway may round up to the level itself
    between[-1] = 0.0
    thresholds = between[best]

    true, told = sums(masks.reported_positive), sums(masks.reported)
    columns = np.arange(true.shape[1])
    hit, called = true[best, columns], told[best, columns]
    n_positive, n_all = masks.n_reported_positive, masks.n_reported
    precision = hit / np.maximum(called, 1)
    recall = hit / np.maximum(n_positive, 1)
    base_rate = n_positive / np.maximum(n_all, 1)
    return {
        "threshold": thresholds,
        "selection_f1": f1.max(axis=0),
        "selection_mcc": matthews(
            chosen_true[best, columns], chosen[best, columns], masks.n_selection_positive, masks.n_selection
        ),
        "precision": precision,
        "recall": recall,
        "f1": 2 * hit / np.maximum(called + n_positive, 1),
        "mcc": matthews(hit, called, n_positive, n_all),
        "auroc": _auroc(true, told - true, n_positive, n_all - n_positive),
        "average_precision": _average_precision(true, told, n_positive, n_all),
        "lift": precision / np.maximum(base_rate, 1e-12),
    }


def _auroc(true: np.ndarray, false: np.ndarray, n_true: np.ndarray, n_false: np.ndarray) -> np.ndarray:
    """Area under the ROC curve by the trapezoid rule; its last point is (n_false, n_true), where silent clips join."""
    true = np.vstack([np.zeros_like(n_true), true, n_true]).astype(np.float64)
    false = np.vstack([np.zeros_like(n_false), false, n_false]).astype(np.float64)
    area = ((false[1:] - false[:-1]) * (true[1:] + true[:-1]) / 2).sum(axis=0)
    return np.where((n_true > 0) & (n_false > 0), area / np.maximum(n_true * n_false, 1), 0.5)


def _average_precision(
    true: np.ndarray, told: np.ndarray, n_true: np.ndarray, n_all: np.ndarray
) -> np.ndarray:
    """Σ (recall step) × precision over falling thresholds, silent clips as the last step."""
    true = np.vstack([np.zeros_like(n_true), true, n_true]).astype(np.float64)
    told = np.vstack([told, n_all]).astype(np.float64)
    return ((true[1:] - true[:-1]) * true[1:] / np.maximum(told, 1)).sum(axis=0) / np.maximum(n_true, 1)
