"""Confusions: which classes students mix up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.cells import WHOLE, Cell, Group, Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.report.read.results import DatasetResults, Results

# More classes than this are a list of confused pairs; so many of them.
MAX_CLASSES, MAX_PAIRS = 20, 12


def build_confusions(dataset: DatasetResults, results: Results) -> dict[str, Table | list[str]]:
    """Return the matrices of the best method at the largest IPC and of the whole data.

    They show the joint view. Many classes have a list of the most confused pairs instead.

    Args:
        dataset: whose cells.
        results: the grid and the headline.
    """
    ipc, whole = dataset.ipcs[-1], dataset.whole[results.headline]
    choice = (results.headline, whole.headline, whole.views[0], ipc)
    best = results.find_best(dataset, *choice)[0]
    entry = dataset.cells[best, ipc].entries[results.headline]
    matrices: dict[str, Table | list[str]] = {}
    for name, counts in ((f"{best}, IPC {ipc}", entry.confusion), (WHOLE, whole.confusion)):
        title = f"Confusions on {dataset.dataset}, {name}"
        rows, classes = counts[whole.views[0]], dataset.classes
        many = len(classes) > MAX_CLASSES
        matrices[name] = _list_pairs(rows, classes) if many else _make_matrix(title, rows, classes)
    return matrices


def _make_matrix(title: str, counts: list[list[int]], classes: Sequence[str]) -> Table:
    rows = []
    for true, row in enumerate(counts):
        cells, total = [], sum(row)
        for predicted, count in enumerate(row):
            share = count / total if total else 0.0
            css = f"h{min(round(9 * share), 9)}{' right' if predicted == true else ''}"
            hover = f"{classes[true]} predicted as {classes[predicted]}: {count} of {total}"
            cells.append(Cell(f"{100 * share:.0f}", title=hover, css=css))
        rows.append(Row(classes[true], cells))
    return Table(title=title, columns=[r"true \ predicted", *classes], groups=[Group(rows)])


def _list_pairs(counts: list[list[int]], classes: Sequence[str]) -> list[str]:
    pairs = [
        (count / sum(row), true, predicted, count, sum(row))
        for true, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if predicted != true and count
    ]
    first = sorted(pairs, key=lambda pair: (-pair[0], pair[1:3]))[:MAX_PAIRS]
    return [
        f"{classes[true]} predicted as {classes[predicted]}: "
        f"{100 * share:.0f} % ({count} of {total})"
        for share, true, predicted, count, total in first
    ]
