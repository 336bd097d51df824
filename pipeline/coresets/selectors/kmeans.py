"""Medoids of k-means per class, on both modalities together.

It is the k-means baseline of DC-BENCH (Cui et al., NeurIPS 2022). For k samples, the joint features
of a class are divided into k clusters (Lloyd, 1982) from a start by k-means++ (Arthur &
Vassilvitskii, SODA 2007). Of several starts, the clusters with the lowest sum of squared distances
to their means are kept. Each cluster contributes the member nearest to its mean, the largest
cluster first; ties go to the first key. The samples of k clusters are no part of those of k + 1, so
there is one selection per number of samples.
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

TITLE = "Medoids of k-means"
PAPER = "https://arxiv.org/abs/2207.09639"


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Medoids of k-means, for each of several numbers of samples.

    Args:
        counts: numbers of samples per class: ipc x pieces of every cell that uses this coreset.
        seed: of the starts.
        starts: starts for each number of samples.
        steps: most steps from each start; it ends earlier where no sample changes its cluster.
    """

    counts: PositiveInts
    seed: int
    starts: PositiveInt
    steps: PositiveInt

    def rank(self, features: Features) -> PerCountSelections:
        """Return the medoids for each of `counts`; a smaller class is selected whole."""
        by_count: dict[int, Keys] = {count: {} for count in sorted(self.counts)}
        for name, keys, x in iterate_classes(features):
            # The same distances in at most N dimensions: x x^T = r^T r with x^T = q r.
            points = np.asarray(np.linalg.qr(x.T, mode="r")).T
            for count, selection in by_count.items():
                rows = self._find_medoids(points, min(count, len(points)), name)
                selection[name] = tuple(keys[rows].tolist())
        return PerCountSelections(by_count)

    def _find_medoids(self, x: np.ndarray, k: int, name: str) -> list[int]:
        candidates = []
        for start in range(self.starts):
            centres = _draw_centres(x, k, make_generator("kmeans", self.seed, name, k, start))
            candidates.append(_run_lloyd(x, centres, self.steps))
        cluster = min(candidates, key=lambda one: np.square(_compute_distances(x, one, k)).sum())
        distance = _compute_distances(x, cluster, k)
        nearest = [min(np.flatnonzero(cluster == j), key=distance.__getitem__) for j in range(k)]
        return sorted(map(int, nearest), key=lambda row: (-(cluster == cluster[row]).sum(), row))


def _draw_centres(x: np.ndarray, k: int, generator: torch.Generator) -> np.ndarray:
    """Draw k centres [k, D] by k-means++.

    The first is any sample with equal probability. Each next one is drawn in proportion to its
    squared distance to the nearest centre so far.
    """
    draws = torch.rand(k, generator=generator, dtype=torch.float64).numpy()
    picked, weight = np.empty(k, int), np.ones(len(x))
    nearest = np.full(len(x), np.inf)
    for i, draw in enumerate(draws):
        total = weight.cumsum()
        # The last sample where all weights are 0, since only copies are left; such clusters start
        # empty.
        picked[i] = min(np.searchsorted(total, draw * total[-1], side="right"), len(x) - 1)
        nearest = np.minimum(nearest, euclidean_distances(x, x[picked[i]]))
        weight = np.square(nearest)
    return x[picked]


def _run_lloyd(x: np.ndarray, centres: np.ndarray, steps: int) -> np.ndarray:
    """Return the cluster of each sample, int [N]; no cluster is empty."""
    cluster = _assign_clusters(x, centres)
    for _ in range(steps):
        update = _assign_clusters(x, _compute_means(x, cluster, len(centres)))
        if (update == cluster).all():
            break
        cluster = update
    return cluster


def _assign_clusters(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the nearest centre of each sample, int [N].

    An empty cluster gets the sample that is farthest from its centre, among those with others in
    their cluster.
    """
    squared = np.square(x).sum(1)[:, None] - 2 * x @ centres.T + np.square(centres).sum(1)
    squared = squared.round(12)  # as in `euclidean_distances`
    cluster: np.ndarray = squared.argmin(1)
    nearest = squared.min(1)
    for empty in np.setdiff1d(np.arange(len(centres)), cluster):
        alone = np.bincount(cluster, minlength=len(centres))[cluster] == 1
        cluster[np.where(alone, -np.inf, nearest).argmax()] = empty
    return cluster


def _compute_means(x: np.ndarray, cluster: np.ndarray, k: int) -> np.ndarray:
    return np.stack([x[cluster == j].mean(0) for j in range(k)])


def _compute_distances(x: np.ndarray, cluster: np.ndarray, k: int) -> np.ndarray:
    """Return each sample's distance to the mean of its cluster, float64 [N]."""
    return euclidean_distances(x, _compute_means(x, cluster, k)[cluster])
