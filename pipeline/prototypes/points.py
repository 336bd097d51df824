"""A class as a point: what its name says, the mean of its name's neighbours, or the mean of its clips.

Prototypes of neighbours are those of Kushwaha and Fuentes, "A multimodal prototypical approach for unsupervised sound
classification" (Interspeech 2023), from its formulas: N_c are the k clips of an unlabelled pool that are nearest to the text t_c by
cosine, p_c is their mean, as it is, and a clip goes to the nearest p_c. A clip may be in several N_c. Where clips have several
labels, the score of a class is the cosine of clip and p_c.
"""

from __future__ import annotations

import numpy as np

from pipeline.prototypes.clips import normalise_rows


def score_by_text(vectors: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Cosines of clips [N, D] and texts [C, D], all of length 1: float64 [N, C]."""
    return np.asarray(vectors @ texts.T)


def rank_neighbours(pool: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """int64 [N, C]: for each text the rows of the pool, nearest first; of equals the first.

    Rounded far above the last bits and far below what tells clips apart, so that ties are ties on any machine.
    """
    return np.argsort(-score_by_text(pool, texts).round(12), axis=0, kind="stable")


def build_prototypes(pool: np.ndarray, nearest: np.ndarray, k: int) -> np.ndarray:
    """float64 [C, D]: the mean of the first `k` of each column of `neighbours`."""
    return np.asarray(pool[nearest[:k]].mean(axis=0))


def compute_class_means(vectors: np.ndarray, has: np.ndarray) -> np.ndarray:
    """float64 [C, D]: the mean of all clips of each class; NaN for a class without one."""
    counts = has.sum(0)[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((has.T.astype(np.float64) @ vectors) / counts)


def score_by_points(vectors: np.ndarray, points: np.ndarray, several: bool) -> np.ndarray:
    """Scores of clips [N, D] for points [C, D]: minus their distance, or their cosine where there may be several; least for NaN."""
    # |a - p|^2 without |a|^2, which is the same for all classes
    scores = (
        score_by_text(vectors, normalise_rows(points))
        if several
        else 2 * vectors @ points.T - (points**2).sum(1)
    )
    return np.asarray(np.where(np.isnan(points).any(1), -np.inf, scores))
