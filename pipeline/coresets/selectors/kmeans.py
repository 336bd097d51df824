"""Medoids of k-means (the k-means baseline of DC-BENCH, Cui et al., NeurIPS 2022) per class, on both modalities together.

For k samples the joint features of a class are parted into k clusters (Lloyd, 1982) that start as k-means++ draws them (Arthur &
Vassilvitskii, SODA 2007), several times over, and the parting with the least sum of squared distances to the clusters' means is
kept. Each cluster gives the member that is nearest to its mean, the largest cluster first; ties go to the first key. Samples of
k clusters are no part of those of k + 1, so there is a choice of its own for each number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.core.params import PositiveInt, PositiveInts
from pipeline.core.rng import make_generator
from pipeline.coresets.rankings import Keys, PerCountSelections
from pipeline.coresets.selectors._joint import euclidean_distances, iterate_classes

if TYPE_CHECKING:
    from pipeline.core.records import Features


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Its choices do not nest, so it is told which are wanted.

    Args:
        counts: numbers of samples per class: ipc x pieces of every cell that takes this coreset.
        seed: of the starts; `starts`: how many are tried for each number; `steps`: of each at most, it ends where nothing moves.
    """

    counts: PositiveInts
    seed: int
    starts: PositiveInt
    steps: PositiveInt

    def rank(self, features: Features) -> PerCountSelections:
        """The medoids of as many clusters as each of `counts` says; a smaller class is chosen whole."""
        by_count: dict[int, Keys] = {count: {} for count in sorted(self.counts)}
        for name, keys, x in iterate_classes(features):
            # The same distances between N samples, in N dimensions where there are more: x x^T = r^T r with x^T = q r.
            points = np.asarray(np.linalg.qr(x.T, mode="r")).T
            for count, chosen in by_count.items():
                chosen[name] = tuple(
                    keys[self._find_medoids(points, min(count, len(points)), name)].tolist()
                )
        return PerCountSelections(by_count)

    def _find_medoids(self, x: np.ndarray, k: int, name: str) -> list[int]:
        tried = []
        for start in range(self.starts):
            centres = _draw_centres(x, k, make_generator("kmeans", self.seed, name, k, start))
            tried.append(_run_lloyd(x, centres, self.steps))
        member = min(tried, key=lambda member: np.square(_compute_distances(x, member, k)).sum())
        distance = _compute_distances(x, member, k)
        nearest = [min(np.flatnonzero(member == j), key=distance.__getitem__) for j in range(k)]
        return sorted(map(int, nearest), key=lambda row: (-(member == member[row]).sum(), row))


def _draw_centres(x: np.ndarray, k: int, generator: torch.Generator) -> np.ndarray:
    """k-means++ [k, D]: each centre is a sample, drawn by its squared distance to the nearest centre so far, the first evenly."""
    draws = torch.rand(k, generator=generator, dtype=torch.float64).numpy()
    picked, weight = np.empty(k, int), np.ones(len(x))
    nearest = np.full(len(x), np.inf)
    for i, draw in enumerate(draws):
        total = weight.cumsum()
        # The last one where all weigh nothing, since only copies are left; their clusters start empty.
        picked[i] = min(np.searchsorted(total, draw * total[-1], side="right"), len(x) - 1)
        nearest = np.minimum(nearest, euclidean_distances(x, x[picked[i]]))
        weight = np.square(nearest)
    return x[picked]


def _run_lloyd(x: np.ndarray, centres: np.ndarray, steps: int) -> np.ndarray:
    """int [N]: the cluster of each sample; every cluster has some."""
    member = _assign_clusters(x, centres)
    for _ in range(steps):
        moved = _assign_clusters(x, _compute_means(x, member, len(centres)))
        if (moved == member).all():
            break
        member = moved
    return member


def _assign_clusters(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int [N]: the nearest centre; one that is nearest to no sample gets the sample farthest from its own, if that is not alone."""
    squared = np.square(x).sum(1)[:, None] - 2 * x @ centres.T + np.square(centres).sum(1)
    squared = squared.round(12)  # as in `apart`
    member: np.ndarray = squared.argmin(1)
    own = squared.min(1)
    for empty in np.setdiff1d(np.arange(len(centres)), member):
        alone = np.bincount(member, minlength=len(centres))[member] == 1
        member[np.where(alone, -np.inf, own).argmax()] = empty
    return member


def _compute_means(x: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    return np.stack([x[member == j].mean(0) for j in range(k)])


def _compute_distances(x: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    """float64 [N]: each sample's distance to the mean of its cluster."""
    return euclidean_distances(x, _compute_means(x, member, k)[member])
