"""Accuracy and three averages of average precision, with weights of clips for resampling.

Average precision is the sum over distinct scores, best first, of precision times the gain in
recall: equal scores are one step. A class without clips counts in no average, except in
`paper_code_map_b32`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    # Scores [N, C], targets [N, C], weights of clips [B, N] -> values [B]
    Average = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

BATCH = 32


def average_precision(score: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return average precision, float64 [B]; NaN where nothing relevant has a weight.

    Args:
        score: [N].
        relevant: bool [N].
        weights: of the items, one row per resample, [B, N].
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(score[order][1:] != score[order][:-1], True))
    sorted_weights = weights[:, order]
    hits, items = (
        np.cumsum(values, axis=1)[:, ends]
        for values in (sorted_weights * relevant[order], sorted_weights)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(items > 0, hits / items, 0.0)
        return np.asarray((precision * np.diff(hits, axis=1, prepend=0)).sum(1) / hits[:, -1])


def accuracy(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted share of clips whose best class is a target, float64 [B].

    Args:
        scores: [N, C].
        targets: bool [N, C].
        weights: of the clips, [B, N].
    """
    is_correct = targets[np.arange(len(targets)), scores.argmax(1)]
    return _weighted_mean(is_correct, weights)


def macro_average_precision(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the mean over classes of average precision over clips: mAP in general, float64 [B].

    Args:
        scores: [N, C].
        targets: bool [N, C].
        weights: of the clips, [B, N].
    """
    by_class = np.stack(
        [
            average_precision(scores[:, c], targets[:, c], weights)
            for c in np.flatnonzero(targets.any(0))
        ]
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(by_class, axis=0) / (~np.isnan(by_class)).sum(0))


def label_ranking_average_precision(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the mean over labelled clips of average precision over classes, float64 [B].

    It is label-ranking average precision where no scores are equal.

    Args:
        scores: [N, C].
        targets: bool [N, C].
        weights: of the clips, [B, N].
    """
    ones = np.ones((1, targets.shape[1]))
    is_labelled = targets.any(1)
    by_clip = [
        average_precision(score, relevant, ones)[0]
        for score, relevant in zip(scores[is_labelled], targets[is_labelled], strict=True)
    ]
    return _weighted_mean(np.array(by_clip), weights[:, is_labelled])


def batch_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return the zero-shot mAP of the paper's code.

    It is the mean over batches of 32 clips of average precision by class; classes that are absent
    from a batch count as 0.

    Args:
        scores: [N, C].
        targets: bool [N, C].
    """
    means = []
    for start in range(0, len(targets), BATCH):
        batch, relevant = scores[start : start + BATCH], targets[start : start + BATCH]
        ones = np.ones((1, len(relevant)))
        by_class = [
            average_precision(batch[:, c], relevant[:, c], ones)[0] if relevant[:, c].any() else 0.0
            for c in range(targets.shape[1])
        ]
        means.append(np.mean(by_class))
    return float(np.mean(means))


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted means, float64 [B]; NaN where a resample has none of the values."""
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ values) / weights.sum(1))
