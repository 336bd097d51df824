"""Herding (Welling, ICML 2009) per class, on both modalities together.

Features are the concatenated, L2-normalised embeddings x of a class with mean mu. Pick by pick,
with S the sum of the i samples picked so far, take the sample nearest to (i + 1) mu - S: the
running mean then tracks mu. It is the argmin; an argmax, as one published library has it, picks
outliers. Ties go to the first key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.coresets.selectors._joint import GreedySelector

TITLE = "Herding"
PAPER = "https://doi.org/10.1145/1553374.1553517"


@dataclass(frozen=True, kw_only=True)
class Selector(GreedySelector):
    """Greedy herding; see `GreedySelector` for its parameters."""

    def order(self, x: np.ndarray) -> list[int]:
        """Return the rows whose running mean tracks the class mean."""
        mean, total = x.mean(0), np.zeros(x.shape[1])
        available = np.ones(len(x), bool)
        picked: list[int] = []
        for i in range(min(self.most, len(x))):
            distance = np.linalg.norm((i + 1) * mean - total - x, axis=1)
            best = int(np.argmin(np.where(available, distance, np.inf)))
            picked.append(best)
            available[best] = False
            total += x[best]
        return picked
