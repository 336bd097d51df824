"""What selectors share that look at both modalities together: the joint features of a class, and a ranking made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import StoreError
from pipeline.records import Ranking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.records import Features


def classes(features: Features) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
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
            raise StoreError(f"{lacks}; add clips of it, or run `avdistill extract` on shards that have some")
        units = [_unit(vectors[rows].astype(np.float64)) for _, vectors in sorted(features.vectors.items())]
        yield name, keys[rows], np.concatenate(units, axis=1)


def ranked(features: Features, order: Callable[[np.ndarray], Sequence[int]]) -> Ranking:
    """Every class by `order`: joint features [N, D] -> rows, best first."""
    return Ranking({name: tuple(keys[order(x)].tolist()) for name, keys, x in classes(features)})


def apart(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float64 [N]: Euclidean distances of rows [N, D] to one point [D], or to a point each [N, D].

    Rounded far above the last bits and far below what tells samples apart, so that equal distances are equal on any machine.
    """
    return np.asarray(np.linalg.norm(x - points, axis=1).round(12))


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms: np.ndarray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / norms)
