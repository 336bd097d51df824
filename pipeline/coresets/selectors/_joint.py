"""What selectors share that look at both modalities together: the joint features of a class, and a ranking made of them."""

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
    """(label, keys [N], joint features float64 [N, D]) of one class after the other.

    Joint features are the L2-normalised embeddings of all modalities, concatenated. Rows are in the order of their keys: what
    is made of them is a matter of the samples, not of the order they came in, and the first of equals is that of the first key.

    Raises:
        StoreError: the table has no sample of a class.
    """
    keys = np.array(features.keys)
    order = np.argsort(keys)
    for number, name in enumerate(features.classes):
        rows = order[features.label[order] == number]
        if not len(rows):
            lacks = f"the feature table has no sample of class {name!r}, expected some of each"
            raise StoreError(
                f"{lacks}; add clips of it, or run `avdistill extract` on shards that have some"
            )
        units = [
            _normalise(vectors[rows].astype(np.float64))
            for _, vectors in sorted(features.vectors.items())
        ]
        yield name, keys[rows], np.concatenate(units, axis=1)


@dataclass(frozen=True, kw_only=True)
class GreedySelector(ABC):
    """A selector that takes one sample after the other, so that any number of them is a prefix of its ranking.

    Args:
        most: samples ranked per class; the largest ipc x pieces of the grid, or more.
    """

    most: PositiveInt

    @abstractmethod
    def order(self, x: np.ndarray) -> Sequence[int]:
        """Joint features [N, D] of a class -> the rows of its `most` best samples, best first."""

    def rank(self, features: Features) -> Ranking:
        """The `most` best samples of each class; a smaller class is ranked whole."""
        return Ranking(
            {
                name: tuple(keys[self.order(x)].tolist())
                for name, keys, x in iterate_classes(features)
            }
        )


def euclidean_distances(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float64 [N]: Euclidean distances of rows [N, D] to one point [D], or to a point each [N, D].

    Rounded far above the last bits and far below what tells samples apart, so that equal distances are equal on any machine.
    """
    return np.asarray(np.linalg.norm(x - points, axis=1).round(12))


def _normalise(vectors: np.ndarray) -> np.ndarray:
    norms: np.ndarray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / norms)
