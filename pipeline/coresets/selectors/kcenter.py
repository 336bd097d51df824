"""k-center greedy (Gonzalez, 1985; Sener & Savarese, ICLR 2018) per class, on both modalities.

On the joint features of a class, the first centre is the sample nearest to the mean, so nothing is
random. Each next centre is the sample farthest from its nearest centre. After k picks no sample is
farther from a centre than twice the radius of the best k centres. Ties go to the first key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.coresets.selectors._joint import GreedySelector, euclidean_distances

TITLE = "k-center greedy"
PAPER = "https://arxiv.org/abs/1708.00489"


@dataclass(frozen=True, kw_only=True)
class Selector(GreedySelector):
    """Greedy k-center; see `GreedySelector` for its parameters."""

    def order(self, x: np.ndarray) -> list[int]:
        """Return the rows of the first centres."""
        picked = [int(euclidean_distances(x, x.mean(0)).argmin())]
        distance = np.full(len(x), np.inf)
        while len(picked) < min(self.most, len(x)):
            distance = np.minimum(distance, euclidean_distances(x, x[picked[-1]]))
            # Below all others: where only copies are left, none is picked twice.
            distance[picked[-1]] = -1
            picked.append(int(distance.argmax()))
        return picked
