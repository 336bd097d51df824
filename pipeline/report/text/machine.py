"""The page's siblings for programs: CSV, the plots of DVC, and JSON for `dvc metrics`."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from pipeline.report.format import scale_of
from pipeline.report.read.kd import FOLDER, group_by_student
from pipeline.report.read.scores import RECOGNITION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entries, Entry, Summary

# The method that the ceiling goes by in tables for machines.
WHOLE = "whole"
_NUMBERS = ("mean", "std", "low", "high", "n")


def iterate_rows(board: DatasetResults) -> Iterator[tuple[str, int | None, int | None, Entries]]:
    """(method, ipc, bytes, entries) of each cell, then of the ceiling, which has neither ipc nor bytes."""
    for cell in board.cells.values():
        yield cell.method, cell.ipc, cell.bytes, cell.entries
    yield WHOLE, None, None, board.whole


def format_scores_csv(found: Results) -> str:
    """One row per cell x measure x metric x view, and the ceilings; fractions, and numbers of their own as they are."""
    lines = [
        [board.dataset, method, ipc, *measure, metric, view, *_format_numbers(summary), size]
        for board in found.boards
        for method, ipc, size, entries in iterate_rows(board)
        for measure in found.measures
        for metric, views in entries[measure].metrics.items()
        for view, summary in views.items()
    ]
    measure_names = ("protocol", "network", "head", "task")
    return _format_csv(
        ("dataset", "method", "ipc", *measure_names, "metric", "view", *_NUMBERS, "bytes"), lines
    )


def format_accuracy_csv(found: Results) -> str:
    """What the plot of accuracies draws: the joint view under each protocol, with the headline's network and head."""
    drawn = [measure for measure in found.recognition if measure[1:3] == found.headline[1:3]]
    lines = [
        [board.dataset, method, ipc, measure.protocol, *_format_numbers(entries[measure].joint)]
        for board in found.boards
        for method, ipc, _, entries in iterate_rows(board)
        for measure in drawn
    ]
    return _format_csv(("dataset", "method", "ipc", "protocol", *_NUMBERS), lines)


def format_losses_csv(found: Results) -> str:
    """The loss curves, one point per row."""
    lines = [
        [f"{board.dataset}/{cell.method}/ipc{cell.ipc}", step, f"{loss:.6g}"]
        for board in found.boards
        for cell in board.cells.values()
        for step, loss in cell.losses
    ]
    return _format_csv(("cell", "step", "loss"), lines)


def format_kd_csv(found: Results) -> str:
    """Students with a teacher, one row per data set x student x training set x method x metric x row; fractions."""
    lines = [
        [
            board.dataset,
            one.student,
            one.train_set,
            one.method,
            metric,
            name,
            *_format_numbers(summary),
        ]
        for board in found.boards
        for one in board.taught
        for metric, rows in one.metrics.items()
        for name, summary in rows.items()
    ]
    return _format_csv(
        ("dataset", "student", "train_set", "method", "metric", "row", *_NUMBERS), lines
    )


def format_means_json(found: Results) -> str:
    """dataset -> "<method>-ipc<k>" or "whole" -> measure -> means in percent: what `dvc metrics show` flattens.

    Students with a teacher, where there are some, stand beside them under "taught".
    """
    names = found.names
    values = {
        board.dataset: {
            (method if ipc is None else f"{method}-ipc{ipc}"): {
                name: _collect_means(entries[measure]) for measure, name in names.items()
            }
            for method, ipc, _, entries in iterate_rows(board)
        }
        | ({FOLDER: _collect_kd_means(board)} if board.taught else {})
        for board in found.boards
    }
    return json.dumps(values, indent=1) + "\n"


def _collect_means(entry: Entry) -> dict[str, Any]:
    """Of recognition the accuracy of each view, of other tasks every metric."""
    if entry.measure.task == RECOGNITION:
        return {view: round(100 * entry.metrics["accuracy"][view].mean, 2) for view in entry.views}
    return _means_of(entry.metrics)


def _collect_kd_means(board: DatasetResults) -> dict[str, Any]:
    """student -> training set -> method -> metric -> row -> mean in percent."""
    return {
        student: {
            name: {one.method: _means_of(one.metrics) for one in methods}
            for name, methods in sets.items()
        }
        for student, sets in group_by_student(board.taught).items()
    }


def _means_of(metrics: dict[str, dict[str, Summary]]) -> dict[str, Any]:
    return {
        metric: {name: round(scale_of(metric) * summary.mean, 2) for name, summary in rows.items()}
        for metric, rows in metrics.items()
    }


def _format_numbers(summary: Summary) -> list[str | int]:
    spread = (summary.mean, summary.std, summary.low, summary.high)
    return [*("" if number is None else f"{number:.6f}" for number in spread), summary.n]


def _format_csv(head: tuple[str, ...], lines: list[list[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *lines])
    return stream.getvalue()
