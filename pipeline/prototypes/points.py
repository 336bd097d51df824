"""The point of a class: its text, the mean of its text's neighbours, or the mean of its clips.

Prototypes of neighbours are those of Kushwaha and Fuentes, "A multimodal prototypical approach for
unsupervised sound classification" (Interspeech 2023), from its formulas. N_c are the k clips of an
unlabelled pool that are nearest to the text t_c by cosine. p_c is their mean, not normalised. A
clip has the class of the nearest p_c. A clip may be in several N_c. Where clips have several
labels, the score of a class is the cosine of clip and p_c.
"""

from __future__ import annotations

import numpy as np

from pipeline.prototypes.clips import normalise_rows


def score_by_text(vectors: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return the cosines of clips and texts, float64 [N, C].

    Args:
        vectors: unit vectors of the clips, [N, D].
        texts: unit vectors of the texts, [C, D].
    """
    return np.asarray(vectors @ texts.T)


def rank_neighbours(pool: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return for each text the rows of the pool, nearest first, int64 [N, C].

    Of equally near rows the first comes first. Cosines are rounded to 12 digits, far above the last
    bits and far below the differences between clips, so that ties are the same on any machine.

    Args:
        pool: unit vectors of clips, [N, D].
        texts: unit vectors, [C, D].
    """
    return np.argsort(-score_by_text(pool, texts).round(12), axis=0, kind="stable")


def build_prototypes(pool: np.ndarray, nearest: np.ndarray, k: int) -> np.ndarray:
    """Return the mean of each class's k nearest clips, float64 [C, D].

    Args:
        pool: unit vectors of clips, [N, D].
        nearest: of `rank_neighbours`, [N, C].
        k: number of neighbours.
    """
    return np.asarray(pool[nearest[:k]].mean(axis=0))


def compute_class_means(vectors: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the mean of all clips of each class, float64 [C, D]; NaN for a class without clips.

    Args:
        vectors: of the clips, [N, D].
        targets: bool [N, C].
    """
    counts = targets.sum(0)[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((targets.T.astype(np.float64) @ vectors) / counts)


def score_by_points(vectors: np.ndarray, points: np.ndarray, multi_label: bool) -> np.ndarray:
    """Score clips by their distance to points, or by cosines for several labels, float64 [N, C].

    Args:
        vectors: unit vectors of clips, [N, D].
        points: of the classes, [C, D]; a point with NaN has the score -infinity.
        multi_label: whether clips may have several labels.
    """
    # |a - p|^2 without |a|^2, which is the same for all classes
    scores = (
        score_by_text(vectors, normalise_rows(points))
        if multi_label
        else 2 * vectors @ points.T - (points**2).sum(1)
    )
    return np.asarray(np.where(np.isnan(points).any(1), -np.inf, scores))
