"""Rows against each other: paired differences, the gaps of DD-Ranking, increments, and rank correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.core.rng import make_generator
from pipeline.evaluation.bootstrap import resample, resample_nested
from pipeline.report.read.scores import ACCURACY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entry


RESAMPLES = 1000
# The method that IOR is measured from.
RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Accuracy of one row minus that of another, as a fraction, with a 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One cell under the headline's joint view, against the other rows at its IPC; all numbers are fractions.

    Args:
        difference: to the baseline, None for the baseline itself.
        hlr, ior: what the whole data reach more (hard label recovery), and what the random choice reaches less (improvement over
            random; None where the grid has no method `random`), as DD-Ranking defines them (Li et al., arXiv 2505.13300, 2025).
        step: to the method before it in the grid, None for the first.
    """

    method: str
    ipc: int
    accuracy: float
    difference: Difference | None
    hlr: float
    ior: float | None
    step: float | None


def compare_methods(board: DatasetResults, found: Results) -> list[Comparison]:
    """Every cell, IPC by IPC and the methods in the grid's order."""
    whole, rows = board.whole[found.headline].joint.mean, []
    for ipc in found.ipcs:
        entries = {method: board.entry_of(method, ipc, found.headline) for method in found.methods}
        before: float | None = None
        for method, entry in entries.items():
            mean = entry.joint.mean
            random = entries[RANDOM].joint.mean if RANDOM in entries else None
            rows.append(
                Comparison(
                    method=method,
                    ipc=ipc,
                    accuracy=mean,
                    difference=None
                    if method == found.baseline
                    else difference(entry, entries[found.baseline]),
                    hlr=whole - mean,
                    ior=None if random is None else mean - random,
                    step=None if before is None else mean - before,
                )
            )
            before = mean
    return rows


def difference(one: Entry, other: Entry) -> Difference:
    """Of the joint accuracies: the test clips are drawn anew, the same for both rows; the sets of each row on their own, and
    students within them.

    A paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8).
    """
    view = one.views[0]
    windows = torch.tensor(one.windows, dtype=torch.float64)
    rights = [torch.tensor(entry.right[view], dtype=torch.float64) for entry in (one, other)]
    generator = make_generator("paired", *(len(right) for right in rights), len(windows))
    clips = resample(RESAMPLES, len(windows), generator)
    drawn = [
        resample_nested(RESAMPLES, entry.sets, len(entry.right[view]) // entry.sets, generator)
        for entry in (one, other)
    ]
    means = [
        ((d / len(r)) @ r * clips).sum(1) / (clips @ windows)
        for d, r in zip(drawn, rights, strict=True)
    ]
    low, high = torch.quantile(
        means[0] - means[1], torch.tensor([0.025, 0.975], dtype=torch.float64)
    ).tolist()
    return Difference(mean=one.joint.mean - other.joint.mean, low=low, high=high)


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation (Spearman 1904), ties with their mean rank; None if one of the two ranks nothing."""
    first, second = _ranks(one), _ranks(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    below = (numbers[None] < numbers[:, None]).sum(1)
    equal = (numbers[None] == numbers[:, None]).sum(1)
    ranks: np.ndarray = below + (equal + 1) / 2
    return ranks


def correlation(entry: Entry, whole: Entry) -> float | None:
    """Spearman's of the candidates' means on a set and on the whole data."""
    views = list(whole.metrics[ACCURACY])
    one, other = ([x.metrics[ACCURACY][view].mean for view in views] for x in (entry, whole))
    return spearman(one, other)
