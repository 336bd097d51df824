"""Summaries of a row's scores: mean, deviation, and an interval from resampled recordings."""

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
    """Return metric -> its summary; with folds, over all clips together and as mean over folds.

    Args:
        row: the row's scores.
        clips: all clips.
        times: resamples of the recordings, and of repeats.
    """
    metrics: dict[str, Average] = {"accuracy": averages.accuracy}
    if clips.multi_label:
        metrics = {
            "map": averages.macro_average_precision,
            "map_samples": averages.label_ranking_average_precision,
        }
    tests = [each.test for each in clips.rounds]
    weights = _draw_weights(clips.group, tests, times)
    summaries: dict[str, Summary] = {}
    for name, average in metrics.items():
        by_round = [_average_rounds(run, tests, clips, weights, average) for run in row.runs]
        if clips.has_folds:
            rows = [np.concatenate(tests)]
            pooled = [
                _average_rounds([np.concatenate(run)], rows, clips, weights, average)
                for run in row.runs
            ]
            summaries[f"{name}_pooled"] = _summarise_repeats(pooled)
            summaries[f"{name}_folds"] = _summarise_repeats(by_round)
        else:
            summaries[name] = _summarise_repeats(by_round)
    if clips.multi_label:
        values = [
            averages.batch_average_precision(scores, clips.targets[rows])
            for run in row.runs
            for rows, scores in zip(tests, run, strict=True)
        ]
        summaries["paper_code_map_b32"] = summarise_values(values)
    return summaries


def _average_rounds(
    run: Sequence[np.ndarray],
    tests: Sequence[np.ndarray],
    clips: Clips,
    weights: np.ndarray,
    average: Average,
) -> np.ndarray:
    """Return the average of each round and resample, [rounds, 1 + times]."""
    return np.stack(
        [
            average(scores, clips.targets[rows], weights[:, rows])
            for rows, scores in zip(tests, run, strict=True)
        ]
    )


def _draw_weights(group: np.ndarray, tests: Sequence[np.ndarray], times: int) -> np.ndarray:
    """Return ones, then how often each clip's recording is drawn, float64 [1 + times, N].

    Only recordings with a test clip are drawn.
    """
    rows = np.concatenate(tests)
    recordings, number = np.unique(group[rows], return_inverse=True)
    count = len(recordings)
    drawn = resample(times, count, make_generator("bootstrap", times, count)).numpy()
    weights = np.zeros((1 + times, len(group)))
    weights[0] = 1
    weights[1:, rows] = drawn[:, number]
    return weights


def _summarise_repeats(values: Sequence[np.ndarray]) -> Summary:
    """Summarise the values of each repeat, [rounds, 1 + times], the measured value first."""
    stacked = np.stack(values)
    measured = summarise_values(stacked[:, :, 0].flatten().tolist())
    times = stacked.shape[2] - 1
    generator = make_generator("bootstrap repeats", times, len(stacked))
    repeats = resample_nested(times, 1, len(stacked), generator).numpy()
    means = (repeats * stacked[:, :, 1:].mean(1).T).sum(1) / len(stacked)
    low, high = np.quantile(means[np.isfinite(means)], [0.025, 0.975]).tolist()
    return {**measured, "low": low, "high": high}
