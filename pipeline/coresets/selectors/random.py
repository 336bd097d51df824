"""Random ranking: each class's samples in an order drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.core.rng import make_generator
from pipeline.coresets.rankings import Ranking

if TYPE_CHECKING:
    from pipeline.core.records import Features


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A shuffle per class.

    Args:
        seed: of the shuffle.
    """

    seed: int

    def rank(self, features: Features) -> Ranking:
        """The samples of each class, all of them, in random order."""
        result = {}
        for label, name in enumerate(features.classes):
            rows = np.flatnonzero(features.label == label)
            order = torch.randperm(
                len(rows), generator=make_generator("random", self.seed, label)
            ).numpy()
            result[name] = tuple(features.keys[row] for row in rows[order])
        return Ranking(result)
