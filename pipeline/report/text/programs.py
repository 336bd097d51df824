"""The files beside the page for programs: CSV, the plots of DVC, and JSON for `dvc metrics`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.core.csv import format_rows
from pipeline.report.read.kd import FOLDER, group_by_student

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.report.read.results import DatasetResults, Results
    from pipeline.report.read.scores import Entries, Entry, Summary

# The method that stands for the whole data.
WHOLE = "whole"
_NUMBERS = ("mean", "std", "low", "high", "n")


def _format_scores_csv(results: Results) -> str:
    """Return one row per cell, measurement, metric and view, and those of the whole data.

    Scores outside the grid have no dataset, and their path as the method. Fractions stay fractions.
    """
    rows = [
        [dataset.dataset, method, ipc, *measure, metric, view, *_format_numbers(summary), size]
        for dataset in results.datasets
        for method, ipc, size, entries in _iterate_cells(dataset)
        for measure in results.measures
        for metric, views in entries[measure].metrics.items()
        for view, summary in views.items()
    ]
    rows += [
        ["", one.name, "", *measure, metric, view, *_format_numbers(summary), one.bytes]
        for group in results.loose.groups
        for one in group
        for measure, entry in one.entries.items()
        for metric, views in entry.metrics.items()
        for view, summary in views.items()
    ]
    names = ("protocol", "network", "head", "task", "metric", "view", *_NUMBERS, "bytes")
    return format_rows(("dataset", "method", "ipc", *names), rows)


def _format_accuracy_csv(results: Results) -> str:
    """Return the plot of accuracies: the joint view under each protocol.

    The network and the head are those of the headline.
    """
    network_and_head = results.headline[1:3] if results.measures else ()
    rows = [
        [dataset.dataset, method, ipc, measure.protocol, *_format_numbers(entries[measure].joint)]
        for dataset in results.datasets
        for method, ipc, _, entries in _iterate_cells(dataset)
        for measure in results.headline_measures
        if measure[1:3] == network_and_head
    ]
    return format_rows(("dataset", "method", "ipc", "protocol", *_NUMBERS), rows)


def _format_losses_csv(results: Results) -> str:
    """Return the loss curves, one point per row."""
    rows = [
        [f"{dataset.dataset}/{cell.method}/ipc{cell.ipc}", step, f"{loss:.6g}"]
        for dataset in results.datasets
        for cell in dataset.cells.values()
        for step, loss in cell.losses
    ]
    return format_rows(("cell", "step", "loss"), rows)


def _format_kd_csv(results: Results) -> str:
    """Return the scores of students with a teacher, in fractions."""
    rows = [
        [dataset.dataset, x.student, x.train_set, x.method, metric, row, *_format_numbers(summary)]
        for dataset in results.datasets
        for x in dataset.kd
        for metric, summaries in x.metrics.items()
        for row, summary in summaries.items()
    ]
    names = ("student", "train_set", "method", "metric", "row")
    return format_rows(("dataset", *names, *_NUMBERS), rows)


def _format_means_json(results: Results) -> str:
    """Return dataset -> "<method>-ipc<k>" or "whole" -> measurement -> means in percent.

    `dvc metrics show` flattens it. Students with a teacher, where there are some, stand beside
    them under "taught".
    """
    values = {
        dataset.dataset: {
            (method if ipc is None else f"{method}-ipc{ipc}"): {
                name: _collect_means(entries[measure], results)
                for measure, name in results.names.items()
            }
            for method, ipc, _, entries in _iterate_cells(dataset)
        }
        | ({FOLDER: _collect_kd_means(dataset)} if dataset.kd else {})
        for dataset in results.datasets
    }
    return json.dumps(values, indent=1) + "\n"


def _iterate_cells(
    dataset: DatasetResults,
) -> Iterator[tuple[str, int | None, int | None, Entries]]:
    """Yield (method, IPC, bytes, entries) of each cell, then of the whole data."""
    for cell in dataset.cells.values():
        yield cell.method, cell.ipc, cell.bytes, cell.entries
    yield WHOLE, None, None, dataset.whole


def _collect_means(entry: Entry, results: Results) -> dict[str, Any]:
    """Return view -> mean of the headline's task, metric -> view -> mean of other tasks."""
    if entry.measure.task == results.headline.task:
        return {view: _round(entry.metrics[entry.headline][view]) for view in entry.views}
    return _round_all(entry.metrics)


def _collect_kd_means(dataset: DatasetResults) -> dict[str, Any]:
    """Return student -> training set -> method -> metric -> row -> mean in percent."""
    return {
        student: {
            name: {scores.method: _round_all(scores.metrics) for scores in methods}
            for name, methods in sets.items()
        }
        for student, sets in group_by_student(dataset.kd).items()
    }


def _round_all(metrics: Mapping[str, Mapping[str, Summary]]) -> dict[str, Any]:
    return {m: {name: _round(x) for name, x in rows.items()} for m, rows in metrics.items()}


def _round(summary: Summary) -> float:
    return round(summary.scale * summary.mean, 2)


def _format_numbers(summary: Summary) -> list[str | int]:
    spread = (summary.mean, summary.std, summary.low, summary.high)
    return [*("" if number is None else f"{number:.6f}" for number in spread), summary.n]


# suffix -> results to text
FORMATS = {
    ".csv": _format_scores_csv,
    ".accuracy.csv": _format_accuracy_csv,
    ".losses.csv": _format_losses_csv,
    ".taught.csv": _format_kd_csv,
    ".json": _format_means_json,
}
