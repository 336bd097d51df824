"""The page's siblings for programs: CSV, the plots of DVC, and JSON for `dvc metrics`."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from pipeline.reporting._scores import RECOGNITION
from pipeline.reporting._taught import FOLDER, taught_means
from pipeline.reporting._words import numbers, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.reporting._results import Board, Results
    from pipeline.reporting._scores import Entries, Entry

# The method that the ceiling goes by in tables for machines.
WHOLE = "whole"
_NUMBERS = ("mean", "std", "low", "high", "n")


def rows(board: Board) -> Iterator[tuple[str, int | None, int | None, Entries]]:
    """(method, ipc, bytes, entries) of each cell, then of the ceiling, which has neither ipc nor bytes."""
    for cell in board.cells.values():
        yield cell.method, cell.ipc, cell.bytes, cell.entries
    yield WHOLE, None, None, board.whole


def scores_csv(found: Results) -> str:
    """One row per cell x measure x metric x view, and the ceilings; fractions, and numbers of their own as they are."""
    lines = [
        [board.dataset, method, ipc, *measure, metric, view, *numbers(summary), size]
        for board in found.boards
        for method, ipc, size, entries in rows(board)
        for measure in found.measures
        for metric, views in entries[measure].metrics.items()
        for view, summary in views.items()
    ]
    measure_names = ("protocol", "network", "head", "task")
    return _joined(("dataset", "method", "ipc", *measure_names, "metric", "view", *_NUMBERS, "bytes"), lines)


def accuracy_csv(found: Results) -> str:
    """What the plot of accuracies draws: the joint view under each protocol, with the headline's network and head."""
    drawn = [measure for measure in found.recognition if measure[1:3] == found.headline[1:3]]
    lines = [
        [board.dataset, method, ipc, measure.protocol, *numbers(entries[measure].joint)]
        for board in found.boards
        for method, ipc, _, entries in rows(board)
        for measure in drawn
    ]
    return _joined(("dataset", "method", "ipc", "protocol", *_NUMBERS), lines)


def losses_csv(found: Results) -> str:
    """The loss curves, one point per row."""
    lines = [
        [f"{board.dataset}/{cell.method}/ipc{cell.ipc}", step, f"{loss:.6g}"]
        for board in found.boards
        for cell in board.cells.values()
        for step, loss in cell.losses
    ]
    return _joined(("cell", "step", "loss"), lines)


def means_json(found: Results) -> str:
    """dataset -> "<method>-ipc<k>" or "whole" -> measure -> means in percent: what `dvc metrics show` flattens.

    Students with a teacher, where there are some, stand beside them under "taught".
    """
    names = found.names
    values = {
        board.dataset: {
            (method if ipc is None else f"{method}-ipc{ipc}"): {name: _means(entries[measure]) for measure, name in names.items()}
            for method, ipc, _, entries in rows(board)
        }
        | ({FOLDER: taught_means(board)} if board.taught else {})
        for board in found.boards
    }
    return json.dumps(values, indent=1) + "\n"


def _means(entry: Entry) -> dict[str, Any]:
    """Of recognition the accuracy of each view, of other tasks every metric."""
    if entry.measure.task == RECOGNITION:
        return {view: round(100 * entry.metrics["accuracy"][view].mean, 2) for view in entry.views}
    return {
        metric: {view: round(scale(metric) * summary.mean, 2) for view, summary in views.items()}
        for metric, views in entry.metrics.items()
    }


def _joined(head: tuple[str, ...], lines: list[list[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *lines])
    return stream.getvalue()
