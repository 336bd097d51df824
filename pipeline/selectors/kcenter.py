"""k-center greedy (Gonzalez, 1985; Sener & Savarese, ICLR 2018) per class, on both modalities together.

On the joint features of a class, the first centre is the sample nearest to the mean, so that nothing is drawn at random; each next
one is the sample that lies farthest from its nearest centre. After k picks no sample is farther from a centre than twice what the
best k centres could do. Ties go to the first key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params import Count
from pipeline.selectors._joint import apart, ranked

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
        """The `most` first centres of each class; a smaller class is ranked whole."""
        return ranked(features, lambda x: _spread(x, self.most))


def _spread(x: np.ndarray, most: int) -> list[int]:
    picked = [int(apart(x, x.mean(0)).argmin())]
    distance = np.full(len(x), np.inf)
    while len(picked) < min(most, len(x)):
        distance = np.minimum(distance, apart(x, x[picked[-1]]))
        distance[picked[-1]] = -1  # below all others: where only copies are left, none is picked twice
        picked.append(int(distance.argmax()))
    return picked
