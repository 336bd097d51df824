"""Rows compared: paired differences, and the two gaps of DD-Ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.core.rng import make_generator
from pipeline.evaluation.bootstrap import resample, resample_nested

if TYPE_CHECKING:
    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entry

RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One row minus another, as a fraction, with a 95 % bootstrap interval.

    Args:
        mean: difference of the means.
        low: lower end of the interval.
        high: its upper end.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One cell in the headline's joint view beside the other rows at its IPC, in fractions.

    HLR (hard label recovery) and IOR (improvement over random) are those of DD-Ranking (Li et al.,
    arXiv 2505.13300, 2025).

    Args:
        method: a section of `distill`.
        ipc: stored instances per class.
        mean: the headline's metric.
        difference: to the baseline, None for the baseline itself and where it has no score.
        hlr: how far the whole data is ahead.
        ior: how far the random selection is behind, None without one.
    """

    method: str
    ipc: int
    mean: float
    difference: Difference | None
    hlr: float
    ior: float | None


def compare_methods(dataset: DatasetResults, results: Results) -> list[Comparison]:
    """Compare every cell, IPC by IPC, the methods in the grid's order.

    Args:
        dataset: whose cells are compared.
        results: the grid, the headline, the baseline and the random selection.
    """
    whole, rows = dataset.whole[results.headline].joint.mean, []
    for ipc in results.ipcs:
        cells = {m: dataset.cells.get((m, ipc)) for m in results.methods}
        entries = {m: cell.entries[results.headline] for m, cell in cells.items() if cell}
        baseline = entries.get(results.settings.baseline)
        random = entries.get(results.settings.random or "")
        for method, entry in entries.items():
            mean = entry.joint.mean
            rows.append(
                Comparison(
                    method=method,
                    ipc=ipc,
                    mean=mean,
                    difference=(
                        None
                        if baseline is None or entry is baseline
                        else compute_difference(entry, baseline)
                    ),
                    hlr=whole - mean,
                    ior=None if random is None else mean - random.joint.mean,
                )
            )
    return rows


def compute_difference(one: Entry, other: Entry) -> Difference:
    """Return the difference of two rows in the joint view, with a paired bootstrap interval.

    Each resample draws the same test clips for both rows, and for each row its sets and the
    students within them (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8).

    Args:
        one: a row.
        other: the row that is subtracted.
    """
    view = one.views[0]
    windows = torch.tensor(one.windows, dtype=torch.float64)
    correct = [torch.tensor(entry.correct[view], dtype=torch.float64) for entry in (one, other)]
    generator = make_generator("paired", *(len(runs) for runs in correct), len(windows))
    clips = resample(RESAMPLES, len(windows), generator)
    weights = [
        resample_nested(RESAMPLES, entry.sets, len(runs) // entry.sets, generator)
        for entry, runs in zip((one, other), correct, strict=True)
    ]
    means = [
        ((weight / len(runs)) @ runs * clips).sum(1) / (clips @ windows)
        for weight, runs in zip(weights, correct, strict=True)
    ]
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.quantile(means[0] - means[1], ends).tolist()
    return Difference(mean=one.joint.mean - other.joint.mean, low=low, high=high)
