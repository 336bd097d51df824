"""Herding (Welling, ICML 2009) per class, on both modalities together.

Features are the concatenated, L2-normalised embeddings x of a class with mean mu. Pick by pick, with S the sum of the i samples
picked so far, take the sample nearest to (i + 1) mu - S: the running mean then tracks mu. It is the argmin; an argmax, as one
published library has it, picks outliers. Ties go to the first key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params import Count

if TYPE_CHECKING:
    from pipeline.records import Features


@dataclass(frozen=True, kw_only=True)
class Selector:
    """No parameters but the longest ranking that is wanted.

    Args:
        most: samples ranked per class; the largest ipc x pieces of the grid, or more.
    """

    most: Count

    def rank(self, features: Features) -> dict[str, tuple[str, ...]]:
        """label -> keys, best first; a smaller class is ranked whole."""
        order = np.argsort(np.array(features.keys))  # the result is a matter of the samples, not of the order they came in
        joint = np.concatenate(
            [_unit(vectors[order].astype(np.float64)) for _, vectors in sorted(features.vectors.items())], axis=1
        )
        keys, label = np.array(features.keys)[order], features.label[order]
        return {
            name: tuple(keys[label == number][_herded(joint[label == number], self.most)].tolist())
            for number, name in enumerate(features.classes)
        }


def _herded(x: np.ndarray, most: int) -> list[int]:
    mean, total = x.mean(0), np.zeros(x.shape[1])
    left = np.ones(len(x), bool)
    picked: list[int] = []
    for i in range(min(most, len(x))):
        distance = np.linalg.norm((i + 1) * mean - total - x, axis=1)
        best = int(np.argmin(np.where(left, distance, np.inf)))
        picked.append(best)
        left[best] = False
        total += x[best]
    return picked


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms: np.ndarray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / norms)
