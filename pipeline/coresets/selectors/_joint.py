"""Joint features of both modalities, class by class, and greedy rankings of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import StoreError
from pipeline.core.params import PositiveInt
from pipeline.coresets.rankings import Ranking

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.core.records import Features


def iterate_classes(features: Features) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (class name, keys [N], joint features float64 [N, D]) of each class.

    Joint features are the L2-normalised embeddings of all modalities, concatenated. Rows are sorted
    by key, so a selection does not depend on the table's order, and ties go to the first key.

    Args:
        features: the table.

    Raises:
        StoreError: the table has no sample of a class.
    """
    keys = np.array(features.keys)
    order = np.argsort(keys)
    for number, name in enumerate(features.classes):
        rows = order[features.label[order] == number]
        if not len(rows):
            raise StoreError(
                f"the feature table has no sample of class {name!r}, expected some of each; "
                "add clips of it, or run `avdistill extract` on shards that have some"
            )
        units = [
            _normalise(vectors[rows].astype(np.float64))
            for _, vectors in sorted(features.vectors.items())
        ]
        yield name, keys[rows], np.concatenate(units, axis=1)


@dataclass(frozen=True, kw_only=True)
class GreedySelector(ABC):
    """A selector that picks samples one by one, so a smaller selection is a prefix of a larger.

    Args:
        most: samples ranked per class; the largest ipc x pieces of the grid, or more.
    """

    most: PositiveInt

    @abstractmethod
    def order(self, x: np.ndarray) -> Sequence[int]:
        """Return the rows of the `most` best samples, best first.

        Args:
            x: joint features float64 [N, D] of one class.
        """

    def rank(self, features: Features) -> Ranking:
        """Rank the `most` best samples of each class; a smaller class is ranked whole."""
        return Ranking(
            {
                name: tuple(keys[self.order(x)].tolist())
                for name, keys, x in iterate_classes(features)
            }
        )


def euclidean_distances(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances float64 [N] of rows to points.

    They are rounded to 12 digits, so equal distances are equal on any machine; differences of real
    samples are far larger.

    Args:
        x: rows [N, D].
        points: one point [D], or one per row [N, D].
    """
    return np.asarray(np.linalg.norm(x - points, axis=1).round(12))


def _normalise(vectors: np.ndarray) -> np.ndarray:
    norms: np.ndarray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / norms)
