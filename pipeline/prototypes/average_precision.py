"""What scores are worth, by several averages that are not each other; each takes weights of clips, so that it can be resampled.

Average precision is the sum over distinct scores, best first, of precision times the gain in recall: equal scores are taken
together. A class that no clip has counts in no average, but in `paper_code_map_b32`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    # Scores [N, C], what is true [N, C], weights of clips [B, N] -> values [B]
    Average = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

BATCH = 32


def average_precision(score: np.ndarray, relevant: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [B]: of N scores, bool [N] and weights [B, N]; NaN where nothing relevant has a weight."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(score[order][1:] != score[order][:-1], True))
    own = weights[:, order]
    hit, seen = (np.cumsum(part, axis=1)[:, ends] for part in (own * relevant[order], own))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hit / seen, 0.0)
        return np.asarray((precision * np.diff(hit, axis=1, prepend=0)).sum(1) / hit[:, -1])


def accuracy(scores: np.ndarray, has: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The share of clips whose best class is theirs."""
    right = has[np.arange(len(has)), scores.argmax(1)]
    return _weighted_mean(right, weights)


def macro_average_precision(scores: np.ndarray, has: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of the average precision over all clips: the mAP that is meant where nothing else is said."""
    each = np.stack(
        [average_precision(scores[:, c], has[:, c], weights) for c in np.flatnonzero(has.any(0))]
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(each, axis=0) / (~np.isnan(each)).sum(0))


def label_ranking_average_precision(
    scores: np.ndarray, has: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean over clips that have a label of the average precision over classes: label-ranking AP, where no scores are equal."""
    one = np.ones((1, has.shape[1]))
    told = has.any(1)
    own = [
        average_precision(score, true, one)[0]
        for score, true in zip(scores[told], has[told], strict=True)
    ]
    return _weighted_mean(np.array(own), weights[:, told])


def batch_average_precision(scores: np.ndarray, has: np.ndarray) -> float:
    """What the paper's code averages for zero-shot: class-wise AP inside batches of 32 clips, absent classes counted as 0."""
    batches = []
    for first in range(0, len(has), BATCH):
        part, true = scores[first : first + BATCH], has[first : first + BATCH]
        one = np.ones((1, len(true)))
        each = [
            average_precision(part[:, c], true[:, c], one)[0] if true[:, c].any() else 0.0
            for c in range(has.shape[1])
        ]
        batches.append(np.mean(each))
    return float(np.mean(batches))


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [B]; NaN where a resample holds none of them."""
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ values) / weights.sum(1))
