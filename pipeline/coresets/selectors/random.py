"""Random ranking: each class's samples in random order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.core.rng import make_generator
from pipeline.coresets.rankings import Ranking

if TYPE_CHECKING:
    from pipeline.core.records import Features

TITLE = "Random selection"


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A permutation per class.

    Args:
        seed: of the permutations.
    """

    seed: int

    def rank(self, features: Features) -> Ranking:
        """Rank all samples of each class; of the features only keys and labels are used."""
        by_label = {}
        for label, name in enumerate(features.classes):
            rows = np.flatnonzero(features.label == label)
            generator = make_generator("random", self.seed, label)
            order = torch.randperm(len(rows), generator=generator).numpy()
            by_label[name] = tuple(features.keys[row] for row in rows[order])
        return Ranking(by_label)
