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
from pipeline.selectors._joint import ranked

if TYPE_CHECKING:
    from pipeline.records import Features, Ranking


@dataclass(frozen=True, kw_only=True)
class Selector:
    """No parameters but the longest ranking that is wanted.

    Args:
        most: samples ranked per class; the largest ipc x pieces of the grid, or more.
    """

    most: Count

    def rank(self, features: Features) -> Ranking:
        """The `most` best samples of each class; a smaller class is ranked whole."""
        return ranked(features, lambda x: _herded(x, self.most))


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
