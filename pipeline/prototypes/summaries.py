"""Scores of a row: mean, spread, number of runs, and an interval from resampling recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.rng import make_generator
from pipeline.evaluation import Summary, summarise_values
from pipeline.evaluation.bootstrap import resample, resample_nested
from pipeline.prototypes import average_precision as averages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.prototypes.average_precision import Average
    from pipeline.prototypes.clips import Clips
    from pipeline.prototypes.rows import PrototypeRow


def summarise_row(row: PrototypeRow, clips: Clips, times: int) -> dict[str, Summary]:
    """Metric -> its summary. Where there are folds, each metric is told of all clips together and as the mean over folds.

    Args:
        times: resamples of the recordings, and of repeats.
    """
    kinds: dict[str, Average] = (
        {
            "map": averages.macro_average_precision,
            "map_samples": averages.label_ranking_average_precision,
        }
        if clips.multi_label
        else {"accuracy": averages.accuracy}
    )
    tests = [at.test for at in clips.rounds]
    weights = _draw_weights(clips.group, tests, times)
    told: dict[str, Summary] = {}
    for name, average in kinds.items():
        each = [
            np.stack(
                [
                    average(s, clips.has[rows], weights[:, rows])
                    for rows, s in zip(tests, run, strict=True)
                ]
            )
            for run in row.runs
        ]
        if clips.folded:
            rows = np.concatenate(tests)
            pooled = [
                average(np.concatenate(run), clips.has[rows], weights[:, rows])[None]
                for run in row.runs
            ]
            told |= {
                f"{name}_pooled": _summarise_runs(pooled),
                f"{name}_folds": _summarise_runs(each),
            }
        else:
            told[name] = _summarise_runs(each)
    if clips.multi_label:
        batched = [
            averages.batch_average_precision(s, clips.has[rows])
            for run in row.runs
            for rows, s in zip(tests, run, strict=True)
        ]
        told["paper_code_map_b32"] = summarise_values(batched)
    return told


def _draw_weights(group: np.ndarray, tests: Sequence[np.ndarray], times: int) -> np.ndarray:
    """float64 [1 + times, N]: ones, then how often the recording of each clip is drawn; recordings of no test are not."""
    rows = np.concatenate(tests)
    names, own = np.unique(group[rows], return_inverse=True)
    drawn = resample(times, len(names), make_generator("bootstrap", times, len(names))).numpy()
    weights = np.zeros((1 + times, len(group)))
    weights[0] = 1
    weights[1:, rows] = drawn[:, own]
    return weights


def _summarise_runs(values: Sequence[np.ndarray]) -> Summary:
    """Of each repeat [rounds, 1 + times], the measured value first."""
    all_ = np.stack(values)
    measured = summarise_values(all_[:, :, 0].flatten().tolist())
    times = all_.shape[2] - 1
    repeats = resample_nested(
        times, 1, len(all_), make_generator("bootstrap repeats", times, len(all_))
    ).numpy()
    means = (repeats * all_[:, :, 1:].mean(1).T).sum(1) / len(all_)
    low, high = np.quantile(means[np.isfinite(means)], [0.025, 0.975]).tolist()
    return {**measured, "low": low, "high": high}
